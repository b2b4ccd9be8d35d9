"""`ganloom bench recipes`: train every recipe's ``--small`` plan with several seeds, and measure samples and speed.

The data is fashion-10k; for image-to-image recipes two domains made from it, or pairs (see ``ganloom.recipes.presets``). With
``data``, all recipes are trained on other data with the same plans.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ganloom import data as datasets
from ganloom.bench.recipes import job as jobs
from ganloom.bench.recipes import workers as processes
from ganloom.bench.recipes.rows import (
    Row,
    differences,
    images_folder,
    keep,
    name_of,
)
from ganloom.bench.recipes.rows import Speed as Speed
from ganloom.bench.recipes.rows import kept as kept
from ganloom.bench.recipes.rows import ranked as ranked
from ganloom.bench.recipes.task import Task
from ganloom.bench.recipes.times import Countdown, Times
from ganloom.core import allocator
from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.output_files import may_rewrite, rewrite
from ganloom.recipes import RECIPES, find
from ganloom.recipes.presets import DATA
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.progress import Progress, stage

SEEDS = (1, 2, 3)
"""The seeds of the doc pages. Plans were tuned with seed 0, so their figures are those of other seeds."""


@dataclass(frozen=True)
class Suite:
    """What to measure.

    Attributes:
        recipes: Names of recipes.
        seeds: Seeds; the images are those of the first one.
        data: The data set for all recipes. None: that of each plan.
        shape: Shape of the images, as `--shape` takes it. None: that of the data.
        kimg: Length of every run in thousands of images. None: that of each plan.
        anew: Repeat recipes that were already measured.
        overwrite: Replace images that ganloom did not write, or that were changed.
    """

    recipes: Sequence[str]
    seeds: Sequence[int] = SEEDS
    data: str | None = None
    shape: tuple[int, ...] | None = None
    kimg: float | None = None
    anew: bool = False
    overwrite: bool = False

    @property
    def name(self) -> str:
        """Name of the files of the rows."""
        return name_of(self.data, self.shape)

    def tasks(self, recipe: str) -> list[Task]:
        """Return the trainings of a recipe."""
        return [Task(recipe, self.data, self.shape, self.kimg, seed) for seed in self.seeds]

    def checked(self) -> "Suite":
        """Return the suite with the names of recipes as they are listed. Raises BadInput for what cannot be used."""
        names = tuple(dict.fromkeys(name.lower().replace("_", "-") for name in self.recipes))
        for name in names:
            if find(name) and name not in RECIPES:
                raise BadInput(
                    f"{name} is a baseline without a page: measure it with `ganloom compare --budget 10m {DATA} {name}`"
                )
        if self.kimg is not None and not self.kimg > 0:
            raise BadInput(f"--total-kimg must be above 0, got {self.kimg}")
        if not self.seeds or min(self.seeds) < 0:
            raise BadInput(
                f"--seeds must be one or more numbers from 0, got {' '.join(map(str, self.seeds)) or 'none'}"
            )
        return dataclasses.replace(self, recipes=names, seeds=tuple(dict.fromkeys(self.seeds)))


@dataclass
class Outcome:
    """What a call measured.

    Attributes:
        rows: The rows, in the order of the recipes.
        failed: Recipe and seed -> why there is no result.
    """

    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def measure(
    suite: Suite,
    folder: Path,
    runs: Path,
    *,
    workers: int = 1,
    threads: int = 1,
    each: Callable[[Row], None] = lambda row: None,
    show: Progress | None = None,
) -> Outcome:
    """Train, sample, measure and time recipes.

    A recipe that was measured with the same command and plan is not repeated, a stopped training is continued, and a training
    that failed does not stop the others.

    Args:
        suite: What to measure.
        folder: The folder for rows and images.
        runs: The folder for run folders.
        workers: Trainings at the same time, each in a process of its own; 1: one after the other in this process.
        threads: Number of threads of torch for each training.
        each: Called with each row after it is written.
        show: Prints the progress. None: nothing is printed.

    Returns:
        The rows, and what failed.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    suite = suite.checked()
    shape = None
    if suite.data is not None:  # what is wrong with it is said before the first training
        stage(show, f"opening {suite.data}")
        shape = datasets.open(suite.data, shape=datasets.full_shape(suite.data, suite.shape)).shape
    for flag, number in (("--workers", workers), ("--threads", threads)):
        if number < 1:
            raise BadInput(f"{flag} must be at least 1, got {number}")
    before = kept(folder, suite.name)
    for name in suite.recipes:
        for kind in ("recipes", "gallery"):
            may_rewrite(folder / images_folder(suite.name, kind) / f"{name}.png", overwrite=suite.overwrite)
    known = {name: before[name] for name in suite.recipes if name in before and _is_done(before[name], suite)}
    left = [name for name in suite.recipes if name not in known]
    todo = [task for name in left for task in suite.tasks(name) if suite.anew or jobs.saved(task.folder(runs)) is None]
    times = Times(before, kept(folder), shape)
    work = _Work(suite, folder, runs, todo, Countdown(times, todo, workers), show)
    if show is not None and todo:
        show.say(f"{times.sentence(todo, workers)}; Ctrl-C stops and saves, the same command continues")
    results = work.in_processes(workers, threads) if workers > 1 and todo else work.here(threads)
    outcome = Outcome()
    for row in known.values():
        each(row)
    with contextlib.closing(results):
        for task, result in results:
            if isinstance(result, str):
                outcome.failed[f"{task.recipe}, seed {task.seed}"] = result
            whole = work.finished_row(task, result)
            if whole is not None:
                known[whole.recipe] = whole
                each(whole)
    outcome.rows = [known[name] for name in suite.recipes if name in known]
    return outcome


