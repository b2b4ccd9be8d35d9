"""The doctor: statistics with known values, each finding on synthetic rows and in tiny runs, healing, cost, command line."""

import contextlib
import dataclasses
import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganloom
from ganloom import data as datasets
from ganloom import metrics, recipes, testing
from ganloom.api import prepare
from ganloom.bench.doctor import faults
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.doctor import (
    GREEN,
    GREY,
    RED,
    YELLOW,
    Facts,
    Finding,
    callback,
    command,
    examine,
    light,
    probe,
    probe_cost,
    queries,
    run_facts,
    sentence,
)
from ganloom.doctor import statistics as st
from ganloom.doctor.callback import Doctor, due
from ganloom.gan import GAN, SGD, Adam, Batch, Phase, RMSprop
from ganloom.recipes import presets
from ganloom.report import write
from ganloom.runs import checkpoint, manifest, training_setup
from ganloom.runs.folder import Folder
from ganloom.runs.healing import heal
from ganloom.training.callbacks import Callback, Console
from ganloom.training.nan_guard import NonFinite
from ganloom.training.trainer import TrainConfig, Trainer


def images(n: int = 120, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Images with a pattern for each class, plus noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (classes, 16, 16, 1))
    labels = np.arange(n) % classes
    noisy = patterns[labels] * 0.8 + rng.integers(0, 52, (n, 16, 16, 1))
    noisy[:, 0, 0], noisy[:, 0, 1] = 0, 255
    return noisy.astype(np.uint8), labels


X, Y = images()
QUICK: dict[str, Any] = {"kimg_per_tick": 0.1, "kimg_per_checkpoint": 0.2, "judge": 0, "grid": 4, "device": "cpu"}
SMALL: dict[str, dict[str, Any]] = {
    "default": {"width": 4, "batch_size": 8},
    "gan": {"g_widths": (16,), "d_widths": (16,), "batch_size": 8},
    "dragan": {"width": 4, "batch_size": 8},
}


def train(recipe: str, out: Path, **options: Any) -> ganloom.Run:
    options = {"data": X, "labels": Y, "total_kimg": 0.5, "precision": "float32"} | QUICK | SMALL[recipe] | options
    return ganloom.train(recipe, out=out, console=Callback(), **options)


def rows_of(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("seconds", "img_per_s")} for line in lines]


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    path = run / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for line in lines if (event := json.loads(line))["kind"] == kind]


# -------------------------------------------------------------------------------------------------------------- figures

REAL = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
OTHER = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))


def test_diversity_and_copies() -> None:
    assert st.diversity(OTHER, REAL) == pytest.approx(1.0, abs=0.05)
    assert st.diversity(0.1 * OTHER, REAL) == pytest.approx(0.1, abs=0.01)
    assert st.diversity(OTHER[:1].expand(50, 8), REAL) == pytest.approx(0.0, abs=1e-6)
    twenty = OTHER[torch.arange(200) % 20]
    share, support = st.duplicates(twenty, REAL)
    assert share == 1.0 and support == pytest.approx(20, rel=0.15)  # the birthday test estimates the 20 modes
    share, support = st.duplicates(OTHER, REAL)
    assert share < 0.05 and support > 2000


def test_coverage_equals_the_metric() -> None:
    for fake in (OTHER, 0.5 * OTHER, OTHER + 1):
        values, known = st.coverage(fake, REAL), metrics.prdc(REAL, fake, k=5)
        assert values == pytest.approx((known["precision"], known["coverage"]), abs=0.011)


def test_classes_by_neighbours() -> None:
    labels = torch.arange(200) % 4
    apart = REAL + 10 * torch.nn.functional.one_hot(labels, 8)
    assert st.agreement(st.vote(apart, apart, labels, 4, itself=True), labels) == 1.0
    assert st.agreement(st.vote(REAL, REAL, labels, 4, itself=True), labels) < 0.4
    assert st.shares(labels[labels != 2], 4)[2] == 0
    assert st.diversity_within(apart, labels, apart, labels) == pytest.approx(1.0)


def test_logits() -> None:
    real, fake = REAL[:, 0] + 3, REAL[:, 1] - 3
    assert st.accuracy(real, fake) > 0.98 and st.overlap(real, fake) < 0.05
    assert st.accuracy(fake, real) > 0.98  # either side may be the real one: energies are low for reals
    assert st.accuracy(REAL[:, 0], REAL[:, 1]) == pytest.approx(0.5, abs=0.1) and st.overlap(
        real, real
    ) == pytest.approx(1.0)
    assert st.memorised(real, real, fake) == pytest.approx(0.0) and st.memorised(real, fake, fake) == pytest.approx(1.0)
    assert math.isnan(st.memorised(real, fake, real))  # D does not separate training images from fakes


def test_images() -> None:
    smooth = torch.linspace(-1, 1, 16).expand(4, 1, 16, 16)
    board = torch.ones(4, 1, 16, 16)
    board[..., ::2] = -1
    assert st.spectrum(board) == pytest.approx(1.0) and st.spectrum(smooth) < 0.1
    assert st.constant_channels(torch.stack([smooth[:, 0], torch.ones(4, 16, 16)], 1)) == [1]
    channels = torch.randn(16, 8, 4, 4)
    channels[:, :6] = 0.5
    assert st.dead(channels) == 0.75 and st.dead(torch.zeros(16, 8)) == 1.0 and st.dead(torch.randn(16, 8)) == 0.0
    assert st.repeated(torch.stack([smooth[0], smooth[0], board[0], -board[0]])) == 0.25


