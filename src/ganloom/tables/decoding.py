"""Decode text files of tables: find the encoding by the byte order mark, by its bytes, or by statistics."""

import codecs
from pathlib import Path

from ganloom.core.errors import BadInput, need
from ganloom.tables import EXTRA

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_LATIN = (
    "cp1250",
    "cp1252",
    "cp1254",
    "cp1257",
    "cp1258",
    "latin",
    "iso8859",
    "mac",
    "cp85",
    "cp437",
    "cp77",
    "cp500",
    "cp037",
)
"""Encodings of languages with Latin letters."""
_WINDOWS = {"mac_cyrillic": "cp1251", "mac_greek": "cp1253", "mac_latin2": "cp1250", "mac_roman": "cp1252"}
"""Rare encodings, and the common one of the same languages."""
SURE = 60
"""Letters beyond ASCII from which the encoding of a language with Latin letters is taken as certain."""


def decode(raw: bytes, path: Path) -> tuple[str, str, list[str]]:
    """Decode a file.

    Args:
        raw: Its content.
        path: Its path, for messages.

    Returns:
        (the name of the encoding, the text, notes for the user).

    Raises:
        BadInput: It is not a text file.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding, raw.decode(encoding, errors="replace"), []
    sample = raw[:4000]
    if sample.count(b"\0") > len(sample) / 4:
        encoding = "utf-16-le" if sample[1::2].count(b"\0") > sample[::2].count(b"\0") else "utf-16-be"
        try:
            return encoding, raw.decode(encoding), []
        except UnicodeDecodeError:
            raise BadInput(f"{path} is not a text file. Give a CSV or Parquet file") from None
    try:
        return "utf-8", raw.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    encoding = _guess(raw)
    return encoding, raw.decode(encoding, errors="replace"), [f"the file is not UTF-8; read as {encoding}"]


def _guess(raw: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8."""
    best = need("charset_normalizer", EXTRA).from_bytes(raw[:200_000]).best()
    found = None if best is None else str(best.encoding)
    beyond = sum(byte >= 0x80 for byte in raw[:200_000])
    usual = _WINDOWS.get(found or "", "")
    if found is None or (beyond < SURE and found.startswith(_LATIN)):
        usual = "cp1252"  # with few letters beyond ASCII the statistics say little, and Western European files are most common
    if usual and _letters(raw, usual) >= (_letters(raw, found) if found else -1.0):
        return usual
    return found or "cp1252"


def _letters(raw: bytes, encoding: str) -> float:
    """The share of letters among the characters beyond ASCII."""
    try:
        text = raw[:200_000].decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return -1.0
    beyond = [char for char in text if ord(char) >= 0x80]
    return sum(char.isalpha() for char in beyond) / len(beyond) if beyond else 0.0
