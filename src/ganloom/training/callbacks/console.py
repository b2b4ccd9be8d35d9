"""Show the progress of a training: a table on a terminal, text lines or JSON lines."""

import atexit
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

from ganloom.core.errors import need
from ganloom.core.terminal import GONE, say
from ganloom.report.number_format import duration, headline, is_metric, kimg, number, per_second, short
from ganloom.report.progress import Progress, error_stream
from ganloom.training.callbacks import legend
from ganloom.training.callbacks.base import Callback, Row
from ganloom.training.callbacks.jsonl import plain_json


class Console(Callback):
    """Shows the progress: a live table on a terminal, otherwise one line per tick.

    Args:
        stream: Where to write; None for the stderr at the start of the training.
        json: Write the rows as JSON lines to stdout, and nothing else.
        progress: Shows on stderr what the training does while no line is printed. None: nothing is shown then.

    Attributes:
        title: A line that is printed at the start.
        describe_metric: Returns a sentence on the metric that selects the best checkpoint, once it is measured.
    """

    def __init__(self, stream: TextIO | None = None, json: bool = False, progress: Progress | None = None) -> None:
        self._stream, self._json, self._progress = stream, json, progress
        self._live: Any = None
        self._trainer: Any = None
        self._owns_progress = False
        self._speeds: deque[float] = deque(maxlen=5)
        self._row: Row = {}
        self._drawn = self._started = 0.0
        self._now = ""
        self._began = self._explained = self._gone = False
        self.title = ""
        self.describe_metric: Callable[[], str] = str

    def on_start(self, trainer: Any) -> None:
        self._out = sys.stdout if self._json else self._stream or error_stream()
        self._started, self._trainer = time.monotonic(), trainer
        self._say(self.title)
        if self._progress is not None:
            self._owns_progress = self._progress.start()
            self._progress("the first training step")
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not self._out.isatty()
        if self._json or plain:
            return
        rich_console, rich_live = need("rich.console", "rich"), need("rich.live", "rich")
        # No refresh thread: the table is drawn between steps and by the thread of the progress.
        console = rich_console.Console(file=self._out)
        if self._progress is not None:
            self._progress.hand_over(self._show_stage)
        self._live = rich_live.Live(
            self._table(trainer), console=console, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
        )
        atexit.register(self._close)
        self._live.start(refresh=True)

    def on_stage(self, trainer: Any, what: str) -> None:
        if self._progress is not None:
            self._progress(what)

    def on_step(self, trainer: Any) -> None:
        if self._progress is not None:
            done, total = trainer.progress
            by_time = total and not trainer.ends_by_images
            self._progress("training (seconds)" if by_time else f"training ({_unit(trainer)})", done, total)
        if self._live and time.monotonic() - self._drawn > 0.5:
            self._now = ""
            self._draw(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._row = dict(row)  # other callbacks add to the row
        if (speed := number(row.get("img_per_s"))) > 0:
            self._speeds.append(speed)
        if not self._began:
            self._say(legend.line(row, _unit(trainer)))
        if self._json:
            self._print(json.dumps(plain_json(row)))
        elif not self._live:
            self._say(self._line(trainer, row))
        self._explain(trainer, row)
        if self._live:
            self._draw(trainer)
        elif self._progress is not None:
            self._progress.printed_elsewhere()

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._live and reason == "finished":
            self._now = ""
            self._draw(trainer)
        self._close()
        if self._owns_progress and self._progress is not None:
            self._progress.stop()

    def _say(self, line: str) -> None:
        if line and not self._json:
            self._print(line)

    def _explain(self, trainer: Any, row: Row) -> None:
        """Say once what the figures mean, and what colour photographs on a CPU take."""
        if not self._began:
            self._began = True
            if self._speeds:
                self._say(legend.photographs(trainer, self._speeds[0]))
        if not self._explained and any(is_metric(name) for name, value in row.items() if isinstance(value, float)):
            self._explained = True
            self._say(self.describe_metric())

    def _close(self) -> None:
        """Restore the cursor and the streams. It may be called twice."""
        live, self._live = self._live, None
        if live:
            if self._progress is not None:
                self._progress.hand_over(None)
            atexit.unregister(self._close)
            try:
                live.stop()
            except OSError as error:
                if error.errno not in GONE:
                    raise

    def _print(self, text: str) -> None:
        """Print a line. A terminal that was closed does not end the training: it is saved first."""
        if not self._gone:
            self._gone = not say(text, self._out)

    def _show_stage(self, text: str) -> None:
        """Draw the table with what the training does now; called by the thread of the progress."""
        if self._live and time.monotonic() - self._drawn > 2.0:  # no step for a while
            self._now = text
            self._draw(self._trainer)

    def _draw(self, trainer: Any) -> None:
        self._drawn = time.monotonic()
        try:
            self._live.update(self._table(trainer), refresh=True)
        except OSError as error:
            self._close()
            self._gone = error.errno in GONE
            if not self._gone:
                raise
        except BaseException:
            self._close()
            raise

    def _left(self, trainer: Any) -> float:
        """Return the seconds to the end at the speed of the last ticks; infinity if unknown."""
        left = float(trainer.total_seconds - trainer.elapsed)
        images = max(0.0, trainer.total_nimg - trainer.nimg)
        speeds = tuple(self._speeds)
        if speeds:
            left = min(left, images * sum(1 / v for v in speeds) / len(speeds))
        return max(0.0, left)

    def _speed(self) -> str:
        last = self._speeds[-1] if self._speeds else math.nan
        return f"{last:.0f}" if last >= 10 else short(last)

    def _clock(self, trainer: Any) -> str:
        short_run = trainer.total_nimg < 10_000
        done = kimg(trainer.nimg / 1000) if short_run else f"{trainer.nimg / 1000:.1f}"
        if trainer.ends_by_images:
            return f"{done}/{kimg(trainer.total_nimg / 1000)}"
        return done

    def _line(self, trainer: Any, row: Row) -> str:
        parts = [f"kimg {self._clock(trainer)}", *(f"{name} {value}" for name, value in headline(row))]
        if self._speeds:
            parts.append(f"{self._speed()} {per_second(_unit(trainer))}")
        if math.isfinite(left := self._left(trainer)):
            parts.append(f"left {duration(left)}")
        if row.get("doctor"):
            parts.append(str(row["light"] if row["light"] == "green" else row["doctor"]))
        if chance := legend.at_chance(row):
            parts.append(chance)
        return "  ".join(parts)

    def _table(self, trainer: Any) -> Any:
        table = need("rich.table", "rich").Table.grid(padding=(0, 2))
        bar = need("rich.progress_bar", "rich").ProgressBar
        text = need("rich.text", "rich").Text  # no markup in names from a run
        left = self._left(trainer)
        times = f"elapsed {duration(time.monotonic() - self._started)}"
        times += f"   left {duration(left)}" if math.isfinite(left) else ""
        table.add_row("kimg", text(self._clock(trainer), style="bold"))
        done, total = trainer.progress
        if total:
            table.add_row("", bar(total=total, completed=min(done, total), width=40))
        table.add_row("", text(f"{self._speed()} {per_second(_unit(trainer))}   {times}"))
        for name, value in headline(self._row):
            table.add_row(text(name, style="dim"), text(value))
        if chance := legend.at_chance(self._row):
            table.add_row("", text(chance))
        if self._row.get("doctor"):
            light = str(self._row["light"])
            style = "dim" if light == "grey" else light
            table.add_row(text("doctor", style="dim"), text(str(self._row["doctor"]), style=style))
        if self._now:
            table.add_row(text("now", style="dim"), text(self._now))
        return table


def _unit(trainer: Any) -> str:
    """What a row of the data is, in the plural; a data set of the user's own may not say it."""
    return str(getattr(trainer.data, "unit", "images"))
