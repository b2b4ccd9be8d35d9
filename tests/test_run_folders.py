"""Run folders with foreign files, refused and repeated starts, signals, memory, links, full and read-only disks."""

import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call

import ganloom
from ganloom.core import memory
from ganloom.core.errors import BadInput, GanloomError
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder
from ganloom.runs.run_storage import RunStorage
from ganloom.training import trainer as training_loop
from ganloom.training.callbacks import Callback, grids

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
QUICK: dict[str, Any] = {
    "kimg_per_tick": 0.08, "kimg_per_checkpoint": 0.08, "judge": 0, "grid": 4, "doctor": False, "g_widths": (8,),
    "d_widths": (8,), "batch_size": 8, "total_kimg": 0.16, "keep": 1,
}  # fmt: skip


def train(out: Path, **options: Any) -> ganloom.Run:
    callbacks = options.pop("callbacks", ())
    return ganloom.train("gan", IMAGES, out, console=Callback(), callbacks=callbacks, **(QUICK | options))


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


class Stop(Callback):
    """Raises an error after some steps: what a crash leaves."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step(self, trainer: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt("crash")


# -------------------------------------------------------------------------------------------- what is not a checkpoint

FOREIGN = [
    "kimg-000000.080-keep", "kimg-000000.080.bak", "kimg-000000.080 (copy)", "kimg-000000.080~", "kimg-", "kimg-nan",
    "kimg-inf", "kimg-1", "kimg-0000000", "kimg-000000.000", "kimg-000000.0800", "kimg-+00001", "KIMG-000001",
    "kimg-000001-kept", "xkimg-000001", "kimg-٠٠٠٠٠١", "notes", ".kimg-000000.080.swp", ".tmp-notes", "latest~",
]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_only_our_own_names_are_checkpoints(name: str) -> None:
    assert checkpoint.parse_name(name) is None


@pytest.mark.parametrize("nimg", [0, 8, 999, 1000, 123_456, 999_999_000, 1_000_000_000, 1_234_567_890_123])
def test_names_round_trip(nimg: int) -> None:
    assert checkpoint.parse_name(checkpoint.name_of(nimg)) == nimg


def test_foreign_files_are_ignored_and_never_deleted(tmp_path: Path) -> None:
    run = train(tmp_path / "r").path
    folder = run / "checkpoints"
    (last,) = checkpoint.names(folder)
    for i, name in enumerate(FOREIGN):
        if i % 2:
            (folder / name).write_text("mine")
        else:
            (folder / name).mkdir()
            (folder / name / "gan.safetensors").write_text("mine")
    (folder / last / "mine.txt").write_text("mine")  # in a checkpoint that will be pruned
    (folder / "kimg-000000.040").mkdir()  # a name of ours, but without a manifest
    before = set(os.listdir(folder)) - {last}
    assert ganloom.resume(run, total_kimg=0.4, console=Callback()).reason == "finished"
    assert before <= set(os.listdir(folder))
    assert (folder / f"{last}-kept" / "mine.txt").read_text() == "mine"
    assert os.listdir(folder / f"{last}-kept") == ["mine.txt"]
    assert ganloom.load(run).kimg == 0.4 and ganloom.load(run, checkpoint="best").kimg == 0.4
    with pytest.raises(BadInput, match="has no checkpoint"):
        ganloom.load(run, checkpoint="kimg-000000.080-keep")


# ------------------------------------------------------------------------------------- runs without a first checkpoint


def test_a_run_without_a_checkpoint_starts_again(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole").path
    for way in ("same", "resume"):
        run = tmp_path / way
        with pytest.raises(KeyboardInterrupt):
            train(run, callbacks=[Stop(3)])
        assert Folder(run).without_checkpoint() and (run / "samples" / "00000000.png").exists()
        with pytest.raises(BadInput, match="another batch_size"):
            train(run, batch_size=4)
        done = train(run) if way == "same" else ganloom.resume(run, console=Callback())
        assert done.reason == "finished"
        a, b = (checkpoint.load(r / "checkpoints").tensors["gan"] for r in (whole, run))
        assert all(torch.equal(a[name], b[name]) for name in a)
        with pytest.raises(BadInput, match="already holds a run"):
            train(run)


@pytest.mark.parametrize("left", [["lock"], ["lock", "checkpoints"], ["lock", "checkpoints", "run.json", "data.npz"]])
def test_a_start_that_was_killed_can_be_repeated(left: list[str], tmp_path: Path) -> None:
    run = tmp_path / "r"
    run.mkdir()
    for name in left:
        if name == "checkpoints":
            (run / name).mkdir()
        else:
            (run / name).write_text('{"state": "starting"}' if name == "run.json" else "")
    assert train(run).reason == "finished"


def test_a_run_whose_checkpoints_are_gone_does_not_start_again(tmp_path: Path) -> None:
    run = train(tmp_path / "r").path
    (run / "checkpoints").rename(tmp_path / "moved")
    before = content(run)
    for again in (lambda: train(run), lambda: ganloom.resume(run, total_kimg=1, console=Callback())):
        with pytest.raises(GanloomError, match=r"already holds a run|no checkpoint"):
            again()
    assert content(run) == before


def test_the_first_checkpoint_comes_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[str]] = []

    class Look(Callback):
        def on_step(self, trainer: Any) -> None:
            found.append(checkpoint.names(trainer.run_dir / "checkpoints"))

    monkeypatch.setattr(training_loop, "FIRST_CHECKPOINT", 0.0)
    early = train(tmp_path / "early", kimg_per_checkpoint=9.0, kimg_per_tick=9.0, callbacks=[Look()]).path
    monkeypatch.setattr(training_loop, "FIRST_CHECKPOINT", 1e9)
    late = train(tmp_path / "late", kimg_per_checkpoint=9.0, kimg_per_tick=9.0).path
    assert found[0] == [] and all(names == ["kimg-000000.008"] for names in found[1:])
    a, b = (checkpoint.load(r / "checkpoints").tensors for r in (early, late))
    assert all(torch.equal(a[part][name], b[part][name]) for part in a for name in a[part])


def test_a_warm_start_saves_its_weights_first(tmp_path: Path) -> None:
    source = train(tmp_path / "source").path
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "warm", init=source, callbacks=[Stop(2)])
    assert checkpoint.names(tmp_path / "warm" / "checkpoints") == ["kimg-000000"]
    assert ganloom.resume(tmp_path / "warm", console=Callback()).reason == "finished"


# --------------------------------------------------------------------------------------------- a refusal changes nothing


def damage(run: Path) -> None:
    for file in (run / "checkpoints").glob("kimg-*/gan.safetensors"):
        file.write_bytes(b"damaged")


def other_model(run: Path) -> None:
    described = json.loads((run / "config.json").read_text())
    described["config"]["g_widths"] = [16]
    (run / "config.json").write_text(json.dumps(described))


def orphan(run: Path) -> None:
    (run / "checkpoints" / ".tmp-latest-ab12cd34").write_bytes(b"half")


def linked(run: Path) -> None:
    (run / "log.txt").unlink()
    (run / "log.txt").symlink_to(run / "elsewhere")


REFUSALS: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "already there": (lambda run: None, {}, "already at"),
    "a smaller total": (lambda run: None, {"total_kimg": 0.02}, "already at"),
    "left behind, and already there": (orphan, {}, "already at"),
    "no lock file": (lambda run: (run / "lock").unlink(), {}, "already at"),
    "other data": (lambda run: None, {"total_kimg": 1, "data": 255 - IMAGES}, "changed since"),
    "the data is gone": (lambda run: (run / "data.npz").unlink(), {"total_kimg": 1}, "data.npz"),
    "a device that is not there": (lambda run: None, {"total_kimg": 1, "device": "cuda:77"}, "--device"),
    "a wrong total": (lambda run: None, {"total_kimg": -1}, "above 0"),
    "damaged checkpoints": (damage, {"total_kimg": 1}, "damaged"),
    "another model": (other_model, {"total_kimg": 1}, "do not fit"),
    "a link": (linked, {"total_kimg": 1}, "symbolic link"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("finished") / "r").path


@pytest.mark.parametrize("why", REFUSALS)
def test_a_refused_resume_changes_no_byte(why: str, finished: Path, tmp_path: Path) -> None:
    change, options, message = REFUSALS[why]
    subprocess.run(["cp", "-r", str(finished), str(tmp_path / "r")], check=True)
    change(tmp_path / "r")
    before = content(tmp_path / "r")
    with pytest.raises(GanloomError, match=message):
        ganloom.resume(tmp_path / "r", console=Callback(), **options)
    assert content(tmp_path / "r") == before


def test_a_refused_train_makes_no_folder(tmp_path: Path) -> None:
    for options in ({"batch_size": 1}, {"batch_size": 9, "micro_batch": 8}, {"total_kimg": -1}):
        with pytest.raises(BadInput):
            train(tmp_path / "r", **options)
        assert not (tmp_path / "r").exists()
    with Folder(tmp_path / "r").lock():
        assert (tmp_path / "r" / "lock").read_text() == str(os.getpid())
        with pytest.raises(BadInput, match=f"process {os.getpid()}"), Folder(tmp_path / "r").lock():
            pass
    assert not (tmp_path / "r").exists(), "nothing began, so nothing stays"


@pytest.mark.parametrize("name", ["lock", "log.txt", "events.jsonl", "metrics.jsonl"])
def test_links_in_a_run_are_not_followed(name: str, finished: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(finished), str(tmp_path / "r")], check=True)
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "r" / name).unlink(missing_ok=True)
    (tmp_path / "r" / name).symlink_to(tmp_path / "victim")
    with pytest.raises(BadInput, match=f"{name} is a symbolic link"):
        ganloom.resume(tmp_path / "r", total_kimg=1, console=Callback())
    assert (tmp_path / "victim").read_text() == "precious"


# -------------------------------------------------------------------------------------------------------------- signals

SCRIPT = """
import sys, numpy as np
from ganloom.cli import main
main(["train", "gan", sys.argv[1], "--out", sys.argv[2], "--total-kimg", "1000", "--judge", "0", "--grid", "4",
      "--kimg-per-tick", "0.2", "--g-widths", "8", "--d-widths", "8", "--batch-size", "8", "--no-doctor"])
