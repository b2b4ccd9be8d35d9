"""Find the type of each column of a table, and read its cells as numbers or category codes."""

import dataclasses
import datetime as dt
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.tables import durations, numbers, times
from ganloom.tables.column import CATEGORIES, OBJECT_TEXT, ORDERED, TEXT, Column, Kind
from ganloom.tables.detect_numbers import EXACT, ID_NAME, Found, number_ids, numeric, of_numbers, whole_numbers
from ganloom.tables.text import pattern_of

MISSING = frozenset(
    ["", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "#n/a", "#na", "<na>", "-", "--", "---", "?", ".", "missing", "nat"]
)  # fmt: skip
"""Texts of missing cells in a column of numbers or times, in small letters. Elsewhere only an empty cell is missing."""
MOSTLY_DATES = 0.8
"""A column of words of which more than this share are dates gets a note."""
INFINITE = frozenset(["inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"])
"""Texts of infinite numbers, which count as missing in a column of numbers."""
BOOLEANS = frozenset(
    frozenset(pair.split("/"))
    for pair in ("yes/no", "y/n", "true/false", "t/f", "on/off", "ja/nein", "j/n", "oui/non", "sí/no", "si/no", "sim/não",
                 "да/нет", "是/否", "はい/いいえ")
)  # fmt: skip
KINDS: tuple[Kind, ...] = (
    "integer", "float", "boolean", "category", "date", "time", "datetime", "duration", "constant", "id", "text", "empty",
)  # fmt: skip


def parse_types(given: str | Mapping[str, str] | None) -> dict[str, Kind]:
    """Read ``--types``: "zip=category,age=integer", or a dictionary.

    Raises:
        BadInput: A type is unknown.
    """
    if not given:
        return {}
    pairs = (
        list(given.items())
        if isinstance(given, Mapping)
        else [
            (part.partition("=")[0].strip(), part.partition("=")[2].strip())
            for part in given.split(",")
            if part.strip()
        ]
    )
    types: dict[str, Kind] = {}
    for name, kind in pairs:
        if kind not in KINDS:
            raise BadInput(
                f'--types {name}={kind}: "{kind}" is no type{did_you_mean(kind, KINDS)}. Use {", ".join(KINDS)}'
            )
        types[name] = next(known for known in KINDS if known == kind)
    return types


def find(name: str, header: str, series: Any, dtype: str, wanted: Kind | None = None, comma: bool = False) -> Found:
    """Find the type of a column.

    Args:
        name: Its unique name.
        header: Its name in the file.
        series: The pandas column.
        dtype: ``column.TEXT`` for cells of a text file; else the pandas dtype.
        wanted: The type that the user gave.
        comma: Whether a lone comma in a number is a decimal mark.

    Raises:
        BadInput: The cells cannot be read as the wanted type.
    """
    found = _found(Column(name, header, "empty", dtype, rows=len(series)), series, wanted, comma)
    kind = found.column.kind
    if wanted not in (None, kind, "empty") and kind != "empty" and (wanted, kind) != ("datetime", "date"):
        raise BadInput(
            f"--types {name}={wanted}: the cells, of type {dtype}, cannot be read as this type. Convert the column, or use {kind}"
        )
    return found


