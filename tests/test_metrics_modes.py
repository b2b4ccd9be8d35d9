"""Modes, quality and divergence on samples whose answer is known."""

import math

import pytest
import torch

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.modes import mode_counts, mode_coverage, over_seeds, reverse_kl, seed_distance

SIDE = torch.arange(-4.0, 5.0, 2.0)
GRID = torch.cartesian_prod(SIDE, SIDE)
SD = 0.05


def drawn(picks: torch.Tensor, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(len(picks), 2, generator=torch.Generator().manual_seed(seed))
    return GRID[picks] + SD * noise


def even(n: int, seed: int = 0) -> torch.Tensor:
    return drawn(torch.randint(25, (n,), generator=torch.Generator().manual_seed(seed + 100)), seed)


def test_the_truth_itself() -> None:
    """Real samples: all modes, 1 - exp(-9 / 2) within 3 sd in the plane, and the KL of fair counting, (K - 1) / 2N."""
    many = [mode_coverage(even(2500, seed), GRID, SD) for seed in range(40)]
    assert all(m.modes == 25 and m.fair == 25 for m in many)
    assert sum(m.quality for m in many) / 40 == pytest.approx(1 - math.exp(-4.5), abs=0.002)
    assert sum(m.kl for m in many) / 40 == pytest.approx(24 / 5000, rel=0.15)


def test_collapse_to_one_mode_and_to_none() -> None:
    one = mode_coverage(drawn(torch.zeros(1000, dtype=torch.long)), GRID, SD)
    assert (one.modes, one.fair) == (1, 1) and one.kl == pytest.approx(math.log(25)) and one.quality > 0.97
    none = mode_coverage(torch.full((1000, 2), 1.0), GRID, SD)
    assert (none.modes, none.fair, none.quality) == (0, 0, 0.0) and none.kl == pytest.approx(math.log(25))
    assert mode_coverage(torch.full((10, 2), math.nan), GRID, SD).quality == 0


def test_half_the_modes_cost_log_two() -> None:
    counts = torch.tensor([10] * 4 + [0] * 4)
    assert reverse_kl(counts) == pytest.approx(math.log(2))
    assert reverse_kl(torch.tensor([30, 10])) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_only_samples_of_high_quality_count() -> None:
    x = torch.tensor([[-4.0, -4.0], [-4.0 + 2.9 * SD, -4.0], [-4.0 + 3.1 * SD, -4.0], [4.0, 4.0], [0.9, 0.9]])
    counts = mode_counts(x, GRID, SD)
    assert counts.sum() == 3 and counts[0] == 2 and counts[24] == 1


def test_one_stray_sample_covers_a_mode_by_the_published_rule_only() -> None:
    x = torch.cat([drawn(torch.arange(24).repeat(100)), GRID[24:25]])
    found = mode_coverage(x, GRID, SD)
    assert (found.modes, found.fair) == (25, 24)


def test_intervals_over_seeds() -> None:
    mean, low, high = over_seeds([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5 and high - mean == pytest.approx(3.182 * math.sqrt(5 / 3 / 4), rel=1e-2) and low < mean
    assert over_seeds([0.99, 1.0, 1.0], 0.0, 1.0)[2] == 1.0
    assert over_seeds([0.5], 0.0, 1.0) == (0.5, 0.0, 1.0)
    with pytest.raises(BadInput):
        over_seeds([])


def test_distance_between_seeds() -> None:
    same = [even(2500, seed) for seed in range(6)]
    assert seed_distance(same, GRID, SD) == pytest.approx(math.sqrt(25 / math.pi / 2500), rel=0.2)
    assert seed_distance([drawn(torch.zeros(50).long()), drawn(torch.ones(50).long())], GRID, SD) == 1.0
    assert seed_distance(same[:1], GRID, SD) == 0.0


@pytest.mark.parametrize(
    ("samples", "sd"),
    [(torch.zeros(3, 3), SD), (torch.zeros(3), SD), (torch.zeros(0, 2), SD), (torch.zeros(3, 2), 0.0)],
)
def test_bad_input(samples: torch.Tensor, sd: float) -> None:
    with pytest.raises(BadInput):
        mode_coverage(samples, GRID, sd)
