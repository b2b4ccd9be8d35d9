"""DiffAugment: each part does what it says, to each image by itself, keyed and differentiable."""

import pytest
import torch

from ganloom.augment import diffaugment
from ganloom.core import randomness
from ganloom.core.errors import BadInput


def seeded(name: str, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    randomness.seed_all(seed)
    return diffaugment.AUGMENTS[name](x)


@pytest.mark.parametrize("name", list(diffaugment.AUGMENTS))
def test_keyed_per_image_and_differentiable(name: str) -> None:
    x = torch.rand(1, 3, 12, 16).expand(16, -1, -1, -1).clone().requires_grad_(True)
    y = seeded(name, x)
    assert y.shape == x.shape and torch.equal(y, seeded(name, x)) and not torch.equal(y, seeded(name, x, 1))
    assert len({tuple(row.flatten().tolist()) for row in y.detach()}) > 1, "all images were changed alike"
    y.square().sum().backward()
    assert bool(x.grad.isfinite().all()) and float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", list(diffaugment.AUGMENTS))
def test_two_processes_equal_one(name: str) -> None:
    x = torch.rand(8, 3, 12, 16)
    whole = seeded(name, x)
    try:
        for rank in range(2):
            randomness.set_shard(rank, 2)
            torch.testing.assert_close(seeded(name, x[rank::2]), whole[rank::2])
    finally:
        randomness.set_shard(0, 1)


def test_translation_moves_by_at_most_an_eighth_and_fills_with_zero() -> None:
    x = torch.zeros(400, 1, 16, 24)
    x[:, :, 8, 12] = 1.0
    y = seeded("translation", x)
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(400))
    rows, columns = y.flatten(1).argmax(1) // 24 - 8, y.flatten(1).argmax(1) % 24 - 12
    assert set(rows.tolist()) == set(range(-2, 3)) and set(columns.tolist()) == set(range(-3, 4))
    assert (seeded("translation", torch.ones(64, 1, 16, 16)) == 0).any()


def test_cutout_removes_a_box_of_half_the_side() -> None:
    gone = (seeded("cutout", torch.ones(400, 2, 16, 16)) == 0)[:, 0]
    area = gone.flatten(1).sum(1)
    assert int(area.max()) == 64 and int(area.min()) >= 16
    assert bool(gone.any(0).all()), "every place is cut sometimes"


def test_colour_keeps_places_and_stays_in_bounds() -> None:
    x = torch.rand(200, 3, 4, 4) * 2 - 1
    y = seeded("colour", x)
    shift = (y.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs()
    assert float(shift.max()) <= 0.5 + 1e-5 and float(shift.std()) > 0.05
    spread = y.mean(1).flatten(1).std(1) / x.mean(1).flatten(1).std(1)  # of grey: contrast alone
    assert 0.5 <= float(spread.min()) and float(spread.max()) <= 1.5 + 1e-5


def test_flip_mirrors_about_half() -> None:
    x = torch.rand(400, 1, 3, 5)
    same = (seeded("flip", x) == x).flatten(1).all(1)
    assert 150 < int(same.sum()) < 250 and torch.equal(seeded("flip", x)[~same], x[~same].flip(3))


def test_a_policy_is_run_in_order_and_a_wrong_name_is_named() -> None:
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(diffaugment.diff_augment(x, ()), x)
    with pytest.raises(BadInput, match="colour"):
        diffaugment.check_policy(("color",))