def _is_done(row: Row, suite: Suite) -> bool:
    """Whether a row is the result of the present plan with these seeds."""
    tasks = suite.tasks(row.recipe)
    commands = {one.command for one in row.seeds}
    return not suite.anew and commands >= {task.command for task in tasks} and not differences(row, tasks[0])


class _Work:
    """The trainings to make: runs them, collects the seeds of each recipe, and writes its row and images."""

    def __init__(
        self, suite: Suite, folder: Path, runs: Path, todo: list[Task], countdown: Countdown, show: Progress | None
    ) -> None:
        self.suite, self.folder, self.runs, self.todo, self.show = suite, folder, runs, todo, show
        self.countdown = countdown
        self.results: dict[Task, Row | str] = {}
        self._next_report = 0.0

    def here(self, threads: int) -> Generator[tuple[Task, Row | str]]:
        """Make the trainings one after the other in this process; also yield what is measured already."""
        allocator.keep_freed_blocks()
        had = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for task in self._all():
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
        for task in self._all():
            if task not in self.todo:
                yield task, self._saved(task)
        waiting = [
            processes.Job(task, task.folder(self.runs), jobs.N, self._is_timed(task), threads) for task in self.todo
        ]
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
        tasks = self.suite.tasks(task.recipe)
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

    def _all(self) -> list[Task]:
        """The trainings of all recipes with something to do."""
        before = kept(self.folder, self.suite.name)
        open_ones = [name for name in self.suite.recipes if not (name in before and _is_done(before[name], self.suite))]
        return [task for name in open_ones for task in self.suite.tasks(name)]

    def _commands(self, row: Row) -> set[str]:
        """The commands of this suite with the seeds of a row."""
        seeds = tuple(one.seed for one in row.seeds)
        return {task.command for task in dataclasses.replace(self.suite, seeds=seeds).tasks(row.recipe)}

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
        shares = {job.task: 0.9 * job.trained() for job in running}
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


def time_again(
    names: Sequence[str],
    folder: Path,
    each: Callable[[Row], None] = lambda row: None,
    show: Progress | None = None,
    name: str = "",
) -> list[Row]:
    """Time the training steps again.

    Args:
        names: Recipes with rows in the folder.
        folder: The folder.
        each: Called with each row after it is written.
        show: Prints the progress. None: nothing is printed.
        name: Name of the files of the rows, see ``rows.name_of``.

    Returns:
        The rows with the new speeds.

    Raises:
        BadInput: A recipe has no row.
    """
    rows, before = [], kept(folder, name)
    missing = [one for one in names if one not in before]
    if not before or missing:
        raise BadInput(f"{folder} has no row for {', '.join(missing) or 'any recipe'}: run without --speed first")
    allocator.keep_freed_blocks()
    for place, one in enumerate(names, 1):
        stage(show, f"[{place}/{len(names)}] {one}: timing a dozen steps or more")
        row = before[one]
        shape = row.shape if name else None
        rows.append(dataclasses.replace(row, speed=jobs.speed(Task(one, row.data or None, shape or None))))
        keep(folder, rows[-1], name)
        each(rows[-1])
    return rows
