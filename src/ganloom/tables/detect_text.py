"""Columns whose cells are text: numbers, dates, times and durations that are written, or words."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.tables import durations, numbers, times
from ganloom.tables.column import Column, Kind, kind_named
from ganloom.tables.detect_numbers import EXACT, Found, number_ids, numeric
from ganloom.tables.detect_words import kind_of_words, of_any_numbers, of_words

MISSING = frozenset(
    ["", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "#n/a", "#na", "<na>", "-", "--", "---", "?", ".", "missing", "nat"]
)  # fmt: skip
"""Texts of missing cells in a column of numbers or times, in small letters. Elsewhere only an empty cell is missing."""
MOSTLY_DATES = 0.8
"""A column of words of which more than this share are dates gets a note."""
INFINITE = frozenset(["inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"])
"""Texts of infinite numbers, which count as missing in a column of numbers."""


def of_text(base: Column, cells: list[str], wanted: Kind | None, comma: bool) -> Found:
    """A column whose cells are text.

    Args:
        base: The column; its kind is replaced.
        cells: Its cells; missing ones are empty or one of ``MISSING``.
        wanted: The type that the user gave.
        comma: Whether a lone comma in a number is a decimal mark.

    Raises:
        BadInput: The cells cannot be read as the wanted type.
    """
    tokens = [cell.strip().lower() in MISSING for cell in cells]
    empty = [not cell.strip() for cell in cells]
    base = replace(base, missing_text=_usual([cell for cell, gone in zip(cells, tokens, strict=True) if gone]))
    filled = [cell for cell, gone in zip(cells, tokens, strict=True) if not gone]
    if not filled or wanted == "empty":
        return Found(replace(base, missing=len(cells)), np.empty(0))
    gone = np.array(tokens)
    constant = wanted is None and _is_constant(cells)
    packed = None if wanted is not None or constant else times.read_packed(filled)
    if wanted in (None, "integer", "float", "id", "duration") and packed is None:
        found = None if constant else _numbers_of_text(base, cells, gone, wanted, comma)
        if found is not None:
            return found
        if wanted in ("integer", "float"):
            raise _unreadable(base, cells, tokens, wanted, comma)
    if wanted in (None, "date", "time", "datetime"):
        moments = None if constant else packed or times.read(filled, compact=wanted is not None)
        if moments is None and not constant and wanted != "time":
            moments = times.read_mixed(filled)
        if moments is not None and (wanted in (None, moments.kind) or (wanted, moments.kind) == ("datetime", "date")):
            return _times_of_text(base, moments, gone)
        if wanted is not None:
            raise _unreadable(base, cells, tokens, wanted, comma)
    if wanted in (None, "duration"):
        lasted = None if constant else durations.read(filled)
        if lasted is not None:
            values = np.full(len(cells), np.nan)
            values[~gone] = lasted.values
            return numeric(replace(base, duration=lasted.format, decimals=lasted.format.fraction), values, "duration")
        if wanted is not None:
            raise _unreadable(base, cells, tokens, wanted, comma)
    result = of_words(replace(base, missing_text=_usual([c for c, e in zip(cells, empty, strict=True) if e])),
                       [None if gone else cell for cell, gone in zip(cells, empty, strict=True)], wanted)  # fmt: skip
    if wanted is None and result.column.kind in ("id", "category") and times.date_share(filled) > MOSTLY_DATES:
        note = (
            f"{base.name}: most cells are dates, but not in one format or not all; treated as {result.column.kind}. "
            "Write all of them in one format"
        )
        return Found(result.column, result.values, (*result.notes, note))
    return result


def _numbers_of_text(
    base: Column, cells: list[str], gone: NDArray[np.bool_], wanted: Kind | None, comma: bool
) -> Found | None:
    """A column of text cells that are numbers; None if they are not. ``gone`` says which cells are missing."""
    read = numbers.read([cell for cell, lost in zip(cells, gone, strict=True) if not lost], comma)
    notes: tuple[str, ...] = ()
    endless = np.array([cell.strip().lower() in INFINITE for cell in cells])
    if read is None and endless.any() and not (gone | endless).all():
        gone = gone | endless
        read = numbers.read([cell for cell, lost in zip(cells, gone, strict=True) if not lost], comma)
        notes = (f"{base.name}: {int(endless.sum())} infinite values are treated as missing",)
    if read is None:
        return None
    base = replace(base, number=read.format, decimals=read.decimals)
    values = np.full(len(cells), np.nan)
    values[~gone] = read.values
    if read.decimals == 0 and abs(read.values).max() > EXACT and wanted in (None, "id", "integer"):
        exact = [_exact(cell, read.format) for cell, lost in zip(cells, gone, strict=True) if not lost]
        if wanted == "integer":
            raise too_large(base)
        if wanted == "id" or kind_of_words(base.name, exact, list(dict.fromkeys(exact))) == "id":
            return number_ids(base, values, read.values, notes, exact)
        return of_words(base, [None if lost else cell for cell, lost in zip(cells, gone, strict=True)], "category")
    found = of_any_numbers(base, values, wanted, read.decimals == 0)
    return Found(found.column, found.values, (*notes, *found.notes))


def _exact(cell: str, written: numbers.NumberFormat) -> int:
    """A whole number that float64 may not hold."""
    body = cell.strip().removesuffix(written.suffix).replace(written.prefix, "", 1) if written.prefix else cell.strip()
    digits = "".join(char for char in body if char.isdecimal())
    return -int(digits) if cell.strip()[:1] in "-−(" else int(digits)


def too_large(base: Column) -> BadInput:
    """The error for numbers that float64 cannot hold, of which the user says that they are integers."""
    return BadInput(f"--types {base.name}=integer: numbers beyond {EXACT:,} are not exact. Use float, id or category")


def _times_of_text(base: Column, moments: times.Times, gone: NDArray[np.bool_]) -> Found:
    """A column of text cells that are dates or times. ``gone`` says which cells are missing."""
    values = np.full(len(gone), np.nan)
    values[~gone] = moments.values
    decimals = 0 if moments.kind == "date" else moments.format.fraction
    found = numeric(replace(base, time=moments.format, decimals=decimals), values, kind_named(moments.kind))
    notes = found.notes
    if moments.formats > 1:
        notes += (f"{base.name}: dates in {moments.formats} formats; written as {moments.format.pattern}",)
    if moments.ambiguous:
        notes += (f"{base.name}: day and month cannot be told apart; read as {moments.format.pattern}",)
    return Found(found.column, found.values, notes)


def _is_constant(cells: Sequence[str]) -> bool:
    return len(set(cells)) == 1


def _usual(cells: Sequence[str]) -> str:
    return max(sorted(set(cells)), key=cells.count) if cells else ""


def _unreadable(base: Column, cells: Sequence[str], missing: Sequence[bool], wanted: str, comma: bool) -> BadInput:
    for i, (cell, gone) in enumerate(zip(cells, missing, strict=True)):
        if not gone and not _reads_as(cell, wanted, comma):
            forms = f" ({durations.EXAMPLES})" if wanted == "duration" else ""
            return BadInput(
                f'--types {base.name}={wanted}: row {i + 1} is "{cell[:60]}". Correct the cell{forms}, or use another type'
            )
    return BadInput(f"--types {base.name}={wanted}: the cells are not written alike. Correct them, or use another type")


def _reads_as(cell: str, wanted: str, comma: bool) -> bool:
    if wanted == "duration" and durations.read([cell]) is not None:
        return True
    if wanted in ("integer", "float", "duration"):
        return numbers.read([cell], comma) is not None
    moments = times.read([cell], compact=True)
    return moments is not None and (moments.kind == wanted or (wanted, moments.kind) == ("datetime", "date"))
