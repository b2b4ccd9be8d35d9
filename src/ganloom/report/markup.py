"""Pieces of HTML that all parts of a report use; text from the run is escaped here."""

import json
import math
import time
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ganloom.report.figures import number
from ganloom.report.folder import Folder


def text(value: Any) -> str:
    """Any JSON value as escaped text: plain strings bare, None as "none", the rest as JSON."""
    if isinstance(value, str):
        return escape(value)
    return "none" if value is None else escape(json.dumps(value, ensure_ascii=False, default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], figures: bool = False, changed: bool = False) -> str:
    """A table of ready HTML cells; the first column heads each row. ``changed`` marks every row as a difference."""
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
    """A titled part of the page; nothing where there is nothing to say."""
    return f'<section id="{name}"><h2>{title}{aside}</h2>{body}</section>' if body else ""


def state(folder: Folder) -> str:
    """running, finished, stopped or failed; "new" before anything is known."""
    return str(folder.run.get("state") or ("running" if folder.rows else "new"))


def names(folder: Folder) -> tuple[str, str]:
    """The recipe and the data of a run, unescaped."""
    data, found = folder.part("data"), folder.run.get("data")
    known = data | (found if isinstance(found, dict) else {})
    called = data.get("name") or known.get("name") or data.get("source") or known.get("source") or "unnamed data"
    return str(folder.config.get("recipe") or folder.path.name), str(called)


def moment(value: Any) -> str:
    """Seconds since 1970 as local date and time; other values as they are, escaped."""
    seconds = number(value)
    if math.isnan(seconds):
        return text(value)
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return text(value)
