"""Find the type of each column of a table, and read its cells as numbers or category codes."""

import datetime as dt
import decimal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.tables import times
from ganloom.tables.column import CATEGORIES, KINDS, OBJECT_TEXT, ORDERED, TEXT, Column, Kind, kind_named
from ganloom.tables.detect_numbers import EXACT, Found, number_ids, numeric
from ganloom.tables.detect_text import of_text, too_large
from ganloom.tables.detect_words import categories_of, kind_of_words, of_any_numbers, of_words, plain


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
        types[name] = kind_named(kind)
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
        return of_text(base, [str(cell) for cell in series.tolist()], wanted, comma)
    present = series.notna().to_numpy()
    if not present.any():
        return Found(replace(base, missing=len(series)), np.empty(0))
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
        return categories_of(base, cells, (False, True), "boolean")
    if dtype.startswith("period"):
        return _of_periods(base, series, present, wanted, comma)
    if not dtype.lower().startswith(("int", "uint", "float")):
        return _of_objects(replace(base, dtype="object"), series.astype(object), present, wanted, comma)
    values = series.to_numpy(dtype=float, na_value=np.nan)
    whole = dtype.lower().startswith(("int", "uint"))
    if whole and max(abs(int(series.max())), abs(int(series.min()))) > EXACT and wanted not in ("float", "duration"):
        return _of_large(base, series, present, values, wanted)
    return of_any_numbers(base, values, wanted, whole)


def _of_categories(base: Column, series: Any, present: NDArray[np.bool_]) -> Found:
    """A column of pandas categories."""
    listed = series.cat.categories.tolist()
    categories = tuple(plain(value) for value in listed)
    cells = [plain(c) if ok else None for c, ok in zip(series.astype(object).tolist(), present, strict=True)]
    found = categories_of(replace(base, dtype=ORDERED if series.cat.ordered else CATEGORIES), cells, categories)
    lost = next(
        (type(value).__name__ for value, kept in zip(listed, categories, strict=True) if str(value) == kept != value),
        "",
    )
    note = f"{base.name}: categories of type {lost} are returned as texts"
    return Found(found.column, found.values, (*found.notes, note)) if lost else found


def _of_periods(base: Column, series: Any, present: NDArray[np.bool_], wanted: Kind | None, comma: bool) -> Found:
    """A column of pandas periods, read by the texts that pandas writes."""
    texts = series.astype(str).where(series.notna(), None).astype(object)
    found = _of_objects(replace(base, dtype="object"), texts, present, wanted, comma)
    if found.column.kind in ("id", "text", "empty"):
        return Found(found.column, found.values, (*found.notes, f"{base.name}: periods are returned as texts"))
    return Found(replace(found.column, dtype=base.dtype), found.values, found.notes)


def _of_large(
    base: Column, series: Any, present: NDArray[np.bool_], values: NDArray[np.float64], wanted: Kind | None
) -> Found:
    """A column of whole numbers that float64 cannot hold: identifiers or categories."""
    exact = [int(cell) for cell, ok in zip(series.tolist(), present, strict=True) if ok]
    if wanted == "integer":
        raise too_large(base)
    if wanted == "id" or (
        wanted is None and kind_of_words(base.name, list(map(str, exact)), list(dict.fromkeys(exact))) == "id"
    ):
        return number_ids(base, values, values[present], (), exact)
    return of_words(base, [int(c) if ok else None for c, ok in zip(series.tolist(), present, strict=True)], wanted)


# ---- Python objects
def _of_objects(base: Column, series: Any, present: NDArray[np.bool_], wanted: Kind | None, comma: bool) -> Found:
    """A pandas column of Python objects: by the type that all of them have."""
    cells = series.tolist()
    found = [cell for cell, ok in zip(cells, present, strict=True) if ok]
    kinds = {type(cell) for cell in found}
    if kinds == {str}:
        texts = [cell if ok else None for cell, ok in zip(cells, present, strict=True)]
        return _of_written(base, texts, wanted, comma) or of_words(base, texts, wanted)
    if kinds <= {bool, np.bool_}:
        return categories_of(
            base, [bool(c) if ok else None for c, ok in zip(cells, present, strict=True)], (False, True), "boolean"
        )
    if kinds <= {dt.date} or kinds <= {dt.time} or kinds <= {dt.datetime}:
        return _of_time_objects(base, cells, present, next(iter(kinds)))
    if kinds <= {decimal.Decimal}:
        exponents = [cell.as_tuple().exponent for cell in found]
        decimals = max([0, *(-e for e in exponents if isinstance(e, int))])
        values = np.array([float(c) if ok else np.nan for c, ok in zip(cells, present, strict=True)])
        return numeric(replace(base, dtype="object:Decimal", decimals=decimals), values, "float")
    if kinds <= {int, float, np.int64, np.float64}:
        values = np.array([float(c) if ok else np.nan for c, ok in zip(cells, present, strict=True)])
        return of_any_numbers(base, values, wanted, whole=kinds <= {int, np.int64})
    note = f"{base.name}: values of the types {', '.join(sorted(k.__name__ for k in kinds))} are treated as categories"
    simple = [plain(c) if ok else None for c, ok in zip(cells, present, strict=True)]
    result = of_words(base, [None if c is None else str(c) for c in simple], wanted)
    if result.column.kind == "category" and all(
        isinstance(c, str | int | float | bool) for c in simple if c is not None
    ):
        result = categories_of(base, simple, None)
    return Found(result.column, result.values, (*result.notes, note))


def _of_written(base: Column, texts: list[str | None], wanted: Kind | None, comma: bool) -> Found | None:
    """Texts that are dates, times or numbers, read as in a text file; None if they are words."""
    if wanted in ("category", "id", "text", "constant", "boolean", "empty"):
        return None
    found = of_text(replace(base, dtype=OBJECT_TEXT), [text or "" for text in texts], wanted, comma)
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
    return numeric(replace(base, dtype=f"object:{name}"), values, name)
