"""How long the trainings of the benchmark take: from the times of earlier rows, and from those that ended since the start."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ganloom.bench.recipes.rows import Row
from ganloom.bench.recipes.task import Task
from ganloom.report.number_format import duration

MEASURING = 60.0
"""Seconds to draw, measure and time, where no earlier row says it."""
SIDE = 28
"""Side of the images of the plans' data, in pixels."""


class Times:
    """Estimates the time of trainings.

    Args:
        rows: Earlier rows on the same data, by recipe.
        others: Earlier rows on the data of the plans, by recipe.
        shape: Shape of the images, if the data are not those of the plans.
    """

    def __init__(
        self, rows: Mapping[str, Row], others: Mapping[str, Row], shape: tuple[int, ...] | None = None
    ) -> None:
        self._rows, self._others = rows, others
        sides = (SIDE,) if shape is None else shape[-2:]
        self._pixels = sides[0] * sides[-1] / SIDE**2
        text = (files("ganloom.recipes") / "measured.json").read_text(encoding="utf-8")
        self._packaged: dict[str, Any] = json.loads(text)

    def training(self, task: Task) -> float:
        """Return the seconds of processor time of a training; NaN if no earlier row has the recipe.

        A row on other data counts by the number of pixels.
        """
        if (row := self._rows.get(task.recipe)) is not None:
            return task.length * _each(row)
        if (row := self._others.get(task.recipe)) is not None:
            return task.length * _each(row) * self._pixels
        packaged = self._packaged.get(task.recipe)
        return task.length * packaged["seconds"] / packaged["kimg"] * self._pixels if packaged else math.nan

    def measuring(self, task: Task) -> float:
        """Return the seconds to draw, measure and time."""
        for rows in (self._rows, self._others):
            if (row := rows.get(task.recipe)) is not None and row.seeds:
                return sum(one.measure_seconds for one in row.seeds) / len(row.seeds)
        return MEASURING

    def whole(self, task: Task) -> float:
        """Return the seconds of a training with its measurement; NaN if they are unknown."""
        return self.training(task) + self.measuring(task)

    def sentence(self, tasks: Sequence[Task], workers: int, done: Mapping[Task, float] | None = None) -> str:
        """Say how long trainings take, and for which recipes it is unknown.

        Args:
            tasks: The trainings.
            workers: How many run at the same time.
            done: The share of each training that an earlier command made.
        """
        left = {task: self.whole(task) * (1 - (done or {}).get(task, 0.0)) for task in tasks}
        known = [seconds for seconds in left.values() if math.isfinite(seconds)]
        unknown = list(dict.fromkeys(task.recipe for task in tasks if not math.isfinite(self.training(task))))
        runs = f"{len(tasks)} training{'s' * (len(tasks) != 1)}"
        if not known:
            return f"{runs}; no earlier row says how long they take"
        total = sum(known)
        with_workers = f", {duration(total / min(workers, len(tasks)))} with {workers} workers" if workers > 1 else ""
        more = f"; without {', '.join(unknown)}: no earlier row" if unknown else ""
        return f"{runs}: about {duration(total)} of processor time{with_workers} (from the times of earlier rows{more})"


def _each(row: Row) -> float:
    """Seconds per thousand images."""
    return (row.seconds if row.cpu_minutes is None else row.cpu_minutes * 60) / row.kimg


class Countdown:
    """The time left for all trainings.

    Args:
        times: The estimates.
        tasks: The trainings to make.
        workers: How many run at the same time.
    """

    def __init__(self, times: Times, tasks: Sequence[Task], workers: int) -> None:
        known = [seconds for task in tasks if math.isfinite(seconds := times.whole(task))]
        usual = sum(known) / len(known) if known else MEASURING
        self._estimates = [seconds if math.isfinite(seconds := times.whole(task)) else usual for task in tasks]
        self._workers, self._start, self._first = workers, time.monotonic(), math.nan

    def left(self, shares: Sequence[float]) -> str:
        """Return the time left, in words.

        Args:
            shares: The share of each training that is done, in the order of the trainings.
        """
        done = sum(share * seconds for share, seconds in zip(shares, self._estimates, strict=True))
        if math.isnan(self._first):  # what an earlier command did is not part of the pace
            self._first = done
        open_ones = sum(share < 1 for share in shares)
        todo = sum(self._estimates) - done
        spent, made = time.monotonic() - self._start, done - self._first
        parallel = max(1, min(self._workers, open_ones))
        pace = spent * parallel / made if made > 0.02 * sum(self._estimates) or made > 120 else 1.0
        return duration(max(1.0, todo * pace / parallel))
