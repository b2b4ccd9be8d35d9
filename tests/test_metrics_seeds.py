"""Measurements with different seeds use different latents."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from test_metrics import one_thread
from torch import Tensor, nn

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.randomness import measurement_seed
from ganloom.evaluation.measure import measure_model, samples
from ganloom.gan import GAN

__all__ = ["one_thread"]

N = 600


class Squares(GAN):
    """A generator of points without weights. It records the latents that it gets."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(z_dim=2, n_classes=0))
        self.G = nn.Identity()
        self.latents: list[Tensor] = []

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        self.latents.append(z)
        return z + 0.1 * z**2


def rows(z: Tensor) -> set[tuple[float, ...]]:
    return set(map(tuple, z.tolist()))


def test_evaluations_with_different_seeds_share_no_latent() -> None:
    ring = datasets.open("ring:1300")
    drawn = []
    for seed in (0, 1, 2, 17, 1023):
        model = Squares()
        measure_model(model, ring, n=N, seed=seed, intervals=False, metrics=("fd",))
        drawn.append(rows(torch.cat(model.latents)))
        assert len(drawn[-1]) == N
    assert not any(a & b for a, b in itertools.combinations(drawn, 2))
    model = Squares()
    model.generate(N, seed=0)
    assert drawn[0] == rows(torch.cat(model.latents))  # seed 0 measures the samples that ``generate`` draws from seed 0


def test_seeds_have_disjoint_ranges() -> None:
    """Also beyond 32 bits, of which torch uses only the lower half, and between purposes."""
    assert measurement_seed(0) == 0
    for count, size in ((1024, 2**20), (2**16, 2**14)):
        firsts = sorted(measurement_seed(s, p) for s in range(count) for p in ("evaluation", "best checkpoint"))
        assert min(b - a for a, b in itertools.pairwise(firsts)) >= size
        assert firsts[-1] + size <= 2**32
    assert measurement_seed(2**30 + 5) == measurement_seed(5)
    with pytest.raises(ValueError):
        measurement_seed(0, "another")


def test_spread_over_seeds_is_that_of_disjoint_draws() -> None:
    """The variance ratio of ten and ten values lies within the 99.9 % range of F(9, 9). Shared latents gave 1/500."""
    model, reference = Squares(), Squares().generate(N, seed=5 * 10**6)
    measured = torch.tensor([distance(reference, torch.cat(list(samples(model, N, s, None)))) for s in range(10)])
    disjoint = torch.tensor([distance(reference, model.generate(N, seed=10**7 + N * s)) for s in range(10)])
    ratio = float(measured.var() / disjoint.var())
    assert 1 / 10.1 < ratio < 10.1
    assert abs(float(measured.mean() - disjoint.mean())) < 4 * float((measured.var() + disjoint.var()) / 10) ** 0.5


def distance(reference: Tensor, x: Tensor) -> float:
    return metrics.frechet_distance(reference, x)
