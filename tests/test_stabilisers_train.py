"""Every stabiliser on recipes of several kinds: three steps, finite, another result than without it, resumed bit for bit."""

import dataclasses
import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from ganloom import penalties, testing
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.gan import GAN
from ganloom.stabilisers.apply import compose, parts_of
from ganloom.stabilisers.config import ADJUSTS, Stabilise, matched
from ganloom.stabilisers.modules import Spread, Widened
from ganloom.training.trainer import TrainConfig, Trainer

PARTS: dict[str, dict[str, Any]] = {
    "instance_noise": {"instance_noise": 0.1, "noise_kimg": 0.05},
    "diff_augment": {"diff_augment": ("colour", "translation", "cutout")},
    "label_smoothing": {"label_smoothing": 0.1},
    "pack": {"pack": 2},
    "discrimination": {"discrimination": 4},
    "stddev": {"stddev": 4, "stddev_maps": 2, "stddev_alike": True},
    "spectral_norm": {"spectral_norm": "both"},
    "weight_clip": {"weight_clip": 0.01},
    "orthogonal": {"orthogonal": 0.1},
    "feature_matching": {"feature_matching": 1.0},
    "historical": {"historical": 0.1},
    "cr": {"cr": 10.0},
    "bcr": {"bcr": 10.0},
    "zcr": {"zcr": 5.0},
    "top_k": {"top_k": 0.5, "top_k_kimg": 0.01},
    "lecam": {"lecam": 0.3},
    "penalty": {"penalty": "zero_centred"},
}
PENALTIES = ("r1", "r2", "wgan_gp", "wgan_lp", "dragan")
RECIPES = ("gan", "dcgan", "wgan-gp", "cgan", "default")


def model(recipe: str, name: str = "", **parts: Any) -> GAN:
    changes: dict[str, Any] = {"n_critic": 2, "body": "dcgan"} if recipe == "wgan-gp" else {}
    changes |= {"n_classes": 0} if name == "pack" else {}
    return compose(testing.build(recipe, (1, 16, 16), **changes), Stabilise(**parts))


@functools.cache
def data() -> Any:
    return testing.make_data()


def trainer(recipe: str, name: str, parts: dict[str, Any]) -> Trainer:
    return Trainer(model(recipe, name, **parts), data(), TrainConfig(), ema_kimg=0.05)


def tensors(run: Trainer) -> dict[str, Tensor]:
    return {f"{part}/{name}": t for part, ts in run.tensors().items() for name, t in ts.items()}


@functools.cache
def without(recipe: str, name: str) -> Tensor:
    """G's samples after three steps of the recipe as it is."""
    run = trainer(recipe, name, {})
    for _ in range(3):
        run.train_step()
    return run.gan.generate(2, seed=0)


def check(recipe: str, name: str, parts: dict[str, Any], acts: bool = True) -> None:
    run = trainer(recipe, name, parts)
    run.train_step()
    run.train_step()
    kept = {part: {n: t.clone() for n, t in ts.items()} for part, ts in run.tensors().items()}
    state = run.state()
    run.train_step()
    assert all(bool(t.isfinite().all()) for t in tensors(run).values() if t.is_floating_point())
    alike = torch.equal(run.gan.generate(2, seed=0), without(recipe, name if name == "pack" else ""))
    assert alike != acts, "the part has no effect" if acts else "the part has an effect"
    again = trainer(recipe, name, parts)
    again.load_state(kept, state)
    again.train_step()
    other = tensors(again)
    assert [n for n, t in tensors(run).items() if not torch.equal(t, other[n])] == [], "resumed otherwise"


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", PARTS)
def test_every_part_on_every_kind_of_recipe(recipe: str, name: str) -> None:
    if (recipe, name) == ("wgan-gp", "label_smoothing"):
        pytest.skip("a critic has no target, and the lint refuses it: tests/test_lint.py")
    if (recipe, name) == ("cgan", "pack"):
        pytest.skip("a label is of one image, and it is refused: tests/test_lint.py")
    check(recipe, name, PARTS[name])


@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty(penalty: str) -> None:
    check("gan", "penalty", {"penalty": penalty}, acts=penalty != "wgan_lp")  # this small D's slope is below 1


def test_no_part_is_forgotten() -> None:
    own = {"adaptive"}  # its p first moves after four steps: tests/test_augmenting.py
    assert set(PARTS) == {f.name for f in dataclasses.fields(Stabilise)} - set(ADJUSTS) - own


# ------------------------------------------------------------------------------------------------ where parts could err


def loss_of(gan: GAN, at: int) -> Any:
    torch.manual_seed(5)
    gan.kimg = 0.0
    return gan.loss_terms(gan.phases()[at], data().draw(8, torch.Generator().manual_seed(0)))


