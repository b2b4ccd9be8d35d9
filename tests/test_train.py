"""Runs in their folders: exact resume, signals, kills, locks, NaN policies, full disks, arrays, own classes."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput, GanloomError
from ganloom.gan import Adam
from ganloom.runs import checkpoint
from ganloom.training.callbacks import Callback
from ganloom.training.nan_guard import NonFinite

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
LABELS = np.arange(60) % 3
SMALL: dict[str, dict[str, Any]] = {
    "default": {"width": 4, "batch_size": 8},
    "gan": {"g_widths": (16,), "d_widths": (16,), "batch_size": 8},
    "dcgan": {"width": 4, "batch_size": 8},
    "cgan": {"width": 4, "batch_size": 8},
    "wgan-gp": {"width": 4, "batch_size": 4, "n_critic": 2},
}
QUICK = {"kimg_per_tick": 0.1, "kimg_per_checkpoint": 0.2, "judge": 0, "grid": 4}


def train(recipe: str, out: Path, **options: Any) -> ganloom.Run:
    options = {"data": IMAGES, "labels": LABELS, "total_kimg": 0.4} | QUICK | SMALL[recipe] | options
    return ganloom.train(recipe, out=out, console=Callback(), **options)


def last_tensors(run: Path) -> dict[str, torch.Tensor]:
    folder = run / "checkpoints"
    latest = folder / str(checkpoint.pointer(folder, "latest"))
    return {
        f"{file.stem}/{name}": tensor
        for file in sorted(latest.glob("*.safetensors"))
        for name, tensor in safetensors.torch.load_file(file).items()
    }


def assert_equal_runs(a: Path, b: Path) -> None:
    first, second = last_tensors(a), last_tensors(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def rows(run: Path) -> list[dict[str, Any]]:
    timing = ("seconds", "img_per_s")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in lines]


QUICK_RECIPES = [name if name in ("default", "gan") else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]
"""The conformance tests resume every recipe; here two are enough."""


@pytest.mark.parametrize("recipe", QUICK_RECIPES)
def test_stopped_and_resumed_equals_uninterrupted(recipe: str, tmp_path: Path) -> None:
    train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "cut", total_kimg=0.25)
    with torch.random.fork_rng():
        torch.manual_seed(12345)  # the process's own random state must not matter
        ganloom.resume(tmp_path / "cut", total_kimg=0.4, console=Callback())
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")


def test_the_run_folder(tmp_path: Path) -> None:
    run = train("dcgan", tmp_path / "a", judge=20)
    assert run.reason == "finished" and run.path == tmp_path / "a"
    for name in ("config.json", "run.json", "metrics.jsonl", "events.jsonl", "log.txt", "report.html", "data.npz"):
        assert (run.path / name).exists() or name == "events.jsonl", name
    assert (run.path / "samples" / "reals.png").exists() and len(list((run.path / "samples").glob("0*.png"))) >= 4
    described = json.loads((run.path / "config.json").read_text())
    assert described["recipe"] == "dcgan" and described["config"]["shape"] == [1, 16, 16]
    assert json.loads((run.path / "run.json").read_text())["state"] == "finished"
    assert (
        "finished" in (run.path / "report.html").read_text()
        and ">running<" not in (run.path / "report.html").read_text()
    )
    assert len(checkpoint.names(run.path / "checkpoints")) <= 4
    gan, model = ganloom.load(run.path), ganloom.load(run.path / "model")
    torch.testing.assert_close(gan.generate(3, seed=1), model.generate(3, seed=1))
    assert "ganloom.load" in (run.path / "model" / "README.md").read_text()


def test_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    values = iter([5.0, 1.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 9.5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganloom.training.best_checkpoint.Judge.take", lambda self: ("fd_x", next(values)))
        train("gan", tmp_path / "a", total_kimg=1.2, keep=2)
    folder = tmp_path / "a" / "checkpoints"
    names = checkpoint.names(folder)
    assert checkpoint.pointer(folder, "best") == names[0] and names[0].startswith("kimg-000000.4")
    assert len(names) == 3 and checkpoint.pointer(folder, "latest") == names[-1]
    assert ganloom.load(tmp_path / "a", checkpoint="best").kimg < ganloom.load(tmp_path / "a").kimg


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    train("gan", tmp_path / "a")
    before = last_tensors(tmp_path / "a")
    with pytest.raises(BadInput, match="already holds a run"):
        train("gan", tmp_path / "a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(BadInput, match="thesis.txt"):
        train("gan", tmp_path / "mine")
    assert all(torch.equal(before[k], v) for k, v in last_tensors(tmp_path / "a").items())


def test_resume_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run at"):
        ganloom.resume(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="not a run folder"):
        ganloom.resume(tmp_path / "empty")
    run = train("gan", tmp_path / "a")
    with pytest.raises(BadInput, match="already at"):
        ganloom.resume(run)
    with pytest.raises(BadInput, match="changed since this run began"):
        ganloom.resume(run, total_kimg=1, data=255 - IMAGES)


def test_options_are_checked(tmp_path: Path) -> None:
    for options, text in (
        ({"total_kmig": 3}, 'did you mean "total_kimg"'),
        ({"total_kimg": -1}, "above 0"),
        ({"z_dim": "x"}, "z_dim must be int"),
        ({"precision": "fp8"}, "--precision must be one of"),
        ({"device": "tpu"}, "--device must be"),
        ({"nan_policy": "pray"}, "--nan-policy"),
        ({"micro_batch": 0}, "at least 1"),
    ):
        with pytest.raises(BadInput, match=text):
            train("gan", tmp_path / "x", **options)
        assert not (tmp_path / "x").exists()
    with pytest.raises(BadInput, match='did you mean "dcgan"'):
        ganloom.train("dcgun", IMAGES, tmp_path / "x")
    with pytest.raises(BadInput, match="at least 2 classes"):
        ganloom.train("cgan", IMAGES, tmp_path / "x")
    with pytest.raises(BadInput, match="contains points"):
        ganloom.train("dcgan", "ring", tmp_path / "x")


def test_points_and_configs(tmp_path: Path) -> None:
    run = ganloom.train(
        "gan", "ring", tmp_path / "ring", console=Callback(), total_kimg=0.3, z_dim=2, g_widths=(16,), d_widths=(16,)
    )
    assert run.load().generate(5).shape == (5, 2)
    from ganloom.recipes import gan

    cfg = gan.Config(shape=(1, 12, 8), g_widths=(8,), d_widths=(8,))
    run = ganloom.train(cfg, IMAGES, tmp_path / "cfg", console=Callback(), total_kimg=0.2, **QUICK)
    assert run.load().generate(2).shape == (2, 1, 12, 8)


def faulty_trainer(policy: str, bad: set[int]) -> Any:
    run = testing.trainer("gan", nan_policy=policy, max_rollbacks=2)
    run.gan.D.out.register_forward_hook(
        lambda m, i, o: o * float("nan") if run.step in bad and m.weight.requires_grad else None
    )
    return run


def test_nan_stop_names_the_place() -> None:
    run = faulty_trainer("stop", {3})
    for _ in range(3):
        run.train_step()
    before = run.tensors()["gan"]["D.out.weight"].clone()
    with pytest.raises(NonFinite, match=r"the output of D.out .*step 3.*phase D.*images 24 to 31"):
        run.train_step()
    assert torch.equal(before, run.gan.D.out.weight)


def test_nan_skip_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run, said = faulty_trainer("skip", {2}), []
    monkeypatch.setattr(run, "event", lambda kind, text: said.append((kind, text)))
    for _ in range(5):
        run.train_step()
    assert run.step == 5 and len(said) == 1 and "update skipped" in said[0][1]
    assert all(t.isfinite().all() for t in run.gan.state_dict().values())


def test_nan_skip_is_bounded() -> None:
    run = faulty_trainer("skip", set(range(3, 1000)))
    with pytest.raises(NonFinite, match="20th update in a row"):
        for _ in range(100):
            run.train_step()
    assert run.step == 3 + 19
    spread = faulty_trainer("skip", set(range(0, 200, 3)))
    for _ in range(100):
        spread.train_step()
    assert spread.step == 100


def test_nan_before_the_first_checkpoint_rolls_back_to_the_start(tmp_path: Path) -> None:
    class Poison(Callback):
        def on_step(self, trainer: Any) -> None:
            if trainer.step == 2 and trainer.rollbacks == 0:
                with torch.no_grad():
                    trainer.gan.D.out.weight[0, 0] = float("nan")

    run = train("gan", tmp_path / "a", nan_policy="rollback", callbacks=[Poison()], kimg_per_checkpoint=100)
    (event,) = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert run.reason == "finished" and "back to kimg 0, learning rates x 0.5" in event["text"]
    with pytest.raises(NonFinite) as stopped:
        train("gan", tmp_path / "b", nan_policy="stop", callbacks=[Poison()], kimg_per_checkpoint=100)
    assert "nothing bad was saved" in str(stopped.value)
    assert not list((tmp_path / "b" / "checkpoints").iterdir())


def test_moved_data_are_remembered(tmp_path: Path) -> None:
    first, second = tmp_path / "one.npy", tmp_path / "two.npy"
    np.save(first, IMAGES)
    run = train("gan", tmp_path / "run", data=str(first), labels=None)
    first.rename(second)
    done = ganloom.resume(run.path, total_kimg=1.2, data=str(second), console=Callback())
    assert ganloom.resume(done.path, total_kimg=1.4, console=Callback()).reason == "finished"


def test_groups_that_name_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match='no parameter is named "mapping..."'):
        testing.trainer(
            lambda shape, classes: testing.build("gan", shape, g_opt=Adam(1e-3, groups=(("mapping", 0.1),)))
        )


def test_nan_rollback_is_bounded(tmp_path: Path) -> None:
    bad = {"calls": 0}

    class Poison(Callback):
        """Spoils a weight of D at one place of the run, a number of times."""

        def on_step(self, trainer: Any) -> None:
            if trainer.nimg == 304 and bad["calls"]:
                bad["calls"] -= 1
                with torch.no_grad():
                    trainer.gan.D.out.weight[0, 0] = float("inf")

    bad["calls"] = 2
    run = train("gan", tmp_path / "a", nan_policy="rollback", callbacks=[Poison()])
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [e["kind"] for e in events] == ["nan", "nan"]
    assert "infinity in weight D.out.weight" in events[0]["text"] and "learning rates x 0.5" in events[0]["text"]
    assert "x 0.25" in events[1]["text"]
    bad["calls"] = 9
    with pytest.raises(NonFinite, match="infinity in weight"):
        train("gan", tmp_path / "b", nan_policy="rollback", max_rollbacks=1, callbacks=[Poison()])
    assert all(t.isfinite().all() for t in last_tensors(tmp_path / "b").values())


def test_a_broken_tracker_never_stops_training(tmp_path: Path) -> None:
    class Broken(Callback):
        def on_tick(self, trainer: Any, row: dict[str, Any]) -> None:
            raise ConnectionError("no route")

    run = train("gan", tmp_path / "a", callbacks=[Broken()])
    assert run.reason == "finished"
    events = (run.path / "events.jsonl").read_text()
    assert events.count("Broken switched off") == 1 and "no route" in events


def test_disk_full(tmp_path: Path) -> None:
    train("gan", tmp_path / "a", total_kimg=0.3)
    good = last_tensors(tmp_path / "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
        with pytest.raises(GanloomError) as caught:
            ganloom.resume(tmp_path / "a", total_kimg=1.0, console=Callback())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value) and "too large" in str(caught.value)
    assert all(torch.equal(good[k], v) for k, v in last_tensors(tmp_path / "a").items())
    ganloom.resume(tmp_path / "a", total_kimg=0.5, console=Callback())


# ----------------------------------------------------------------------------------------------- whole processes


def command(*args: str, **env: str) -> subprocess.Popen[str]:
    code = "from ganloom.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **env},
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, x=IMAGES, y=LABELS)
    return path


def flags(recipe: str) -> list[str]:
    made = []
    for name, value in (SMALL[recipe] | QUICK).items():
        values = value if isinstance(value, tuple) else (value,)
        made += [f"--{name.replace('_', '-')}", *map(str, values)]
    return made


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def kill_and_resume(recipe: str, archive: Path, tmp_path: Path, moment: float) -> None:
    """Train whole; train again, kill -9 after a while, resume to the same length: the same bits."""
    base = ["train", recipe, str(archive), *flags(recipe)]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    process = command(*base, "--out", str(whole), "--total-kimg", "2")
    assert process.wait() == 0, process.communicate()
    process.communicate()
    process = command(*base, "--out", str(cut), "--total-kimg", "2")
    wait_for(cut / "checkpoints" / "latest", process)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = command("resume", str(cut), "--total-kimg", "2")
    out, err = process.communicate()
    assert process.returncode == 0 or "already at" in err, err
    assert_equal_runs(whole, cut)


def test_kill_and_resume(archive: Path, tmp_path: Path) -> None:
    kill_and_resume("gan", archive, tmp_path, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.0, 0.31])
@pytest.mark.parametrize("recipe", SMALL)
def test_kill_and_resume_every_recipe(recipe: str, moment: float, archive: Path, tmp_path: Path) -> None:
    kill_and_resume(recipe, archive, tmp_path, moment)


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), pytest.param("SIGTERM", 143, marks=pytest.mark.slow), ("SIGUSR1", 0)]
)
def test_signals_save_and_leave(name: str, code: int, archive: Path, tmp_path: Path) -> None:
    run = tmp_path / "a"
    process = command("train", "gan", str(archive), *flags("gan"), "--out", str(run), "--total-kimg", "100000")
    wait_for(run / "metrics.jsonl", process)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    state = json.loads((run / "run.json").read_text())
    assert state["state"] == "stopped" and state["exit_reason"] == name
    loaded = checkpoint.load(run / "checkpoints")
    assert not loaded.skipped
    reached = loaded.state["nimg"]
    done = ganloom.resume(run, total_kimg=reached / 1000 + 0.1, console=Callback())
    assert done.reason == "finished"


def test_only_one_training_in_a_folder(archive: Path, tmp_path: Path) -> None:
    run = tmp_path / "a"
    process = command("train", "gan", str(archive), *flags("gan"), "--out", str(run), "--total-kimg", "100000")
    wait_for(run / "checkpoints" / "latest", process)
    try:
        with pytest.raises(BadInput, match=f"process {process.pid}"):
            ganloom.resume(run, total_kimg=1e6)
    finally:
        process.kill()
        process.communicate()
    newest = checkpoint.load(run / "checkpoints").state["nimg"] / 1000
    ganloom.resume(run, total_kimg=newest + 0.1, console=Callback())  # a lock whose process is gone
