"""Build the HTML elements that all parts of a report use, and escape text from the run."""

import json
import math
import time
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ganloom.report.folder import Folder
from ganloom.report.number_format import number


def text(value: Any) -> str:
    """Return any JSON value as escaped text: strings as they are, None as "none", the rest as JSON."""
    if isinstance(value, str):
        return escape(value)
    return "none" if value is None else escape(json.dumps(value, ensure_ascii=False, default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = False, changed: bool = False) -> str:
    """Build a table.

    Args:
        head: Column titles, as HTML.
        rows: Cells as HTML, already escaped. The first cell of each row is its heading.
        figures: Align the cells as numbers.
        changed: Highlight every row as a difference.

    Returns:
        The table as HTML.
    """
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    mark = ' class="changed"' if changed else ""
    body = "".join(
        f'<tr{mark}><th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    kind = ' class="figures"' if figures else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table: {head[0]}"><table{kind}>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def section(name: str, title: str, body: str, aside: str = "") -> str:
    """Build a section of the page.

    Args:
        name: Its id.
        title: Its heading, as HTML.
        body: Its content, as HTML.
        aside: HTML after the heading.

    Returns:
        The section as HTML, or an empty string where ``body`` is empty.
    """
    return f'<section id="{name}"><h2>{title}{aside}</h2>{body}</section>' if body else ""


def state(folder: Folder) -> str:
    """Return the state of a run: running, finished, stopped or failed, or "new" before the first tick."""
    return str(folder.run.get("state") or ("running" if folder.rows else "new"))


def names(folder: Folder) -> tuple[str, str]:
    """Return the names of the recipe and the data, not escaped."""
    data, of_run = folder.part("data"), folder.run.get("data")
    both = data | (of_run if isinstance(of_run, dict) else {})
    name = data.get("name") or both.get("name") or data.get("source") or both.get("source") or "unnamed data"
    return str(folder.config.get("recipe") or folder.path.name), str(name)


def moment(value: Any) -> str:
    """Return seconds since 1970 as local date and time. Other values are returned escaped."""
    seconds = number(value)
    if math.isnan(seconds):
        return text(value)
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return text(value)