@pytest.mark.parametrize("opt", [Adam(0.01), RMSprop(0.01), SGD(0.01)], ids=["adam", "rmsprop", "sgd"])
def test_stride_is_the_size_of_the_last_step(opt: Any) -> None:
    from ganloom.training import optimizers

    layer = torch.nn.Linear(64, 64, bias=False)
    optimizer = optimizers.build(opt, [("G.w", layer.weight)], 1.0)
    norm = math.nan
    for i in range(20):
        before = layer.weight.detach().clone()
        torch.manual_seed(i)
        (torch.randn(32, 64) @ layer.weight).tanh().square().mean().backward()
        assert layer.weight.grad is not None
        norm = float(layer.weight.grad.norm())
        optimizer.step()
        optimizer.zero_grad()
    expected = float((layer.weight.detach() - before).norm() / layer.weight.detach().norm())
    step = st.stride(optimizer, {id(layer.weight)}, norm)
    assert step == pytest.approx(expected, rel=1.0 if isinstance(opt, RMSprop) else 0.02)


# ---------------------------------------------------------------------------------------------- findings on synthetic rows

FACTS = Facts(
    recipe="dcgan", data="photos", total_kimg=100.0, size=10_000, classes=10, conditional=True, rates={"G": 2e-4, "D": 2e-4},
    sizes={"G": 0.02, "D": 0.02}, updates={"G": 1, "D": 1}, penalty="gamma", penalty_now=0.1, penalty_usual=0.1,
    equilibrium=(1.386, 0.693),
)  # fmt: skip
LOOK: dict[str, float] = {
    "z_sd": 1.0, "z_size": 1.0, "c_empty": 0, "batch_low": -1, "batch_high": 1, "batch_constant": 0, "batch_repeated": 0,
    "batch_labels_fit": 0.9, "batch_empty": 0, "data/low": -1, "data/high": 1, "data/constant": 0, "data/checker": 0.004,
    "data/repeated": 0, "data/empty": 0, "data/labels_fit": 0.86, "data/labels_chance": 0.1, "diversity": 0.9,
    "duplicates": 0.02, "support": 6000, "precision": 0.8, "coverage": 0.6, "checker": 0.004, "classes_lost": 0,
    "classes_least": 0.7, "c_agrees": 0.8, "diversity_within": 0.8, "D_real": 0.5, "D_fake": -0.5, "D_accuracy": 0.7,
    "D_overlap": 0.6, "memorised": 0.05, "pull": 0.6, "D_weights": 0.022, "G_weights": 0.021, "D_stride": 0.008,
    "G_stride": 0.008, "D_lr": 2e-4, "G_lr": 2e-4, "data/kappa": 0.84, "data/kappa_error": 0.01, "batch_kappa": 0.85,
    "batch_kappa_error": 0.04,
}  # fmt: skip


def make_rows(n: int = 6, trained: dict[str, float] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """Rows of a run with n ticks of 10 kimg. A change that is a function is called with the tick."""
    rows = []
    for i in range(1, n + 1):
        look = {k: v(i) if callable(v) else v for k, v in (LOOK | changes).items()}
        row = {"kimg": 10.0 * i, "nimg": 10_000 * i, "step": 400 * i, "D/adv": 1.2, "G/adv": 0.9, **(trained or {})}
        rows.append(row | {f"doctor/{k}": float(v) for k, v in look.items()})
    return rows


SYMPTOMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bytes": ("data range", RED, {"batch_low": 0.0, "batch_high": 255.0}),
    "unit": ("data range", RED, {"batch_low": 0.0}),
    "flat": ("data range", RED, {"batch_low": -0.1, "batch_high": 0.1}),
    "channel": ("constant channel", YELLOW, {"data/constant": 1}),
    "stuck": ("repeated batch", RED, {"batch_repeated": 0.75}),
    "copies": ("repeated images", YELLOW, {"data/repeated": 0.5}),
    "labels": ("labels shuffled", RED, {"batch_kappa": 0.0}),
    "labels of data": ("labels shuffled", RED, {"batch_kappa": 0.0, "data/kappa": 0.0}),
    "class not drawn": ("class missing", RED, {"batch_empty": 1}),
    "class not asked": ("class missing", RED, {"c_empty": 2}),
    "class without images": ("class missing", YELLOW, {"data/empty": 1}),
    "no noise": ("z ignored", RED, {"z_sd": 0, "z_size": 0}),
    "frozen": ("mode collapse", RED, {"z_sd": 0}),
    "rate": ("D learning rate", RED, {"D_lr": 6e-3, "D_weights": 0.06}),
    "rate of G": ("G learning rate", RED, {"G_lr": 6e-3, "G_weights": 0.06}),
    "rates": ("learning rates", RED, {"G_lr": 6e-3, "G_weights": 0.06, "D_lr": 6e-3, "D_weights": 0.06}),
    "stride": ("D learning rate", RED, {"D_stride": 0.4}),
    "spurt": ("G learning rate", RED, {"G_weights": lambda i: 0.08, "G_lr": 2e-3}),
    "samples": ("diverged", RED, {"samples_bad": 1}),
    "vanished": ("vanishing gradients", RED, {"pull": 1e-4, "D_accuracy": 1.0, "D_real": 9, "D_fake": -9}),
    "memorises": ("D memorises", RED, {"memorised": 0.8, "D_accuracy": 0.9}),
    "grows": ("not converging", RED, {"D_weights": lambda i: 0.02 * 2**i}),
    "fell": ("mode collapse", RED, {"diversity": lambda i: 0.9 if i < 4 else 0.2, "duplicates": 0.9}),
    "never varied": ("mode collapse", RED, {"diversity": 0.1, "duplicates": 0.95}),
    "lost": ("class missing", YELLOW, {"classes_lost": 1}),
    "c": ("c ignored", RED, {"c_agrees": 0.1}),
    "z": ("z ignored", RED, {"diversity_within": 0.01}),
    "dead": ("dead channels", YELLOW, {"G_dead": 0.8}),
    "board": ("checkerboard", YELLOW, {"checker": 0.05}),
}  # fmt: skip


