"""Hypothesis strategies that damage the content of a JSON file, as disks, editors and strangers do."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

DEEP = b"[" * 10_000 + b"]" * 10_000
WHOLE = (
    b"", b" \n", b"{}", b"[]", b"null", b"true", b"0", b'"x"', b"{", b"\0" * 64, b"\xff\xfe{}", DEEP, b'{"a":' * 10_000,
    b"9" * 5_000, b"-1e999", b"NaN", "é{}".encode("latin-1"), b"[{}]",
)  # fmt: skip
"""Other content for a whole file."""
PIECES = (b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"]", b",", b'"', b"9", b"-", b".", b"e", b"\\", b"\n", b"\\ud800")

Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def values() -> st.SearchStrategy[Any]:
    """JSON values of any type, with those at the limits; some can only be written as text, see ``_text``."""
    numbers = st.one_of(
        st.integers(-3, 20), st.sampled_from([2**31, -(2**63), 2**63, 10**25, 10**400]), st.floats(-10, 10),
        st.sampled_from([1e-320, -0.0, 1e300, float("inf"), float("nan"), 1e9]),
    )  # fmt: skip
    words = st.one_of(
        st.text(max_size=5),
        st.sampled_from(
            ["", "\0", "\ud800", "../..", "/", "~", "x" * 300, "\n\x1b[2J", "cuda:99", "dcgan", "pix2pix", "None"]
        ),
    )
    plain = st.one_of(st.none(), st.booleans(), numbers, words)
    nested = st.one_of(st.lists(plain, max_size=3), st.dictionaries(st.text(max_size=3), plain, max_size=3))
    return st.one_of(plain, nested, st.sampled_from(["DEEP", "DIGITS", "TOO LARGE"]))


def _text(value: Any) -> bytes:
    special = {'"DEEP"': DEEP, '"DIGITS"': b"7" * 100_000, '"TOO LARGE"': b"1e999"}
    text = json.dumps(value)
    for word, instead in special.items():
        if word in text:
            return text.encode().replace(word.encode(), instead)
    return text.encode()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content of a JSON file, or of one line of a file of JSON lines, with one kind of damage."""
    kind = draw(
        st.sampled_from(["value", "value", "value", "value", "delete", "double", "flip", "cut", "insert", "whole"])
    )
    if kind == "whole":
        return draw(st.sampled_from(WHOLE))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if kind == "flip":
        return content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
    if kind == "cut":
        return content[:at]
    if kind == "insert":
        return content[:at] + draw(st.sampled_from(PIECES)) + content[at:]
    return _inside(draw, content, kind)


def _inside(draw: st.DrawFn, content: bytes, kind: str) -> bytes:
    """Change, delete or double one value."""
    root = json.loads(content)
    path = draw(st.sampled_from(list(places(root))))
    parent = root
    for key in path[:-1]:
        parent = parent[key]
    if kind == "delete":
        del parent[path[-1]]
        return json.dumps(root).encode()
    new = draw(values())
    if kind == "double":
        text = json.dumps(root)
        return text.encode().replace(b"{", b'{"%s": %s, ' % (str(path[-1]).encode(), _text(new)), 1)
    parent[path[-1]] = new
    return _text(root)


@st.composite
def damaged_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """The content of a file of JSON lines with one damaged line, or damaged as a whole."""
    lines = content.splitlines()
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(WHOLE))
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = draw(damaged(lines[at]))
    return b"\n".join(lines) + b"\n"
