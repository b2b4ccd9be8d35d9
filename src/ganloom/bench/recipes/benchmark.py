"""`ganloom bench recipes`: train every recipe's ``--small`` plan with several seeds, and measure samples and speed.

The data is fashion-10k; for image-to-image recipes two domains made from it, or pairs (see ``ganloom.recipes.presets``). With
``data``, all recipes are trained on other data with the same plans.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganloom import data as datasets
from ganloom.bench.recipes import job as jobs
from ganloom.bench.recipes.rows import Row, images_folder, keep
from ganloom.bench.recipes.rows import kept as kept
from ganloom.bench.recipes.rows import ranked as ranked
from ganloom.bench.recipes.suite import Suite as Suite
from ganloom.bench.recipes.task import Task
from ganloom.bench.recipes.times import Countdown, Times
from ganloom.bench.recipes.work import Work
from ganloom.core import allocator
from ganloom.core.errors import BadInput
from ganloom.core.output_files import may_rewrite
from ganloom.report.progress import Progress, stage


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

    A seed that was measured with the same command and plan is not repeated, a stopped training is continued, and a training
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
    missing = {name: suite.missing(name, before.get(name)) for name in suite.recipes}
    known = {name: before[name] for name, tasks in missing.items() if not tasks}
    tasks = [task for name in suite.recipes for task in missing[name]]
    todo = [task for task in tasks if suite.anew or jobs.saved(task.folder(runs)) is None]
    times = Times(before, kept(folder), shape)
    work = Work(suite, folder, runs, tasks, todo, Countdown(times, todo, workers), show)
    if show is not None and todo:
        show.say(f"{times.sentence(todo, workers, work.started)}; Ctrl-C stops and saves, the same command continues")
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
