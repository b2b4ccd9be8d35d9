"""`ganloom plan`: a limit of time, and a proposal that can finish."""

import dataclasses
import json
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call

from ganloom import recipes
from ganloom.apps import plan as planning
from ganloom.apps import plan_measure, plan_recipes
from ganloom.cli import train
from ganloom.core.errors import BadInput
from ganloom.core.time_limit import TimeUp, limited
from ganloom.runs import speed, training_setup

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), np.uint8)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Measurements without training: a speed for each recipe and batch; the cost of an image in seconds."""
    costs: dict[str, float] = {}

    def measure(trainer: Any, total: float, **options: Any) -> speed.Speed:
        name = next(n for n, path in recipes.LISTED.paths.items() if path == type(trainer.gan).__module__)
        small = trainer.gan.cfg.batch_size != recipes.find(name).Config().batch_size
        return speed.Speed(1 / costs.get(name + (" small" if small else ""), 0.001), 1, trainer.gan.cfg.batch_size)

    monkeypatch.setattr(speed, "measure", measure)
    return costs


def command_of(made: planning.Plan) -> train.Command:
    words = shlex.split(made.lines()[-1].removeprefix("next: "))
    assert words[:2] == ["ganloom", "train"]
    return train.read(words[2:])


def test_what_fits_is_proposed_as_it_is(slow: dict[str, float]) -> None:
    made = planning.plan("fashion-10k", "dcgan", width=4)
    assert made.proposal is None and made.img_per_s == pytest.approx(1000)
    command = command_of(made)
    assert command.settings == {"total_kimg": 500.0, "width": 4} and command.options.recipe == "dcgan"


def test_days_become_the_small_form(slow: dict[str, float]) -> None:
    slow["dcgan"] = 1.0
    made = planning.plan("fashion-10k", "dcgan")
    assert made.seconds == pytest.approx(500_000) and made.proposal is not None and made.proposal.seconds < 3 * 3600
    assert command_of(made).settings == {"small": True}
    assert any("--small" in line for line in made.lines())


def test_a_slow_small_form_becomes_a_time(slow: dict[str, float]) -> None:
    slow.update({"dcgan": 100.0, "dcgan small": 0.1})
    made = planning.plan("fashion-10k", "dcgan", minutes=90.0)
    assert command_of(made).settings == {"small": True, "minutes": 90.0}
    slow.update({"dcgan": 100.0, "dcgan small": 100.0})
    made = planning.plan("fashion-10k", "dcgan", seed=4, flip=True)
    command = command_of(made)
    assert command.options.recipe == "default" and command.settings == {"minutes": 180.0, "seed": 4}
    assert command.options.flip
    slow["cyclegan"] = slow["cyclegan small"] = 1000.0
    made = planning.plan("unpaired-fashion", "cyclegan", width=4, d_width=4, blocks=1, shape=(1, 16, 16), in_channels=1)
    assert command_of(made).options.recipe == "cyclegan" and command_of(made).settings["minutes"] == 180.0


def test_a_long_small_form_is_shortened(slow: dict[str, float]) -> None:
    slow["dcgan small"] = 10.0
    made = planning.plan("fashion-10k", "dcgan", small=True)
    assert command_of(made).settings == {"small": True, "minutes": 180.0}


def test_given_settings_are_kept_in_the_command(slow: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        "fashion-10k",
        "dcgan",
        "--lr",
        "0.001",
        "--epochs",
        "3",
        "--size",
        "16",
        "--no-doctor",
        "--held-out",
        "0.1",
    ]
    code, out, err = call(capsys, *words)
    assert code == 0, err
    line = out.splitlines()[-1]
    command = train.read(shlex.split(line.removeprefix("next: "))[2:])
    assert command.options.epochs == 3 and command.options.held_out == 0.1 and command.settings["doctor"] is False
    assert command.settings["g_opt"].lr == command.settings["d_opt"].lr == 0.001 and command.settings["shape"] == (16,)
    assert "27 kimg" in out
    assert "schedule" not in line
    assert json.loads(call(capsys, *words, "--json")[1])["total_kimg"] == pytest.approx(27)


def test_bad_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--steps", "0"], ["--seconds", "0"], ["--minutes", "-1"]):
        code, _, err = call(capsys, "plan", "dcgan", "fashion-10k", *flags)
        assert code == 2 and flags[0] in err and err.count("\n") == 1
    assert call(capsys, "plan", "dcgan")[0] == 2


# ------------------------------------------------------------------------------------------------------ limit of time


@pytest.mark.parametrize("part", ["building the model", "checking the settings", "a first training step"])
def test_the_limit_holds_for_every_part(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part would take a minute for the whole form of the recipe; its small form is quick."""

    def slow(plain: Any, is_slow: Any) -> Any:
        def called(*args: Any, **options: Any) -> Any:
            if is_slow(*args):
                time.sleep(60.0)
            return plain(*args, **options)

        return called

    full = recipes.find("dcgan").Config().batch_size
    if part == "building the model":
        build = slow(training_setup.build, lambda module, cfg, seed: cfg.batch_size == full and not on_meta())
        monkeypatch.setattr(training_setup, "build", build)
    elif part == "checking the settings":
        monkeypatch.setattr(plan_measure, "lint", slow(plan_measure.lint, lambda *args: True))
    else:
        measure = slow(speed.measure, lambda trainer, *args: trainer.gan.cfg.batch_size == full)
        monkeypatch.setattr(speed, "measure", measure)
    start, said = time.perf_counter(), list[str]()
    made = planning.plan(IMAGES, "dcgan", seconds=2.0, progress=lambda what, done, total: said.append(what))
    assert time.perf_counter() - start < 20.0
    assert part in made.unfinished and made.img_per_s is None and made.seconds is None and made.proposal is not None
    assert made.g_parameters > 100_000 and made.total_kimg == 500.0 and "--small" in made.command
    assert any("unknown" in line for line in made.lines())
    assert any("not checked" in note for note in made.notes) == (part != "a first training step")
    json.loads(json.dumps(dataclasses.asdict(made)))
    assert "building the model (dcgan)" in said


