"""Decode the bytes of a text file. What is not text in the expected encoding is one line that says what it is and what to do."""

import codecs
import os
from pathlib import Path

from ganloom.core.errors import BadInput
from ganloom.core.names import command_line

MAX_BYTES = 2**30
"""Largest file, in bytes."""
_MAGIC = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive or an office document",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x7fELF": "a program",
    b"{\\rtf": "an RTF document",
}
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_CONTROL = frozenset(range(32)) - set(b"\t\n\r\f\x1b\x08") | {127}


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Read a file as text, with ``\\n`` as the only line break.

    Args:
        path: The file.
        encoding: The name of the encoding. A byte order mark of UTF-8 is removed.

    Raises:
        BadInput: The file is empty, too large, binary, or in another encoding.
    """
    if path.stat().st_size > MAX_BYTES:
        raise BadInput(f"{path} has more than {MAX_BYTES // 2**20} MiB; split it into smaller files")
    return decode(path.read_bytes(), os.fspath(path), encoding)


def decode(content: bytes, name: str, encoding: str = "utf-8") -> str:
    """Decode bytes like ``read_text``.

    Args:
        content: The bytes.
        name: The name of their file, for messages.
        encoding: The name of the encoding.

    Raises:
        BadInput: See ``read_text``.
    """
    try:
        codec = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise BadInput(_unknown(encoding)) from error
    if not content.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise BadInput(f"{name} is empty; give a file with one text a line")
    if codec == "utf-8":
        _refuse_other_kinds(content, name)
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise BadInput(_not_decoded(content, name, codec, error)) from error
    except (LookupError, ValueError) as error:  # base64 is no encoding of texts
        raise BadInput(_unknown(encoding)) from error
    if "\0" in text:
        raise BadInput(f"{name} is binary, or not {encoding}: it has NUL characters; give a text file")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _unknown(encoding: str) -> str:
    return f"unknown encoding {encoding}; try utf-8, utf-16, latin-1 or cp1252"


def _refuse_other_kinds(content: bytes, name: str) -> None:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            raise BadInput(_convert(name, encoding))
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            raise BadInput(f"{name} is {kind}; give plain text (UTF-8)")
    start = content[: 2**16]
    if b"\0" in content:
        zeros = [start[parity::2].count(0) / max(1, len(start[parity::2])) for parity in (0, 1)]
        if min(zeros) < 0.1 and max(zeros) > 0.4:  # every other byte is zero: Latin letters in UTF-16
            raise BadInput(_convert(name, "UTF-16LE" if zeros[1] > zeros[0] else "UTF-16BE"))
        line = content[: content.index(0)].count(b"\n") + 1
        raise BadInput(f"{name} is binary: line {line} has a NUL byte; give plain text (UTF-8)")
    if sum(byte in _CONTROL for byte in start) > len(start) // 50:
        raise BadInput(f"{name} is binary: many bytes are control characters; give plain text (UTF-8)")


def _convert(name: str, encoding: str) -> str:
    new = f"{os.path.splitext(name)[0]}-utf8{os.path.splitext(name)[1]}"
    command = command_line(["iconv", "-f", encoding, "-t", "UTF-8", name])
    return f"{name} is {encoding}, not UTF-8; add --encoding {encoding.lower()}, or convert it: {command} > {command_line([new])}"


def _not_decoded(content: bytes, name: str, encoding: str, error: UnicodeDecodeError) -> str:
    line = content[: error.start].count(b"\n") + 1
    byte = content[error.start : error.start + 1].hex()
    fix = "if it is an old Western file, add --encoding cp1252" if encoding == "utf-8" else "give its encoding"
    return f"{name} is not {encoding.upper()}: line {line} has the byte 0x{byte}; {fix}"
