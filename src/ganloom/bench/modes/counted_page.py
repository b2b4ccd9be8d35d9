"""The sections of docs/known-truth.md with counted images: samples, rows and table."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ganloom.bench.modes.counted_images import Counter, Row, Task, table
from ganloom.bench.modes.page import put
from ganloom.core import json_files
from ganloom.core.output_files import replace_file, rewrite
from ganloom.imaging.grid import grid, png_bytes


def save(folder: Path, row: Row, samples: Tensor, *, overwrite: bool = False) -> Path:
    """Write samples (N, C, H, W) in [-1, 1] of one row as a grid; return the path."""
    return rewrite(folder / image(row), png_bytes(grid(samples)), overwrite=overwrite)


def image(row: Row) -> str:
    """The path of the grid, relative to the folder."""
    return f"images/{row.data}-{row.setup}-{row.seed}.png"


def write(folder: Path, task: Task, counter: Counter, rows: Sequence[Row]) -> list[Row]:
    """Add rows to the JSON file of the folder, and write the section of the page.

    Args:
        folder: The folder.
        task: The task.
        counter: The quality of the reader.
        rows: The new rows.

    Returns:
        All rows.
    """
    path = folder / "results" / f"{task.data}.json"
    order = list(task.setups)
    with json_files.blaming(path, "rows that cannot be read", "Delete it, or choose another --out"):
        saved = [Row(**one) for one in json_files.read_list(path)]
        by_key = {(row.setup, row.seed): row for row in [*saved, *rows]}
        every = sorted(by_key.values(), key=lambda row: (order.index(row.setup), row.seed))
    replace_file(path, (json.dumps([row.to_dict() for row in every], indent=1) + "\n").encode())
    lines = [f"`ganloom bench modes --data {task.data} --out docs`", "", *table(task, counter, every)]
    for name in order:
        for row in [row for row in every if row.setup == name and (folder / image(row)).exists()][:1]:
            lines += ["", f"`{task.setups[name].command(task.data)}`", "", f"![samples of {name}]({image(row)})"]
    put(folder, task.title, "\n".join(lines))
    return every