@pytest.mark.parametrize("case", SYMPTOMS)
def test_each_symptom_is_found_first(case: str) -> None:
    name, severity, changes = SYMPTOMS[case]
    findings = examine(make_rows(**changes), FACTS)
    assert findings, "no findings"
    assert (findings[0].name, findings[0].severity) == (name, severity), [str(f) for f in findings]
    assert findings[0].text and findings[0].advice and json.loads(json.dumps(findings[0].to_dict()))["name"] == name


def test_a_healthy_row_is_green() -> None:
    assert examine(make_rows(), FACTS) == [] and examine([], FACTS) == [] and examine(make_rows(1), FACTS) == []
    assert examine(make_rows(G_weights=lambda i: 0.08), FACTS) == [], (
        "at the recipe's own learning rate the weights may grow, as CUT's do"
    )
    assert sentence([]) == "green: nothing found" and light([]) == GREEN


def test_findings_from_facts() -> None:
    off = dataclasses.replace(FACTS, penalty_now=0.0)
    findings = examine(make_rows(), off)
    assert findings[0].name == "penalty off" and findings[0].severity == YELLOW and findings[0].change == {"gamma": 0.1}
    assert "ganloom train dcgan photos --gamma 0.1" in findings[0].advice
    worse = examine(make_rows(trained={"D/adv": 0.001}, D_accuracy=1.0, D_overlap=0.0), off)
    assert [f.name for f in worse] == ["penalty off", "D too strong"] and worse[
        0
    ].severity == RED  # as severe as its effect
    assert examine(make_rows(), dataclasses.replace(FACTS, penalty_now=100.0))[0].name == "penalty too strong"
    few = dataclasses.replace(FACTS, size=300)
    found = examine(make_rows(), few)
    assert [(f.name, f.severity) for f in found] == [("few images", YELLOW)]
    worse = examine(make_rows(diversity=0.1, duplicates=0.95), few)
    assert [(f.name, f.severity) for f in worse] == [("mode collapse", RED), ("few images", YELLOW)]
    assert examine(make_rows(), dataclasses.replace(few, augmented=True)) == []
    assert examine(make_rows(), dataclasses.replace(few, lr={"G": 1e-3})) == []  # no D that could memorise


def test_d_too_strong_names_the_equilibrium() -> None:
    findings = examine(make_rows(trained={"D/adv": 0.001}, D_accuracy=1.0, D_overlap=0.0), FACTS)
    assert findings[0].name == "D too strong" and "1.39" in findings[0].text
    no_level = dataclasses.replace(FACTS, equilibrium=(0.0, 0.0))  # Wasserstein: a loss near 0 says nothing
    assert examine(make_rows(trained={"D/adv": 0.001}, D_accuracy=1.0, D_overlap=0.0), no_level) == []


def test_weak_d_needs_poor_samples_too() -> None:
    assert examine(make_rows(10, D_accuracy=0.5), FACTS) == []
    findings = examine(make_rows(10, D_accuracy=0.5, coverage=0.03), FACTS)
    assert [f.name for f in findings] == ["D too weak"] and findings[0].change == {"d_opt.lr": 4e-4}


def test_oscillation_that_grows() -> None:
    rows = make_rows(40)
    for i, row in enumerate(rows):
        row["D/adv"] = 1.2 + 0.1 * i * math.sin(2 * math.pi * i / 8)
    findings = examine(rows, FACTS)
    assert [f.name for f in findings] == ["not converging"] and findings[0].figures["period_kimg"] == pytest.approx(
        80, rel=0.3
    )
    for i, row in enumerate(rows):
        row["D/adv"] = 1.2 + 0.3 * math.sin(2 * math.pi * i / 8)  # oscillates, but with constant amplitude
    assert examine(rows, FACTS) == []


def test_best_is_behind() -> None:
    rows = make_rows(8)
    for row, value in zip(rows, (50, 30, 20, 21, 25, 40, 45, 50), strict=True):
        row["fd_fashion1k"] = float(value)
    findings = examine(rows, FACTS)
    assert findings[0].name == "best is behind" and "30 kimg" in findings[0].text
    rows[-1]["fd_fashion1k"] = 21.0
    assert examine(rows, FACTS) == []


def test_one_probe_is_not_enough_for_what_may_be_chance() -> None:
    rows = make_rows(6, c_agrees=lambda i: 0.1 if i == 6 else 0.8)
    assert examine(rows, FACTS) == [] and examine(rows, FACTS, once=True)[0].name == "c ignored"
    assert examine(make_rows(6, batch_repeated=lambda i: 0.75 if i == 6 else 0), FACTS)[0].name == "repeated batch"


def test_nan_comes_first_and_lowers_the_rates() -> None:
    findings = examine(make_rows(), FACTS, ended="nan")
    assert findings[0].name == "diverged" and findings[0].change == {"d_opt.lr": 2e-5, "g_opt.lr": 2e-5}
    assert examine([], FACTS, ended="nan")[0].name == "diverged"


def test_long_runs_stay_cheap() -> None:
    rows = make_rows(3000)
    start = time.perf_counter()
    assert examine(rows, dataclasses.replace(FACTS, total_kimg=40_000.0)) == []
    assert time.perf_counter() - start < 1.0
    assert examine(make_rows(3000, batch_repeated=0.9), FACTS)[0].name == "repeated batch"


