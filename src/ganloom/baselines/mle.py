"""Maximum likelihood: a language model that predicts each token from those before it, drawn from with a temperature.

L = -sum_t log p(x_t | x_1 ... x_(t-1)); samples are drawn token by token from p^(1/T) / sum p^(1/T). The network is an LSTM
with 32 units, the generator of SeqGAN (Yu et al. 2017, arXiv:1609.05473), or a small causal transformer (Vaswani et al. 2017,
arXiv:1706.03762).

About: This is what a text GAN is compared with. Caccia et al. 2020 (arXiv:1811.02549) showed that maximum likelihood with a
temperature below 1 beats text GANs of its time in quality at equal diversity, so a GAN must be better than the whole curve
over temperatures, not than one point. Use it to generate texts; the GANs start from it. Watch loss (of training batches) and
validation_loss (the lowest so far): its weights are kept, and samples are drawn with them. LSTM language models
date from 2010 to 2013, the transformer from 2017.

Departures: the weights with the lowest loss on held-out texts are kept; a class adds a vector to each input.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganloom.baselines.text_config import TextConfig
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, SampleOptions, Terms
from ganloom.networks import sequence
from ganloom.networks.sequence import LSTM, SequenceNetwork, Transformer
from ganloom.nn.kept_weights import Weights, evaluating
from ganloom.texts.vocabulary import PAD, UNK, Vocabulary

TITLE = "Language model by maximum likelihood: LSTM or a small transformer"
PAPER = "Yu et al. 2017, arXiv:1609.05473, table 1 (MLE)"
DATA = "texts, through `ganloom text train`"
KIMG = 1200.0  # default length of a run, thousands of texts: 120 epochs of 10,000
CHECKED = 1000
"""Most validation texts that a check uses."""
PART = 250
"""Texts whose likelihood is computed at once."""


@dataclass(frozen=True)
class Config(TextConfig):
    """Settings of SeqGAN's generator."""

    network: Literal["lstm", "transformer"] = "lstm"
    """The network G."""
    hidden: int = 32
    """Width of G."""
    layers: int = 2
    """Layers of a transformer."""
    heads: int = 4
    """Attention heads of a transformer."""
    dropout: float = 0.0
    """Rate of dropout in G."""
    g_opt: Adam = Adam(1e-2, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of G."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network == "transformer" and self.hidden % self.heads:
            raise BadInput(f"--hidden {self.hidden} must be a multiple of --heads {self.heads}")


class LanguageModel(GAN):
    """A network G over tokens, trained by maximum likelihood; the text GANs begin with this training.

    Latents are uniform numbers, one for each token: sample i is a function of its own latent.
    """

    splits_by = None  # the loss is a mean over tokens, and texts have different lengths
    averaged = ()  # samples are drawn with the weights themselves, as in the papers
    learns = "texts"
    sample_options = SampleOptions(truncation=True)
    G: SequenceNetwork

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.G = self.network(cfg)
        self.best = Weights(self.G)
        self.tokens: Vocabulary | None = None
        self.class_counts: list[int] = []
        self._validation: tuple[Tensor, Tensor | None] | None = None

    @staticmethod
    def network(cfg: Any) -> SequenceNetwork:
        """Build the generator."""
        if cfg.network == "transformer":
            return Transformer(
                cfg.vocabulary,
                cfg.length,
                cfg.n_classes,
                cfg.hidden,
                cfg.layers,
                cfg.heads,
                cfg.fixed_length,
                cfg.dropout,
            )
        return LSTM(cfg.vocabulary, cfg.length, cfg.n_classes, cfg.embedding, cfg.hidden, cfg.fixed_length, cfg.dropout)

    # ---- data
    @classmethod
    def check_data(cls, data: Any) -> None:
        if data.kind != "texts":
            raise BadInput(f"{data.name}: this recipe learns texts. Use `ganloom text train RECIPE TEXTS`")

    def learn_data(self, data: Any, each: Callable[[int, int], None] | None = None) -> None:
        """Keep the vocabulary, the counts of the classes, and some validation texts."""
        if data.shape != (self.cfg.length,) or int(data.rows.max()) >= self.cfg.vocabulary:
            raise BadInput(
                f"{data.name} has texts of {data.shape[0]} tokens of {int(data.rows.max()) + 1}; the model was built for "
                f"{self.cfg.length} of {self.cfg.vocabulary}"
            )
        self.tokens = Vocabulary.from_dict(data.vocabulary) if data.vocabulary else None
        if self.cfg.n_classes:
            counts = Counter(data.labels.tolist())
            self.class_counts = [counts[i] for i in range(self.cfg.n_classes)]
        held = data.validation
        if held is not None:
            count = min(len(held), CHECKED)
            labels = torch.from_numpy(held.labels[:count]) if self.cfg.n_classes else None
            self._validation = held.get(slice(count)).cpu(), labels

    def data_record(self) -> dict[str, Any]:
        """The vocabulary and the counts of the classes."""
        return {
            "vocabulary": None if self.tokens is None else self.tokens.to_dict(),
            "class_counts": self.class_counts,
        }

    def restore_data(self, record: dict[str, Any]) -> None:
        """Set the vocabulary and the counts of the classes."""
        tokens, counts = record.get("vocabulary"), record.get("class_counts")
        if tokens is not None:
            self.tokens = Vocabulary.from_dict(tokens)
            if len(self.tokens) != self.cfg.vocabulary:
                raise BadInput(f"the vocabulary has {len(self.tokens)} tokens, the model {self.cfg.vocabulary}")
        if not isinstance(counts, list) or len(counts) not in (0, self.cfg.n_classes):
            raise BadInput("class_counts must list a number for each class")
        self.class_counts = [int(count) for count in counts]

    def texts(self, rows: Tensor) -> list[str]:
        """Rows (n, L) of tokens as texts.

        Raises:
            BadInput: The tokens of this model have no names.
        """
        if self.tokens is None:
            raise BadInput("the tokens of this model are numbers and no words: it was not trained on texts")
        return [self.tokens.decode(row) for row in rows.long().tolist()]

    # ---- training
    def phases(self) -> list[Phase]:
        return [self.pretraining()]

    def pretraining(self, until: float = math.inf) -> Phase:
        """The phase that maximises the likelihood, until a time in kimg."""
        return Phase("G", self.likelihood, kimg=(0.0, until))

    def likelihood(self, batch: Batch) -> Terms:
        """The negative log likelihood per token, in nats."""
        found = sequence.log_likelihood(self.G(batch.x, batch.c), batch.x)
        loss = -found.sum() / (batch.x != PAD).sum()
        terms = {"loss": loss}
        if self.best.kept:
            terms["validation_loss"] = self.best.loss.clone()
        return terms

    def after_update(self, phase: Phase) -> None:
        if phase.loss != self.likelihood:
            return
        self.best.updates += 1
        last = self.kimg + self.cfg.batch_size / 1000 >= phase.kimg[1] - 1e-9
        if self._validation is not None and (last or int(self.best.updates) % self.cfg.check_every == 0):
            self.best.keep_best(self.G, self.validation_loss())
        if last and self.best.kept:
            self.best.restore(self.G)

    def validation_texts(self) -> tuple[Tensor, Tensor | None]:
        """The validation texts and their classes, on the device of the model."""
        assert self._validation is not None
        x, c = self._validation
        return x.to(self.device), None if c is None else c.to(self.device)

    @torch.no_grad()
    def validation_loss(self) -> float:
        """The negative log likelihood per token of the validation texts."""
        x, c = self.validation_texts()
        with evaluating(self.G):
            return -float(self._log_likelihood(x, c).sum()) / int((x != PAD).sum())

    # ---- sampling and measuring
    def z(self, n: int) -> Tensor:
        """Draw latents (n, L), uniform in [0, 1)."""
        return self.rand(n, self.cfg.length)

    def c(self, n: int) -> Tensor | None:
        """Draw classes (n,) by their share of the training texts; None without classes."""
        if not self.cfg.n_classes:
            return None
        counts = torch.tensor(self.class_counts or [1] * self.cfg.n_classes, dtype=torch.float64)
        u = randomness.rand(n, device=self.draw_device).to(self.device)
        cumulative = (counts / counts.sum()).cumsum(0).to(self.device, torch.float32)
        return torch.searchsorted(cumulative, u, right=True).clamp(max=self.cfg.n_classes - 1)

    def drawn(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Draw texts of G in training.

        Returns:
            (rows (n, L), their classes).
        """
        c = self.c(n)
        with torch.no_grad(), evaluating(self.G):
            return sequence.draw(self.G, self.rand(n, self.cfg.length), c), c

    def sample(
        self,
        z: Tensor,
        c: Tensor | None = None,
        temperature: float = 1.0,
        unknown: bool = True,
        truncation: float = 1.0,
    ) -> Tensor:
        """Draw rows (n, L) of tokens, as float.

        Args:
            z: Uniform numbers (n, L).
            c: Classes (n,), or None.
            temperature: Divides the logits.
            unknown: Whether the unknown token may be drawn.
            truncation: Has no effect.
        """
        if not temperature > 0:
            raise BadInput(f"--temperature must be above 0, got {temperature}")
        never = None
        if not unknown:
            never = torch.zeros(self.cfg.vocabulary, dtype=torch.bool, device=z.device)
            never[UNK] = True
        with self.sampling_weights():
            return sequence.draw(self.G, z, c, temperature=temperature, never=never).float()

    def sampling_weights(self) -> contextlib.AbstractContextManager[None]:
        """Inside, G has the weights that samples are drawn with: those with the lowest validation loss."""
        return self.best.in_use(self.G) if self.best.kept else contextlib.nullcontext()

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, c: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """log p of rows (n,), in nats, summed over their tokens.

        Args:
            x: int64 (n, L).
            c: Classes (n,), or None.
            temperature: Divides the logits.
        """
        with self.sampling_weights(), evaluating(self.G):
            return self._log_likelihood(x, c, temperature)

    def _log_likelihood(self, x: Tensor, c: Tensor | None, temperature: float = 1.0) -> Tensor:
        parts = []
        for i in range(0, len(x), PART):
            rows, own = x[i : i + PART], None if c is None else c[i : i + PART]
            parts.append(sequence.log_likelihood(self.G(rows, own), rows, temperature).sum(1))
        return torch.cat(parts)


MODEL = LanguageModel
