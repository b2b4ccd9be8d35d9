"""A page of results in the style of report.html: one file that loads nothing from the network."""

import base64
from html import escape
from importlib.resources import files

from ganloom.core.names import printable


def document(title: str, body: str, header: str | None = None) -> bytes:
    """Build a page. Its content security policy blocks all scripts and all loading.

    Args:
        title: Text of the title.
        body: HTML, already escaped.
        header: HTML at the top, already escaped. None: the title as the first heading.

    Returns:
        The page in UTF-8.
    """
    style = files("ganloom.report").joinpath("page.css").read_text(encoding="utf-8")
    name = escape(printable(title))
    header = f'<header><p class="brand">ganloom</p><h1>{name}</h1></header>' if header is None else header
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{name}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body>\n<main>\n'
        f"{header}\n{body}\n</main>\n</body>\n</html>\n"
    )
    return page.encode("utf-8", errors="backslashreplace")


def figure(png: bytes, caption: str, alt: str) -> str:
    """Build a picture with a caption.

    Args:
        png: The content of a PNG file.
        caption: Text below the picture.
        alt: Text in the place of the picture.
    """
    source = base64.b64encode(png).decode()
    return (
        f'<figure class="card"><img src="data:image/png;base64,{source}" alt="{escape(alt)}">'
        f"<figcaption>{escape(printable(caption))}</figcaption></figure>"
    )
