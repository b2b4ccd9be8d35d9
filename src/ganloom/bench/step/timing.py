"""Contestants timed in turns: what else the machine does then falls on all of them alike."""

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganloom.report.figures import duration

Contestant = Callable[[int], float]
"""Runs n steps and returns the seconds they took."""

SLICE = 0.15
"""Seconds of one contestant's turn, where its steps are that short."""
TURNS = 4
"""Turns a round, where steps are short."""


class Progress:
    """What is being measured and how long it will take yet, on stderr."""

    def __init__(self, groups: int) -> None:
        self.groups, self.group = groups, 0
        self.begun = self.since = time.perf_counter()
        self._text = ""

    def begin(self, text: str) -> None:
        """The next group of contestants."""
        self.group += 1
        self.since, self._text = time.perf_counter(), text
        self._say(f"[{self.group}/{self.groups}] {text}{self._left()}", end="\r" if sys.stderr.isatty() else "\n")

    def at(self, done: int, rounds: int) -> None:
        """A round of the group is done; shown on a terminal only."""
        if sys.stderr.isatty():
            self._say(
                f"[{self.group}/{self.groups}] {self._text}: round {done} of {rounds}{self._left(done / rounds)}",
                end="\r",
            )

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            self._say("", end="\r")

    def _left(self, part: float = 0.0) -> str:
        """An estimate from the groups so far and ``part`` of this one; groups differ, so the slower of both is believed."""
        here = time.perf_counter() - self.since
        earlier = (self.since - self.begun) / (self.group - 1) if self.group > 1 else 0.0
        each = max(earlier, here / part if part else 0.0)
        return f", about {duration(max(each * (self.groups - self.group + 1) - here, 0.0))} left" if each else ""

    def _say(self, text: str, end: str) -> None:
        print(f"{text:<100}" if end == "\r" else text, end=end, file=sys.stderr, flush=True)


def contest(
    contestants: Mapping[str, Contestant],
    rounds: int,
    *,
    steps: int | None = None,
    cycle: int = 1,
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Seconds a step of each contestant, one figure a turn; every list has the same length.

    ``steps`` a turn; None: as many as fill ``SLICE``. They come in multiples of ``cycle`` (a lazy phase's period). Turns
    change order from one to the next. Once ``seconds`` are over no further round begins, but two are always run.
    """
    begun = time.perf_counter()
    plans: dict[str, int] = {}
    longest = 0.0
    for name, run in contestants.items():  # the first cycle warms up and is not counted
        run(cycle)
        each = run(cycle) / cycle
        plans[name] = cycle * max(1, round((steps or SLICE / max(each, 1e-6)) / cycle))
        longest = max(longest, each * plans[name])
    names = list(contestants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(1, rounds + 1):
        for _ in range(1 if longest > 3 * SLICE else TURNS):
            names = [*names[1:], names[0]]
            for name in names:
                times[name].append(contestants[name](plans[name]) / plans[name])
        if progress is not None:
            progress.at(turn, rounds)
        if turn >= 2 and time.perf_counter() - begun > seconds:
            break
    return times


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the quotients of figures taken in the same turn."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def clock(step: Callable[[], object], wait: Callable[[], None] = lambda: None) -> Contestant:
    """A contestant that calls ``step``."""

    def run(n: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(n):
            step()
        wait()
        return time.perf_counter() - start

    return run


class Watch:
    """A function that is timed wherever it is called; ``turns`` has its seconds a step of each of a contestant's runs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0
        self.turns: list[float] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = self.function(*args, **kwargs)
        self.seconds += time.perf_counter() - start
        return result

    def around(self, contestant: Contestant) -> Contestant:
        """The contestant, in each of whose runs this is called."""

        def run(n: int) -> float:
            self.seconds = 0.0
            taken = contestant(n)
            self.turns.append(self.seconds / n)
            return taken

        return run


def cycle_of(periods: Sequence[int]) -> int:
    """After how many steps everything periodic has run whole."""
    return math.lcm(*periods) if periods else 1
