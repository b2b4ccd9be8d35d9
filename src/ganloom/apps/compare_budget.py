"""`ganloom compare --budget`: train models of any kind for equal time on the same data, and measure them alike.

The clock is the trainer's: seconds in training steps, without images, reports and measurements. Run folders and
measurements stay in one folder, so the same command continues a comparison that was stopped.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from ganloom.api import Run
from ganloom.apps.budget_measure import last_row, measure_run, sample_sheet
from ganloom.apps.budget_plan import Plan, check, claim, folder_of, run_path, seconds_of
from ganloom.apps.budget_table import Budgeted, Row, read_row
from ganloom.apps.budget_training import Countdown, Progress, train_for_budget
from ganloom.core import allocator
from ganloom.core.names import as_path
from ganloom.core.output_files import may_rewrite, replace_file, rewrite
from ganloom.data.own_folders import mark_output
from ganloom.imaging.grid import png_bytes
from ganloom.report.progress import Progress as ProgressLine

__all__ = ["Countdown", "Plan", "compare_under_budget", "folder_of", "seconds_of"]

ROW, TABLE = "measured.json", "compare.json"


def compare_under_budget(
    plan: Plan,
    out: str | Path,
    *,
    stream: TextIO | None = None,
    show: ProgressLine | None = None,
    overwrite: bool = False,
) -> Budgeted:
    """Train each model for its time, measure all of them alike, and write compare.md, compare.json and compare.png.

    The run folders are OUT/MODEL-SEED. Nothing is done twice: a run that was stopped is continued, and one that was
    measured is only read.

    Args:
        plan: What to compare.
        out: The folder of the comparison: new, empty, or of the same comparison.
        stream: Where to print the progress. None: stderr.
        show: Prints the progress instead, also between the lines.
        overwrite: Replace files of the comparison that ganloom did not write, or that were changed.

    Returns:
        The table.

    Raises:
        BadInput: The plan or the folder cannot be used.
        KeyboardInterrupt: Ctrl-C was pressed; the training is saved.
    """
    allocator.keep_freed_blocks()
    (plan, data), out = check(plan), as_path(out)
    claim(plan.kept(data), out)
    for name in ("compare.md", TABLE, "compare.png"):
        may_rewrite(out / name, overwrite=overwrite)
    progress = Progress(plan, stream or sys.stderr, show)
    rows: list[Row] = []
    for seed in range(plan.seed, plan.seed + plan.seeds):
        for name in plan.models:
            path = run_path(out, name, seed)
            row = _read(path / ROW)
            if row is None:
                progress.begin(name, seed, last_row(Run(path)).get("seconds", 0.0))
                run = train_for_budget(plan, name, seed, path, progress.say, progress.report)
                row = measure_run(plan, name, seed, run, data, progress.say, progress.report)
                replace_file(path / ROW, (json.dumps(row.to_dict()) + "\n").encode())
                progress.end()
            rows.append(row)
    result = Budgeted(asdict(plan), rows, _machines(rows))
    progress.report("drawing samples of all models")
    image = sample_sheet(plan, out, data)
    if image is not None:
        mark_output(out, "compare")
        rewrite(out / "compare.png", png_bytes(image), overwrite=overwrite)
    rewrite(out / "compare.md", result.markdown().encode(errors="backslashreplace"), overwrite=overwrite)
    rewrite(out / TABLE, (json.dumps(result.to_dict(), indent=1) + "\n").encode(), overwrite=overwrite)
    return result


def _read(path: Path) -> Row | None:
    return read_row(path) if path.exists() else None


def _machines(rows: Sequence[Row]) -> str:
    """The machines of all trainings, in words."""
    return "; ".join(dict.fromkeys(f"{row.machine}, torch {row.torch}" for row in rows if row.machine))
