"""The doctor's causes: figures with known values, rules on synthetic rows, losses evaluated once, the benchmark's score."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganloom import data as datasets
from ganloom import recipes, testing
from ganloom.api import prepare
from ganloom.bench.doctor import faults, healthy, score, suite
from ganloom.core.errors import BadInput
from ganloom.doctor import GREEN, RED, YELLOW, Facts, command, examine, loss_probe, queries, sentence, waiting
from ganloom.doctor.two_samples import energy_distance, kappa, repeated_share
from ganloom.recipes.presets import plan
from ganloom.training.trainer import TrainConfig, Trainer

# ------------------------------------------------------------------------------------------------------------- figures


def normal(n: int, seed: int, mean: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)) + mean


def test_energy_distance() -> None:
    a, b = normal(400, 0), normal(400, 1)
    assert energy_distance(a, b) == pytest.approx(0.0, abs=0.01)
    assert energy_distance(a + 1, b) > 0.1 and energy_distance(a, a[:1].repeat(50, 1)) != energy_distance(a, a)
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    assert energy_distance(x, y) == pytest.approx((2 * 1.5 - 2 - 2) / 2, abs=1e-5)  # |x - y|: 1, 3, 1, 1
    assert math.isnan(energy_distance(a[:1], b)) and math.isnan(energy_distance(a, b[:1].repeat(9, 1)))


def test_kappa_does_not_depend_on_the_shares() -> None:
    rng = torch.Generator().manual_seed(0)
    for shares in ([0.5, 0.5], [0.9, 0.1], [0.99, 0.01]):
        c = torch.multinomial(torch.tensor(shares), 2000, replacement=True, generator=rng)
        value, error = kappa(c[torch.randperm(2000, generator=rng)], c, 2)
        assert abs(value) < 4 * error and kappa(c, c, 2)[0] == 1.0
    value, _ = kappa(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 2)
    assert value == pytest.approx(0.5)  # agree 3/4, by chance 1/2
    assert math.isnan(kappa(torch.zeros(9), torch.zeros(9), 2)[0])


def test_the_errors_of_kappa_cover_chance() -> None:
    rng = torch.Generator().manual_seed(1)
    inside = 0
    for _ in range(200):
        a, b = (torch.randint(3, (96,), generator=rng) for _ in "ab")
        value, error = kappa(a, b, 3)
        inside += abs(value) < 2 * error
    assert 180 <= inside <= 199


def test_copies_of_the_whole_set_are_estimated() -> None:
    rng = np.random.default_rng(0)
    doubled = np.arange(20_000) // 2  # each image twice: half of the set are copies
    assert repeated_share(doubled.tolist(), 20_000) == 0.5
    shares = [repeated_share(rng.choice(doubled, 1000, replace=False).tolist(), 20_000) for _ in range(20)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.12)
    assert repeated_share(list(range(1000)), 20_000) == 0.0
    forty = rng.integers(0, 40, 20_000)
    assert repeated_share(rng.choice(forty, 1000).tolist(), 20_000) > 0.9


# ------------------------------------------------------------------------------------------------------- synthetic rows

FACTS = Facts(
    recipe="dcgan", data="photos", total_kimg=100.0, size=10_000, classes=10, conditional=True, bounded=True, signed=True,
    rates={"G": 2e-4, "D": 2e-4}, sizes={"G": 0.02, "D": 0.02}, updates={"G": 1, "D": 1}, equilibrium=(1.386, 0.693),
    optimisers={net: {"lr": 2e-4, "beta1": 0.5, "weight_decay": 0.0} for net in "DG"},
    untrained={"distance": 1.2, "pixel_distance": 1.0, "coverage": 0.0, "diversity": 0.01},
)  # fmt: skip
LOOK: dict[str, float] = {
    "z_sd": 1.0, "z_size": 1.0, "z_directions": 60, "z_values": 64, "z_repeated": 0, "z_drawn": 64,
    "z_trained": 1.0, "G_noise": 0, "D_noise": 0, "batch_low": -1, "batch_high": 1,
    "batch_constant": 0, "batch_repeated": 0, "batch_empty": 0, "batch_shift": 0.0, "data/low": -1, "data/high": 1,
    "data/constant": 0, "data/repeated": 0, "data/empty": 0, "data/kappa": 0.8, "data/kappa_error": 0.01, "batch_kappa": 0.8,
    "batch_kappa_error": 0.04, "data/labels_fit": 0.86, "data/labels_chance": 0.1, "diversity": 0.9, "duplicates": 0.02,
    "precision": 0.8, "coverage": 0.8, "distance": 0.1, "pixel_distance": 0.05, "live_distance": 0.1, "train_distance": 0.1,
    "sample_low": -1, "sample_high": 1, "reach_low": -1, "reach_high": 1, "c_agrees": 0.8, "diversity_within": 0.8,
    "D_real": 0.5, "D_fake": -0.5, "D_accuracy": 0.7, "D_overlap": 0.6, "D_spread": 0.8, "D_lowest": -2, "D_highest": 2,
    "D_ordered": 0.8, "D_idle": 0, "G_idle": 0, "D_narrowest": 16, "G_narrowest": 16, "D_uses_real": 1, "D_uses_fake": 1,
    "G_uses_fake": 1, "D_sign_real": -1, "D_sign_fake": 1, "G_sign_fake": -1, "D_real_change": 0, "D_fake_change": 0,
    "c_real_differs": 0, "c_fake_differs": 0, "c_fake_kinds": 9, "fakes_gap": 0.0, "D_bounded": 0, "pull": 0.6,
    "D_weights": 0.022, "G_weights": 0.021, "D_norm": 10, "G_norm": 10, "D_stride": 0.008, "G_stride": 0.008, "D_lr": 2e-4,
    "G_lr": 2e-4,
}  # fmt: skip
POOR = {"distance": 1.0, "coverage": 0.01, "pixel_distance": 0.4}
LOST = {"distance": 1.3, "coverage": 0.0, "pixel_distance": 1.1, "diversity": 0.02}


def make_rows(n: int = 6, trained: dict[str, float] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """Rows of a run with n ticks of 10 kimg."""
    common = {"D/adv": 1.2, "G/adv": 0.9, "D/grad_norm": 1.0, "G/grad_norm": 1.0}
    looks = {f"doctor/{k}": float(v) for k, v in (LOOK | changes).items()}
    return [
        {"kimg": 10.0 * i, "nimg": 10_000 * i, "step": 400 * i, **common, **(trained or {}), **looks}
        for i in range(1, n + 1)
    ]


def optimisers(**changes: float) -> dict[str, Any]:
    return {"optimisers": {net: dict(FACTS.optimisers[net]) | changes for net in "DG"}}


CAUSES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], dict[str, float]]] = {
    # what -> (finding, severity, figures of the probes, facts, statistics of the rows)
    "no phase of D": ("D not updated", RED, {"D_idle": 1}, {}, {}),
    "no phase of G": ("G not updated", RED, LOST | {"G_idle": 1}, {}, {}),
    "rate of D 0": ("D not updated", RED, LOST | {"D_lr": 0, "D_stride": 0}, {}, {}),
    "G detached": ("G not updated", RED, LOST | {"G_uses_fake": 0}, {}, {"G/grad_norm": 0}),
    "gradient of G 0": ("G not updated", RED, LOST | {"G_stride": 0}, {}, {"G/grad_norm": 0}),
    "rate of D low": ("D learning rate", RED, POOR | {"D_lr": 2e-7, "D_stride": 5e-6}, {}, {}),
    "both steps tiny": ("learning rates", RED, LOST | {"D_stride": 1e-5, "G_stride": 1e-5}, {}, {}),
    "clips": ("gradient clip", RED, LOST | {"D_stride": 1e-5, "G_stride": 1e-5}, optimisers(clip=1e-7), {}),
    "decay": ("weight decay", RED, LOST, optimisers(weight_decay=0.1), {}),
    "momentum": ("momentum", RED, POOR, optimisers(beta1=0.99), {}),
    "ratio": ("update ratio", RED, POOR, {"updates": {"D": 40, "G": 1}}, {}),
    "sign of D": ("wrong sign", RED, LOST | {"D_sign_real": 1, "D_sign_fake": -1}, {}, {"D/adv": -9000.0}),
    "sign of G": ("wrong sign", RED, POOR | {"G_sign_fake": 1}, {}, {}),
    "both fake": ("wrong sign", RED, POOR | {"D_sign_real": 1}, {}, {}),
    "penalty negative": ("wrong sign", RED, POOR, {}, {"D/r1": -0.3}),
    "no fakes": ("loss term missing", RED, POOR | {"D_uses_fake": 0}, {}, {}),
    "other term": ("other term dominates", RED, POOR | {"G_other_grad": 40}, {}, {}),
    "sigmoid": ("bounded logits", YELLOW, {"D_bounded": 1}, {}, {}),
    "squared": ("bounded logits", RED, POOR | {"D_lowest": 0.1}, {}, {}),
    "scale": ("loss scale", RED, POOR, {}, {"D/adv": 400.0}),
    "smoothing": ("label smoothing", YELLOW, {}, {"optimisers": {"loss": {"label_smoothing": 0.45}}}, {}),
    "flipped targets": ("mixed targets", RED, POOR | {"D_against_real": 0.4, "D_against_fake": 0.4}, {}, {}),
    "sorted": ("batches not mixed", RED, POOR | {"batch_variety": 0.5, "batch_shift": 0.4}, {}, {}),
    "noise in draw": ("images changed", RED, {"batch_shift": 0.3}, {}, {}),
    "noise on reals": ("inputs differ", RED, POOR | {"D_real_change": 0.3}, {}, {}),
    "old fakes": ("inputs differ", RED, POOR | {"fakes_gap": 0.9}, {}, {}),
    "other c": ("labels differ", RED, {"c_fake_differs": 0.9}, {}, {}),
    "one c": ("labels differ", RED, POOR | {"c_fake_kinds": 1}, {}, {}),
    "few latents": ("latents repeated", RED, POOR | {"z_repeated": 0.7}, {}, {}),
    "other latents": ("latents differ", RED, POOR | {"z_trained": 0.1}, {}, {}),
    "latents a fifth larger in samples": ("latents differ", YELLOW, {"z_size": 0.75}, {}, {}),
    "tiny latents": ("z too small", RED, POOR | {"z_trained": 1e-3, "z_size": 1e-3}, {}, {}),
    "dropout behind G": ("G is noisy", RED, POOR | {"G_noise": 0.9}, {}, {}),
    "sorted, with labels": ("batches not mixed", RED, POOR | {"batch_variety": 0.5, "c_fake_kinds": 1}, {}, {}),
    "strong noise": ("noise too strong", RED, POOR | {"D_real_change": 3, "D_fake_change": 3}, {}, {}),
    "tiny weights": ("initial weights", RED, POOR | {"G_stride": 0.9}, {"sizes": {"D": 0.02, "G": 2e-5}}, {}),
    "dropout in D": ("D is noisy", RED, POOR | {"D_noise": 0.9}, {}, {}),
    "one number": ("z too small", RED, POOR | {"z_values": 1, "z_directions": 1}, {}, {}),
    "no tanh": ("sample range", RED, POOR | {"sample_low": -4, "sample_high": 5}, {}, {}),
    "part of the range": ("sample range", RED, {"sample_low": 0, "reach_low": 0}, {}, {}),
    "one channel": ("network too small", RED, POOR | {"D_narrowest": 1}, {}, {}),
    "EMA": ("EMA lags", RED, POOR, {}, {}),
    "norm": ("norm statistics", RED, POOR | {"live_distance": 1.0}, {}, {}),
    "one image": ("repeated images", YELLOW, {"data/repeated": 0.99, "data/kappa": 0.0, "batch_kappa": 0.0}, {}, {}),
    "flat D": ("bounded logits", RED, POOR | {"D_spread": 0.01, "D_lowest": -0.02, "D_highest": 0.02}, {}, {}),
    "unknown cause": ("nothing is learned", RED, LOST | {"live_distance": 1.3, "train_distance": 1.3}, {}, {}),
}


@pytest.mark.parametrize("what", CAUSES)
def test_each_cause_is_first(what: str) -> None:
    name, severity, figures, facts, trained = CAUSES[what]
    findings = examine(make_rows(trained=trained, **figures), dataclasses.replace(FACTS, **facts))
    assert findings, "no finding"
    assert (findings[0].name, findings[0].severity) == (name, severity), [str(f) for f in findings]
    assert findings[0].advice and json.dumps(findings[0].to_dict())


def test_healthy_rows_have_no_finding() -> None:
    assert examine(make_rows(), FACTS) == [] and waiting(make_rows(), FACTS) == ""


def test_networks_of_zeros_and_empty_figures_do_not_stop_the_rules() -> None:
    zero = dataclasses.replace(FACTS, sizes={"G": 0.0, "D": 0.0}, **optimisers(weight_decay=0.1, clip=1e-3, eps=1.0))
    assert examine(make_rows(**LOST), zero)
    for level in (0.0, math.nan, math.inf, -1.0):
        examine(make_rows(**dict.fromkeys(LOOK, level)), zero)
        examine(make_rows(trained={"D/adv": level, "G/adv": level, "D/grad_norm": level}), FACTS)
    for name in LOOK:
        rows = [{k: v for k, v in row.items() if k != f"doctor/{name}"} for row in make_rows(**LOST)]
        examine(rows, FACTS)


def test_young_runs_are_grey_and_poor_ones_are_not_green() -> None:
    young = make_rows(1)
    young[0]["step"] = 40
    assert waiting(young, FACTS) == "too early to say (40 of 300 steps)"
    assert sentence([], waiting=waiting(young, FACTS)) == "grey: too early to say (40 of 300 steps)"
    assert waiting([], FACTS).startswith("too early") and sentence([]).startswith(GREEN)
    fair = make_rows(coverage=0.5)
    assert examine(fair, FACTS) == [] and "not good yet" in waiting(fair, FACTS)
    far = make_rows(distance=0.5, live_distance=0.5, train_distance=0.5, coverage=0.2)
    long = dataclasses.replace(FACTS, total_kimg=1000.0)
    assert examine(far, long) == [] and "still poor" in waiting(far, long)
    assert [f.name for f in examine(far, FACTS)] == ["no progress"]  # late in a run


def test_nothing_learned_is_found_whatever_the_cause() -> None:
    """Also without facts of the untrained samples: then the first probe counts."""
    lost = LOST | {"live_distance": 1.3, "train_distance": 1.3}
    rows = make_rows(2, **lost)
    assert [f.severity for f in examine(rows, FACTS) if f.name == "nothing is learned"] == [YELLOW]
    assert "nothing is learned" in [
        f.name for f in examine(make_rows(4, **lost), dataclasses.replace(FACTS, untrained={}))
    ]
    for better in ({"coverage": 0.2}, {"distance": 0.6}, {"pixel_distance": 0.3}):
        assert "nothing is learned" not in [f.name for f in examine(make_rows(**(lost | better)), FACTS)]


def test_mode_collapse_needs_a_g_that_learned() -> None:
    alike = {"diversity": 0.01, "duplicates": 1.0, "live_distance": 1.3, "train_distance": 1.3}
    assert "mode collapse" not in [f.name for f in examine(make_rows(**(LOST | alike)), FACTS)]
    assert "mode collapse" in [f.name for f in examine(make_rows(**(POOR | alike)), FACTS)]
    still = POOR | alike | {"G_stride": 1e-6}
    assert "mode collapse" not in [f.name for f in examine(make_rows(**still), FACTS)]


def test_imbalanced_labels_are_no_finding() -> None:
    """With 99 % of one class a few hundred images say little; kappa's error is large."""
    rare = {"data/kappa": 0.1, "data/kappa_error": 0.1, "batch_kappa": 0.0, "batch_kappa_error": 0.3}
    assert examine(make_rows(**rare), FACTS) == []


