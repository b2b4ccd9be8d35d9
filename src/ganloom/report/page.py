"""Write RUN/report.html: one file that loads nothing from the network."""

import base64
import hashlib
import re
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path

from ganloom.core.names import printable
from ganloom.core.output_files import replace_file
from ganloom.report import anomalies, findings, markup, sections, tables
from ganloom.report.folder import Folder, read

PARTS: tuple[Callable[[Folder], str], ...] = (
    sections.heading,
    sections.tiles,
    findings.doctor,
    anomalies.anomalies,
    sections.samples,
    sections.curves,
    tables.measured,
    tables.events,
    tables.settings,
    tables.bad_files,
    tables.repeat,
)


ESCAPES = {
    c: f"\\u{c:04x}"
    for c in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(c) not in "\t\n"
}
"""Control characters and marks that turn the direction of writing, as escapes that JSON knows too: names may hold them."""
CONTROL = re.compile(f"[{re.escape(''.join(map(chr, ESCAPES)))}]")


def write(run_dir: str | Path) -> Path:
    """Write RUN/report.html. An existing page is replaced only when the new one is complete.

    Args:
        run_dir: The run folder, in any state. Missing or damaged files leave their part of the page empty.

    Returns:
        The path of the page.
    """
    run_dir = Path(run_dir)
    target = run_dir / "report.html"
    page = html(read(run_dir.resolve())).encode("utf-8", errors="backslashreplace")
    replace_file(target, page, sync=False)
    return target


def html(folder: Folder) -> str:
    """Return the page. Its content security policy blocks all loading, and all scripts except the page's own."""
    here = files("ganloom.report")
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    script = here.joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    recipe, data = markup.names(folder)
    body = "\n".join(_part(part, folder) for part in PARTS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(printable(recipe))} on {escape(printable(data))} ({escape(markup.state(folder))})</title>\n"
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _part(part: Callable[[Folder], str], folder: Folder) -> str:
    """A section without control characters. The samples are megabytes of base64 without names: they need no search."""
    text = part(folder)
    return text if part is sections.samples or not CONTROL.search(text) else text.translate(ESCAPES)