def test_large_images_use_fewer_samples() -> None:
    assert probe._fitting((3, 1024, 1024)) == 32 and probe._fitting((1, 28, 28)) > 1000


def test_the_console_shows_the_light_and_the_finding() -> None:
    row = {"kimg": 1.0, "nimg": 1000, "step": 10, "img_per_s": 9.0, "light": "red", "doctor": "red: mode collapse, why"}

    class Running:
        nimg, total_nimg, ends_by_images = 1000, math.inf, False
        total_seconds, elapsed = math.inf, 1.0
        data, device = X[:1], torch.device("cuda")

    out = io.StringIO()
    console = Console(stream=out)
    console.on_start(Running())
    console.on_tick(Running(), row)
    console.on_tick(Running(), row | {"light": "green", "doctor": "green: nothing found"})
    legend, first, second = out.getvalue().splitlines()
    assert (
        legend.endswith("what the doctor found")
        and first.endswith("red: mode collapse, why")
        and second.endswith("  green")
    )


def test_a_small_run_is_judged_by_the_rates_of_its_plan() -> None:
    plan = presets.plan("wgan-gp").options
    own = {"d_opt": Adam(lr=plan["d_opt.lr"]), "body": "dcgan", "width": 8}
    found = {}
    for name, options in (("small", {"small": True, "width": 8}), ("own", own)):
        setup = training_setup.set_up("wgan-gp", datasets.open("digits"), options)
        trainer = Trainer(setup.gan, setup.data, setup.cfg)
        described = json.loads(json.dumps(manifest.description(setup, setup.cfg, None)))
        found[name] = run_facts.facts_of(trainer, described)
    assert found["small"].rates == {"G": plan["g_opt.lr"], "D": plan["d_opt.lr"]}
    assert found["own"].rates == {"G": 2e-4, "D": 2e-4} and found["own"].lr["D"] == plan["d_opt.lr"]


def test_old_facts_are_read() -> None:
    assert Facts.from_dict(json.loads(json.dumps(FACTS.to_dict())) | {"later": 1}) == FACTS
    assert command(FACTS, {"diff_augment": ("flip", "cutout")}).endswith("--diff-augment flip cutout")


# ----------------------------------------------------------------------------------------------------------- at a training


@pytest.mark.parametrize(
    "recipe", [name if name == "default" else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]
)
def test_the_doctor_changes_nothing_and_resume_is_exact(recipe: str, tmp_path: Path) -> None:
    train(recipe, tmp_path / "watched")
    train(recipe, tmp_path / "alone", doctor=False)
    train(recipe, tmp_path / "cut", total_kimg=0.25)
    ganloom.resume(tmp_path / "cut", total_kimg=0.5, console=Callback())
    assert rows_of(tmp_path / "watched") == rows_of(tmp_path / "cut")
    looked = [row for row in rows_of(tmp_path / "watched") if "doctor/diversity" in row]
    assert len(looked) >= 3 and all("light" in row for row in rows_of(tmp_path / "watched"))
    assert not any(name.startswith("doctor") for row in rows_of(tmp_path / "alone") for name in row)
    bare = [
        {k: v for k, v in row.items() if not k.startswith("doctor") and k != "light"}
        for row in rows_of(tmp_path / "watched")
    ]
    assert bare == rows_of(tmp_path / "alone")
    a, b = (checkpoint.load(tmp_path / name / "checkpoints").tensors for name in ("watched", "alone"))
    assert all(torch.equal(t, b[part][name]) for part in a for name, t in a[part].items())


def test_a_healthy_toy_is_too_young_for_green(tmp_path: Path) -> None:
    run = train("default", tmp_path / "a", total_kimg=1.0)
    assert {row["light"] for row in rows_of(run.path)} == {GREY}, rows_of(run.path)[-1]["doctor"]
    assert not events_of(run.path, "finding") and "Doctor" in (run.path / "report.html").read_text()
    assert "(in balance 1.39)" in (run.path / "report.html").read_text()


@pytest.mark.parametrize(
    "name",
    [
        "frozen latent",
        "no noise",
        "repeated batch",
        "class dropped",
        "data scaled",
        "labels shuffled",
        "D lr x30",
        "G lr x30",
        "NaN",
    ],
)
@pytest.mark.parametrize("recipe", ["default", pytest.param("dragan", marks=pytest.mark.slow)])
def test_injected_faults_in_tiny_runs(recipe: str, name: str, tmp_path: Path) -> None:
    fault, module = faults.find(name), recipes.find(recipe)
    own = fault.settings(dataclasses.replace(module.Config(), **SMALL[recipe]))
    with fault.inside(module, 1), contextlib.suppress(NonFinite):
        train(recipe, tmp_path / "a", total_kimg=0.8, **own)
    kept = json.loads((tmp_path / "a" / "doctor.json").read_text())
    assert kept["findings"], "no findings"
    assert kept["findings"][0]["name"] in fault.named, [f["name"] for f in kept["findings"]]
    assert kept["findings"][0]["severity"] == RED
    events = events_of(tmp_path / "a", "finding")
    assert events[0]["severity"] == RED and "figures" in events[0]
    page = (tmp_path / "a" / "report.html").read_text()
    assert kept["findings"][0]["name"] in page