def _found(base: Column, series: Any, wanted: Kind | None, comma: bool) -> Found:
    """The column of ``find``; its type is that of ``wanted`` only where the cells can be read so."""
    dtype = base.dtype
    if dtype == TEXT:
        return _of_text(base, [str(cell) for cell in series.tolist()], wanted, comma)
    present = series.notna().to_numpy()
    if not present.any():
        return Found(_with(base, missing=len(series)), np.empty(0))
    if dtype.startswith(("object", "str")):
        return _of_objects(base, series, present, wanted, comma)
    if dtype == CATEGORIES:
        return _of_categories(base, series, present)
    if dtype.startswith("datetime64"):
        moments = series.dt.tz_convert("UTC").dt.tz_localize(None) if "," in dtype else series
        seconds = moments.astype("datetime64[us]").astype("int64").to_numpy() / 1e6
        whole = not (seconds[present] % 86400).any() and "," not in dtype
        kind: Kind = "date" if whole else "datetime"
        values = np.where(present, seconds / 86400 if whole else seconds, np.nan)
        return numeric(base, values, wanted if wanted in ("date", "datetime") else kind, wanted)
    if dtype.startswith("timedelta64"):
        return numeric(base, np.where(present, series.dt.total_seconds().to_numpy(float), np.nan), "duration", wanted)
    if dtype in ("bool", "boolean") or dtype.startswith("bool"):
        cells = [bool(cell) if ok else None for cell, ok in zip(series.tolist(), present, strict=True)]
        return _categories(base, cells, (False, True), "boolean")
    if dtype.startswith("period"):
        return _of_periods(base, series, present, wanted, comma)
    if not dtype.lower().startswith(("int", "uint", "float")):
        return _of_objects(dataclasses.replace(base, dtype="object"), series.astype(object), present, wanted, comma)
    values = series.to_numpy(dtype=float, na_value=np.nan)
    whole = dtype.lower().startswith(("int", "uint"))
    if whole and max(abs(int(series.max())), abs(int(series.min()))) > EXACT and wanted not in ("float", "duration"):
        return _of_large(base, series, present, values, wanted)
    return _of_numbers(base, values, wanted, whole)


def _of_categories(base: Column, series: Any, present: NDArray[np.bool_]) -> Found:
    """A column of pandas categories."""
    listed = series.cat.categories.tolist()
    categories = tuple(_plain(value) for value in listed)
    cells = [_plain(c) if ok else None for c, ok in zip(series.astype(object).tolist(), present, strict=True)]
    found = _categories(_with(base, dtype=ORDERED if series.cat.ordered else CATEGORIES), cells, categories)
    lost = next(
        (type(value).__name__ for value, kept in zip(listed, categories, strict=True) if str(value) == kept != value),
        "",
    )
    note = f"{base.name}: categories of type {lost} are returned as texts"
    return Found(found.column, found.values, (*found.notes, note)) if lost else found


def _of_periods(base: Column, series: Any, present: NDArray[np.bool_], wanted: Kind | None, comma: bool) -> Found:
    """A column of pandas periods, read by the texts that pandas writes."""
    texts = series.astype(str).where(series.notna(), None).astype(object)
    found = _of_objects(_with(base, dtype="object"), texts, present, wanted, comma)
    if found.column.kind in ("id", "text", "empty"):
        return Found(found.column, found.values, (*found.notes, f"{base.name}: periods are returned as texts"))
    return Found(_with(found.column, dtype=base.dtype), found.values, found.notes)


def _of_large(
    base: Column, series: Any, present: NDArray[np.bool_], values: NDArray[np.float64], wanted: Kind | None
) -> Found:
    """A column of whole numbers that float64 cannot hold: identifiers or categories."""
    exact = [int(cell) for cell, ok in zip(series.tolist(), present, strict=True) if ok]
    if wanted == "integer":
        raise _too_large(base)
    if wanted == "id" or (
        wanted is None and _kind_of_words(base.name, list(map(str, exact)), list(dict.fromkeys(exact))) == "id"
    ):
        return number_ids(base, values, values[present], (), exact)
    return _of_words(base, [int(c) if ok else None for c, ok in zip(series.tolist(), present, strict=True)], wanted)


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind == name)


def _with(column: Column, **changes: Any) -> Column:
    return dataclasses.replace(column, **changes)


