"""Stabilisers: each part does what its equation says, and recipes keep the contract with parts on."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganloom
from ganloom import losses, penalties, testing
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.nn.layers import MinibatchDiscrimination
from ganloom.recipes import RECIPES
from ganloom.stabilisers.apply import compose, parts_of
from ganloom.stabilisers.config import Stabilise, matched
from ganloom.stabilisers.modules import Widened
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Small:
    shape: tuple[int, ...]
    z_dim: int = 4
    batch_size: int = 8
    g_opt: Adam = Adam(1e-3)
    d_opt: Adam = Adam(1e-3)


class Net(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.body, self.out = nn.Linear(math.prod(shape), 16), nn.Linear(16, 1)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        self.seen.append(x.detach())
        return self.out(self.body(x.flatten(1)).relu()).flatten()


class Plain(GAN):
    """A GAN of a user's own, each sample apart."""

    def __init__(self, cfg: Small) -> None:
        super().__init__(cfg)
        n = math.prod(cfg.shape)
        self.G = nn.Sequential(nn.Linear(cfg.z_dim, n), nn.Tanh(), nn.Unflatten(1, cfg.shape))
        self.D = Net(cfg.shape)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        terms = self.d_adversarial(losses.nonsaturating, self.discriminate(batch.x), self.discriminate(fake))
        return {"adv": terms["adv"]}

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        return self.g_adversarial(losses.nonsaturating, self.discriminate(fake), reals=(batch.x,))


def plain(shape: tuple[int, ...] = (1, 8, 8), **parts: Any) -> Any:
    torch.manual_seed(0)
    gan: Any = compose(Plain(Small(shape)), Stabilise(**parts))
    gan.kimg = 0.0
    return gan


def batch(n: int = 8, shape: tuple[int, ...] = (1, 8, 8)) -> Batch:
    return Batch(torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1)


def number(value: Tensor) -> float:
    return value.detach().item()


def terms(gan: GAN, net: str, of: Batch | None = None) -> Terms:
    phase = next(p for p in gan.phases() if p.net == net)
    torch.manual_seed(5)
    return gan.loss_terms(phase, batch() if of is None else of)


# ------------------------------------------------------------------------------------------------------- losses altered


@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
def test_smoothing_has_its_minimum_at_the_target(name: str) -> None:
    """D's best answer to reals is sigmoid(l) = 1 - s; without smoothing there is none."""
    fake, logit = torch.full((1,), -3.0), torch.zeros(1, requires_grad=True)
    smoothed = losses.LOSSES[name].with_label_smoothing(0.1)
    for _ in range(400):
        (grad,) = torch.autograd.grad(smoothed.d(logit, fake), logit)
        logit = (logit - 2 * grad).detach().requires_grad_(True)
    assert logit.sigmoid().item() == pytest.approx(0.9, abs=1e-4)
    one = smoothed.d(fake, fake)
    cross = -(0.9 * math.log(1 / (1 + math.exp(3))) + 0.1 * math.log(1 / (1 + math.exp(-3))))
    assert one.item() == pytest.approx(cross + math.log1p(math.exp(-3)), rel=1e-5)
    assert losses.LOSSES[name].d(fake, fake).item() != pytest.approx(one.item())


def test_smoothing_of_least_squares_moves_the_target() -> None:
    at, fake = torch.tensor([0.9]), torch.zeros(1)
    assert losses.least_squares.with_label_smoothing(0.1).d(at, fake).item() == pytest.approx(0.0, abs=1e-12)
    coded = losses.least_squares_coded(-1.0, 1.0, 0.0).with_label_smoothing(0.1)
    assert coded.d(torch.tensor([0.8]), torch.tensor([-1.0])).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["hinge", "wasserstein", "relativistic", "relativistic_average"])
def test_smoothing_without_a_target_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="--label-smoothing"):
        losses.LOSSES[name].with_label_smoothing(0.1)


def test_top_k_leaves_the_others_without_gradient() -> None:
    fake = torch.tensor([0.3, -1.0, 2.0, 0.1], requires_grad=True)
    loss = losses.nonsaturating.with_top_k(0.5).g(None, fake)
    loss.backward()
    assert fake.grad is not None
    assert (fake.grad != 0).tolist() == [True, False, True, False]
    assert loss.item() == pytest.approx((math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-2.0))) / 2, rel=1e-5)


def test_top_k_keeps_pairs_together() -> None:
    real, fake = torch.tensor([5.0, 6.0, 7.0]), torch.tensor([0.0, 3.0, 1.0])
    loss = losses.relativistic.with_top_k(1 / 3).g(real, fake)
    assert loss.item() == pytest.approx(math.log1p(math.exp(6.0 - 3.0)), rel=1e-5)