def test_facts_of_the_data_do_not_make_settings_red() -> None:
    facts = dataclasses.replace(FACTS, penalty="gamma", penalty_now=0.0, penalty_usual=0.1)
    found = examine(make_rows(**{"data/empty": 1, "batch_empty": 1}), facts)
    assert {f.name: f.severity for f in found} == {"class missing": RED, "penalty off": YELLOW}


# --------------------------------------------------------------------------------------------------------------- advice


def test_the_users_own_command_is_kept() -> None:
    words = ("dcgan", "my photos", "--width", "32", "--d-opt.lr", "0.1", "--no-flip", "--out", "runs/a", "--seed", "3")
    facts = dataclasses.replace(FACTS, arguments=words)
    assert command(facts, {"d_opt.lr": 2e-4}) == (
        "ganloom train dcgan 'my photos' --width 32 --no-flip --seed 3 --d-opt.lr 0.0002"
    )
    assert command(facts, {"diff_augment": ("translation", "cutout")}).endswith(
        "--seed 3 --diff-augment translation cutout"
    )
    equals = dataclasses.replace(FACTS, arguments=("dcgan", "photos", "--d-opt.lr=0.1", "--width=8"))
    assert command(equals, {"d_opt.lr": 1e-4}) == "ganloom train dcgan photos --width=8 --d-opt.lr 0.0001"
    assert Facts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_a_users_class_gets_the_change_in_python() -> None:
    own = dataclasses.replace(FACTS, own_class="Mine")
    text = command(own, {"d_opt.lr": 2e-4, "gamma": 1.0})
    assert text == "Mine(dataclasses.replace(cfg, d_opt=dataclasses.replace(cfg.d_opt, lr=0.0002), gamma=1.0))"