def test_a_part_never_takes_the_place_of_a_recipes_own_term() -> None:
    own = loss_of(testing.build("relativistic", gamma=1.0), 0)
    both = loss_of(compose(testing.build("relativistic", gamma=1.0), Stabilise(penalty="r1")), 0)
    assert set(both) == {*own, "r1_added"} and torch.equal(both["r1"], own["r1"])


def test_a_lazy_regulariser_is_no_second_place_for_historical_averaging() -> None:
    gan = model("default", historical=0.1)
    assert [p.lazy > 1 for p in gan.phases()] == [False, True, False]
    assert ["historical" in loss_of(gan, at) for at in range(3)] == [True, False, True]


def test_orthogonal_is_in_gs_loss_alone() -> None:
    gan = model("gan", orthogonal=0.5)
    assert "orthogonal" not in loss_of(gan, 0)
    assert torch.equal(loss_of(gan, 1)["orthogonal"], 0.5 * penalties.orthogonal(gan.G))


def test_clipped_weights_lie_in_their_bounds() -> None:
    run = trainer("wgan-gp", "", {"weight_clip": 0.003})
    run.train_step()
    largest = [float(p.detach().abs().max()) for p in run.gan.D.parameters()]
    assert (
        max(largest) == pytest.approx(0.003)
        and max(float(p.detach().abs().max()) for p in run.gan.G.parameters()) > 0.01
    )


def test_spectral_norm_bounds_every_layer_of_d() -> None:
    gan = model("dcgan", spectral_norm="D")
    for _ in range(60):
        gan.D(torch.zeros(2, 1, 16, 16))
    layers = [m for m in gan.D.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1.0, abs=0.02)
    assert layers and not any("parametrizations" in name for name, _ in gan.G.named_parameters())
    with pytest.raises(BadInput, match="no layer of D is left"):
        model("sngan", spectral_norm="D")


def test_the_spread_of_features_is_their_mean_standard_deviation() -> None:
    h = torch.randn(8, 5)
    by_hand = torch.stack([h[i::2].std(0, correction=0).mean() for i in range(2)])
    assert torch.allclose(Spread(4)(h).flatten(), by_hand.repeat(4), atol=1e-4)


def test_the_spread_in_several_maps_is_that_of_each_share() -> None:
    h = torch.randn(8, 6)
    both = Spread(4, 2)(h)
    assert torch.equal(both, torch.cat([Spread(4)(h[:, :3]), Spread(4)(h[:, 3:])], 1))
    with pytest.raises(BadInput, match="--stddev-maps must divide D's"):
        model("gan", stddev=4, stddev_maps=7)


@pytest.mark.parametrize("recipe", ["cgan", "r3gan", "default"])
def test_reals_and_fakes_come_in_groups_of_one_label(recipe: str) -> None:
    gan = model(recipe, stddev=4, stddev_maps=2, stddev_alike=True)
    batch = gan.draw(data(), Rng(0, 0, 0))
    told: list[Tensor] = []
    gan.D.register_forward_pre_hook(lambda module, args: told.append(args[1]))
    gan.loss_terms(gan.phases()[0], batch)
    gan.loss_terms(gan.phases()[-1], batch)
    assert len(told) >= 3 and gan.cfg.batch_size % 4 == 0
    for c in (batch.c, *told):
        assert torch.equal(c, c[: len(c) // 4].repeat(4))
    assert any(len(c.unique()) > 1 for c in told)
    plain = model(recipe, stddev=4)
    assert torch.equal(plain.draw(data(), Rng(0, 0, 0)).x, data().draw(gan.cfg.batch_size, Rng(0, 0, 0)).x)
    c = gan.c(64)
    assert c is not None and not torch.equal(c, c[:16].repeat(4)), "out of a loss labels are drawn as ever"


def test_without_labels_groups_are_any_samples() -> None:
    gan = model("default", "pack", stddev=4, stddev_alike=True)
    assert torch.equal(gan.draw(data(), Rng(0, 0, 0)).x, data().draw(gan.cfg.batch_size, Rng(0, 0, 0)).x)


def test_feature_matching_takes_the_features_and_not_the_neighbours() -> None:
    """With minibatch discrimination D's last layer has inputs beside f; f stays what is matched."""
    gan = model("dcgan", feature_matching=1.0, discrimination=3)
    gan.requires_grad_(False)
    seen: list[Tensor] = []
    assert isinstance(gan.D.out, Widened)
    gan.D.out.last.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    gan.G.requires_grad_(True)
    found = loss_of(gan, 1)["feature_matching"]
    fake, real = seen
    assert torch.allclose(found, matched(real, fake))


def test_a_composed_model_keeps_its_parts() -> None:
    gan = model("gan", cr=1.0)
    assert compose(gan, Stabilise()) is gan and compose(gan, Stabilise(cr=1.0)) is gan
    assert parts_of(gan).on() == ["cr"]
    with pytest.raises(BadInput, match="stabilisers already"):
        compose(gan, Stabilise(zcr=1.0))
