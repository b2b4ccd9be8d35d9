"""Base class of text-to-image recipes: images of captions, with mismatched captions, and sentence vectors of an encoder.

A batch holds images, the code of a caption of each, and the code of a caption of another image. ``E`` maps codes to sentence
vectors; with the encoder ``words`` it is trained along with D. G's updates do not train it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core import randomness
from ganloom.core.config import check_at_least_one
from ganloom.core.errors import BadInput
from ganloom.data import text_codes
from ganloom.data.caption_words import cut, tidy, words_of
from ganloom.data.captioned import CaptionBatch, Captioned
from ganloom.gan import GAN, Terms
from ganloom.losses import Loss
from ganloom.networks.text_encoder import LONGEST, Standardise, WordNumbers, text_encoder
from ganloom.scoring import Scores

KEPT = 1000
"""Captions of the training data that a model keeps, to draw from where none are given."""
MOST_WORDS = 50_000
"""Words of the training captions that a model keeps, to name those that it has not seen."""


class TextConditional(GAN):
    """A GAN whose condition is a caption. The config has ``encoder``, ``words``, ``word_dim``, ``near`` and ``mismatch``.

    Attributes:
        vocabulary: The words of the training captions, the most common first.
        captions: Captions of the training data, at most ``KEPT``.
        digest: SHA-256 of the text encoder that the model was trained with; empty before ``learn_data``.
    """

    conditions_on = "captions"
    averaged = ("G", "E")

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.encoder = text_encoder(cfg.encoder, cfg.words, cfg.word_dim)
        self.E = self.encoder.module()
        self.vocabulary: tuple[str, ...] = ()
        self.captions: tuple[str, ...] = ()
        self.digest = ""
        self._known: dict[str, Tensor] = {}

    @property
    def d_nets(self) -> str:
        """What D's phases train: E too, if it has parameters."""
        return "D E" if any(True for _ in self.E.parameters()) else "D"

    # ---- the data
    @classmethod
    def check_data(cls, data: Any) -> None:
        if not isinstance(data, Captioned):
            raise BadInput(
                f"{data.name} has no captions: open it with inputs='captions' (a folder with metadata.jsonl, captions.csv or a "
                ".txt file beside each image; or the built-in set shapes)"
            )

    def learn_data(self, data: Any, each: Callable[[int, int], None] | None = None) -> None:
        """Keep the vocabulary and some captions; measure the sentence vectors. The captions are encoded here, once."""
        if self.digest:
            return
        self.check_data(data)
        vocabulary = data.vocabulary
        self.vocabulary = tuple(vocabulary[:MOST_WORDS])
        self._set_words()
        if isinstance(self.encoder, WordNumbers) and len(vocabulary) > self.encoder.size:
            data.notes.append(
                f"the captions have {len(vocabulary):,} different words, of which the {self.encoder.size:,} most common are "
                "used: raise --words, or use --encoder minilm"
            )
        step = max(1, len(data.texts) / KEPT)
        self.captions = tuple(data.texts[int(i * step)] for i in range(min(KEPT, len(data.texts))))
        self.digest = self.encoder.digest()
        codes = self.codes_of(data, each)
        if isinstance(self.E, Standardise):
            self.E.fit(codes.to(self.device))

    def data_record(self) -> dict[str, Any]:
        if not self.digest:
            return {}
        return {
            "encoder": self.encoder.name, "digest": self.digest, "vocabulary": list(self.vocabulary),
            "captions": list(self.captions),
        }  # fmt: skip

    def restore_data(self, record: dict[str, Any]) -> None:
        for key in ("vocabulary", "captions"):
            value = record.get(key)
            if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                raise BadInput(f"config.json: 'learned' must have {key}, a list of texts: restore the file")
            setattr(self, key, tuple(value))
        self.digest = str(record.get("digest", ""))
        self._set_words()
        if isinstance(self.encoder, WordNumbers) and self.encoder.digest() != self.digest:
            raise BadInput(
                "config.json: the vocabulary is not the one that the model was trained with: restore the file"
            )

    def _set_words(self) -> None:
        if isinstance(self.encoder, WordNumbers):
            self.encoder.learn(self.vocabulary)

    def draw(self, data: Any, rng: Any) -> CaptionBatch:
        """Draw images, a caption of each, and a mismatched one, of which the share ``near`` differs in few words."""
        if not self.digest:
            self.learn_data(data)
        batch: CaptionBatch = data.draw(self.cfg.batch_size, rng, near=self.cfg.near)
        codes = self.codes_of(data)
        return batch._replace(c=codes[batch.c], wrong=codes[batch.wrong])

    def inputs(self, data: Any, rows: Any) -> Tensor:
        """Return the codes of the first caption of rows of a data set."""
        self.check_data(data)
        return self._codes(data.captions_of(rows)).to(self.device)

    def codes_of(self, data: Captioned, each: Callable[[int, int], None] | None = None) -> Tensor:
        """Return the codes of all captions of a data set, (texts, ...); they are kept on disk if they take long to compute."""

        def encode(texts: Sequence[str]) -> Tensor:
            if isinstance(self.encoder, WordNumbers):
                return self.encoder.codes(texts)
            self._check_encoder()
            return text_codes.cached(texts, self.digest, lambda some: self.encoder.codes(some, each))

        return data.codes(self.digest, encode)

    def _check_encoder(self) -> None:
        """Raise BadInput if the frozen encoder is not the one that the model was trained with."""
        digest = self.encoder.digest()
        if digest != self.digest:
            raise BadInput(
                f"the text encoder {self.encoder.name} is not the one that this model was trained with (SHA-256 "
                f"{digest[:12]} instead of {self.digest[:12]}): install the same version"
            )

    def _codes(self, texts: Sequence[str]) -> Tensor:
        """The codes of some captions; each is encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            if not isinstance(self.encoder, WordNumbers):
                self._check_encoder()
            if len(self._known) > 20 * KEPT:
                self._known.clear()
                new = list(dict.fromkeys(texts))
            self._known.update(zip(new, self.encoder.codes(new), strict=True))
        return torch.stack([self._known[text] for text in texts])

    # ---- captions of the user
    def caption_codes(self, text: str | Sequence[str]) -> Tensor:
        """Return the codes of captions on the model's device, (N, ...).

        Raises:
            BadInput: There is none, or one is empty.
        """
        texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Sequence) else []
        if not texts or not all(isinstance(one, str) for one in texts):
            raise BadInput('text must be a caption or a list of captions, such as "a small red circle"')
        tidied = [cut(tidy(one)) for one in texts]
        if not all(tidied):
            raise BadInput(
                f"caption {tidied.index('') + 1} of {len(tidied)} is empty: write what the image should show"
            )
        return self._codes(tidied).to(self.device)

    def unseen_words(self, text: str | Sequence[str]) -> list[str]:
        """Return the words of captions that no training caption has, in their order."""
        texts, known = [text] if isinstance(text, str) else text, set(self.vocabulary)
        return list(dict.fromkeys(word for one in texts for word in words_of(one) if word not in known))

    def vectors(self, c: Tensor) -> Tensor:
        """Return the sentence vectors (N, d) of codes; vectors are returned as they are."""
        is_vector = isinstance(self.encoder, WordNumbers) and c.is_floating_point()
        vectors: Tensor = c if is_vector else self.E(c)
        return vectors

    def between(self, first: str, last: str, n: int) -> Tensor:
        """Return n conditions from one caption to another, as conditions of ``generate``: for words, their vectors are mixed."""
        ends = self.caption_codes([first, last])
        if isinstance(self.encoder, WordNumbers):
            ends = self.E(ends).detach()
        t = torch.linspace(0, 1, n, device=ends.device)[:, None]
        return ends[:1] * (1 - t) + ends[1:] * t

    def conditions(self, n: int, c: Any) -> Tensor:
        """Check conditions: codes or vectors of captions with n rows."""
        if not isinstance(c, Tensor) or c.dim() != 2:
            raise BadInput("this model takes captions: give text=, such as text='a small red circle'")
        if len(c) != n:
            raise BadInput(f"{len(c)} captions for {n} samples: give one caption, or one per sample")
        return c.to(self.device)

    def c(self, n: int) -> Tensor:
        """Draw the codes of n captions of the training data."""
        if not self.captions:
            raise BadInput("this model was not trained yet and knows no captions: give text=")
        picks = randomness.randint(len(self.captions), n, self.draw_device).tolist()
        return self._codes([self.captions[i] for i in picks]).to(self.device)

    # ---- the losses
    def logits_of(self, output: Tensor | Sequence[Tensor]) -> Tensor:
        """D's logits, also where it returns more: those with other captions, and similarities."""
        return output if isinstance(output, Tensor) else output[0]

    def d_matching(self, loss: Loss, real: Scores, fake: Scores, wrong: Tensor, batch: CaptionBatch) -> Terms:
        """D's adversarial terms: real images with their captions against fakes, and against real images with mismatched ones.

        Both comparisons have the weight 1/2, so that a real pair has the weight 1, and each kind of wrong pair 1/2.

        Args:
            loss: The adversarial loss.
            real: D's scores of N real images with their captions.
            fake: Its scores of N fakes.
            wrong: Its logits (N,) of the real images with captions of others.
            batch: The batch. Where it has no mismatched caption, the fake counts instead.
        """
        if not self.cfg.mismatch:
            return self.d_adversarial(loss, real, fake)
        terms = self.d_adversarial(loss, real, fake, weight=0.5)
        logits = torch.where(batch.mismatched > 0, wrong, fake.first)
        terms["mismatch"] = 0.5 * self.objective(loss).d(real.first, logits)
        terms["logits_wrong"] = wrong.detach().mean()
        return terms

    def d_inputs(self, c: Tensor | None) -> tuple[Tensor, ...]:
        """The sentence vectors of codes."""
        return () if c is None else (self.vectors(c),)

    def code_example(self, n: int) -> Tensor:
        """Return n codes of no particular captions, for an export that needs an input of the right shape."""
        if isinstance(self.encoder, WordNumbers):
            return torch.arange(n * LONGEST).reshape(n, LONGEST) % (self.encoder.size + 1)
        return F.normalize(torch.randn(n, self.encoder.width), dim=1)

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) and codes or vectors of captions (N, ...) to images (N, C, H, W) in [-1, 1]."""
        assert c is not None
        images: Tensor = self.G(z, self.vectors(c))
        return images


def contrast(
    similarity: Tensor, group: Tensor, others: Tensor | None = None, other_groups: Tensor | None = None
) -> Tensor:
    """Compute the contrastive loss of images and captions in a batch, in both directions (InfoNCE; van den Oord et al. 2018).

    Args:
        similarity: (N, N): of image i with caption j, times the inverse temperature; the diagonal belongs together.
        group: (N,): captions of equal meaning have equal numbers and are not negatives of each other.
        others: (N, M): of image i with further captions, negatives only.
        other_groups: (M,): the groups of these.

    Returns:
        The sum of both cross-entropies.
    """
    n = len(similarity)
    right = torch.arange(n, device=similarity.device)
    same = (group[:, None] == group[None]) & ~torch.eye(n, dtype=torch.bool, device=group.device)
    between = similarity.masked_fill(same, -1e4)
    of_images = between
    if others is not None and other_groups is not None:
        of_images = torch.cat([between, others.masked_fill(group[:, None] == other_groups[None], -1e4)], 1)
    return F.cross_entropy(of_images, right) + F.cross_entropy(between.T, right)


def check_text_settings(cfg: Any) -> None:
    """Check the settings of all text-to-image recipes. Raises BadInput."""
    check_at_least_one(cfg, "words", "word_dim")
    if not 0 <= cfg.near <= 1:
        raise BadInput(f"--near is a share and must be in 0..1, got {cfg.near}")