# ------------------------------------------------------------------------------------------------ losses evaluated once

DATA = datasets.open("fashion-10k", shape=(1, 16, 16))


def measured(fault: str, recipe: str = "default") -> dict[str, float]:
    """The figures of both losses of a model with a fault, before its first step."""
    module = recipes.find(recipe)
    one = faults.find(fault) if fault else None
    settings = {"width": 4, "batch_size": 32}
    if one is None:
        gan, _ = prepare(recipe, DATA, **settings)
        return evaluated(gan)
    with one.inside(module, 0):
        gan, _ = prepare(recipe, DATA, **settings)
        return evaluated(gan)


def evaluated(gan: Any, data: Any = DATA) -> dict[str, float]:
    trainer = Trainer(gan, data, TrainConfig())
    refused = queries.Refused()
    with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
        found = loss_probe.measure(trainer, 0, refused)
    assert not refused, refused
    assert not any(p.requires_grad for p in gan.parameters()) and gan.trace is None
    return found


@pytest.mark.parametrize("recipe", ["default", "dragan"])
def test_healthy_losses(recipe: str) -> None:
    found = measured("", recipe)
    assert (found["D_sign_real"], found["D_sign_fake"], found["G_sign_fake"]) == (-1, 1, -1)
    assert found["D_real_change"] == found["D_fake_change"] == found["z_repeated"] == found["D_bounded"] == 0
    assert abs(found["fakes_gap"]) < 0.1 and found.get("c_fake_differs", 0) == found.get("c_real_differs", 0) == 0