def on_meta() -> bool:
    return torch.empty(0).device.type == "meta"


def test_a_limit_of_time() -> None:
    with pytest.raises(TimeUp), limited(0.05):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass
    with limited(30.0):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# --------------------------------------------------------------------------------------------------------- measurement


def trainer_of(recipe: str, step_seconds: float, **options: Any) -> Any:
    """A trainer whose steps take a time for each image, without computing anything."""
    from ganloom.api import prepare
    from ganloom.training.trainer import TrainConfig, Trainer

    gan, data = prepare(recipe, IMAGES, **options)
    trainer = Trainer(gan, data, TrainConfig())

    def step() -> None:
        time.sleep(step_seconds * gan.cfg.batch_size)
        trainer.set_clock(trainer.nimg + gan.cfg.batch_size)

    trainer.train_step = step  # type: ignore[method-assign]
    return trainer


def test_a_slow_step_is_measured_with_a_small_batch() -> None:
    trainer = trainer_of("dcgan", 0.01, width=4, batch_size=400)
    start = time.perf_counter()
    found = speed.measure(trainer, 10.0, seconds=1.0)
    assert time.perf_counter() - start < 2.5 and found.batch == speed.PROBE
    assert found.img_per_s == pytest.approx(100, rel=0.2) and found.steps >= 1
    quick = speed.measure(trainer_of("dcgan", 1e-4, width=4, batch_size=16), 10.0, seconds=2.0, steps=5)
    assert quick.batch == 16 and quick.steps == 5