def test_top_k_share_falls_from_the_batch_to_nu() -> None:
    parts = Stabilise(top_k=0.5, top_k_kimg=10.0)
    assert [parts.share(k) for k in (0.0, 5.0, 10.0, math.inf)] == pytest.approx([1.0, 0.75, 0.5, 0.5])
    assert Stabilise().share(0.0) == 1.0


# --------------------------------------------------------------------------------------------------------- what D sees


def test_instance_noise_falls_to_nothing() -> None:
    gan, x = plain(instance_noise=0.5, noise_kimg=10.0), batch(400)
    for kimg, sd in ((0.0, 0.5), (5.0, 0.25), (10.0, 0.0), (math.inf, 0.0)):
        gan.kimg, gan.D.seen = kimg, []
        terms(gan, "D", x)
        assert number((gan.D.seen[0] - x.x).std()) == pytest.approx(sd, rel=0.03)
    with torch.no_grad():
        gan.kimg, gan.D.seen = 0.0, []
        gan.D(x.x)
    assert torch.equal(gan.D.seen[0], x.x), "outside a loss D sees images as they are"


def test_d_gets_packs_of_images() -> None:
    gan, x = plain((2, 8, 8), pack=4), batch(8, (2, 8, 8))
    assert gan.D.body.in_features == 4 * 2 * 64
    terms(gan, "D", x)
    real, fake = gan.D.seen
    assert real.shape == fake.shape == (2, 8, 8, 8)
    assert torch.equal(real[1, 2:4], x.x[5]), "the second pack holds samples 4 to 7"
    with pytest.raises(BadInput, match="--pack 4 needs a batch size that is a multiple of 4, got 6"):
        terms(gan, "D", batch(6, (2, 8, 8)))
    assert gan.splits_by == 4


def test_a_recipe_with_labels_cannot_pack() -> None:
    with pytest.raises(BadInput, match="--n-classes 0"):
        compose(testing.build("default"), Stabilise(pack=2))


def test_minibatch_discrimination_counts_neighbours() -> None:
    layer, h = MinibatchDiscrimination(3, kernels=5, dims=2), torch.randn(1, 3)
    assert torch.allclose(layer(h.expand(6, 3)), torch.full((6, 5), 5.0))  # a collapsed batch: everyone is near
    assert number(layer(torch.randn(6, 3) * 1000).max()) < 1e-6
    x = torch.randn(4, 3)
    m = (x @ layer.project).view(4, 5, 2)
    by_hand = sum(torch.exp(-(m[0] - m[j]).abs().sum(1)) for j in (1, 2, 3))
    assert torch.allclose(layer(x)[0], by_hand, atol=1e-6)


def test_minibatch_discrimination_enters_d_before_its_last_layer() -> None:
    gan = plain(discrimination=6)
    assert isinstance(gan.D.out, Widened) and gan.splits_by is None
    alone, together = gan.D(batch(1).x), gan.D(batch(1).x.expand(8, 1, 8, 8))
    assert not torch.allclose(alone, together[:1]), "copies of an image are judged otherwise than it alone"
    spectral = compose(testing.build("sngan", (3, 16, 16)), Stabilise(discrimination=4))
    assert "D.out.extra.parametrizations.weight.original" in dict(spectral.named_parameters())


# ------------------------------------------------------------------------------------------------------- further terms


def test_consistency_is_zero_where_the_move_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = plain(bcr=10.0)
    moved = terms(gan, "D")
    assert moved["cr"] > 0 and moved["bcr"] > 0
    monkeypatch.setattr("ganloom.stabilisers.apply.diff_augment", lambda x, policy: x)
    still = terms(gan, "D")
    assert still["cr"] == still["bcr"] == 0
    assert set(terms(plain(cr=10.0), "D")) == {"adv", "cr"}


def test_consistency_is_the_mean_square_of_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    gan, x = plain(cr=3.0), batch()
    monkeypatch.setattr("ganloom.stabilisers.apply.diff_augment", lambda x, policy: x.flip(3))
    found = terms(gan, "D", x)["cr"]
    assert number(found) == pytest.approx(3 * number((gan.D(x.x) - gan.D(x.x.flip(3))).square().mean()), rel=1e-5)


def test_zcr_compares_near_latents() -> None:
    assert terms(plain(zcr=5.0, zcr_sd=0.0), "D")["zcr"] == 0
    gan = plain(zcr=5.0, zcr_sd=0.3, zcr_g=0.5)
    assert terms(gan, "D")["zcr"] > 0
    apart = terms(gan, "G")
    assert apart["zcr_g"] < 0 and apart["zcr_g"].requires_grad
    assert "zcr_g" not in terms(plain(zcr=5.0, zcr_g=0.0), "G")


