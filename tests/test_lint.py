"""The lint: each rule reports its fault, no recipe with default settings is reported, and CLI errors have one line."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganloom
from ganloom import losses, penalties, recipes, testing
from ganloom.api import prepare
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, SGD, Adam, Batch, Phase, Terms, kind_of_inputs
from ganloom.lint import rules
from ganloom.nn.layers import MinibatchStddev
from ganloom.recipes import presets
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Cfg:
    shape: tuple[int, ...] = (1, 16, 16)
    z_dim: int = 4
    batch_size: int = 8
    g_opt: Any = Adam(1e-3)
    d_opt: Any = Adam(1e-3, betas=(0.0, 0.9))
    tanh: bool = True


class Own(GAN):
    """A user's GAN, with faults that the keywords select."""

    def __init__(
        self, *layers: nn.Module, loss: str = "nonsaturating", penalty: str = "", by_hand: bool = False,
        lazy: int = 0, **cfg: Any,
    ) -> None:  # fmt: skip
        super().__init__(Cfg(**cfg))
        self.G = nn.Sequential(nn.Linear(4, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(256, 16), nn.LeakyReLU(), *(layers or [nn.Linear(16, 1)]))
        self.loss, self.penalty, self.by_hand, self.lazy = losses.LOSSES[loss], penalty, by_hand, lazy

    def phases(self) -> list[Phase]:
        lazy = [Phase("D", self.reg, lazy=self.lazy)] if self.lazy else []
        return [Phase("D", self.d_loss), *lazy, Phase("G", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        terms = self.d_adversarial(self.loss, self.discriminate(batch.x), self.discriminate(fake))
        if self.penalty:
            terms["gp"] = penalties.PENALTIES[self.penalty](self.critic(), batch.x, fake.x)
        if self.by_hand:
            x = batch.x.clone().requires_grad_(True)
            logits = self.discriminate(x).flat
            terms["gp"] = torch.autograd.grad(logits.sum(), x, create_graph=True)[0].square().sum()
        return terms

    def reg(self, batch: Batch) -> Terms:
        return {"r1": penalties.r1(self.critic(), batch.x)}

    def g_loss(self, batch: Batch) -> Terms:
        return self.g_adversarial(self.loss, self.discriminate(self.generated(self.z(len(batch.x)))), reals=(batch.x,))


class Clipped(Own):
    clips_weights = True

    def after_update(self, phase: Phase) -> None:
        if phase.net == "D":
            penalties.clip_weights_(self.D, 0.01)


class Flat(Own):
    """Draws images with a black half."""

    def draw(self, data: Any, rng: Any) -> Batch:
        batch = data.draw(8, rng)
        return Batch(torch.where(torch.arange(16) < 8, -1.0, 0.9 * batch.x))


class Energy(Own):
    """A custom loss, such as an energy."""

    def d_loss(self, batch: Batch) -> Terms:
        return {"energy": self.D(batch.x).mean() - self.D(self.G(self.z(len(batch.x))).detach()).mean()}

    def g_loss(self, batch: Batch) -> Terms:
        return {"energy": self.D(self.G(self.z(len(batch.x)))).mean()}


class Failing(Own):
    """A loss that needs more than a few samples."""

    def d_loss(self, batch: Batch) -> Terms:
        if len(batch.x) < 8:
            raise IndexError("needs 8 samples")
        return super().d_loss(batch)


class Staged(Own):
    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss), Phase("G", self.g_loss, kimg=(500.0, 900.0))]


class SpreadMap(nn.Module):
    """MinibatchStddev of a vector."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.stddev = MinibatchStddev(group)

    def forward(self, h: Tensor) -> Tensor:
        return self.stddev(h[:, :, None, None]).flatten(1)


def head(*kinds: nn.Module) -> tuple[nn.Module, ...]:
    return (*kinds, nn.Linear(16, 1))


def spectral() -> nn.Module:
    return torch.nn.utils.parametrizations.spectral_norm(nn.Linear(16, 1))


def dcgan() -> GAN:
    """A model that can be rebuilt from its config, as packs need."""
    return testing.build("dcgan")


LONG = TrainConfig(total_kimg=1000.0)
BN = nn.BatchNorm1d
FIRES: list[tuple[str, str, Any, dict[str, Any], dict[str, Any]]] = [
    ("bounded_logits", "error", lambda: Own(*head(), nn.Sigmoid(), loss="hinge"), {}, {}),
    ("bounded_logits", "error", lambda: Own(*head(), nn.Tanh(), nn.Flatten(0)), {}, {}),
    ("bounded_logits", "warning", lambda: Own(*head(), nn.Sigmoid(), loss="least_squares"), {}, {}),
    ("normed_critic", "warning", lambda: Own(BN(16), *head(), penalty="wgan_gp", loss="wasserstein"), {}, {}),
    ("normed_critic", "warning", lambda: Own(BN(16), *head(), by_hand=True), {}, {}),
    ("normed_critic", "warning", lambda: Own(BN(16), *head()), {"penalty": "r1"}, {}),
    ("statistics_of_parts", "error", dcgan, {"pack": 3}, {}),
    ("statistics_of_parts", "error", dcgan, {"pack": 4}, {"micro_batch": 2}),
    ("statistics_of_parts", "warning", lambda: Own(SpreadMap(4), nn.Linear(17, 1)), {}, {"micro_batch": 2}),
    ("statistics_of_parts", "warning", Own, {"stddev": 8}, {"micro_batch": 4}),
    ("statistics_of_parts", "warning", lambda: Own(SpreadMap(8), nn.Linear(17, 1), batch_size=12), {}, {}),
    ("statistics_of_parts", "warning", Own, {"discrimination": 4}, {"micro_batch": 4}),
    ("statistics_of_parts", "warning", lambda: Own(BN(16), *head()), {}, {"micro_batch": 1}),
    ("clipped_and_penalised", "warning", lambda: Clipped(penalty="wgan_gp"), {}, {}),
    ("clipped_and_penalised", "warning", lambda: Own(penalty="r1"), {"weight_clip": 0.01}, {}),
    ("clipped_and_normed", "warning", lambda: Clipped(spectral()), {}, {}),
    ("clipped_and_normed", "warning", Own, {"weight_clip": 0.01, "spectral_norm": "D"}, {}),
    ("spectral_and_one_centred", "warning", lambda: Own(spectral(), penalty="wgan_gp"), {}, {}),
    ("spectral_and_one_centred", "warning", Own, {"penalty": "dragan", "spectral_norm": "D"}, {}),
    ("penalised_twice", "warning", lambda: Own(penalty="r1"), {"penalty": "r1"}, {}),
    ("momentum_and_clipping", "warning", lambda: Clipped(d_opt=Adam(1e-4, betas=(0.5, 0.9))), {}, {}),
    ("never_begins", "warning", Staged, {}, {"total_kimg": 500.0}),
    ("schedule_outlasts", "warning", Own, {"instance_noise": 0.1, "noise_kimg": 2000.0}, {}),
    ("schedule_outlasts", "warning", Own, {"top_k": 0.5, "top_k_kimg": 2000.0}, {}),
    ("loud_noise", "warning", Own, {"instance_noise": 1.5}, {}),
    ("rare_penalty", "warning", lambda: Own(lazy=100), {}, {}),
    ("flat_grounds", "warning", lambda: Flat(tanh=False), {}, {}),
    ("batch_beyond_data", "warning", lambda: Own(batch_size=64), {}, {}),
    ("fast_optimizer", "warning", lambda: Own(g_opt=Adam(0.1)), {}, {}),
    ("one_sided_flip", "warning", Own, {"diff_augment": ("flip",)}, {}),
    ("few_for_top_k", "error", Own, {"top_k": 0.5}, {"micro_batch": 1}),
    ("idle_settings", "warning", Own, {"cr": 1.0, "zcr_sd": 0.1}, {}),
    ("parts_without_a_place", "error", Energy, {"lecam": 0.3}, {}),
    ("parts_without_a_place", "error", Energy, {"top_k": 0.5}, {}),
    ("parts_without_a_place", "error", lambda: Own(loss="hinge"), {"label_smoothing": 0.1}, {}),
    ("losses_not_run", "warning", Failing, {}, {}),
    ("lone_samples", "error", lambda: Own(BN(16), *head()), {}, {"micro_batch": 7}),
    ("lone_samples", "error", lambda: Own(BN(16), *head()), {}, {"micro_batch": 1}),
    ("lone_samples", "error", lambda: Own(BN(16), *head(), batch_size=1), {}, {}),
]  # fmt: skip
SILENT: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("bounded_logits", lambda: Own(nn.Sigmoid(), *head(), loss="hinge"), {}, {}),
    ("normed_critic", lambda: Own(BN(16), *head()), {}, {}),
    ("normed_critic", lambda: Own(nn.LayerNorm(16), *head(), penalty="wgan_gp"), {}, {}),
    ("statistics_of_parts", dcgan, {"pack": 4, "stddev": 2}, {}),
    ("statistics_of_parts", lambda: Own(SpreadMap(4), nn.Linear(17, 1)), {}, {"micro_batch": 4}),
    ("lone_samples", lambda: Own(BN(16), *head()), {}, {"micro_batch": 2}),
    ("lone_samples", Own, {}, {"micro_batch": 7}),
    ("clipped_and_penalised", Clipped, {}, {}),
    ("clipped_and_normed", lambda: Own(spectral()), {}, {}),
    ("spectral_and_one_centred", lambda: Own(spectral(), penalty="r1"), {}, {}),
    ("penalised_twice", lambda: Own(penalty="r1"), {"penalty": "r2"}, {}),
    ("momentum_and_clipping", Clipped, {}, {}),
    ("never_begins", Staged, {}, {}),
    ("schedule_outlasts", Own, {"instance_noise": 0.1, "noise_kimg": 900.0, "top_k": 0.5}, {}),
    ("loud_noise", Own, {"instance_noise": 0.1}, {}),
    ("rare_penalty", lambda: Own(lazy=16), {}, {}),
    ("flat_grounds", Flat, {}, {}),
    ("batch_beyond_data", Own, {}, {}),
    ("fast_optimizer", lambda: Own(g_opt=SGD(0.1)), {}, {}),
    ("one_sided_flip", Own, {"diff_augment": ("colour",)}, {}),
    ("few_for_top_k", Own, {"top_k": 0.5}, {}),
    ("idle_settings", Own, {"zcr": 1.0, "zcr_sd": 0.1}, {}),
    ("parts_without_a_place", Energy, {"historical": 0.1, "weight_clip": 0.01, "orthogonal": 1e-4}, {}),
    ("parts_without_a_place", Own, {"lecam": 0.3, "top_k": 0.5, "label_smoothing": 0.1}, {}),
    ("losses_not_run", Own, {}, {}),
]  # fmt: skip


def findings(build: Any, parts: dict[str, Any], cfg: dict[str, Any]) -> list[rules.Finding]:
    gan = compose(build(), Stabilise(**parts))
    return rules.lint(gan, testing.make_data(), dataclasses.replace(LONG, **cfg))


@pytest.mark.parametrize(("rule", "level", "build", "parts", "cfg"), FIRES)
def test_a_rule_fires(rule: str, level: str, build: Any, parts: dict[str, Any], cfg: dict[str, Any]) -> None:
    hits = [f for f in findings(build, parts, cfg) if f.rule == rule]
    assert [f.level for f in hits] == [level]
    assert "\n" not in hits[0].text and len(hits[0].text) < 260


@pytest.mark.parametrize(("rule", "build", "parts", "cfg"), SILENT)
def test_a_rule_is_silent_without_its_fault(rule: str, build: Any, parts: dict[str, Any], cfg: dict[str, Any]) -> None:
    assert [f for f in findings(build, parts, cfg) if f.rule == rule] == []


def test_every_rule_is_tested_both_ways() -> None:
    names = {rule.__name__ for rule in rules.RULES}
    assert names == {rule for rule, *_ in FIRES} == {rule for rule, *_ in SILENT}
    assert all((rule.__doc__ or "").strip() for rule in rules.RULES)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_no_false_alarm_on_a_recipe_with_default_settings(name: str) -> None:
    """The published sizes and the recipe's own run length. The widest networks are made narrow to save time."""
    two = np.zeros((400, 64, 64, 3), np.uint8)
    data = {
        "pairs": (two, two),
        "domains": (two, two),
        "crops": two,
        "captions": (two, ["a", "b"] * 200),
        "volumes": np.zeros((400, 32, 32, 32), bool),
    }.get(kind_of_inputs(recipes.find(name).MODEL) or "", "fashion-10k")
    narrow: dict[str, dict[str, Any]] = {
        **{one: {"width": 16} for one in ("sagan", "biggan", "fastgan", "stylegan")},
        "sngan": {"width": 32},
        "gan3d": {"width": 16, "d_width": 16},
        "eg3d": {"width": 16, "plane": 32, "ray_points": 16},
        "real-esrgan": {"blocks": 4},
        "esrgan": {"blocks": 4},
        "r3gan": {"width": 64},
        "stylegan2": {"width": 64},
        "projected-gan": {"width": 16, "side": 64},
    }
    gan, data = prepare(name, data, **narrow.get(name, {}))
    module = recipes.find(name)
    results = rules.lint(gan, data, TrainConfig(total_kimg=float(getattr(module, "KIMG", 200.0))))
    true = ["flat_grounds"] if hasattr(gan.cfg, "tanh") else []  # half of the image values are black
    assert [finding.rule for finding in results] == true


@pytest.mark.parametrize("name", [name for name in presets.PLANS if presets.PLANS[name].data == presets.DATA])
def test_no_false_alarm_on_a_small_plan(name: str) -> None:
    gan, data = prepare(name, "fashion-10k", small=True)
    results = rules.lint(gan, data, TrainConfig(total_kimg=presets.plan(name).options["total_kimg"]))
    assert not [finding for finding in results if finding.rule != "flat_grounds"]


def test_the_lint_does_not_change_the_model() -> None:
    gan: Any = compose(testing.build("sngan", (1, 16, 16)), Stabilise(lecam=0.3, historical=0.1, cr=1.0))
    gan.D.eval()
    before = {name: t.clone() for name, t in gan.state_dict().items()}
    state, modes = torch.get_rng_state(), [m.training for m in gan.modules()]
    rules.lint(gan, testing.make_data(), LONG)
    assert all(torch.equal(t, before[name]) for name, t in gan.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and [m.training for m in gan.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in gan.parameters())


def test_train_refuses_before_it_creates_a_folder(tmp_path: Path) -> None:
    images = np.zeros((20, 16, 16, 1), np.uint8)
    with pytest.raises(BadInput, match="Remove the sigmoid from D"):
        ganloom.train(Own(*head(), nn.Sigmoid(), loss="hinge"), images, tmp_path / "run", total_kimg=0.1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("sngan --label-smoothing 0.1", "--label-smoothing needs a loss"),
        ("dcgan --pack 3 --batch-size 8", "--pack 3 needs a batch size that is a multiple of 3, got 8"),
        ("cgan --pack 2", "--pack joins several images"),
        ("ebgan --lecam 0.3", "--lecam works on logits"),
        ("fastgan --pack 2", "--pack joins several images"),
        ("gan --cr 1 --bcr 1", "--cr and --bcr both regularize the consistency of reals. Omit one"),
        ("gan --top-k 0", "--top-k must be a share"),
        ("gan --micro-batch 1 --top-k 0.5", "--top-k 0.5 needs more than 1 sample to choose from"),
    ],
)
def test_the_command_refuses_in_one_line(
    args: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe, *rest = args.split()
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["train", recipe, "fashion-10k", "--out", str(tmp_path / "run"), *rest])
    err = capsys.readouterr().err.strip()
    assert left.value.code == 2 and len(err.splitlines()) == 1 and "Traceback" not in err
    assert message in err
    assert not (tmp_path / "run").exists()


def test_the_command_prints_warnings_and_trains(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny = "--width 4 --batch-size 8 --total-kimg 0.05 --judge 0 --grid 4".split()
    with pytest.raises(SystemExit) as left:
        main(["train", "dcgan", "fashion-10k", "--out", str(tmp_path / "run"), "--penalty", "r1", *tiny])
    out, err = capsys.readouterr()
    assert not left.value.code and "D has BatchNorm and the gradient penalty r1" in out + err
    assert "D has BatchNorm" in "".join(p.read_text() for p in (tmp_path / "run").glob("*.jsonl"))
