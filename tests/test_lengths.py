"""The length of a run in epochs, steps and minutes; what resume does with it."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

import ganloom
from ganloom import recipes
from ganloom.core.errors import BadInput
from ganloom.gan import linear
from ganloom.recipes import presets
from ganloom.runs import training_length
from ganloom.training.config import ENDLESS

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 1), np.uint8)
QUICK: dict[str, Any] = {"judge": 0, "doctor": False, "grid": 4, "width": 4, "batch_size": 8}


def test_epochs_and_steps_are_kimg() -> None:
    setup, said = training_length.set_up_for("dcgan", IMAGES, {**QUICK, "epochs": 3})
    assert setup.cfg.total_kimg == 0.15 and said == "3 epochs of 50 images are 0.15 kimg"
    setup, said = training_length.set_up_for("dcgan", IMAGES, {**QUICK, "steps": 7})
    assert setup.cfg.total_kimg == 0.056 and "7 steps of 8 images" in said
    critic = training_length.set_up_for("wgan-gp", IMAGES, {**QUICK, "steps": 7})[0]
    assert critic.cfg.total_kimg == pytest.approx(7 * 8 * critic.gan.cfg.n_critic / 1000)
    for bad in ({"epochs": 0}, {"steps": 0}, {"epochs": 1, "steps": 1}, {"epochs": 1, "total_kimg": 1.0}):
        with pytest.raises(BadInput, match="--epochs|--steps"):
            training_length.set_up_for("dcgan", IMAGES, {**QUICK, **bad})


def test_a_length_in_images_is_met_exactly() -> None:
    for nimg in range(1, 20_000):
        kimg = training_length.kimg_of(nimg)
        assert nimg - 1 < kimg * 1000 <= nimg


@pytest.mark.parametrize("recipe", ["dcgan", "wgan", "unrolled"])
def test_a_number_of_steps_is_that_many_steps(recipe: str, tmp_path: Path) -> None:
    options = {name: value for name, value in QUICK.items() if hasattr(recipes.find(recipe).Config(), name) or name in (
        "judge", "doctor", "grid"
    )}  # fmt: skip
    run = ganloom.train(recipe, IMAGES, tmp_path / "r", steps=3, **options)
    assert run.metrics[-1]["step"] == 3
    events = (tmp_path / "r" / "events.jsonl").read_text()
    assert "3 steps" in events


def test_minutes_stop_the_run_and_resume_goes_on(tmp_path: Path) -> None:
    run = ganloom.train("dcgan", IMAGES, tmp_path / "r", minutes=0.01, **QUICK)
    last = run.metrics[-1]
    assert run.reason == "finished" and 0.6 <= last["seconds"] < 5
    described = json.loads((run.path / "config.json").read_text())
    assert described["train"]["minutes"] == 0.01 and described["train"]["total_kimg"] == ENDLESS
    with pytest.raises(BadInput, match="--minutes"):
        ganloom.resume(run.path)
    more = ganloom.resume(run.path, minutes=0.02).metrics[-1]
    assert more["seconds"] >= 1.2 and more["nimg"] > last["nimg"]
    by_images = ganloom.resume(run.path, total_kimg=training_length.kimg_of(more["nimg"] + 16)).metrics[-1]
    assert by_images["nimg"] == more["nimg"] + 16


def test_an_interrupted_run_for_a_time_goes_on_for_the_rest(tmp_path: Path) -> None:
    from ganloom.training.callbacks import Callback

    class Stop(Callback):
        def on_step(self, trainer: Any) -> None:
            if trainer.elapsed > 0.3:
                trainer.stop_requested = "SIGUSR1"

    stopped = ganloom.train("dcgan", IMAGES, tmp_path / "r", minutes=0.02, callbacks=[Stop()], **QUICK)
    assert stopped.reason == "SIGUSR1" and stopped.metrics[-1]["seconds"] < 1.2
    run = ganloom.resume(tmp_path / "r")
    assert run.reason == "finished" and 1.2 <= run.metrics[-1]["seconds"] < 6


def test_schedules_are_stretched_to_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_length, "_minutes", lambda minutes, setup, progress: (2000.0, "2 kimg"))
    options = {"batch_size": 2, "width": 4, "d_width": 4, "minutes": 1.0, "shape": (1, 16, 16), "in_channels": 1}
    setup = training_length.set_up_for("cyclegan", "unpaired-fashion", options)[0]
    own = recipes.find("cyclegan").KIMG
    np.testing.assert_allclose(setup.gan.cfg.g_opt.schedule, linear(133.5 * 2 / own, 2.0))
    assert setup.cfg.total_kimg == 2.0
    small = training_length.set_up_for("stylegan2", IMAGES, {"small": True, "minutes": 1.0})[0]
    plan = presets.plan("stylegan2").options
    np.testing.assert_allclose(
        small.gan.cfg.g_opt.schedule, [(at * 2 / plan["total_kimg"], f) for at, f in plan["g_opt.schedule"]]
    )
    photos = {"minutes": 1.0, "shape": (3, 32, 32), "width": 4, "blocks": 1, "d_width": 4}
    srgan = training_length.set_up_for("srgan", np.zeros((4, 32, 32, 3), np.uint8), photos)[0]
    module = recipes.find("srgan")
    assert math.isclose(srgan.gan.cfg.pixel_kimg, module.Config().pixel_kimg * 2 / module.KIMG)
    given = dataclasses.replace(recipes.find("cyclegan").Config().g_opt, schedule=linear(1.0, 5.0))
    kept = training_length.set_up_for("cyclegan", "unpaired-fashion", {**options, "g_opt": given})[0]
    assert kept.gan.cfg.g_opt.schedule == linear(1.0, 5.0)
    endless = training_length.set_up_for("default", IMAGES, {"minutes": 1.0})[0]
    assert endless.gan.cfg.g_opt.schedule == recipes.find("default").Config().g_opt.schedule, "it has no end"


def test_the_command_says_what_epochs_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES)
    flags = "--width 4 --batch-size 8 --judge 0 --no-doctor --grid 4 --epochs 2".split()
    code, out, err = call(capsys, "train", "dcgan", tmp_path / "a.npz", "--out", tmp_path / "r", *flags)
    assert code == 0 and "2 epochs of 50 images are 0.1 kimg" in err, err
    assert math.isclose(json.loads((tmp_path / "r" / "config.json").read_text())["train"]["total_kimg"], 0.1)
    code, _, err = call(capsys, "train", "dcgan", tmp_path / "a.npz", "--epochs", "2", "--steps", "3")
    assert code == 2 and "give one" in err
