"""Columns of words: booleans, categories, identifiers, free text, constants."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.tables.column import Column, Kind
from ganloom.tables.detect_numbers import ID_NAME, Found, of_numbers, whole_numbers
from ganloom.tables.text import pattern_of

BOOLEANS = frozenset(
    frozenset(pair.split("/"))
    for pair in ("yes/no", "y/n", "true/false", "t/f", "on/off", "ja/nein", "j/n", "oui/non", "sí/no", "si/no", "sim/não",
                 "да/нет", "是/否", "はい/いいえ")
)  # fmt: skip


def plain(value: Any) -> Any:
    """A category as a JSON value: numbers and texts as they are, all other objects as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float | bool) else str(value)


def of_words(base: Column, cells: list[Any], wanted: Kind | None) -> Found:
    """A column of texts: booleans, categories, identifiers or free text.

    Args:
        base: The column; its kind is replaced.
        cells: Its cells; None: missing.
        wanted: The type that the user gave.

    Raises:
        BadInput: The cells do not fit the wanted type.
    """
    present = [cell for cell in cells if cell is not None]
    if not present:
        return Found(replace(base, missing=len(cells)), np.empty(0))
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
        return categories_of(base, cells, None, "boolean")
    kind = wanted or kind_of_words(base.name, present, distinct)
    if kind in ("id", "text"):
        pattern = pattern_of([str(cell) for cell in present], free_text=kind == "text")
        return Found(replace(base, kind=kind, missing=missing, pattern=pattern), np.empty(0))
    return categories_of(base, cells, None)


def kind_of_words(name: str, present: Sequence[Any], distinct: Sequence[Any]) -> Kind:
    """Whether texts are categories, identifiers or free text.

    Args:
        name: Name of the column.
        present: The cells without missing ones.
        distinct: Its different values.
    """
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
    return Found(replace(base, kind="constant", values=(distinct[0],)), np.empty(0))


def categories_of(base: Column, cells: list[Any], categories: tuple[Any, ...] | None, kind: Kind = "category") -> Found:
    """A column of categories.

    Args:
        base: The column; its kind is replaced.
        cells: Its cells; None: missing.
        categories: All categories in their order. None: those of the cells, sorted.
        kind: "category" or "boolean".
    """
    distinct = {(type(cell).__name__, cell): cell for cell in cells if cell is not None}
    if categories is None:
        ordered = sorted(distinct, key=lambda key: (key[0], key[1]))
        categories = tuple(distinct[key] for key in ordered)
    place = {(type(value).__name__, value): i for i, value in enumerate(categories)}
    codes = np.array([-1 if cell is None else place[type(cell).__name__, cell] for cell in cells], np.int64)
    missing = int((codes < 0).sum())
    return Found(replace(base, kind=kind, missing=missing, values=categories), codes)


def of_any_numbers(base: Column, values: NDArray[np.float64], wanted: Kind | None, whole: bool) -> Found:
    """A column of numbers; categories where the user says so."""
    if wanted not in ("category", "boolean", "text"):
        return of_numbers(base, values, wanted, whole)
    whole = whole_numbers(base, values, whole)
    cells = [None if not np.isfinite(v) else (int(v) if whole else v) for v in values.tolist()]
    return of_words(base, cells, wanted)