def test_the_clock_may_be_set_back() -> None:
    """The averaged weights must not extrapolate: 2,000 kimg back would be more than a float holds."""
    from ganloom.api import prepare
    from ganloom.training.trainer import TrainConfig, Trainer

    gan, data = prepare("biggan", IMAGES, width=4, batch_size=16)
    found = speed.measure(Trainer(gan, data, TrainConfig()), 2000.0, seconds=20.0, steps=2)
    assert found.batch == 16 and found.img_per_s > 0


def test_growing_networks_are_measured_in_every_stage() -> None:
    trainer = (
        trainer_of("progan", 1e-4, width=8, batch_size=4)
        if "width" in dir(recipes.find("progan").Config())
        else (trainer_of("progan", 1e-4, batch_size=4))
    )
    seen: list[float] = []
    plain = trainer.train_step

    def step() -> None:
        seen.append(trainer.nimg)
        plain()

    trainer.train_step = step
    total = float(recipes.find("progan").KIMG)
    found = speed.measure(trainer, total, seconds=3.0, steps=2)
    edges = {e for phase in trainer.phases for e in phase.kimg if 0 < e < total}
    assert edges and found.steps >= len(edges) + 1 and max(seen) > 1000 * max(edges) - 10


def measured(name: str, *coverage: float) -> dict[str, Any]:
    return {"recipe": name, "coverage": list(coverage), "kimg": 40.0, "cpu_minutes": 5.0, "seeds": 3}


EMOJI = {"data": "emoji", "shape": [3, 32, 32], "images": 3874, "classes": 9}
BEST = [
    measured("projected-gan", 0.8, 0.7, 0.9),
    measured("acgan", 0.7, 0.7, 0.7),
    measured("stylegan2", 0.6, 0.5, 0.7),
]


def test_the_best_recipe_on_similar_data_is_proposed(slow: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [
        {**EMOJI, "recipes": [*BEST, measured("default", 0.4, 0.3, 0.45)]},
        {
            **EMOJI,
            "data": "digits",
            "shape": [1, 28, 28],
            "images": 1797,
            "recipes": [measured("default", 0.9, 0.9, 0.9)],
        },
    ]
    monkeypatch.setattr(plan_recipes, "table", lambda: sets)
    monkeypatch.setattr(plan_recipes, "effnet_installed", lambda: False)
    images = np.repeat(np.repeat(IMAGES, 2, 1), 2, 2)
    made = planning.plan(images, flip=False, fit="crop", held_out=0.0)
    assert made.proposal is not None and command_of(made).options.recipe == "stylegan2"
    assert command_of(made).settings["small"] is True and "total_kimg" not in command_of(made).settings
    assert "on emoji (3,874 images, 32 x 32, RGB), stylegan2 --small has coverage 0.60" in made.proposal.why
    slow["stylegan2 small"] = 1.0
    assert command_of(planning.plan(images, minutes=60.0)).settings["minutes"] == 60.0
    labelled = planning.plan((images, np.arange(50) % 2))
    assert command_of(labelled).options.recipe == "acgan", "with labels"
    assert planning.plan(images, "dcgan").proposal is None, "another recipe was chosen"
    assert planning.plan(images, width=8).proposal is None, "a setting of the default recipe was chosen"
    assert planning.plan(IMAGES[..., :1]).proposal is None, "grey: the default recipe is the best one on digits"
    assert planning.plan(IMAGES[:, :8, :8]).proposal is None, "no data set of the table has images of this size"
    sets[0]["recipes"][3] = measured("default", 0.55, 0.5, 0.6)
    made = planning.plan(images)
    assert made.proposal is None and any("the default recipe 0.55" in note for note in made.notes), "the seeds overlap"


def test_the_table_of_the_package_can_be_read() -> None:
    for one in plan_recipes.table():
        assert (
            len(one["shape"]) == 3
            and one["images"] > 0
            and all(row["recipe"] in recipes.RECIPES for row in one["recipes"])
        )


def test_the_measurement_refuses_nothing_new(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--seed"):
        planning.plan(IMAGES, "dcgan", seed=-1)
