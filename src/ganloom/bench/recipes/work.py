"""The work of `ganloom bench recipes`: makes the trainings, collects the seeds of each recipe, writes its row and images."""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import torch

from ganloom.bench.recipes import job as jobs
from ganloom.bench.recipes import workers as processes
from ganloom.bench.recipes.rows import Row, differences, images_folder, keep, kept
from ganloom.bench.recipes.suite import Suite
from ganloom.bench.recipes.task import Task
from ganloom.bench.recipes.times import Countdown
from ganloom.core import allocator
from ganloom.core.errors import GanloomError
from ganloom.core.output_files import rewrite
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.progress import Progress, stage

TRAINING = 0.9
"""About this share of the time of a run is training, the rest is measuring."""


class Work:
    """Makes the trainings, collects the seeds of each recipe, and writes its row and images.

    Args:
        suite: What to measure.
        folder: The folder for rows and images.
        runs: The folder for run folders.
        tasks: The trainings of all recipes whose row is to be written.
        todo: Those of them that have no result yet.
        countdown: Estimates the time left.
        show: Prints the progress. None: nothing is printed.
    """

    def __init__(
        self, suite: Suite, folder: Path, runs: Path, tasks: list[Task], todo: list[Task], countdown: Countdown,
        show: Progress | None,
    ) -> None:  # fmt: skip
        self.suite, self.folder, self.runs, self.show = suite, folder, runs, show
        self.tasks, self.todo = tasks, todo
        self.countdown = countdown
        self.results: dict[Task, Row | str] = {}
        self.started = {task: TRAINING * share for task in todo if (share := self._job(task).trained()) > 0}
        self._next_report = 0.0

    def here(self, threads: int) -> Generator[tuple[Task, Row | str]]:
        """Make the trainings one after the other in this process; also yield what is measured already."""
        allocator.keep_freed_blocks()
        had = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for task in self.tasks:
                if task not in self.todo:
                    yield task, self._saved(task)
                    continue
                self._begin(task)
                try:
                    row: Row | str = jobs.make(task, task.folder(self.runs), jobs.N, self._is_timed(task), self.show)
                except GanloomError as error:
                    row = str(error)
                yield task, row
        finally:
            torch.set_num_threads(had)

    def in_processes(self, workers: int, threads: int) -> Generator[tuple[Task, Row | str]]:
        """Make the trainings in processes; first yield what is measured already."""
        for task in self.tasks:
            if task not in self.todo:
                yield task, self._saved(task)
        waiting = [self._job(task, threads) for task in self.todo]
        for one in waiting:
            if self.suite.anew:
                (one.path / jobs.RESULT).unlink(missing_ok=True)
        say = (lambda line: None) if self.show is None else self.show.say
        results = processes.run(waiting, workers, lambda job: self._begin(job.task), self._report, say)
        with contextlib.closing(results):
            for job, result in results:
                yield job.task, result

    def finished_row(self, task: Task, result: Row | str) -> Row | None:
        """Note a result. If it is the last of its recipe, write the row and the images, and return the row."""
        self.results[task] = result
        if self.show is not None and task in self.todo:
            self.show.say(f"{self._place()} {task.recipe}, seed {task.seed}: {_said(result)}; {self._left()} left")
        tasks = [one for one in self.tasks if one.recipe == task.recipe]
        if any(one not in self.results for one in tasks):
            return None
        parts = [row for one in tasks if isinstance(row := self.results[one], Row)]
        failed = {str(one.seed): text for one in tasks if isinstance(text := self.results[one], str)}
        if not parts:
            return None
        old = kept(self.folder, self.suite.name).get(task.recipe)
        row = jobs.joined(parts, failed)
        if old is not None and not differences(old, task) and old.seeds[0].command in self._commands(old):
            row = jobs.with_other_seeds(row, old)
        if row.seed == parts[0].seed:
            first = next(one for one in tasks if isinstance(self.results[one], Row)).folder(self.runs)
            for kind, name in (("recipes", jobs.SHEET), ("gallery", jobs.STRIP)):
                image = self.folder / images_folder(self.suite.name, kind) / f"{task.recipe}.png"
                rewrite(image, (first / name).read_bytes(), overwrite=self.suite.overwrite)
        keep(self.folder, row, self.suite.name)
        return row

    # --------------------------------------------------------------------------------------------------------- internal

    def _commands(self, row: Row) -> set[str]:
        """The commands of this suite with the seeds of a row."""
        seeds = tuple(one.seed for one in row.seeds)
        return {task.command for task in dataclasses.replace(self.suite, seeds=seeds).tasks(row.recipe)}

    def _job(self, task: Task, threads: int = 1) -> processes.Job:
        return processes.Job(task, task.folder(self.runs), jobs.N, self._is_timed(task), threads)

    def _saved(self, task: Task) -> Row:
        row = jobs.saved(task.folder(self.runs))
        assert row is not None
        return row

    def _is_timed(self, task: Task) -> bool:
        return task.seed == self.suite.seeds[0]

    def _place(self) -> str:
        return f"[{sum(task in self.results for task in self.todo)}/{len(self.todo)}]"

    def _begin(self, task: Task) -> None:
        if self.show is not None:
            self.show.say(f"[{self.todo.index(task) + 1}/{len(self.todo)}] {task.command}; about {self._left()} left")

    def _left(self, running: Sequence[processes.Job] = ()) -> str:
        shares = self.started | {job.task: TRAINING * job.trained() for job in running}
        return self.countdown.left([1.0 if task in self.results else shares.get(task, 0.0) for task in self.todo])

    def _report(self, running: Sequence[processes.Job]) -> None:
        if self.show is None or time.monotonic() < self._next_report:
            return
        self._next_report = time.monotonic() + 2.0
        at = (
            f"{job.task.recipe} seed {job.task.seed} {kimg_text(share * job.task.length)} of {job.task.length:g} kimg"
            if (share := job.trained()) < 1
            else f"{job.task.recipe} seed {job.task.seed} is being measured"
            for job in running
        )
        done = sum(task in self.results for task in self.todo)
        stage(
            self.show, f"{done} of {len(self.todo)} trainings done, about {self._left(running)} left; {', '.join(at)}"
        )


def _said(result: Row | str) -> str:
    """A result in some words."""
    if isinstance(result, str):
        return f"FAILED: {result}"
    one = result.seeds[0]
    key = "l1" if result.translates else "coverage"
    spent = "" if one.cpu_seconds is None else f", {one.cpu_seconds / 60:.1f} CPU min"
    return f"{key} {one.figures[key][0]:.3g}, doctor {one.light or 'off'}{spent}"
