"""Show the progress of a training: a table on a terminal, text lines or JSON lines."""

import atexit
import json
import math
import os
import sys
import time
from collections import deque
from typing import Any, TextIO

from ganloom.core.errors import need
from ganloom.core.terminal import GONE, say
from ganloom.report.number_format import duration, headline, kimg, number, short
from ganloom.training.callbacks.base import Callback, Row
from ganloom.training.callbacks.jsonl import plain_json


class Console(Callback):
    """Shows the progress: a live table on a terminal, otherwise one line per tick.

    Args:
        stream: Where to write; None for the stderr at the start of the training.
        json: Write the rows as JSON lines to stdout, and nothing else.

    Attributes:
        title: A line that is printed at the start.
    """

    def __init__(self, stream: TextIO | None = None, json: bool = False) -> None:
        self._stream, self._json = stream, json
        self._live: Any = None
        self._speeds: deque[float] = deque(maxlen=5)
        self._row: Row = {}
        self._drawn = self._started = 0.0
        self._gone = False
        self.title = ""

    def on_start(self, trainer: Any) -> None:
        self._out = sys.stdout if self._json else self._stream or sys.stderr
        self._started = time.monotonic()
        if self.title and not self._json:
            self._print(self.title)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not self._out.isatty()
        if self._json or plain:
            return
        rich_console, rich_live = need("rich.console", "rich"), need("rich.live", "rich")
        # No refresh thread: the table is drawn between steps only, so no output is interrupted.
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
            self._print(json.dumps(plain_json(row)))
        else:
            self._print(self._line(trainer, row))

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._live and reason == "finished":
            self._draw(trainer)
        self._close()

    def _close(self) -> None:
        """Restore the cursor and the streams. It may be called twice."""
        live, self._live = self._live, None
        if live:
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
        images = max(0.0, trainer.total_nimg - trainer.nimg)
        return images * sum(1 / v for v in self._speeds) / len(self._speeds) if self._speeds else math.inf

    def _speed(self) -> str:
        last = self._speeds[-1] if self._speeds else math.nan
        return f"{last:.0f}" if last >= 10 else short(last)

    def _clock(self, trainer: Any) -> str:
        return f"{trainer.nimg / 1000:.1f}" + (
            f"/{kimg(trainer.total_nimg / 1000)}" if math.isfinite(trainer.total_nimg) else ""
        )

    def _line(self, trainer: Any, row: Row) -> str:
        parts = [f"kimg {self._clock(trainer)}", *(f"{name} {value}" for name, value in headline(row))]
        if self._speeds:
            parts.append(f"{self._speed()} img/s")
        if math.isfinite(left := self._left(trainer)):
            parts.append(f"left {duration(left)}")
        if row.get("doctor"):
            parts.append(str(row["light"] if row["light"] == "green" else row["doctor"]))
        return "  ".join(parts)

    def _table(self, trainer: Any) -> Any:
        table = need("rich.table", "rich").Table.grid(padding=(0, 2))
        bar = need("rich.progress_bar", "rich").ProgressBar
        text = need("rich.text", "rich").Text  # no markup in names from a run
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
            table.add_row(
                text("doctor", style="dim"),
                text(
                    str(self._row["doctor"]),
                    style={"grey": "dim"}.get(str(self._row["light"]), str(self._row["light"])),
                ),
            )
        return table