"""


def test_a_closed_terminal_saves_the_run(tmp_path: Path) -> None:
    """SIGHUP, and a terminal to which nothing can be written any more."""
    pty = pytest.importorskip("pty")
    np.save(tmp_path / "d.npy", IMAGES)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "d.npy"), str(tmp_path / "r")], stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    end = time.monotonic() + 100
    while time.monotonic() < end and not (tmp_path / "r" / "report.html").exists():
        if select.select([master], [], [], 0.1)[0]:
            os.read(master, 65536)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 129
    assert checkpoint.names(tmp_path / "r" / "checkpoints")
    assert json.loads((tmp_path / "r" / "run.json").read_text())["exit_reason"] == "SIGHUP"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler of Ctrl-C: a test run that a shell started in the background inherits an ignored SIGINT."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("name", "code", "word"), [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM")])
def test_signals_before_the_loop_leave_a_run_that_can_be_started(
    name: str, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "d.npy", IMAGES)
    words = [
        "train",
        "gan",
        tmp_path / "d.npy",
        "--out",
        tmp_path / "r",
        "--total-kimg",
        0.02,
        "--judge",
        0,
        "--grid",
        4,
    ]
    before = {s: signal.getsignal(getattr(signal, s)) for s in ("SIGINT", "SIGTERM", "SIGHUP")}

    def stop(*args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(30)  # the handler ends it; the signal may reach another thread first

    with monkeypatch.context() as patch:
        patch.setattr("ganloom.runs.session.Trainer", stop)  # after the folder is made, before the loop
        got, _, err = call(capsys, *words)
    assert got == code and err.count("\n") == 1
    assert f"stopped by {word} before training began: run the same command again" in err
    assert before == {s: signal.getsignal(getattr(signal, s)) for s in before}
    assert call(capsys, *words)[0] == 0


def test_the_last_line_says_how_to_continue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Press(Callback):
        def on_tick(self, trainer: Any, row: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        train(tmp_path / "my run", callbacks=[Press()])
    assert str(stop.value) == f"stopped by Ctrl-C, saved at kimg 0.08, next: ganloom resume '{tmp_path / 'my run'}'"


def test_sighup_stays_ignored_under_nohup(tmp_path: Path) -> None:
    class Hang(Callback):
        def on_tick(self, trainer: Any, row: Any) -> None:
            os.kill(os.getpid(), signal.SIGHUP)

    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert train(tmp_path / "r", callbacks=[Hang()]).reason == "finished"
    finally:
        signal.signal(signal.SIGHUP, old)


# ----------------------------------------------------------------------------------------------------- memory and disks

OUT = [
    MemoryError(), np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(float)),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("MPS backend out of memory"), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]  # fmt: skip


@pytest.mark.parametrize("error", OUT, ids=str)
def test_memory_that_runs_out_names_the_flags(error: Exception, tmp_path: Path) -> None:
    class Full(Callback):
        def on_step(self, trainer: Any) -> None:
            trainer.train_step = self.step

        def step(self) -> None:
            raise error

    assert memory.ran_out(error)
    with pytest.raises(GanloomError, match=r"out of memory.*--batch-size \(now 8\).*--micro-batch") as refused:
        train(tmp_path / "r", callbacks=[Full()])
    assert "\n" not in str(refused.value)


def test_other_errors_are_not_taken_for_it() -> None:
    for error in (RuntimeError("shape mismatch"), OSError(errno.ENOSPC, "full"), ValueError("out of memory")):
        assert not memory.ran_out(error)


def test_evaluate_prints_before_it_writes(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["cp", "-r", str(finished), str(tmp_path / "r")], check=True)
    words = ["evaluate", tmp_path / "r", "--n", 16, "--k", 2, "--features", "random", "--no-intervals"]
    before = content(tmp_path / "r")
    printed: list[str] = []

    def read_only(*args: Any, **kwargs: Any) -> None:
        printed.append(capsys.readouterr().out)
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("ganloom.core.output_files._temporary", read_only)
        code, out, err = call(capsys, *words)
    assert code == 0 and "fd_random" in printed[0] and "wrote" not in out
    assert "metrics.json was not written: Read-only file system" in err and content(tmp_path / "r") == before
    assert call(capsys, *words)[0] == 0 and call(capsys, *words)[0] == 0
    (tmp_path / "r" / "metrics.json").write_text("mine")
    code, out, err = call(capsys, *words)
    assert code == 2 and "metrics.json was not written by ganloom" in err and not out


# ------------------------------------------------------------------------------------------------------ bounds in time


def test_sample_grids_are_thinned_and_the_users_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MOST_GRIDS", 6)
    run = train(tmp_path / "r", kimg_per_tick=0.008).path
    samples = run / "samples"
    (samples / "00000001.png").write_bytes(b"mine")
    (samples / "favourite.png").write_bytes(b"mine")
    ganloom.resume(run, total_kimg=0.4, console=Callback())
    times = sorted(int(p.stem) for p in samples.glob("0*.png"))
    assert times.count(1) == 1 and (samples / "favourite.png").exists()
    times.remove(1)
    assert len(times) == 6 and times[0] == 0 and times[-1] == 400
    gaps = np.diff(times)
    assert gaps.max() <= 3 * gaps.min(), times


def test_least_needed_keeps_the_ends() -> None:
    times = list(range(3))
    for new in range(3, 2000):
        times.append(new)
        if len(times) > 20:
            times.remove(grids.least_needed(times))
    assert times[0] == 0 and times[-1] == 1999 and np.diff(times).max() <= 2.1 * 1999 / 19


def test_events_that_cannot_be_written_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(tmp_path / "run")
    folder.path.mkdir()
    (tmp_path / "elsewhere").write_text("")
    (folder.path / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    storage = RunStorage(folder)
    for _ in range(2):
        storage.event("warning", "text", 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "events.jsonl cannot be written" in line] == [lines[0]]
    assert "symbolic link" in lines[0] and lines.count("warning: text") == 2
    assert (tmp_path / "elsewhere").read_text() == ""