IMAGES = [name for name, module in recipes.RECIPES.items() if module.MODEL.conditions_on == "labels"]


@pytest.mark.parametrize("recipe", [name for name in IMAGES if plan(name).benchmark == "recipes"])
def test_the_losses_of_every_recipe_can_be_measured(recipe: str) -> None:
    """progan gives D no labels, but the level of its grid; it and stylegan begin with reduced images."""
    config = recipes.find(recipe).Config()
    found = evaluated(testing.build(recipe, n_classes=DATA.n_classes if getattr(config, "n_classes", 0) else 0))
    assert found and found.get("D_real_change", 0) == found.get("D_fake_change", 0) == 0


def test_few_labels_in_a_batch_are_no_old_fakes() -> None:
    """With 4 labels in 16 images the fakes of two batches differ, as the reals of these batches do."""
    alike = {"fakes_gap": 0.29, "reals_gap": 0.25}
    assert "inputs differ" not in [f.name for f in examine(make_rows(**(POOR | alike)), FACTS)]
    assert "inputs differ" in [f.name for f in examine(make_rows(**(POOR | alike | {"reals_gap": 0.02})), FACTS)]
    assert "inputs differ" in [f.name for f in examine(make_rows(**(POOR | {"fakes_gap": 0.29})), FACTS)]
    gan, _ = prepare("stylegan2", DATA, width=8, base=64, batch_size=16, group=4, alike=True)
    trainer = Trainer(gan, DATA, TrainConfig())
    gaps = []
    for trainer.step in range(6):
        with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
            gaps.append(loss_probe.measure(trainer, 0, queries.Refused())["reals_gap"])
    assert max(gaps) > 0.1 and len(set(gaps)) == 6  # each probe draws other batches