@pytest.mark.slow
def test_a_d_that_memorises_is_found(tmp_path: Path) -> None:
    """D memorises 64 images (64 more are held out). In a training of the same length it does not memorise 3,600."""
    data = datasets.open("fashion-10k", shape=(1, 16, 16))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    nets: dict[str, Any] = {"g_widths": (128,), "d_widths": (256, 256), "g_opt": Adam(1e-3), "d_opt": Adam(5e-4)}
    options = (
        QUICK | nets | {"batch_size": 16, "kimg_per_tick": 2.0, "kimg_per_checkpoint": 8.0, "precision": "float32"}
    )
    findings = {}
    for name, n, held in (("few", 128, 0.5), ("many", 4000, 0.1)):
        rows = ((data.get(order[:n]) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        run = ganloom.train("gan", rows, tmp_path / name, held_out=held, total_kimg=12.0, console=Callback(), **options)
        findings[name] = [e for e in events_of(run.path, "finding") if e["name"] == "D memorises"]
        shares = [row["doctor/memorised"] for row in run.metrics if "doctor/memorised" in row]
        assert len(shares) >= 3 and (max(shares) > 0.5) == (name == "few"), shares
    red = [e for e in findings["few"] if e["severity"] == RED]
    assert red and "memorises the training images" in red[0]["text"] and red[0]["figures"]["memorised"] > 0.5
    assert red[0]["change"] == {"diff_augment": ["translation"]}  # what --augment auto chooses for so short a run
    assert not findings["many"]


def test_faults_leave_the_recipe_as_it_was() -> None:
    module = recipes.find("default")
    before = dict(module.MODEL.__dict__)
    for fault in faults.FAULTS:
        with fault.inside(module, 0):
            pass
    assert dict(module.MODEL.__dict__) == before


def test_a_finding_that_ends_is_reported(tmp_path: Path) -> None:
    class Stub:
        run_dir = None
        events: list[tuple[str, str]] = []

        def event(self, kind: str, text: str, more: dict[str, Any] | None = None) -> None:
            self.events.append((kind, text))

    one = Finding("mode collapse", RED, "text", "advice")
    callback._report_changes(Stub(), [], [one])
    callback._report_changes(Stub(), [one], [one])
    callback._report_changes(Stub(), [one], [])
    assert [kind for kind, _ in Stub.events] == ["finding", "cured"]


# ------------------------------------------------------------------------------------------------------------------ cost


def test_ticks_of_the_probes() -> None:
    ticks = [t for t in range(100) if due(t, 20)]
    assert ticks == [0, 1, 2, 3, 5, 8, 13, 20, 40, 60, 80] and all(due(t, 1) for t in range(50))
    assert [t for t in range(50) if due(t, 20, early=False)] == [0, 20, 40]


def test_the_cost_stays_within_its_share() -> None:
    """By the cost model that sets the interval between probes."""
    data = datasets.open("fashion-10k", shape=(1, 16, 16))
    for width, recipe in ((8, "default"), (32, "default"), (16, "dragan")):
        gan, _ = prepare(recipe, data, width=width)
        run = Trainer(gan, data, TrainConfig(kimg_per_tick=1.0))
        doctor = Doctor()
        doctor.on_start(run)
        assert doctor._probe is not None
        look, thousand = probe_cost.cost(run, doctor._probe)
        assert look / (doctor.every * 1.0 * thousand) <= callback.SHARE
        assert look / (max(1, doctor.every - 1) * thousand) > callback.SHARE or doctor.every == 1


def test_too_few_images_are_not_probed(tmp_path: Path) -> None:
    run = train("gan", tmp_path / "a", data=X[:20], labels=Y[:20], total_kimg=0.3)
    assert all("doctor/diversity" not in row for row in rows_of(run.path)) and rows_of(run.path)[-1]["light"] == GREY


# ---------------------------------------------------------------------------------------------- checks not supported


@dataclasses.dataclass(frozen=True)
class StubbornConfig:
    shape: tuple[int, ...] = (1, 16, 16)
    batch_size: int = 8
    g_opt: Adam = Adam(1e-3)
    d_opt: Adam = Adam(1e-3)


class Stubborn(GAN):
    """Its latents are pairs and its D needs a second argument: it trains, but supports no query of the doctor."""

    def __init__(self, cfg: StubbornConfig) -> None:
        super().__init__(cfg)
        self.G, self.D = torch.nn.Linear(4, 256), torch.nn.Bilinear(256, 1, 1)

    def z(self, n: int) -> Any:
        return self.randn(n, 2), self.randn(n, 2)

    def sample(self, z: Any, c: Any = None) -> torch.Tensor:
        return self.G(torch.cat(z, 1)).tanh().view(-1, 1, 16, 16)

    def judged(self, x: torch.Tensor) -> torch.Tensor:
        return self.D(x.flatten(1), torch.ones(len(x), 1))

    def d_loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        fake = self.sample(self.z(len(batch.x))).detach()
        return {"adv": (self.judged(batch.x) - 1).square().mean() + self.judged(fake).square().mean()}

    def g_loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {"adv": (self.judged(self.sample(self.z(len(batch.x)))) - 1).square().mean()}

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]


def test_unsupported_checks_are_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gan = Stubborn(StubbornConfig())
    run = ganloom.train(gan, X, tmp_path / "a", console=Callback(), total_kimg=0.5, **QUICK)
    events = events_of(run.path, "left out")
    assert len(events) == 1 and set(events[0]["looks"]) == {"z()", "samples", "D's logits"}
    assert "z(): returned tuple, expected" in events[0]["text"] and "TypeError" in events[0]["looks"]["D's logits"]
    looked = [row for row in rows_of(run.path) if "doctor/D_weights" in row]
    assert len(looked) >= 3 and not any("doctor/D_real" in row or "doctor/z_sd" in row for row in looked)
    assert not [e for e in events_of(run.path, "warning") if "Doctor" in e["text"]]  # the other checks go on
    ganloom.resume(run.path, total_kimg=0.8, gan=Stubborn(StubbornConfig()), console=Callback())
    assert len(events_of(run.path, "left out")) == 1
    code, out, _ = called("doctor", str(run.path), capsys=capsys)
    assert code == 0 and "not examined: D's logits (TypeError" in out


def test_out_of_memory_propagates() -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("no memory")

    refused = queries.Refused()
    assert refused.unless("a", lambda: {}["b"]) is None and refused.unless("a", lambda: 1) == 1  # type: ignore[index]
    assert refused == {"a": "KeyError: 'b'"}
    with pytest.raises(torch.OutOfMemoryError):
        refused.unless("c", full)
    assert "c" not in refused


def test_no_batch_of_one(tmp_path: Path) -> None:
    """98 images give 49 logits: six batches of 8 and one image left, for which BatchNorm has no statistics."""
    run = train("gan", tmp_path / "a", data=X[:98], labels=Y[:98], total_kimg=0.2)
    assert any("doctor/D_real" in row for row in rows_of(run.path)) and not events_of(run.path, "left out")


def test_image_to_image_models_are_probed(tmp_path: Path) -> None:
    cfg = {"width": 4, "d_width": 4, "batch_size": 4} | QUICK
    run = ganloom.train("pix2pix", (X, 255 - X), tmp_path / "a", console=Callback(), total_kimg=0.3, **cfg)
    assert any("doctor/diversity" in row for row in rows_of(run.path)) and not events_of(run.path, "warning")
    assert set(events_of(run.path, "left out")[0]["looks"]) == {"D's logits"}


# --------------------------------------------------------------------------------------------- held out, heal and plateau


def test_held_out_images_are_reported_and_never_drawn(tmp_path: Path) -> None:
    run = train("gan", tmp_path / "a", held_out=0.3)
    assert "36 images are held out" in events_of(run.path, "held out")[0]["text"]
    assert any("doctor/D_held" in row for row in rows_of(run.path))
    assert json.loads((run.path / "config.json").read_text())["data"]["size"] == 84
    ganloom.resume(run.path, total_kimg=1.5, console=Callback())
    assert any("doctor/D_held" in row for row in rows_of(run.path) if row["kimg"] > 0.6)
    with pytest.raises(BadInput, match="--held-out must be a share"):
        train("gan", tmp_path / "b", held_out=1.5)


def test_heal_goes_back_and_changes_one_setting(tmp_path: Path) -> None:
    base = recipes.find("default").Config()
    fast = dataclasses.replace(base.d_opt, lr=30 * base.d_opt.lr)
    run = train("default", tmp_path / "a", d_opt=fast, total_kimg=1.0, heal=2)
    healed = events_of(run.path, "heal")
    assert len(healed) == 1 and "d_opt.lr 0.045 -> 0.0015" in healed[0]["text"] and run.reason == "finished"
    assert json.loads((run.path / "config.json").read_text())["config"]["d_opt"]["lr"] == 0.0015
    kept = json.loads((run.path / "doctor.json").read_text())
    assert kept["heals"][0]["finding"] == "D learning rate" and not [
        f for f in kept["findings"] if f["severity"] == RED
    ]
    nimg = [row["nimg"] for row in rows_of(run.path)]
    assert nimg == sorted(set(nimg)) and nimg[-1] >= 1000
    done = ganloom.resume(run.path, total_kimg=1.2, console=Callback())  # the change is in the run folder
    assert done.reason == "finished" and len(events_of(run.path, "heal")) == 1
    assert manifest.gan_of(json.loads((run.path / "config.json").read_text()), 0, run.path).cfg.d_opt.lr == 0.0015


def test_heal_after_a_nan(tmp_path: Path) -> None:
    base = recipes.find("default").Config()
    fast = {f"{net}_opt": dataclasses.replace(getattr(base, f"{net}_opt"), lr=150.0) for net in "gd"}
    run = train("default", tmp_path / "a", total_kimg=0.6, heal=2, **fast)
    assert run.reason == "finished" and events_of(run.path, "heal")
    described = json.loads((run.path / "config.json").read_text())["config"]
    assert described["d_opt"]["lr"] == described["g_opt"]["lr"] == 0.0015


def test_heal_is_bounded(tmp_path: Path) -> None:
    with faults.find("repeated batch").inside(recipes.find("default"), 0):  # no setting fixes it
        run = train("default", tmp_path / "a", heal=2)
    assert run.reason == "finished" and not events_of(run.path, "heal")
    with pytest.raises(BadInput, match="--heal needs the doctor"):
        train("gan", tmp_path / "c", heal=1, doctor=False)


@dataclasses.dataclass(frozen=True)
class BareConfig:
    shape: tuple[int, ...] = (1, 16, 16)
    batch_size: int = 8


class Plain(Stubborn):
    """A user's class like a recipe's: its latents are tensors, and its D takes images."""

    def __init__(self, cfg: StubbornConfig) -> None:
        super().__init__(cfg)
        self.D = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 1))

    def z(self, n: int) -> Any:
        return self.randn(n, 4)

    def sample(self, z: Any, c: Any = None) -> torch.Tensor:
        return self.G(z).tanh().view(-1, 1, 16, 16)

    def judged(self, x: torch.Tensor) -> torch.Tensor:
        return self.D(x)


