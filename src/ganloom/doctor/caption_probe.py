"""Measure the captions of a text-to-image model in training: whether they differ, belong to their images, and have an effect.

Captions are compared by what the model gets of them: the words of the encoder ``words``, or the vectors of a sentence encoder.
Whether they belong to images is measured by neighbours: similar images have similar captions.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom.doctor import queries
from ganloom.doctor import statistics as st
from ganloom.doctor.queries import Refused

NEIGHBOURS = 5
EFFECT = 32
"""Samples of one latent with different captions."""
COMMON = 0.01
"""Weight of a word that all captions have, so that equal captions are equal vectors and not empty ones."""
PAIRS = 128
"""Real images whose own and other captions D compares."""
Figures = dict[str, float]
Features = Callable[[Tensor], Tensor]


class Compared:
    """Captions as unit vectors whose dot products say how similar they are.

    Args:
        codes: Codes of reference captions (M, ...): word numbers, of which common words count less, or sentence vectors.
    """

    def __init__(self, codes: Tensor) -> None:
        codes = codes.cpu()
        self._words = 0 if codes.is_floating_point() else int(codes.max()) + 1
        if self._words:
            found = self._table(codes)
            self._weight = ((1 + len(codes)) / (1 + found.sum(0))).log() + COMMON
        else:
            self._mean = codes.float().mean(0)
        self.reference = self.vectors(codes)
        similar = self.reference @ self.reference.T
        n = len(codes)
        self.chance = float((similar.sum() - similar.diagonal().sum()) / max(1, n * (n - 1)))

    def _table(self, codes: Tensor) -> Tensor:
        table = torch.zeros(len(codes), self._words + 1)
        table.scatter_(1, codes.clamp(max=self._words), 1.0)
        return table[:, 1 : self._words]  # without padding, and without words that no reference caption has

    def vectors(self, codes: Tensor) -> Tensor:
        """Return unit vectors (N, d) of codes (N, ...); those of captions without known words are 0."""
        codes = codes.cpu()
        own = self._table(codes) * self._weight if self._words else codes.float() - self._mean
        unit: Tensor = own / own.norm(dim=1, keepdim=True).clamp_min(1e-9)
        return unit

    def fit(self, features: Tensor, codes: Tensor, reference: Tensor, *, itself: bool = False) -> tuple[float, float]:
        """Measure how similar captions are to those of the nearest reference images.

        Args:
            features: Features of images (N, d).
            codes: Codes of their captions (N, ...).
            reference: Features of the reference images (M, d).
            itself: Whether the images are the reference images; then none is its own neighbour.

        Returns:
            (fit, its standard error). 1: equal captions; 0: as similar as the captions of any two images. NaN if all
            captions are equal.
        """
        if self.chance > 1 - 1e-6 or len(reference) <= NEIGHBOURS:
            return math.nan, math.nan
        distance = st.distances(features, reference)
        if itself:
            distance.fill_diagonal_(math.inf)
        near = distance.topk(NEIGHBOURS, largest=False).indices
        similar = torch.einsum("nd,nkd->nk", self.vectors(codes), self.reference[near]).mean(1)
        scale = 1 - self.chance
        return float(similar.mean() - self.chance) / scale, float(similar.std()) / scale / len(similar) ** 0.5


class CaptionProbe:
    """Measures captions; holds what stays the same.

    Args:
        trainer: The trainer of a text-to-image model.
        features: Function from images to features.
        real: Features of some real images (M, d).
        picks: Their rows.
        seed: Keys the batches.
    """

    def __init__(self, trainer: Any, features: Features, real: Tensor, picks: Tensor, seed: int) -> None:
        data, self.features, self.real, self.seed = trainer.data, features, real, seed
        numbers, self.groups = data.drawn_captions(picks, torch.zeros(len(picks)))
        self.codes = trainer.gan.codes_of(data)[numbers.to(trainer.device)].cpu()
        self.compared = Compared(self.codes)
        fit, error = self.compared.fit(real, self.codes, real, itself=True)
        self.of_data: Figures = {
            "data/captions": float(len(data.texts)), "data/caption_kinds": float(len(torch.unique(self.codes, dim=0))),
            "data/caption_fit": fit, "data/caption_error": error,
        }  # fmt: skip

    def look(
        self, trainer: Any, batches: list[Any], samples: tuple[Tensor, Tensor] | None, refused: Refused
    ) -> Figures:
        """Return all figures.

        Args:
            trainer: The trainer.
            batches: Batches as training draws them.
            samples: Features of samples, and the codes of their captions; None if there are none.
            refused: Receives what the model does not support.
        """
        figures = dict(self.of_data)
        figures |= self._batches(batches)
        if samples is not None and len(samples[0]) == len(samples[1]):
            figures["sample_caption_fit"], figures["sample_caption_error"] = self.compared.fit(*samples, self.real)
        figures |= self._effect(trainer, refused)
        return figures | self._matching(trainer, batches, refused)

    def _batches(self, batches: list[Any]) -> Figures:
        """How many different captions batches have, and whether they belong to their images."""
        codes = torch.cat([b.c.cpu() for b in batches])
        x = torch.cat([b.x.cpu() for b in batches])
        figures = {"caption_kinds": float(len(torch.unique(codes, dim=0))), "caption_rows": float(len(codes))}
        if hasattr(batches[0], "mismatched"):
            figures["captions_mismatched"] = float(torch.cat([b.mismatched.cpu() for b in batches]).mean())
        if len(x) == len(codes):
            fit, error = self.compared.fit(self.features(x), codes, self.real)
            figures |= {"caption_fit": fit, "caption_error": error}
        return figures

    def _effect(self, trainer: Any, refused: Refused) -> Figures:
        """How far samples of one latent with different captions differ, relative to real images."""
        kinds = torch.unique(self.codes, dim=0)
        if len(kinds) < 4:
            return {}
        codes = kinds[:: max(1, len(kinds) // EFFECT)][:EFFECT]

        def drawn() -> Tensor:
            z = trainer.ema.z(1)
            made: Tensor = trainer.ema.generate(len(codes), z=z.expand(len(codes), *z.shape[1:]), c=codes)
            return made

        fake = refused.unless("samples of one latent", drawn)
        if fake is None or not bool(fake.isfinite().all()):
            return {}
        return {"caption_effect": st.diversity(self.features(fake.cpu()), self.real)}

    @staticmethod
    def _matching(trainer: Any, batches: list[Any], refused: Refused) -> Figures:
        """How often D's logit of a real image is higher with its own caption than with that of another image."""
        gan = trainer.gan
        if not getattr(gan.cfg, "mismatch", False) or not all(hasattr(b, "group") for b in batches):
            return {}
        x, c, group = (torch.cat([getattr(b, name) for b in batches])[:PAIRS] for name in ("x", "c", "group"))
        size = min(len(x), int(gan.cfg.batch_size))
        own = queries.logits(gan, x, c, size, refused)
        higher, equal, pairs = 0.0, 0.0, 0
        for shift in (1, len(x) // 3):
            other = queries.logits(gan, x, c.roll(shift, 0), size, refused)
            if own is None or other is None:
                return {}
            differs = (group != group.roll(shift, 0)).cpu()[: len(own)]
            higher += float((own > other)[differs].sum())
            equal += float((own == other)[differs].sum())
            pairs += int(differs.sum())
        return {"D_matching": (higher + 0.5 * equal) / pairs} if pairs >= 16 else {}


def inputs(gan: Any, calls: dict[str, Any]) -> Figures:
    """Compare the captions that D got in its loss with those that G got, and with those of the batch.

    Args:
        gan: The model.
        calls: "D" and "G" -> what its loss called, see ``loss_probe.Calls``.

    Returns:
        The largest shares of rows that have another row's caption instead of their own, and the fewest captions that G got.
    """
    figures: Figures = {}
    fakes = [one for found in calls.values() for one in found.fake]
    shares = [_swapped(s.inputs[0], given[0]) for s, _, given in fakes if s.inputs and given]
    if shares:
        figures["captions_fake_differ"] = max(shares)
    d = calls.get("D")
    if d is not None and d.real and d.real[0].inputs:
        figures["captions_real_differ"] = _swapped(d.real[0].inputs[0], gan.vectors(d.batch.c).detach())
    given = [g[0] for found in calls.values() for _, g in found.made if g and isinstance(g[0], Tensor)]
    kinds = [len(torch.unique(one.detach(), dim=0)) for one in given if len(one) >= 8]
    if kinds:
        figures["caption_kinds_of_G"] = float(min(kinds))
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _swapped(a: Any, b: Any) -> float:
    """The share of rows of ``a`` that equal other rows of ``b`` and not their own; NaN if these are no such vectors."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape or a.dim() != 2:
        return math.nan
    same = (a.detach().float()[:, None] - b.detach().float()[None]).abs().amax(2) < 1e-3
    return float((same.any(1) & ~same.diagonal()).float().mean())