def test_a_batch_with_one_label_by_chance_is_no_fault() -> None:
    """Groups of one label and a large class: now and then all 16 images have it, and so do the fakes."""
    rare = np.where(np.arange(600) % 100, 0, 1)  # 1 in 100 images
    data = datasets.open((DATA.rows[:600], rare))
    gan, _ = prepare("stylegan2", data, width=8, base=64, batch_size=16, group=4, alike=True)
    found = [evaluated(gan, data)]
    trainer = Trainer(gan, data, TrainConfig())
    for trainer.step in range(5):
        with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
            found.append(loss_probe.measure(trainer, 0, queries.Refused()))
    assert all(one["c_fake_differs"] == 0 and one.get("c_fake_kinds", 2) == 2 for one in found)
    assert any("c_fake_kinds" not in one for one in found)


def test_reals_that_a_recipe_reduces_are_not_changed_images() -> None:
    """eg3d begins with images of half the size for D, on both sides."""
    data = datasets.open("primitives3d:80", shape=(3, 32, 32))
    gan, _ = prepare("eg3d", data, small=True, width=8, d_width=4, ray_points=4, coarse_kimg=1.0)
    found = evaluated(gan, data)
    assert found["D_real_change"] == found["D_fake_change"] == 0
    gan.reals = lambda batch: batch.x  # the control: the loss gets other images than the class declares
    whole = gan.d_loss

    def blurred(batch: Any) -> Any:
        return whole(batch._replace(x=torch.nn.functional.avg_pool2d(batch.x, 3, 1, 1)))

    gan.d_loss = blurred
    assert evaluated(gan, data)["D_real_change"] > 0.02


