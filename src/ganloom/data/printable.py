"""Text with names of files on one line: they may hold any character."""


def printable(text: str) -> str:
    """The text on one line, with escapes for characters that a terminal cannot print."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
