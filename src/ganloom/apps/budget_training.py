"""Train one model of a comparison until its time is over."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ganloom.api import Run, resume, train
from ganloom.apps.budget_plan import Plan
from ganloom.recipes import presets
from ganloom.report.number_format import duration
from ganloom.report.progress import Progress as ProgressLine
from ganloom.report.progress import Report, stage
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Callback
from ganloom.training.nan_guard import NonFinite


def train_for_budget(
    plan: Plan, name: str, seed: int, path: Path, say: Callable[[str], None], progress: Report = None
) -> Run:
    """Train a model for the time of the plan: start, continue a stopped run, or return a finished one.

    Args:
        plan: A checked plan.
        name: One of ``plan.models``.
        seed: The seed of the run.
        path: The run folder.
        say: Called with a line of progress.
        progress: Called with (what, done, total).

    Returns:
        The run. Its reason is "budget" if the time was used up, and "nan" if training failed.
    """
    state = Folder(path).read("run.json")
    countdown = Countdown(plan.budget, say, progress=progress)
    if state.get("exit_reason") in ("budget", "nan"):
        return Run(path, state["exit_reason"])
    try:
        if state and not Folder(path).without_checkpoint():
            return resume(path, console=countdown, progress=progress)
        recipe, settings = plan.of(name)
        fixed = {"shape": plan.shape, "seed": seed, "total_kimg": presets.ENDLESS, "judge": 0, "grid": 20}
        fixed["labels"] = plan.labels
        return train(recipe, plan.data, path, console=countdown, progress=progress, **{**settings, **fixed})
    except NonFinite as error:
        say(str(error))
        return Run(path, "nan")


class Countdown(Callback):
    """Stop a run when its training time is over, and report the progress now and then.

    The clock is the trainer's: seconds in training steps, without images, reports and measurements.

    Args:
        budget: Training time in seconds.
        say: Called with a line of progress.
        every: Seconds between two lines.
        progress: Called with (what, done, total).
    """

    def __init__(self, budget: float, say: Callable[[str], None], every: float = 15.0, progress: Report = None) -> None:
        self.budget, self.say, self.every, self.progress = budget, say, every, progress
        self._last_line = time.monotonic()
        self._start = 0.0, 0.0

    def on_start(self, trainer: Any) -> None:
        """Start the clock of the process."""
        self._start = time.perf_counter(), time.process_time()
        self._check(trainer, trainer.seconds)  # the set-up of other callbacks is not training

    def on_stage(self, trainer: Any, what: str) -> None:
        """Report what is done between steps."""
        stage(self.progress, what)

    def on_step(self, trainer: Any) -> None:
        """Stop the run if its time is over."""
        if self.progress is not None:
            self.progress("training (seconds)", int(trainer.elapsed), math.ceil(self.budget))
        self._check(trainer, trainer.elapsed)

    def on_end(self, trainer: Any, reason: str) -> None:
        """Save how many cores the process had: on a busy machine, equal time is not equal work."""
        seconds, cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
        Folder(trainer.run_dir).update("run.json", cores=round(cpu / max(seconds, 1e-9), 2))

    def _check(self, trainer: Any, spent: float) -> None:
        if spent >= self.budget:
            trainer.stop_requested = trainer.stop_requested or "budget"
        elif time.monotonic() - self._last_line >= self.every:
            self._last_line = time.monotonic()
            speed = trainer.nimg / max(spent, 1e-9)
            self.say(
                f"trained {duration(spent)} of {duration(self.budget)}, {trainer.nimg / 1000:.1f} kimg, {speed:.0f} img/s"
            )


class Progress:
    """Print which model is trained or measured, and how much time is left for all of them.

    Args:
        plan: A checked plan.
        stream: Where to print.
        show: Prints the progress instead, also between the lines.
    """

    def __init__(self, plan: Plan, stream: TextIO, show: ProgressLine | None = None) -> None:
        self.plan, self.stream, self.show = plan, stream, show
        self.total, self.prefix, self.start = len(plan.models) * plan.seeds, "", 0.0
        self.measuring: list[float] = []
        """Seconds beyond the budget that each model took."""

    def begin(self, name: str, seed: int, spent: float) -> None:
        """Print that a model begins, and the time left.

        Args:
            name: The model.
            seed: Its seed.
            spent: Seconds that it has already trained.
        """
        place = self.plan.models.index(name) + 1 + (seed - self.plan.seed) * len(self.plan.models)
        self.prefix, self.start = f"[{place}/{self.total}] {name}, seed {seed}", time.monotonic()
        models_left = self.total - place + 1
        extra = sum(self.measuring) / len(self.measuring) if self.measuring else 0.0
        left = duration(models_left * (self.plan.budget + extra) - min(spent, self.plan.budget))
        more = "" if self.measuring else ", plus the time to measure"
        self.say(f"about {left} left{more}; Ctrl-C stops, the same command continues")

    def end(self) -> None:
        """Note how long the model took beyond its budget."""
        self.measuring.append(max(0.0, time.monotonic() - self.start - self.plan.budget))

    def say(self, text: str) -> None:
        """Print a line about the current model."""
        if self.show is not None:
            self.show.say(f"{self.prefix}: {text}")
        else:
            print(f"{self.prefix}: {text}", file=self.stream, flush=True)

    def report(self, what: str, done: int = 0, total: int = 0) -> None:
        """Report what is done now for the current model."""
        if self.show is not None:
            self.show(f"{self.prefix}: {what}", done, total)
