"""Time several functions ("contestants") in turns, so that other programs disturb all of them equally."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganloom.report.number_format import duration
from ganloom.report.progress import Progress as ProgressLine

Contestant = Callable[[int], float]
"""Runs n steps and returns the time in seconds."""

SLICE = 0.15
"""Seconds of one turn, if the steps are that short."""
TURNS = 4
"""Turns in a round, if the steps are short."""


class Progress:
    """Report what is measured and the time left.

    Args:
        groups: Number of groups of contestants.
        show: Prints the progress. None: nothing is printed.
    """

    def __init__(self, groups: int, show: ProgressLine | None = None) -> None:
        self.groups, self.group, self.show = groups, 0, show
        self.start = self.since = time.perf_counter()
        self._text = ""

    def begin(self, text: str) -> None:
        """Start the next group of contestants."""
        self.group += 1
        self.since, self._text = time.perf_counter(), text
        if self.show is not None:
            self.show.prefix = f"[{self.group}/{self.groups}] "
            self.show.say(f"{text}{self._left()}")
            self.show(text)

    def at(self, done: int, rounds: int) -> None:
        """Report that a round of the group is done."""
        if self.show is not None:
            left = self._left(done / rounds).removeprefix(", ")
            self.show.prefix = f"[{self.group}/{self.groups}] " + (f"{left} for all: " if left else "")
            self.show(f"{self._text}, rounds", done, rounds)

    def _left(self, part: float = 0.0) -> str:
        """Estimate the time left from the earlier groups and ``part`` of this one; the slower of both counts."""
        here = time.perf_counter() - self.since
        earlier = (self.since - self.start) / (self.group - 1) if self.group > 1 else 0.0
        each = max(earlier, here / part if part else 0.0)
        return f", about {duration(max(each * (self.groups - self.group + 1) - here, 0.0))} left" if each else ""


def contest(
    contestants: Mapping[str, Contestant],
    rounds: int,
    *,
    steps: int | None = None,
    cycle: int = 1,
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> dict[str, list[float]]:
    """Time contestants in turns, whose order changes.

    Args:
        contestants: By name.
        rounds: Number of rounds.
        steps: Steps in a turn. None: as many as take ``SLICE`` seconds.
        cycle: The number of steps is a multiple of this (the period of lazy phases).
        seconds: No round starts after this time, but there are at least two.
        progress: To report the rounds.

    Returns:
        Name -> seconds per step, one for each turn; all lists have the same length.
    """
    start = time.perf_counter()
    plans: dict[str, int] = {}
    longest = 0.0
    for name, run in contestants.items():  # the first cycle is a warm-up
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
        if turn >= 2 and time.perf_counter() - start > seconds:
            break
    return times


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Compute the median of the quotients of values from the same turn."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def clock(step: Callable[[], object], wait: Callable[[], None] = lambda: None) -> Contestant:
    """Build a contestant from a function.

    Args:
        step: The function.
        wait: Waits for the device.
    """

    def run(n: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(n):
            step()
        wait()
        return time.perf_counter() - start

    return run


class Watch:
    """A function that measures its own time, inside a contestant.

    Attributes:
        turns: Seconds per step, one for each run of the contestant.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0
        self.turns: list[float] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = self.function(*args, **kwargs)
        self.seconds += time.perf_counter() - start
        return result

    def around(self, contestant: Contestant) -> Contestant:
        """Wrap a contestant that calls this function, to record its time in each run."""

        def run(n: int) -> float:
            self.seconds = 0.0
            taken = contestant(n)
            self.turns.append(self.seconds / n)
            return taken

        return run


def cycle_of(periods: Sequence[int]) -> int:
    """Number of steps after which all periodic updates have run a whole number of times."""
    return math.lcm(*periods) if periods else 1