def test_feature_matching_is_the_distance_of_mean_features() -> None:
    gan, x = plain(feature_matching=2.0), batch()
    seen: list[Tensor] = []
    gan.D.out.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    gan.D.requires_grad_(False)
    found = terms(gan, "G", x)["feature_matching"]
    fake, real = seen
    assert number(found) == pytest.approx(2 * number((real.mean(0) - fake.mean(0)).square().sum()), rel=1e-5)
    assert found.requires_grad and "feature_matching" not in terms(gan, "D")
    same = matched(real, real.flip(0))
    assert number(same) == pytest.approx(0.0, abs=1e-9)


def test_the_gradient_of_historical_averaging() -> None:
    gan = plain(historical=0.5)
    with torch.no_grad():
        for p in gan.D.parameters():
            p.add_(1.0)
    found = terms(gan, "D")["historical"]
    grads = torch.autograd.grad(found, list(gan.D.parameters()))
    means = [gan.history.get_buffer(f"D/{n.replace('.', '/')}") for n, _ in gan.D.named_parameters()]
    for p, mean, grad in zip(gan.D.parameters(), means, grads, strict=True):
        assert torch.allclose(grad, 0.5 * 2 * (p - mean)) and torch.allclose(grad, torch.ones(()), atol=1e-5)
    phase = gan.phases()[0]
    with torch.no_grad():
        gan.finish_update(phase)  # theta_bar of (theta, theta + 1) is theta + 1/2
    for p, mean in zip(gan.D.parameters(), means, strict=True):
        assert torch.allclose(p - mean, torch.full((), 0.5), atol=1e-5)


def test_lecam_draws_logits_to_the_other_sides_mean() -> None:
    gan, phase = plain(lecam=0.3), plain(lecam=0.3).phases()[0]
    assert terms(gan, "D")["lecam"] == 0, "no anchors before the first update"
    with torch.no_grad():
        gan.finish_update(phase)
    logits = [gan.D(batch().x).mean()]
    assert number(gan.lecam_anchors[0]) == pytest.approx(number(logits[0]), rel=1e-4)
    assert number(gan.lecam_sums.abs().sum()) == 0
    x, y = torch.tensor([1.0, 3.0]), torch.tensor([-1.0])
    assert number(penalties.lecam_of(x, y, 2.0, 1.0)) == pytest.approx((0 + 4) / 2 + 9)
    for _ in range(300):
        gan.lecam_sums.copy_(torch.tensor([20.0, -40.0, 10.0]))
        with torch.no_grad():
            gan.finish_update(phase)
    assert number(gan.lecam_anchors[0]) == pytest.approx(2.0, abs=0.1)
    assert number(terms(gan, "D")["lecam"]) > 0


def test_any_penalty_is_added_with_its_weight() -> None:
    gan, x = plain(penalty="r1", penalty_weight=4.0), batch()
    assert number(terms(gan, "D", x)["r1"]) == pytest.approx(4 * number(penalties.r1(gan.D, x.x)), rel=1e-5)


def test_terms_use_the_labels_of_the_recipe() -> None:
    """D is called again with the condition it had: another label would give another logit."""
    gan: Any = compose(testing.build("cgan", d_condition="projection"), Stabilise(cr=1.0, penalty="r1"))
    gan.kimg, asked = 0.0, []
    gan.D.register_forward_pre_hook(lambda module, args: asked.append(args[1]))
    data = testing.make_data().draw(8, torch.Generator().manual_seed(0))
    terms(gan, "D", data)
    of_reals, of_fakes, *again = asked
    assert len(again) == 2 and all(torch.equal(c, data.c) for c in (of_reals, *again))
    assert not torch.equal(of_fakes, data.c)  # labels of their own


# -------------------------------------------------------------------------------------------------------- in the house

SEVERAL = Stabilise(
    instance_noise=0.1, noise_kimg=0.05, label_smoothing=0.1, bcr=10.0, zcr=5.0, lecam=0.3, historical=0.1, penalty="r1",
    top_k=0.5, top_k_kimg=0.05, diff_augment=("colour",), feature_matching=1.0, discrimination=4,
)  # fmt: skip


@pytest.mark.parametrize("recipe", ["dcgan", "gan"])
@pytest.mark.parametrize("check", ["shapes", "phases", "resume", "generate", "storage", "config", "nan"])
def test_a_recipe_with_all_parts_conforms(recipe: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](lambda shape, classes: compose(testing.build(recipe, shape), SEVERAL), tmp_path)


@pytest.mark.parametrize("parts", [{"pack": 2, "cr": 10.0}, {"lecam": 0.3, "instance_noise": 0.1, "zcr": 5.0}])
def test_a_class_of_ones_own_conforms(parts: dict[str, Any], tmp_path: Path) -> None:
    """Each sample apart, so that its losses still split: by packs where there are packs."""
    made = compose(Plain(Small((1, 8, 8))), Stabilise(**parts))
    assert made.splits_by == parts.get("pack", 1)
    testing.check_recipe(lambda shape, classes: compose(Plain(Small(shape)), Stabilise(**parts)), tmp_path)


