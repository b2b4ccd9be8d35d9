"""Decode text files of tables: find the encoding by the byte order mark, by its bytes, or by statistics."""

import codecs
import gzip
import json
import re
import zlib
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
"""Beginnings of the names of encodings for languages with Latin letters."""
_WINDOWS = {"mac_cyrillic": "cp1251", "mac_greek": "cp1253"}
"""Rare encodings, and the common one of the same languages."""
_ICELANDIC = "áéíóúýþæöð"
RARE = 0.99
"""What Icelandic letters count: in cp1254 they are Turkish ones, and Turkish files are far more common."""
_WEST = (
    "äöüß", "àâçéèêëîïôûùüœæ", "áéíñóúü", "àèéìòùî", "áâãàçéêíóôõúü", "åäöæøéü", "àéèëïíóöüç", _ICELANDIC,
)  # fmt: skip
"""Letters beyond ASCII of German, French, Spanish, Italian, Portuguese, Nordic languages, Dutch with Catalan, and Icelandic."""
_LETTERS = {
    "cp1252": _WEST,
    "cp1250": ("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "čćđšž", "ăâîşţ"),
    "cp1254": ("çğıiöşüâîûi̇",),
    "cp1257": ("āčēģīķļņšūž", "ąčęėįšųūž", "äöüõšž"),
    "cp1258": ("àáâãèéêìíòóôõùúýăđĩũơư",),
    "cp850": _WEST,
    "mac_roman": _WEST,
}  # fmt: skip
"""Encoding -> the letters beyond ASCII of each language that is written with it. Of equally good ones the first is taken."""
_NEUTRAL = frozenset("€£§°«»“”‘’„–—…·´®©™¿¡½¼²ªº×\u00a0\u0300\u0301\u0303\u0309\u0323\u20ab")
"""Marks that say nothing about the language."""
SEVERAL = 0.95
"""What letters of several languages count, compared with those of one."""
FOREIGN = 0.6
"""In words that have letters beyond ASCII, more than this share of them: the language has no Latin letters."""


def unpacked(raw: bytes, path: Path) -> bytes:
    """The content of a file without gzip.

    Raises:
        BadInput: The packed file is damaged.
    """
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot unpack {path}: {error}") from None


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
    note = f"the file is not UTF-8; read as {encoding}. If letters are wrong, save it as UTF-8"
    return encoding, raw.decode(encoding, errors="replace"), [note]


def _guess(raw: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8."""
    some = raw[:200_000]
    words = [word for word in re.findall(rb"[A-Za-z\x80-\xff]+", some) if max(word) >= 0x80]
    beyond = sum(byte >= 0x80 for word in words for byte in word)
    if beyond <= FOREIGN * sum(map(len, words)):
        return max(_LETTERS, key=lambda encoding: _fit(some, encoding))  # the first of equal ones
    matches = need("charset_normalizer", EXTRA).from_bytes(some)
    names = [str(match.encoding) for match in matches if not str(match.encoding).startswith(_LATIN)]
    if not names:  # too few letters for its statistics
        text = some.decode("cp1251", errors="replace")
        return "cp1251" if sum(map(str.islower, text)) > sum(map(str.isupper, text)) else "koi8-r"
    found = names[0]
    usual = _WINDOWS.get(found, "")
    return usual if usual and _letters(raw, usual) >= _letters(raw, found) else found


def _fit(raw: bytes, encoding: str) -> float:
    """The share of characters beyond ASCII that are letters of a language of an encoding; somewhat less for several languages."""
    text = raw.decode(encoding, errors="replace").lower()
    beyond = [char for char in text if ord(char) >= 0x80 and char not in _NEUTRAL]
    if not beyond:
        return 1.0
    languages = _LETTERS[encoding]
    one = max(
        sum(char in letters for char in beyond) * (RARE if letters == _ICELANDIC else 1.0) for letters in languages
    )
    return max(one, SEVERAL * sum(char in "".join(languages) for char in beyond)) / len(beyond)


def _letters(raw: bytes, encoding: str) -> float:
    """The share of letters among the characters beyond ASCII."""
    try:
        text = raw[:200_000].decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return -1.0
    beyond = [char for char in text if ord(char) >= 0x80]
    return sum(char.isalpha() for char in beyond) / len(beyond) if beyond else 0.0


def is_json(text: str) -> bool:
    """Whether a text is JSON, or JSON lines: an object or a list, no row of a table."""
    lead = text.lstrip()
    if lead[:1] not in ("{", "["):
        return False
    for part in (lead, lead.split("\n", 1)[0]):
        try:
            return isinstance(json.loads(part), dict | list)
        except ValueError:
            continue
    return False