class Fixed(Plain):
    """The learning rates are constants in the code."""

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss, Adam(1e4)), Phase("G", self.g_loss, Adam(1e-3))]


class Asking(Plain):
    """Its constructor needs more than the config."""

    def __init__(self, cfg: StubbornConfig, more: int) -> None:
        super().__init__(cfg)


def own(kind: Any, cfg: Any, out: Path, *more: Any, **options: Any) -> ganloom.Run:
    options = {"total_kimg": 1.0, "heal": 2} | QUICK | options
    return ganloom.train(kind(cfg, *more), X, out, console=Callback(), **options)


def test_heal_a_user_class(tmp_path: Path) -> None:
    """The changed field is in its config: the model is built again with it, and resume keeps it."""
    run = own(Plain, StubbornConfig(d_opt=Adam(1.0)), tmp_path / "a")
    healed = events_of(run.path, "heal")
    assert len(healed) == 1 and "d_opt.lr 1.0 -> 0.001" in healed[0]["text"] and run.reason == "finished"
    assert json.loads((run.path / "config.json").read_text())["config"]["d_opt"]["lr"] == 0.001
    rates = [row["doctor/D_lr"] for row in run.metrics if "doctor/D_lr" in row]
    assert rates and set(rates) == {0.001} and run.metrics[-1]["light"] != RED
    old = Plain(StubbornConfig(d_opt=Adam(1.0)))  # as a user's script builds it; the run's config wins
    ganloom.resume(run.path, total_kimg=1.4, gan=old, console=Callback())
    assert checkpoint.load(run.path / "checkpoints").state["nimg"] >= 1400 and len(events_of(run.path, "heal")) == 1
    assert {row["doctor/D_lr"] for row in run.metrics if "doctor/D_lr" in row} == {0.001}
    base = recipes.find("gan").Config(**SMALL["gan"])  # a recipe's model and a recipe's Config
    fast = dataclasses.replace(base, shape=(1, 16, 16), d_opt=dataclasses.replace(base.d_opt, lr=1.0))
    for place, what in (("b", recipes.find("gan").MODEL(fast)), ("c", fast)):
        done = ganloom.train(what, X, tmp_path / place, console=Callback(), **QUICK, total_kimg=0.5, heal=2)
        assert "d_opt.lr 1.0 -> 0.0002" in events_of(done.path, "heal")[0]["text"]


