"""Callbacks: what they write, and that none of them can stop or change a run."""

import io
import json
import math
import os
import pty
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganloom
from ganloom.core.errors import MissingExtra
from ganloom.report.number_format import duration
from ganloom.training import callbacks
from ganloom.training.callbacks import Callback, Console, Grids, Guarded, Jsonl, Report, TensorBoard, Wandb


class FakeData:
    def __init__(self, shape: tuple[int, ...] = (1, 8, 6), classes: int = 0, size: int = 100) -> None:
        self.shape, self.n_classes, self._size = shape, classes, size
        self.kind = "points" if len(shape) == 1 else "images"
        self.labels = np.arange(size) % classes if classes else None

    def __len__(self) -> int:
        return self._size

    def get(self, indices: Tensor) -> Tensor:
        labels = indices % max(1, self.n_classes)
        values = labels / max(1, self.n_classes - 1) * 2 - 1
        return values.float().reshape(-1, *[1] * len(self.shape)).expand(len(indices), *self.shape)


class FakeGAN:
    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        self.shape, self.cfg = shape, types.SimpleNamespace(n_classes=classes)
        self.calls: list[tuple[int, int, Tensor | None]] = []

    def generate(self, n: int, seed: int = 0, *, c: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        self.calls.append((n, seed, c))
        return torch.rand(n, *self.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class FakeTrainer:
    def __init__(self, run_dir: Path | None, shape: tuple[int, ...] = (1, 8, 6), classes: int = 0) -> None:
        self.run_dir, self.data = run_dir, FakeData(shape, classes)
        self.gan = self.ema = FakeGAN(shape, classes)
        self.cfg = types.SimpleNamespace(seed=7)
        self.nimg = self.start_nimg = self.step = 0
        self.total_nimg: float = 200_000
        self.total_seconds, self.elapsed = math.inf, 1.0
        self.device = torch.device("cpu")
        self.events: list[tuple[str, str]] = []

    @property
    def ends_by_images(self) -> bool:
        return math.isfinite(self.total_nimg)

    @property
    def progress(self) -> tuple[int, int]:
        return self.nimg, int(self.total_nimg) if self.ends_by_images else 0

    def event(self, kind: str, text: str) -> None:
        self.events.append((kind, text))

    def tick(self, callback: Callback, nimg: int, **more: Any) -> None:
        self.nimg, self.step = nimg, nimg // 64
        callback.on_step(self)
        callback.on_tick(self, row(nimg, **more))


def row(nimg: int, **more: Any) -> dict[str, Any]:
    return {
        "kimg": nimg / 1000, "nimg": nimg, "step": nimg // 64, "seconds": 3.0, "img_per_s": 41.0, "D/adv": 0.61,
        "D/logits_real": 0.7, "D/logits_fake": -0.4, "D/grad_norm": 0.38, "G/adv": 1.84, "G/grad_norm": 0.42,
    } | more  # fmt: skip


def test_the_base_does_nothing() -> None:
    callback, trainer = Callback(), object()
    callback.on_start(trainer), callback.on_step(trainer), callback.on_tick(trainer, {}), callback.on_end(trainer, "x")
    assert [name for name in vars(Callback) if not name.startswith("__")] == [
        "on_start",
        "on_stage",
        "on_step",
        "on_tick",
        "on_end",
    ]


# -------------------------------------------------------------------------------------------------------------- console


def test_console_writes_a_line_a_tick() -> None:
    out = io.StringIO()
    console, trainer = Console(stream=out), FakeTrainer(None)
    console.on_start(trainer)
    trainer.tick(console, 12_000)
    trainer.tick(console, 16_000, **{"fd_fashion2k": 45.123, "G/adv": math.nan, "partial": True})
    console.on_end(trainer, "finished")
    legend, first, second = out.getvalue().splitlines()
    assert legend == (
        "legend: kimg = thousands of real images shown; D, G = losses; D(real), D(fake) = mean logits; "
        "|gD|, |gG| = gradient norms"
    )
    assert first == (
        "kimg 12.0/200  D 0.610  G 1.84  D(real) 0.700  D(fake) -0.400  |gD| 0.380  |gG| 0.420  41 img/s  left 1 h 16 m"
    )
    assert "G nan" in second and "fd_fashion2k 45.12" in second and "partial" not in second


def test_console_begins_with_its_title() -> None:
    out = io.StringIO()
    console, trainer = Console(stream=out), FakeTrainer(None)
    console.title = "dcgan on photos"
    console.on_start(trainer)
    trainer.tick(console, 12_000)
    assert out.getvalue().startswith("dcgan on photos\nlegend: ") and "\nkimg 12.0" in out.getvalue()


def test_console_without_an_end_says_no_time_left() -> None:
    out = io.StringIO()
    console, trainer = Console(stream=out), FakeTrainer(None)
    trainer.total_nimg = math.inf
    console.on_start(trainer)
    trainer.tick(console, 500, img_per_s=None)
    assert "\nkimg 0.5  D 0.610" in out.getvalue() and "left" not in out.getvalue()


def test_console_writes_json_lines_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console, trainer = Console(json=True), FakeTrainer(None)
    console.on_start(trainer)
    trainer.tick(console, 500, **{"G/adv": math.nan})
    trainer.tick(console, 1000)
    console.on_end(trainer, "finished")
    out, err = capsys.readouterr()
    rows = [
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for line in out.splitlines()
    ]
    assert [r["nimg"] for r in rows] == [500, 1000] and rows[0]["G/adv"] is None and err == ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stream that is a terminal, and a function that returns what was written to it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main, other = pty.openpty()
    with os.fdopen(other, "w", encoding="utf-8") as stream:

        def written() -> str:
            stream.flush()
            os.set_blocking(main, False)
            parts = []
            try:
                while part := os.read(main, 65536):
                    parts.append(part)
            except BlockingIOError:
                pass
            return b"".join(parts).decode()

        yield stream, written
    os.close(main)


def test_console_on_a_terminal_is_live_and_gives_it_back(terminal: Any) -> None:
    stream, written = terminal
    console, trainer = Console(stream=stream), FakeTrainer(None)
    console.on_start(trainer)
    trainer.tick(console, 12_000, **{"fd_[red]": 45.1})
    shown = written()
    assert "\x1b[?25l" in shown and "12.0/200" in shown and "D(real)" in shown and "left" in shown
    assert "fd_[red]" in shown, "names are no markup"
    console.on_end(trainer, "finished")
    console.on_end(trainer, "finished")
    assert written().rstrip().endswith("\x1b[?25h")


def test_console_gives_the_terminal_back_on_ctrl_c(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, written = terminal
    out = sys.stdout
    console, trainer = Console(stream=stream), FakeTrainer(None)
    console.on_start(trainer)
    written()

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.tick(console, 12_000)
    assert "\x1b[?25h" in written() and sys.stdout is out
    monkeypatch.undo()
    trainer.tick(console, 16_000)
    assert "kimg 16.0" in written(), "plain lines from then on"
    console.on_end(trainer, "failed")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_console_is_plain_where_asked(terminal: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    stream, written = terminal
    monkeypatch.setenv(name, value)
    console, trainer = Console(stream=stream), FakeTrainer(None)
    console.on_start(trainer)
    trainer.tick(console, 12_000)
    assert "\nkimg 12.0/200" in written().replace("\r", "") and console._live is None


# ----------------------------------------------------------------------------------------------------------- run folder


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_resumes_as_if_never_stopped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"nimg": 99}\n')
    jsonl, trainer = Jsonl(), FakeTrainer(tmp_path)
    jsonl.on_start(trainer)
    assert path.read_text() == "", "a new run starts anew"
    for nimg in (500, 1000, 1500):
        trainer.tick(jsonl, nimg)
    trainer.tick(jsonl, 1600, partial=True)
    with path.open("a") as file:
        file.write('{"nimg": 1700, "D/a')
    again, trainer.start_nimg = Jsonl(), 1000
    again.on_start(trainer)
    assert [r["nimg"] for r in read(path)] == [500, 1000]
    for nimg in (1500, 2000):
        trainer.tick(again, nimg, **{"G/adv": math.inf})
    assert [r["nimg"] for r in read(path)] == [500, 1000, 1500, 2000] and read(path)[-1]["G/adv"] is None
    trainer.start_nimg = 2000
    trainer.tick(again, 2100, partial=True)
    Jsonl().on_start(trainer)
    assert [r["nimg"] for r in read(path)] == [500, 1000, 1500, 2000]


def test_jsonl_follows_a_rollback(tmp_path: Path) -> None:
    jsonl, trainer = Jsonl(), FakeTrainer(tmp_path)
    jsonl.on_start(trainer)
    for nimg in (500, 1000, 1500, 1000, 1500):
        trainer.tick(jsonl, nimg)
    assert [r["nimg"] for r in read(tmp_path / "metrics.jsonl")] == [500, 1000, 1500]


def test_report_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    written: list[Path] = []
    callback, trainer = Report(every_seconds=3600, write=written.append), FakeTrainer(tmp_path)
    callback.on_start(trainer)
    for nimg in (500, 1000, 1500):
        trainer.tick(callback, nimg)
    assert len(written) == 1
    callback.on_end(trainer, "finished")
    assert written == [tmp_path, tmp_path]
    Report().on_end(trainer, "finished")
    assert (tmp_path / "report.html").exists()


def test_without_a_run_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = FakeTrainer(None)
    for callback in (Jsonl(), Report(), Grids()):
        callback.on_start(trainer)
        trainer.tick(callback, 500)
        callback.on_end(trainer, "finished")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------- grids


def test_grids_repeat_the_same_latents(tmp_path: Path) -> None:
    grids, trainer = Grids(every_tick=2, n=9), FakeTrainer(tmp_path)
    grids.on_start(trainer)
    for nimg in (500, 1000, 1500):
        trainer.tick(grids, nimg)
    grids.on_end(trainer, "finished")
    grids.on_end(trainer, "finished")
    names = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert names == ["00000000.png", "00001000.png", "00001500.png", "reals.png"]
    assert {call[:2] for call in trainer.ema.calls} == {(9, 7)} and len(trainer.ema.calls) == 3
    assert (tmp_path / "samples/00001000.png").read_bytes() == (tmp_path / "samples/00001500.png").read_bytes()
    resumed = FakeTrainer(tmp_path)
    resumed.start_nimg = 1500
    Grids(n=9).on_start(resumed)
    assert resumed.ema.calls == []


def test_grids_of_a_conditional_model_have_a_class_a_row(tmp_path: Path) -> None:
    grids, trainer = Grids(n=16), FakeTrainer(tmp_path, classes=4)
    grids.on_start(trainer)
    n, _, c = trainer.ema.calls[0]
    assert c is not None and n == 16 and c.dtype == torch.int64
    assert c.reshape(4, 4).tolist() == [[k] * 4 for k in range(4)]
    with Image.open(tmp_path / "samples/reals.png") as saved:
        sheet = np.asarray(saved)
    height, width = sheet.shape
    centres = sheet[height // 8 :: height // 4, width // 8 :: width // 4][:4, :4]
    assert centres.tolist() == [[value] * 4 for value in (0, 85, 170, 255)]


def test_reals_are_even_over_the_classes(tmp_path: Path) -> None:
    trainer = FakeTrainer(tmp_path)
    trainer.data = FakeData(classes=4)
    trainer.data.labels = np.array([0] * 90 + [1] * 6 + [2] * 3 + [3])
    seen: list[Tensor] = []
    original = trainer.data.get
    trainer.data.get = lambda indices: (seen.append(indices), original(indices))[1]  # type: ignore[method-assign]
    Grids(n=12).on_start(trainer)
    assert np.bincount(trainer.data.labels[seen[0].numpy()]).tolist() == [3, 3, 3, 3]
    assert trainer.ema.calls[0][2] is None


def test_grids_of_points_are_scatter_plots_and_tables_are_left_alone(tmp_path: Path) -> None:
    points = FakeTrainer(tmp_path / "points", shape=(2,))
    Grids().on_start(points)
    assert points.ema.calls[0][0] == Grids.POINTS
    with Image.open(tmp_path / "points/samples/00000000.png") as saved:
        assert saved.size == (512, 512)
    table = FakeTrainer(tmp_path / "table", shape=(9,))
    grids = Grids()
    grids.on_start(table)
    table.tick(grids, 500)
    assert not (tmp_path / "table").exists()


# --------------------------------------------------------------------------------------------------- guard and trackers


class Failing(Callback):
    def __init__(self, error: BaseException) -> None:
        self.error, self.calls = error, 0

    def on_tick(self, trainer: Any, row: dict[str, Any]) -> None:
        self.calls += 1
        raise self.error


def test_guarded_warns_once_and_training_goes_on() -> None:
    failing = Failing(OSError("no space\nleft"))
    guarded, trainer = Guarded(failing), FakeTrainer(None)
    guarded.on_start(trainer)
    for nimg in (500, 1000, 1500):
        trainer.tick(guarded, nimg)
    guarded.on_end(trainer, "finished")
    assert trainer.events == [("warning", "Failing switched off: OSError: no space left")] and failing.calls == 1


def test_guarded_survives_a_log_that_fails_too(caplog: pytest.LogCaptureFixture) -> None:
    guarded, trainer = Guarded(Failing(ValueError())), FakeTrainer(None)
    trainer.event = Failing(OSError("full")).on_tick  # type: ignore[method-assign]
    trainer.tick(guarded, 500)
    assert "Failing switched off: ValueError" in caplog.text


def test_guarded_lets_ctrl_c_pass() -> None:
    guarded, trainer = Guarded(Failing(KeyboardInterrupt())), FakeTrainer(None)
    with pytest.raises(KeyboardInterrupt):
        trainer.tick(guarded, 500)
    assert trainer.events == []


def test_trackers_that_are_not_installed_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r'pip install "ganloom\[tensorboard\]"'):
        TensorBoard()
    with pytest.raises(MissingExtra, match=r'pip install "ganloom\[wandb\]"'):
        Wandb("project")


def test_trackers_receive_the_finite_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, **settings: Any) -> None:
            log.append(("open", settings["log_dir"]))

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **more: log.append((name, *args, *more.values()))

    wandb = types.SimpleNamespace(init=lambda **settings: Writer(log_dir=settings["project"]))
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    for callback in (TensorBoard(), Wandb("cats")):
        trainer = FakeTrainer(tmp_path)
        callback.on_start(trainer)
        trainer.tick(callback, 500, **{"G/adv": math.nan, "partial": True})
        callback.on_end(trainer, "failed")
    assert log[0] == ("open", str(tmp_path / "tensorboard")) and ("open", "cats") in log
    assert ("add_scalar", "D/adv", 0.61, 500) in log and ("close",) in log and ("finish", 1) in log
    assert not any("G/adv" in entry or "partial" in entry for entry in log)
    sent = next(entry for entry in log if entry[0] == "log")
    assert sent[1]["D/adv"] == 0.61 and "G/adv" not in sent[1] and sent[2] == 500


def test_duration_is_offered_here() -> None:
    assert duration(4560) == "1 h 16 m"


def test_the_old_keyword_is_accepted(tmp_path: Path) -> None:
    class Counter(callbacks.Callback):
        ended = 0

        def on_end(self, trainer: Any, reason: str) -> None:
            self.ended += 1

    counter = Counter()
    small = {"g_widths": (8,), "d_widths": (8,), "judge": 0, "doctor": False}
    with pytest.warns(DeprecationWarning, match="callbacks="):
        run = ganloom.train("gan", "ring", tmp_path / "run", total_kimg=0.2, observers=[counter], **small)
    with pytest.warns(DeprecationWarning, match="callbacks="):
        ganloom.resume(run, total_kimg=0.4, observers=[counter])
    assert counter.ended == 2
