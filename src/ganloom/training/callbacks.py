"""What looks on while a model trains: console, grids, metrics.jsonl, report.html, trackers.

A callback may look at everything and change nothing. It knows the Trainer by what it offers (``nimg``, ``total_nimg``,
``ema``, ``data``, ``run_dir``, ``event`` ...), never a recipe.
"""

import atexit
import contextlib
import dataclasses
import json
import logging
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from ganloom import report
from ganloom.core.errors import need
from ganloom.imaging import grid
from ganloom.report.figures import duration as duration
from ganloom.report.figures import headline, kimg, number, short

Row = dict[str, Any]


class Callback:
    """Does nothing; override what you need."""

    def on_start(self, trainer: Any) -> None:
        """Before the first step, also of a resumed run."""

    def on_step(self, trainer: Any) -> None:
        """After each step."""

    def on_tick(self, trainer: Any, row: Row) -> None:
        """With the statistics since the last tick."""

    def on_end(self, trainer: Any, reason: str) -> None:
        """Once, however the run ended."""


class Guarded(Callback):
    """Keeps training alive when ``callback`` fails: one warning event, and it is switched off. Ctrl-C passes."""

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback
        self.name = type(callback).__name__

    def on_start(self, trainer: Any) -> None:
        self._try(trainer, "on_start")

    def on_step(self, trainer: Any) -> None:
        self._try(trainer, "on_step")

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._try(trainer, "on_tick", row)

    def on_end(self, trainer: Any, reason: str) -> None:
        self._try(trainer, "on_end", reason)

    def _try(self, trainer: Any, method: str, *args: Any) -> None:
        if self.callback is None:
            return
        try:
            getattr(self.callback, method)(trainer, *args)
        except Exception as error:
            self.callback = None
            detail = " ".join(str(error).split())[:300]
            text = f"{self.name} switched off: {type(error).__name__}{': ' if detail else ''}{detail}"
            try:
                trainer.event("warning", text)
            except Exception:  # a full disk fails the log of events as well
                logging.getLogger("ganloom").warning(text)


# ------------------------------------------------------------------------------------------------------------- console