def test_a_class_that_cannot_heal_is_refused_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"cannot heal from \w.*: the config of Fixed has no field d_opt\.lr\. "
    ) as caught:
        own(Fixed, BareConfig(), tmp_path / "a")
    assert "\n" not in str(caught.value) and (tmp_path / "a" / "checkpoints").is_dir()  # it trained until the finding
    with pytest.raises(BadInput, match=r"rebuild the model as Asking\(cfg\), which fails"):
        own(Asking, StubbornConfig(), tmp_path / "b", 3)
    with pytest.raises(BadInput, match="cfg of Fixed is not a dataclass"):
        own(Fixed, type("Settings", (), {"batch_size": 8, "shape": (1, 16, 16)})(), tmp_path / "c")
    assert not (tmp_path / "b").exists() and not (tmp_path / "c").exists()


def test_heal_falls_back_to_lower_rates(tmp_path: Path) -> None:
    """If a stabiliser does not fit the recipe, or a change was made before, the learning rates are halved."""
    run = train("gan", tmp_path / "a")
    seen: list[dict[str, Any]] = []

    def build(described: dict[str, Any]) -> str:
        seen.append(described)
        if described.get("stabilise"):
            raise BadInput("it does not fit")
        return "a model"

    before = json.loads((run.path / "config.json").read_text())["config"]["d_opt"]["lr"]
    finding = Finding("mode collapse", RED, "text", "advice", change={"penalty": "r1"})
    text, gan = heal(Folder(run.path), finding, build)
    assert gan == "a model" and len(seen) == 2 and f"d_opt.lr {before} -> {before / 2}" in text
    same = dataclasses.replace(finding, change={"d_opt.lr": before / 2})
    assert f"-> {before / 4}" in heal(Folder(run.path), same, build)[0]
    kept = json.loads((run.path / "doctor.json").read_text())["heals"]
    assert [h["finding"] for h in kept] == ["mode collapse", "mode collapse"]

    def never(described: dict[str, Any]) -> None:
        raise BadInput("nothing fits")

    with pytest.raises(BadInput, match="cannot heal from mode collapse"):
        heal(Folder(run.path), finding, never)


def test_points_are_probed_too(tmp_path: Path) -> None:
    cfg = {"z_dim": 2, "g_widths": (32,), "d_widths": (32,), "total_kimg": 2.0}
    run = ganloom.train("gan", "ring", tmp_path / "a", console=Callback(), **(QUICK | cfg))
    looked = [row for row in rows_of(run.path) if "doctor/diversity" in row]
    assert looked and "doctor/classes_lost" in looked[-1] and "doctor/batch_low" not in looked[-1]
    assert rows_of(run.path)[-1]["light"] != RED, rows_of(run.path)[-1]["doctor"]


def test_stop_on_a_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([5.0, 4.0, *range(6, 60)])

    def judged(self: Any, trainer: Any, row: dict[str, Any]) -> None:
        row["fd_x"] = float(next(values))

    monkeypatch.setattr("ganloom.training.best_checkpoint.Judge.on_tick", judged)
    run = train("gan", tmp_path / "a", total_kimg=3.0, stop_on_plateau=0.5)
    assert run.reason == "plateau" and 0.65 <= rows_of(run.path)[-1]["kimg"] <= 0.85
    assert "best distance, 4" in events_of(run.path, "plateau")[0]["text"]


# ----------------------------------------------------------------------------------------------------------- command line