def test_parts_are_off_by_default_and_change_nothing() -> None:
    gan = testing.build("dcgan")
    assert compose(gan, Stabilise()) is gan and type(gan) is RECIPES["dcgan"].MODEL
    assert Stabilise().on() == [] and Stabilise(noise_kimg=3.0).idle() == [("noise_kimg", "instance_noise")]
    composed = compose(testing.build("dcgan"), Stabilise(cr=10.0))
    assert torch.equal(composed.generate(2, seed=1), gan.generate(2, seed=1))


def test_no_field_is_a_recipes_own() -> None:
    own = {field.name for field in dataclasses.fields(Stabilise)}
    for module in [TrainConfig, *(RECIPES[name].Config for name in RECIPES)]:
        assert not own & {field.name for field in dataclasses.fields(module)}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"instance_noise": -1.0}, "--instance-noise"),
        ({"label_smoothing": 0.5}, "--label-smoothing"),
        ({"top_k": 0.0}, "--top-k"),
        ({"pack": 0}, "--pack"),
        ({"cr": 1.0, "bcr": 1.0}, "--bcr"),
        ({"diff_augment": ("colr",)}, "--diff-augment"),
        ({"lecam": math.nan}, "--lecam"),
    ],
)
def test_bad_settings(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Stabilise(**parts)


def test_logits_that_changed_on_the_way_are_refused() -> None:
    class Doubled(Plain):
        def d_loss(self, batch: Batch) -> Terms:
            return {"adv": losses.hinge.d(2 * self.D(batch.x), self.D(-batch.x))}

    gan: Any = compose(Doubled(Small((1, 8, 8))), Stabilise(cr=1.0))
    terms(gan, "D")
    terms(gan, "G")
    with pytest.raises(BadInput, match="--cr works on logits, and D's loss of Doubled"):
        gan.stabilisers.check_used()


def test_a_trainer_refuses_a_stabiliser_that_the_losses_pass_by() -> None:
    """Also without the lint: a class of one's own that calls its D directly."""

    class Direct(Plain):
        def d_loss(self, batch: Batch) -> Terms:
            fake = self.G(self.z(len(batch.x))).detach()
            return {"adv": losses.nonsaturating.d(self.D(batch.x), self.D(fake))}

        def g_loss(self, batch: Batch) -> Terms:
            return {"adv": losses.nonsaturating.g(None, self.D(self.G(self.z(len(batch.x)))))}

    data = testing.make_data((1, 8, 8))
    Trainer(Direct(Small((1, 8, 8))), data).train_step()
    for parts in ({"instance_noise": 0.1}, {"lecam": 0.3}, {"top_k": 0.5}):
        with pytest.raises(BadInput, match="Direct.*leave it out"):
            Trainer(compose(Direct(Small((1, 8, 8))), Stabilise(**parts)), data).train_step()


def test_a_second_image_is_refused() -> None:
    gan: Any = compose(testing.build("fastgan", (1, 32, 32)), Stabilise(instance_noise=0.1))
    gan.kimg = 0.0
    with pytest.raises(BadInput, match="second one"):
        terms(gan, "D", Batch(torch.zeros(4, 1, 32, 32)))


def test_a_run_remembers_its_parts(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    options: dict[str, Any] = dict(
        width=8, batch_size=8, judge=0, instance_noise=0.1, noise_kimg=0.05, pack=2, lecam=0.3, spectral_norm="both"
    )
    run = ganloom.train("dcgan", images, tmp_path / "run", total_kimg=0.05, seed=3, historical=0.1, **options)
    said = config.from_dict(Stabilise, json.loads((run.path / "config.json").read_text())["stabilise"])
    assert said.on() == ["instance_noise", "pack", "spectral_norm", "historical", "lecam"] and said.noise_kimg == 0.05
    gan: Any = ganloom.load(run.path)
    assert parts_of(gan) == said and gan.lecam_moves > 0
    assert torch.equal(gan.generate(2), ganloom.load(run.path / "model").generate(2))
    ganloom.resume(run.path, total_kimg=0.1)
    whole = ganloom.train("dcgan", images, tmp_path / "whole", total_kimg=0.1, seed=3, historical=0.1, **options)
    a, b = ganloom.load(run.path).state_dict(), ganloom.load(whole.path).state_dict()
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_unknown_fields_know_the_parts() -> None:
    with pytest.raises(BadInput, match="instance_noise"):
        ganloom.train("dcgan", instance_nois=0.1)
