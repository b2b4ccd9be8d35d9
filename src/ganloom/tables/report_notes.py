"""What the report of a synthetic table notes on how it differs from the real one."""

from collections import Counter

from ganloom.core.names import shown
from ganloom.tables import detect, reading
from ganloom.tables.column import TEXT, Column
from ganloom.tables.preparation import Preparation


def differences(preparation: Preparation, real: reading.Source, drawn: reading.Source) -> list[str]:
    """Say what the synthetic table has that the real one does not have, and what it writes otherwise.

    Args:
        preparation: What is known of the real table.
        real: The real table.
        drawn: The synthetic table.

    Returns:
        A sentence for each difference.
    """
    notes = []
    names = [str(name) for name in drawn.frame.columns]
    more = [name for name in names if name not in preparation.schema.names]
    if more:
        notes.append(f"not compared, for the real table has no such column: {', '.join(map(shown, more[:5]))}")
    gone = [column.name for column in preparation.schema.columns if column.name not in names]
    if gone:
        notes.append(f"the synthetic table lacks columns of the real one: {', '.join(map(shown, gone[:5]))}")
    for column in preparation.schema.modelled:
        if column.discrete and column.name in names:
            notes += _unknown(column, drawn)
    if real.format.get("kind") == drawn.format.get("kind") == "text":
        for column in preparation.schema.modelled:
            if not column.continuous or column.number is None or column.name not in names:
                continue
            found = detect.find(
                column.name,
                column.header,
                drawn.frame[column.name],
                TEXT,
                None,
                bool(drawn.format.get("decimal_comma")),
            ).column
            if found.continuous and found.number is not None and _affixes(found) != _affixes(column):
                notes.append(
                    f"{column.name} is written otherwise in the synthetic table: {_example(found)} instead of {_example(column)}"
                )
    return notes


def _unknown(column: Column, drawn: reading.Source) -> list[str]:
    """A note on categories of the synthetic table that the real one does not have."""
    series = drawn.frame[column.name]
    cells = [str(cell).strip() for cell in series[series.notna()].tolist()]
    known = {str(value).strip() for value in column.values} | {"", column.missing_text}
    counts = Counter(cell for cell in cells if cell not in known)
    if not counts:
        return []
    listed = ", ".join(shown(cell) for cell, _ in counts.most_common(3)) + ", ..." * (len(counts) > 3)
    return [
        f"{column.name}: {counts.total()} synthetic cells are categories that the real table does not have: {listed}"
    ]


def _affixes(column: Column) -> tuple[str, str]:
    assert column.number is not None
    return column.number.prefix.strip(), column.number.suffix.strip()


def _example(column: Column) -> str:
    assert column.low is not None
    return shown(column.text_of(column.low))
