"""A run as a small block of HTML, for notebooks: the newest samples and the key figures, without scripts."""

import base64
from html import escape
from pathlib import Path

from ganloom.report import markup
from ganloom.report.folder import Folder, read
from ganloom.report.number_format import duration, headline, number, short
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.tables import best_of, metric_names

IMAGE_BYTES = 10_000_000
"""A larger grid of samples is not put into a notebook."""
METRICS = 3


def run_html(run_dir: str | Path) -> str:
    """Return a run as HTML. All text from the run is escaped. Missing or damaged files leave their part empty.

    Args:
        run_dir: The run folder, in any state.
    """
    path = Path(run_dir)
    folder = read(path, grid_bytes=1)  # only the newest grid
    recipe, data = markup.names(folder)
    title = f"<b>{escape(recipe)}</b> on {escape(data)}, {escape(markup.state(folder))}"
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in _figures(folder)
    )
    return (
        f"<div><p>{title}<br><code>{escape(str(run_dir))}</code></p>{_image(folder)}"
        f"<table><tbody>{rows}</tbody></table></div>"
    )


def _figures(folder: Folder) -> list[tuple[str, str]]:
    """(name, text) of each key figure."""
    last = folder.rows[-1] if folder.rows else {}
    total = number(folder.part("train").get("total_kimg"))
    of = f" of {kimg_text(total)}" if total == total else ""
    figures = [("kimg", f"{kimg_text(last.get('kimg', 0))}{of}")]
    seconds = number(last.get("seconds"))
    figures += [("training time", duration(seconds))] if seconds == seconds else []
    for name in metric_names(folder)[:METRICS]:
        best, at = best_of(folder, name)
        value = next(
            number(row.get(name)) for row in reversed(folder.rows) if number(row.get(name)) == number(row.get(name))
        )
        figures.append(
            (name, short(value) + (f" (best {short(best)} at kimg {kimg_text(at)})" if best == best else ""))
        )
    known = {name for name, _ in figures}
    figures += [
        (name, value) for name, value in headline(last) if name not in known and name not in metric_names(folder)
    ]
    if last.get("doctor"):
        figures.append(("doctor", str(last["doctor"])))
    return figures


def _image(folder: Folder) -> str:
    if not folder.grids:
        return "<p>No samples yet.</p>"
    newest = folder.grids[-1]
    caption = f"samples at kimg {kimg_text(newest.kimg)}"
    if len(newest.png) > IMAGE_BYTES:
        return f"<p>{caption}: see samples/ in the run folder.</p>"
    data = base64.b64encode(newest.png).decode("ascii")
    return f'<p><img src="data:image/png;base64,{data}" alt="{caption}" style="max-width:100%"><br>{caption}</p>'