def test_a_class_that_calls_g_directly_is_not_suspected() -> None:
    class Direct(recipes.find("default").MODEL):  # type: ignore[name-defined, misc]
        def g_loss(self, batch: Any) -> Any:
            return self.g_adversarial(self.loss, self.discriminate(self.G(self.z(len(batch.x)))), reals=(batch.x,))

        def d_loss(self, batch: Any) -> Any:
            fake = self.G(self.z(len(batch.x))).detach()
            return self.d_adversarial(self.loss, self.discriminate(batch.x), self.discriminate(fake))

    found = evaluated(Direct(recipes.find("default").Config(shape=(1, 16, 16), width=4, batch_size=32)))
    assert not [name for name in found if "_uses_" in name or name.startswith("D_real")]


@pytest.mark.parametrize("recipe", ["began", "ebgan"])
def test_energies_are_told_apart(recipe: str) -> None:
    found = measured("", recipe)
    assert found["D_uses_real"] == found["D_uses_fake"] == found["G_uses_fake"] == 1
    assert found["D_sign_real"] == found["G_sign_fake"] == -1 and found["D_real_change"] == found["D_fake_change"] == 0


@pytest.mark.parametrize(
    ("fault", "figure", "holds"),
    [
        ("D's sign", "D_sign_real", lambda v: v > 0.8),
        ("G's sign", "G_sign_fake", lambda v: v > 0.8),
        ("reals and fakes swapped", "D_sign_fake", lambda v: v < -0.8),
        ("D sees no fakes", "D_uses_fake", lambda v: v == 0),
        ("D sees no reals", "D_uses_real", lambda v: v == 0),
        ("fakes detached", "G_uses_fake", lambda v: v == 0),
        ("D in a sigmoid", "D_bounded", lambda v: v == 1),
        ("noise on reals", "D_real_change", lambda v: v > 0.5),
        ("noise on fakes", "D_fake_change", lambda v: v > 0.5),
        ("other labels for D", "c_fake_differs", lambda v: v > 0.5),
        ("D without c", "c_real_differs", lambda v: v > 0.5),
        ("one class asked", "c_fake_kinds", lambda v: v == 1),
        ("16 latents", "z_repeated", lambda v: v > 0.5),
        ("pixel term", "G_other_grad", lambda v: v > 10),
    ],
)
def test_losses_with_a_fault(fault: str, figure: str, holds: Any) -> None:
    assert holds(measured(fault)[figure])