def _plain(value: Any) -> Any:
    """A category as a JSON value: numbers and texts as they are, all other objects as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float | bool) else str(value)


# ---- text cells
def _of_text(base: Column, cells: list[str], wanted: Kind | None, comma: bool) -> Found:
    tokens = [cell.strip().lower() in MISSING for cell in cells]
    empty = [not cell.strip() for cell in cells]
    base = _with(base, missing_text=_usual([cell for cell, gone in zip(cells, tokens, strict=True) if gone]))
    filled = [cell for cell, gone in zip(cells, tokens, strict=True) if not gone]
    if not filled or wanted == "empty":
        return Found(_with(base, missing=len(cells)), np.empty(0))
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
            return numeric(_with(base, duration=lasted.format, decimals=lasted.format.fraction), values, "duration")
        if wanted is not None:
            raise _unreadable(base, cells, tokens, wanted, comma)
    result = _of_words(_with(base, missing_text=_usual([c for c, e in zip(cells, empty, strict=True) if e])),
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
    base = _with(base, number=read.format, decimals=read.decimals)
    values = np.full(len(cells), np.nan)
    values[~gone] = read.values
    if read.decimals == 0 and abs(read.values).max() > EXACT and wanted in (None, "id", "integer"):
        exact = [_exact(cell, read.format) for cell, lost in zip(cells, gone, strict=True) if not lost]
        if wanted == "integer":
            raise _too_large(base)
        if wanted == "id" or _kind_of_words(base.name, exact, list(dict.fromkeys(exact))) == "id":
            return number_ids(base, values, read.values, notes, exact)
        return _of_words(base, [None if lost else cell for cell, lost in zip(cells, gone, strict=True)], "category")
    found = _of_numbers(base, values, wanted, read.decimals == 0)
    return Found(found.column, found.values, (*notes, *found.notes))


def _exact(cell: str, written: numbers.NumberFormat) -> int:
    """A whole number that float64 may not hold."""
    body = cell.strip().removesuffix(written.suffix).replace(written.prefix, "", 1) if written.prefix else cell.strip()
    digits = "".join(char for char in body if char.isdecimal())
    return -int(digits) if cell.strip()[:1] in "-−(" else int(digits)


def _too_large(base: Column) -> BadInput:
    return BadInput(f"--types {base.name}=integer: numbers beyond {EXACT:,} are not exact. Use float, id or category")


def _times_of_text(base: Column, moments: times.Times, gone: NDArray[np.bool_]) -> Found:
    """A column of text cells that are dates or times. ``gone`` says which cells are missing."""
    values = np.full(len(gone), np.nan)
    values[~gone] = moments.values
    decimals = 0 if moments.kind == "date" else moments.format.fraction
    found = numeric(_with(base, time=moments.format, decimals=decimals), values, _kind(moments.kind))
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


def _of_words(base: Column, cells: list[Any], wanted: Kind | None) -> Found:
    """A column of texts: booleans, categories, identifiers or free text."""
    present = [cell for cell in cells if cell is not None]
    if not present:
        return Found(_with(base, missing=len(cells)), np.empty(0))
    distinct = list(dict.fromkeys(present))
    missing = len(cells) - len(present)
    if (len(distinct) == 1 and not missing and wanted is None) or wanted == "constant":
        return _constant(base, distinct, cells, wanted)
    words = frozenset(word.strip().lower() for word in distinct if isinstance(word, str))
    if wanted == "boolean" or (wanted is None and len(distinct) == 2 and words in BOOLEANS):
        if len(distinct) > 2:
            raise BadInput(
                f"--types {base.name}=boolean: the column has {len(distinct)} different values. Use category"
            )
        return _categories(base, cells, None, "boolean")
    kind = wanted or _kind_of_words(base.name, present, distinct)
    if kind in ("id", "text"):
        pattern = pattern_of([str(cell) for cell in present], free_text=kind == "text")
        return Found(_with(base, kind=kind, missing=missing, pattern=pattern), np.empty(0))
    return _categories(base, cells, None)


def _kind_of_words(name: str, present: Sequence[Any], distinct: Sequence[Any]) -> Kind:
    share = len(distinct) / len(present)
    spaced = sum(len(str(cell).split()) > 3 for cell in distinct) / len(distinct)
    if spaced > 0.5 and share > 0.5 and len(present) > 2:
        return "text"
    all_differ = len(distinct) == len(present) and len(present) > 2
    if (
        all_differ
        or (share > 0.5 and len(present) >= 20)
        or (share > 0.2 and len(distinct) > 20 and ID_NAME.search(name))
    ):
        return "text" if spaced > 0.3 else "id"
    return "category"


def _constant(base: Column, distinct: list[Any], cells: Sequence[Any], wanted: Kind | None) -> Found:
    if len(distinct) > 1 or any(cell is None for cell in cells):
        raise BadInput(f"--types {base.name}=constant: the column has more than one value. Use another type")
    return Found(_with(base, kind="constant", values=(distinct[0],)), np.empty(0))


def _categories(base: Column, cells: list[Any], categories: tuple[Any, ...] | None, kind: Kind = "category") -> Found:
    distinct = {(type(cell).__name__, cell): cell for cell in cells if cell is not None}
    if categories is None:
        ordered = sorted(distinct, key=lambda key: (key[0], key[1]))
        categories = tuple(distinct[key] for key in ordered)
    place = {(type(value).__name__, value): i for i, value in enumerate(categories)}
    codes = np.array([-1 if cell is None else place[type(cell).__name__, cell] for cell in cells], np.int64)
    missing = int((codes < 0).sum())
    return Found(_with(base, kind=kind, missing=missing, values=categories), codes)


def _of_numbers(base: Column, values: NDArray[np.float64], wanted: Kind | None, whole: bool) -> Found:
    """A column of numbers; categories where the user says so."""
    if wanted not in ("category", "boolean", "text"):
        return of_numbers(base, values, wanted, whole)
    whole = whole_numbers(base, values, whole)
    cells = [None if not np.isfinite(v) else (int(v) if whole else v) for v in values.tolist()]
    return _of_words(base, cells, wanted)


# ---- Python objects
def _of_objects(base: Column, series: Any, present: NDArray[np.bool_], wanted: Kind | None, comma: bool) -> Found:
    """A pandas column of Python objects: by the type that all of them have."""
    cells = series.tolist()
    found = [cell for cell, ok in zip(cells, present, strict=True) if ok]
    kinds = {type(cell) for cell in found}
    if kinds == {str}:
        texts = [cell if ok else None for cell, ok in zip(cells, present, strict=True)]
        return _of_written(base, texts, wanted, comma) or _of_words(base, texts, wanted)
    if kinds <= {bool, np.bool_}:
        return _categories(
            base, [bool(c) if ok else None for c, ok in zip(cells, present, strict=True)], (False, True), "boolean"
        )
    if kinds <= {dt.date} or kinds <= {dt.time} or kinds <= {dt.datetime}:
        return _of_time_objects(base, cells, present, next(iter(kinds)))
    if kinds <= {decimal.Decimal}:
        exponents = [cell.as_tuple().exponent for cell in found]
        decimals = max([0, *(-e for e in exponents if isinstance(e, int))])
        values = np.array([float(c) if ok else np.nan for c, ok in zip(cells, present, strict=True)])
        return numeric(_with(base, dtype="object:Decimal", decimals=decimals), values, "float")
    if kinds <= {int, float, np.int64, np.float64}:
        values = np.array([float(c) if ok else np.nan for c, ok in zip(cells, present, strict=True)])
        return _of_numbers(base, values, wanted, whole=kinds <= {int, np.int64})
    note = f"{base.name}: values of the types {', '.join(sorted(k.__name__ for k in kinds))} are treated as categories"
    simple = [_plain(c) if ok else None for c, ok in zip(cells, present, strict=True)]
    result = _of_words(base, [None if c is None else str(c) for c in simple], wanted)
    if result.column.kind == "category" and all(
        isinstance(c, str | int | float | bool) for c in simple if c is not None
    ):
        result = _categories(base, simple, None)
    return Found(result.column, result.values, (*result.notes, note))


def _of_written(base: Column, texts: list[str | None], wanted: Kind | None, comma: bool) -> Found | None:
    """Texts that are dates, times or numbers, read as in a text file; None if they are words."""
    if wanted in ("category", "id", "text", "constant", "boolean", "empty"):
        return None
    found = _of_text(_with(base, dtype=OBJECT_TEXT), [text or "" for text in texts], wanted, comma)
    numeric_id = found.column.kind == "id" and found.column.unit != ""
    return found if wanted is not None or found.column.continuous or numeric_id else None


def _of_time_objects(base: Column, cells: list[Any], present: NDArray[np.bool_], kind: type) -> Found:
    name: Kind = "date" if kind is dt.date else "time" if kind is dt.time else "datetime"
    values = np.full(len(cells), np.nan)
    for i, (cell, ok) in enumerate(zip(cells, present, strict=True)):
        if not ok:
            continue
        if name == "date":
            values[i] = times.of_date(cell)
        elif name == "time":
            values[i] = cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6
        else:
            values[i] = times.number_of(cell, "datetime")
    return numeric(_with(base, dtype=f"object:{name}"), values, name)