def called(*argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_doctor_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = train("default", tmp_path / "good", total_kimg=0.6)
    code, out, _ = called("doctor", str(good.path), capsys=capsys)
    assert code == 0 and out.startswith("grey:") and "at equilibrium D 1.386, G 0.693" in out
    with faults.find("repeated batch").inside(recipes.find("default"), 0):
        bad = train("default", tmp_path / "bad")
    code, out, _ = called("doctor", str(bad.path), "--json", capsys=capsys)
    result = json.loads(out)
    assert code == 1 and result["light"] == RED and result["findings"][0]["name"] == "repeated batch"
    code, out, _ = called("doctor", str(bad.path), capsys=capsys)
    assert code == 1 and out.splitlines()[0].startswith("red:") and "next: ganloom" in out


def test_a_run_without_a_doctor_is_probed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("gan", tmp_path / "a", doctor=False)
    code, out, _ = called("doctor", str(run.path), "--json", capsys=capsys)
    assert code == 0 and json.loads(out)["looked"] == "checkpoint" and "diversity" in json.loads(out)["figures"]
    assert not (run.path / "doctor.json").exists()  # the command writes nothing


def test_check_up(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganloom.apps.install_check.SECONDS", 0.01)
    code, out, _ = called("doctor", "--json", capsys=capsys)
    checks = {c["name"]: c["state"] for c in json.loads(out)["checks"]}
    assert code == 0 and set(checks) == {"ganloom", "device", "disk", "data", "speed"} and not list(tmp_path.iterdir())
    monkeypatch.setattr("ganloom.apps.install_check.NO_DISK", 1e18)
    assert called("doctor", capsys=capsys)[0] == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["doctor", "nowhere"], "no run at nowhere"),
        (["doctor", "--prob"], "--prob"),
        (["doctor", "sensitivity"], "DATA"),
        (["doctor", "sensitivity", "fashion-10k", "dcgann"], 'did you mean "dcgan"'),
        (["doctor", "sensitivity", "fashion-10k", "--kimg", "0"], "--total-kimg must be above 0"),
        (["bench", "doctor", "--fault", "measles"], 'no fault "measles"'),
        (["bench", "doctor", "--recipe", "dcgann"], 'did you mean "dcgan"'),
        (["train", "gan", "--heal", "-1"], "--heal must be at least 0"),
        (["train", "gan", "--stop-on-plateau", "0"], "--stop-on-plateau must be above 0"),
    ],
)
def test_wrong_arguments(
    argv: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = called(*argv, capsys=capsys)
    assert code == 2 and says in err and len(err.strip().splitlines()) == 1


def test_a_broken_doctor_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("gan", tmp_path / "a", total_kimg=0.2)
    (run.path / "doctor.json").write_text("{")
    code, _, err = called("doctor", str(run.path), capsys=capsys)
    assert code == 2 and "doctor.json" in err
    write(run.path)  # the report skips what it cannot read


@pytest.mark.slow
def test_sensitivity_is_resumable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganloom.apps import sensitivity

    base = recipes.find("default").Config(gamma=0.1)
    grid = sensitivity.settings("default", base)
    assert len(grid) == 16 and {one.axis for one in grid} == {"learning rates", "gamma", "beta1", "batch"}
    assert grid[4].options["d_opt"] == base.d_opt and grid[4].place == (1, 1)
    for name in ("RATES", "MOMENTA", "BATCHES"):
        monkeypatch.setattr(sensitivity, name, {"RATES": (1.0, 1e6)}.get(name, ()))
    np.savez(tmp_path / "toy.npz", images=X, labels=Y)
    printed: list[str] = []
    options: dict[str, Any] = {"width": 4, "batch_size": 8}

    def measure() -> list[sensitivity.Result]:
        return sensitivity.measure(
            str(tmp_path / "toy.npz"), "default", tmp_path / "s", 0.2, options=options, say=printed.append
        )

    results = measure()
    assert len(results) == 7 and results[0].verdict != "dies" and results[2].verdict == results[3].verdict == "dies"
    assert (tmp_path / "s" / "sensitivity.png").stat().st_size > 1000 and len(printed) >= 7
    printed.clear()
    again = measure()
    assert not printed and [r.verdict for r in again] == [r.verdict for r in results]
    assert "of 7 settings" in sensitivity.table(results)[-1]


def test_the_benchmark_has_images_for_every_kind_of_recipe() -> None:
    """Translators get pairs or two domains of the same images, the others images with their classes."""
    plain, pairs, domains = (
        faults.open_data(None, 16, 0, recipes.RECIPES[name].MODEL) for name in ("default", "pix2pix", "unit")
    )
    assert plain.shape == (1, 16, 16) and plain.n_classes == 10
    assert pairs.shape == domains.shape == (3, 16, 16) and pairs.paired and not domains.paired


def test_a_layer_with_equal_inputs_has_no_dead_channels() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16))
    with queries.watched(net) as dead:
        net(torch.ones(32, 3))
        net(torch.randn(32, 3))
    assert len(dead) == 3 and max(dead) < 1, (
        "only the second batch differs between samples, so it is the one that is measured"
    )
    with queries.watched(net) as dead:
        net(torch.ones(32, 3))
    assert dead == []


@pytest.mark.parametrize("name", ["ddpm", "vae"])
def test_cost_of_a_probe_of_a_baseline(name: str) -> None:
    """The cost of a step comes from the loss: a diffusion model's sample takes dozens of passes, its step does not."""
    trainer = testing.trainer(recipes.LISTED[name], (1, 16, 16))
    look = probe.Probe(trainer, 32)
    sampled = probe_cost._operations(lambda: look._generated(trainer, 4, 0, None)) / 4
    passes = sampled / probe_cost._step(trainer, look.refused)
    assert 20 < passes < 60 if name == "ddpm" else 0 < passes < 1