# ------------------------------------------------------------------------------------------------------------ benchmark


def test_the_benchmark_is_split_by_a_fixed_rule() -> None:
    assert len(faults.FAULTS) >= 36 and len(faults.NAMES) == len(faults.FAULTS)
    assert {f.family for f in faults.FAULTS} == {"", "data", "labels", "networks", "losses", "optimisers", "procedure"}
    blind = [f for f in faults.FAULTS if f.half == "blind"]
    assert len(blind) >= 18 and {f.family for f in blind} >= {"data", "labels", "networks", "losses", "optimisers"}
    assert all(f.half == "tuning" for f in faults.FAULTS if not f.family)
    assert len(healthy.RUNS) == 30 and faults.chosen(("labels",), "blind") == tuple(
        f.name for f in blind if f.family == "labels"
    )
    with pytest.raises(BadInput, match="no fault"):
        faults.chosen(("measles",))


def outcome(fault: str = "", light: str = GREEN, **more: Any) -> suite.Outcome:
    findings = more.pop("findings", ())
    first = findings[0] if findings else ""
    right = first in faults.find(fault).named if fault else light != RED
    return suite.Outcome("default", fault, 0, light, findings, first, right, **more)


def test_score_and_page(tmp_path: Path) -> None:
    done = [
        outcome(distance=10.0, agrees=0.8),
        outcome("D lr 0", RED, findings=("D not updated",), distance=90.0, agrees=0.1),
        outcome("G lr 0", RED, findings=("mode collapse", "G not updated"), distance=90.0, agrees=0.1),
        outcome("beta1 0.99", RED, findings=("mode collapse",), distance=90.0, agrees=0.1),
        outcome("eps of 1", distance=90.0, agrees=0.1),
        outcome("plain SGD", distance=11.0, agrees=0.75),
        outcome(light="yellow", findings=("few images",), healthy="emoji, default"),
    ]
    harmful, mild, fine = score.split(done)
    assert [o.fault for o in mild] == ["plain SGD"] and len(fine) == 2
    assert score.score(harmful) == score.Score(4, 1, 1, 1, 0, 1)
    page = tmp_path / "doctor.md"
    page.write_text(f"before\n{score.BEGIN}\nold\n{score.END}\nafter\n")
    score.write(tmp_path, score.lines(done))
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "plain SGD (default)" in text and "yellow light: 1 of 2 (50.0%): emoji, default (few images)" in text
    with pytest.raises(BadInput, match="no lines"):
        page.write_text("nothing")
        score.write(tmp_path, ["x"])


def test_an_interrupted_benchmark_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "JUDGED", 64)
    asked = suite.Suite(recipes=("default",), faults=("D lr 0",), seeds=(0,), healthy=(), kimg=0.2)
    seen: list[suite.Outcome] = []
    done = suite.measure(asked, tmp_path, each=seen.append)
    assert len(done) == len(seen) == 2 and done[1].fault == "D lr 0" and done[1].distance is not None
    assert done[0].light == "grey"
    seen.clear()
    assert suite.measure(asked, tmp_path, each=seen.append) == done and not seen