class Console(Callback):
    """Progress for people: a live table on a terminal, a line a tick elsewhere, JSON lines on stdout on request."""

    def __init__(self, stream: TextIO | None = None, json: bool = False) -> None:
        """``stream`` None: stderr as it is when training starts. ``json``: rows go to stdout and nothing else does."""
        self._stream, self._json = stream, json
        self._live: Any = None
        self._speeds: deque[float] = deque(maxlen=5)
        self._row: Row = {}
        self._drawn = self._started = 0.0
        self.title = ""
        """One line said at the start: what is trained on what."""

    def on_start(self, trainer: Any) -> None:
        self._out = sys.stdout if self._json else self._stream or sys.stderr
        self._started = time.monotonic()
        if self.title and not self._json:
            print(self.title, file=self._out, flush=True)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not self._out.isatty()
        if self._json or plain:
            return
        rich_console, rich_live = need("rich.console", "rich"), need("rich.live", "rich")
        # No thread draws: between two steps the terminal is never in the middle of something.
        console = rich_console.Console(file=self._out)
        self._live = rich_live.Live(
            self._table(trainer), console=console, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
        )
        atexit.register(self._close)
        self._live.start(refresh=True)

    def on_step(self, trainer: Any) -> None:
        if self._live and time.monotonic() - self._drawn > 0.5:
            self._draw(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._row = row
        if (speed := number(row.get("img_per_s"))) > 0:
            self._speeds.append(speed)
        if self._live:
            self._draw(trainer)
        elif self._json:
            print(json.dumps(_plain(row)), file=self._out, flush=True)
        else:
            print(self._line(trainer, row), file=self._out, flush=True)

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._live and reason == "finished":
            self._draw(trainer)
        self._close()

    def _close(self) -> None:
        """Give the terminal back: cursor shown, streams restored. May be called twice."""
        live, self._live = self._live, None
        if live:
            live.stop()
            atexit.unregister(self._close)

    def _draw(self, trainer: Any) -> None:
        self._drawn = time.monotonic()
        try:
            self._live.update(self._table(trainer), refresh=True)
        except BaseException:
            self._close()
            raise

    def _left(self, trainer: Any) -> float:
        """Seconds to the end at the speed of the last ticks; infinite where unknown."""
        ahead = max(0.0, trainer.total_nimg - trainer.nimg)
        return ahead * sum(1 / v for v in self._speeds) / len(self._speeds) if self._speeds else math.inf

    def _speed(self) -> str:
        last = self._speeds[-1] if self._speeds else math.nan
        return f"{last:.0f}" if last >= 10 else short(last)

    def _clock(self, trainer: Any) -> str:
        return f"{trainer.nimg / 1000:.1f}" + (
            f"/{kimg(trainer.total_nimg / 1000)}" if math.isfinite(trainer.total_nimg) else ""
        )

    def _line(self, trainer: Any, row: Row) -> str:
        shown = [f"kimg {self._clock(trainer)}", *(f"{name} {value}" for name, value in headline(row))]
        if self._speeds:
            shown.append(f"{self._speed()} img/s")
        if math.isfinite(left := self._left(trainer)):
            shown.append(f"left {duration(left)}")
        if row.get("doctor"):
            shown.append(str(row["light"] if row["light"] == "green" else row["doctor"]))
        return "  ".join(shown)

    def _table(self, trainer: Any) -> Any:
        table = need("rich.table", "rich").Table.grid(padding=(0, 2))
        bar = need("rich.progress_bar", "rich").ProgressBar
        text = need("rich.text", "rich").Text  # names from a run are no markup
        known = math.isfinite(trainer.total_nimg) and trainer.total_nimg > 0
        left = self._left(trainer)
        times = f"elapsed {duration(time.monotonic() - self._started)}"
        times += f"   left {duration(left)}" if math.isfinite(left) else ""
        table.add_row("kimg", text(self._clock(trainer), style="bold"))
        if known:
            table.add_row("", bar(total=trainer.total_nimg, completed=min(trainer.nimg, trainer.total_nimg), width=40))
        table.add_row("", text(f"{self._speed()} img/s   {times}"))
        for name, value in headline(self._row):
            table.add_row(text(name, style="dim"), text(value))
        if self._row.get("doctor"):
            table.add_row(text("doctor", style="dim"), text(str(self._row["doctor"]), style=str(self._row["light"])))
        return table


# ----------------------------------------------------------------------------------------------------------- run folder


def _plain(row: Row) -> Row:
    """A row in standard JSON, which has no NaN or infinity: those become null."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


class Jsonl(Callback):
    """RUN/metrics.jsonl, a row a tick. A resumed run writes on as if it had never stopped."""

    _path: Path | None = None
    _last = -1

    def on_start(self, trainer: Any) -> None:
        self._path = None if trainer.run_dir is None else Path(trainer.run_dir) / "metrics.jsonl"
        self._cut(trainer.start_nimg)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if self._path is None:
            return
        if row["nimg"] <= self._last:  # the run went back to a checkpoint
            self._cut(row["nimg"] - 1)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(row)) + "\n")
        self._last = row["nimg"]

    def _cut(self, nimg: int) -> None:
        """Keep whole rows up to ``nimg``, but for partial ones, which an uninterrupted run does not write."""
        self._last = -1
        if self._path is None or not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = json.loads(line)
                if row["nimg"] <= nimg and not row.get("partial"):
                    kept.append(line + "\n")
                    self._last = row["nimg"]
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, self._path)


class Report(Callback):
    """RUN/report.html, written anew at ticks, at most every ``every_seconds``, and at the end."""

    def __init__(self, every_seconds: float = 20.0, write: Callable[[Path], object] = report.write) -> None:
        self._every, self._write, self._written = every_seconds, write, -math.inf

    def on_tick(self, trainer: Any, row: Row) -> None:
        if trainer.run_dir is not None and time.monotonic() - self._written >= self._every:
            self._write(Path(trainer.run_dir))
            self._written = time.monotonic()

    def on_end(self, trainer: Any, reason: str) -> None:
        if trainer.run_dir is not None:
            self._write(Path(trainer.run_dir))


# ---------------------------------------------------------------------------------------------------------------- grids


class Grids(Callback):
    """RUN/samples/: reals.png once, and at ticks the same latents through the averaged model.

    2-D points are drawn as scatter plots; data that are neither images nor points leave no file.
    """

    POINTS = 1024

    def __init__(self, every_tick: int = 1, n: int = 64) -> None:
        self.every_tick, self.n = every_tick, n
        self._ticks = 0
        self._saved = -1

    def on_start(self, trainer: Any) -> None:
        shape = tuple(trainer.data.shape)
        drawable = len(shape) == 3 or shape == (2,)
        self._folder = Path(trainer.run_dir) / "samples" if trainer.run_dir is not None and drawable else None
        if self._folder is None:
            return
        classes = int(getattr(getattr(trainer.ema, "cfg", None), "n_classes", 0) or 0)
        self._points = shape == (2,)
        self._columns: int | None = None
        self._c: Tensor | None = None
        if classes and not self._points:
            self._columns, rows = grid.class_rows(self.n, classes)
            self._c = torch.tensor(rows).repeat_interleave(self._columns)
        self._count = self.POINTS if self._points else self.n if self._c is None else len(self._c)
        self._beside: list[Tensor] = []
        real = self._translations(trainer) if getattr(trainer.ema, "conditions_on", "") == "images" else None
        real = self._reals(trainer.data) if real is None else real
        self._extent = grid.reach(real) if self._points else None
        self._modes = getattr(trainer.data, "modes", None)
        grid.save_png(self._draw(real), self._folder / "reals.png")
        if trainer.start_nimg == 0:
            self._save(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._ticks += 1
        if self._ticks % self.every_tick == 0:
            self._save(trainer)

    def on_end(self, trainer: Any, reason: str) -> None:
        if reason == "finished" and trainer.nimg != self._saved:
            self._save(trainer)

    def _save(self, trainer: Any) -> None:
        if self._folder is None:
            return
        samples = trainer.ema.generate(self._count, seed=trainer.cfg.seed, c=self._c)
        if self._beside:  # input, what is made of it, and the truth where it is known
            samples = grid.side_by_side(self._beside[0], samples.cpu(), *self._beside[1:])
        grid.save_png(self._draw(samples), self._folder / f"{trainer.nimg:08d}.png")
        self._saved = trainer.nimg

    def _translations(self, trainer: Any) -> Tensor:
        """Of images made from images: the inputs to show, from what training does not see where there is such."""
        data = trainer.data.held or trainer.data
        count = max(1, min(self.n // 2, len(data)))
        rows = torch.tensor([i * len(data) // count for i in range(count)])
        self._c, self._count = trainer.ema.inputs(data, rows), count
        self._beside = [self._c.cpu(), *([data.get(rows).cpu()] if data.paired else [])]
        width = 2 + data.paired
        self._columns = width * max(1, round((width * count) ** 0.5 / width))
        real: Tensor = data.get(rows)
        return real

    def _draw(self, x: Tensor) -> Any:
        return grid.scatter(x, self._modes, self._extent) if self._points else grid.grid(x, self._columns)

    def _reals(self, data: Any) -> Tensor:
        """Real data laid out like the samples: by class where the grid is, else evenly over the classes or the set."""
        count, labels = self._count, getattr(data, "labels", None)
        labels = None if labels is None else torch.as_tensor(labels)
        if labels is None or labels.dim() != 1 or labels.is_floating_point():
            total = len(data)
            chosen = [i * total // count for i in range(min(count, total))]
        else:
            wanted = self._c if self._c is not None else torch.unique(labels).repeat(count)[:count]
            chosen = _members(labels, wanted.tolist())
        found = data.get(torch.tensor(chosen))
        x: Tensor = getattr(found, "x", found)
        return x


def _members(labels: Tensor, wanted: Sequence[int]) -> list[int]:
    """For each wanted class the place of its next member in ``labels``, from the start again when they run out."""
    places = {c: torch.nonzero(labels == c).flatten().tolist() for c in set(wanted)}
    taken = dict.fromkeys(places, 0)
    chosen = []
    for c in wanted:
        if places[c]:
            chosen.append(places[c][taken[c] % len(places[c])])
            taken[c] += 1
    return chosen


# ------------------------------------------------------------------------------------------------------------- trackers


class TensorBoard(Callback):
    """Rows as TensorBoard scalars over nimg; ``log_dir`` None: RUN/tensorboard."""

    def __init__(self, log_dir: str | Path | None = None) -> None:
        need("tensorboard", "tensorboard")
        self._log_dir = log_dir
        self._writer: Any = None

    def on_start(self, trainer: Any) -> None:
        log_dir = self._log_dir or (Path(trainer.run_dir) / "tensorboard" if trainer.run_dir is not None else None)
        writer = need("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer = writer(log_dir=None if log_dir is None else str(log_dir), purge_step=trainer.start_nimg)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if self._writer is not None:
            for name, value in _scalars(row).items():
                self._writer.add_scalar(name, value, row["nimg"])
            self._writer.flush()

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._writer is not None:
            self._writer.close()


class Wandb(Callback):
    """Rows to Weights & Biases, with the training and recipe settings; nothing leaves the machine without it."""

    def __init__(self, project: str) -> None:
        self._wandb, self._project = need("wandb", "wandb"), project
        self._run: Any = None

    def on_start(self, trainer: Any) -> None:
        settings = {"train": trainer.cfg, "recipe": getattr(trainer.gan, "cfg", None)}
        config = {
            name: dataclasses.asdict(cfg)
            for name, cfg in settings.items()
            if dataclasses.is_dataclass(cfg) and not isinstance(cfg, type)
        }
        name = None if trainer.run_dir is None else Path(trainer.run_dir).name
        self._run = self._wandb.init(project=self._project, name=name, config=config)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._run.log(_scalars(row), step=row["nimg"])

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=1 if reason in ("failed", "nan") else 0)


def _scalars(row: Row) -> dict[str, float]:
    """The finite numbers of a row."""
    return {name: value for name, v in row.items() if not math.isnan(value := number(v))}
