"""report.html of `ganloom augment report`: the table, the verdicts, the recall of each class, and real and generated images."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ganloom.apps.augment_rows import CLASSIC, MEANING, METHODS, REAL, Row, percent
from ganloom.core.names import printable, shown
from ganloom.imaging import grid, levels, row_names
from ganloom.metrics.statistics.paired_seeds import p_text
from ganloom.report import markup, results_page

Pictures = Sequence[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]
BADGES = {"helps": "good", "does not help": "bad", "cannot tell": "warn"}


def page(rows: Sequence[Row], caption: str, remarks: Sequence[str], pictures: Pictures) -> bytes:
    """Build the page.

    Args:
        rows: The rows.
        caption: What was measured, in one sentence.
        remarks: Notes for the user.
        pictures: Class name, real images and generated images, uint8 (n, H, W, C).

    Returns:
        HTML in UTF-8.
    """
    means = "".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in MEANING.items())
    notes = "".join(f"<li>{escape(printable(note))}</li>" for note in remarks)
    body = (
        markup.section("accuracy", "Does the GAN help?", _verdicts(rows) + _table(rows))
        + f'<p class="note">{escape(printable(caption))}. The verdict compares real + GAN with the better one of {REAL} and '
        f"{CLASSIC}.</p><ul>{means}</ul>"
        + markup.section("notes", "Notes", f"<ul>{notes}</ul>" if notes else "")
        + markup.section("images", "Images", _images(pictures))
        + markup.section("recall", "Recall of each class, per cent", "".join(map(_recalls, rows)))
    )
    return results_page.document("Does the GAN help a classifier?", body)


def _verdicts(rows: Sequence[Row]) -> str:
    return "".join(
        f'<p><span class="badge {BADGES[row.verdict.word]}">{row.verdict.word}</span> {escape(printable(row.sentence))}</p>'
        for row in rows
    )


def _table(rows: Sequence[Row]) -> str:
    head = ["labels a class", "real images", *map(escape, METHODS), "verdict", "training images of the GAN"]
    body = []
    for row in rows:
        p = "" if row.verdict.p is None else f", {p_text(row.verdict.p)}"
        cells = [percent(row.cells[method].accuracy) for method in METHODS]
        body.append(
            [escape(row.labels.name), f"{row.images:,.0f}", *map(escape, cells), escape(row.verdict.word + p),
             ("<b>more than the row: </b>" if row.labels.leaks else "") + escape(printable(f"{row.model}: {row.labels.known}"))]
        )  # fmt: skip
    return markup.table(head, body, figures=True)


def _recalls(row: Row) -> str:
    names = list(next(iter(row.cells.values())).recalls)
    body = [
        [escape(shown(name)), *(escape(percent(row.cells[m].recalls[name])) for m in METHODS)] for name in names
    ]  # fmt: skip
    head = [f"{escape(row.labels.name)} labels", *map(escape, METHODS)]
    title = f"<summary>{escape(row.labels.name)} labels a class</summary>"
    return f"<details>{title}{markup.table(head, body, figures=True)}</details>"


def _images(pictures: Pictures) -> str:
    """Two grids with a row for each class."""
    parts = []
    for which, caption in ((1, "Real images"), (2, "Generated images")):
        sets = [one[which] for one in pictures]
        columns = min(map(len, sets), default=0)
        if not columns:
            continue
        images = levels.from_uint8(np.concatenate([images[:columns] for images in sets]))
        sheet = row_names.beside(grid.grid(images, columns), [one[0] for one in pictures])
        parts.append(results_page.figure(grid.png_bytes(sheet), f"{caption}, a row for each class", caption))
    return f'<div class="pair">{"".join(parts)}</div>'
