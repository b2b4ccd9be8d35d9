"""How the dates and times of a column are written, and their conversion to numbers and back.

Dates are days since 1970-01-01, times of day are seconds since midnight, moments are seconds since 1970-01-01 UTC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y",
    "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y", "%Y.%m.%d", "%Y年%m月%d日",
    "%Y-%m", "%Y/%m", "%m/%Y",
)  # fmt: skip
CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p")
BETWEEN = (" ", "T", ", ")
COMPACT = ("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S")
"""Formats without separators, which are used only if the user says that a column holds dates."""
YEARS = (1900, 2100)
"""Whole numbers of 8 digits are dates without being asked for if all are dates of these years."""
FEWEST_PACKED = 10
"""They need at least this many different values."""
MOST_FORMATS = 6
"""Most formats of a column of dates."""
TRIED = 40
"""Cells that are tried one by one; each takes a millisecond."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d{1,9})")
_ZONE = re.compile(r"\s?(Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d)$")


@dataclass(frozen=True)
class TimeFormat:
    """How a text column writes its dates and times."""

    pattern: str
    """The pattern of ``strptime``, without fraction and zone."""
    fraction: int = 0
    """Digits of fractions of a second."""
    zone: str = ""
    """What follows the time: empty, "Z", " UTC", or "offset" with the fields below."""
    changes: tuple[float, ...] = ()
    """Moments from which on an offset is used, in ascending order; the first one is the earliest moment."""
    offsets: tuple[str, ...] = ()
    """The offset from each moment on, as it is written, such as "+02:00"."""
    padded: bool = True
    """Whether days, months and hours have two digits."""

    def write(self, value: float, kind: str) -> str:
        """Return a number as the text of a cell.

        Args:
            value: Days or seconds; see the module.
            kind: "date", "time" or "datetime".
        """
        moment = moment_of(value, kind)
        zone = self.zone
        if zone == "offset":
            place = int(np.searchsorted(np.array(self.changes), value, side="right")) - 1
            zone = self.offsets[max(place, 0)]
            moment = moment.astimezone(timezone(_delta(zone)))
        text = moment.strftime(self.pattern)
        if not self.padded:
            text = re.sub(r"(?<!\d)(?<![:.])0(\d)", r"\1", text)
        if self.fraction:
            digits = f"{moment.microsecond:06d}".ljust(9, "0")[: self.fraction]
            text = re.sub(r"(:\d\d)(?!.*:\d\d)", rf"\1.{digits}", text, count=1)
        return text + zone


@dataclass(frozen=True)
class Times:
    """The dates or times of a text column.

    Attributes:
        values: Days or seconds, float64 (n,); see the module.
        kind: "date", "time" or "datetime".
        format: How they are written.
        ambiguous: Whether day and month could be the other way round.
        formats: In how many formats they are written; ``format`` is the most common one.
    """

    values: NDArray[np.float64]
    kind: str
    format: TimeFormat
    ambiguous: bool = False
    formats: int = 1


def moment_of(value: float, kind: str) -> datetime:
    """A number of a column as a moment in UTC."""
    if kind == "date":
        return EPOCH + timedelta(days=round(value))
    return EPOCH + timedelta(microseconds=round(value * 1e6))


def number_of(moment: datetime, kind: str) -> float:
    """A moment as a number of a column; without a zone it counts as UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - EPOCH
    return float(since.days) if kind == "date" else since / timedelta(seconds=1)


def of_date(day: date) -> float:
    """A date as a number: days since 1970-01-01."""
    return float((day - date(1970, 1, 1)).days)


def read(cells: Sequence[str], compact: bool = False) -> Times | None:
    """Read a column as dates, times of day or moments.

    Args:
        cells: The cells without missing ones.
        compact: Also accept dates without separators, such as 20240131.

    Returns:
        The times, or None if one cell cannot be read or the cells are not written alike.
    """
    distinct = list(dict.fromkeys(cell.strip() for cell in cells))
    if not distinct or any(not any(char.isdigit() for char in cell) or len(cell) > 40 for cell in distinct[:50]):
        return None
    parts = [_split(cell) for cell in distinct]
    if len({bool(zone) for _, _, zone in parts}) != 1:
        return None
    fraction = max(len(digits) for _, digits, _ in parts)
    fitting = [(pattern, kind) for pattern, kind in _patterns(compact) if _reads(pattern, [p[0] for p in parts])]
    if not fitting:
        return None
    pattern, kind = fitting[0]
    if kind != "datetime" and any(zone for _, _, zone in parts):
        return None
    swapped = {p.replace("%d", "x").replace("%m", "%d").replace("x", "%m") for p, _ in fitting}
    ambiguous = len(fitting) > 1 and pattern in swapped and "%m" in pattern
    numbers, zones = {}, {}
    for cell, (text, digits, zone) in zip(distinct, parts, strict=True):
        moment = datetime.strptime(text, pattern)
        moment = moment.replace(year=1970, month=1, day=1) if kind == "time" else moment
        offset = _delta(zone) if zone[-5:].strip()[:1] in ("+", "-") or zone[:1] in ("+", "-") else timedelta()
        moment = moment.replace(tzinfo=timezone(offset))
        numbers[cell] = number_of(moment, kind) + (float(f"0.{digits}") if digits else 0.0)
        zones[cell] = zone
    written = _format(pattern, fraction, numbers, zones)
    sample = distinct[:200]
    if any(written.write(numbers[cell], kind) != cell for cell in sample) and not written.fraction:
        unpadded = TimeFormat(pattern, fraction, written.zone, written.changes, written.offsets, padded=False)
        if all(unpadded.write(numbers[cell], kind) == cell for cell in sample):
            written = unpadded
    return Times(np.array([numbers[cell.strip()] for cell in cells]), kind, written, ambiguous)


def read_mixed(cells: Sequence[str]) -> Times | None:
    """Read a column of dates that are written in up to ``MOST_FORMATS`` formats, such as 2022-02-06 and 10.12.2021.

    Cells with the same marks must have the same format. None if they have not, or if a cell is no date.
    """
    stripped = [cell.strip() for cell in cells]
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(stripped):
        groups.setdefault(re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "9", cell)), []).append(row)
        if len(groups) > MOST_FORMATS:
            return None
    values = np.full(len(cells), np.nan)
    found: list[tuple[int, Times]] = []
    for rows in groups.values():
        part = read([stripped[row] for row in rows])
        if part is None or part.kind != "date":
            return None
        values[rows] = part.values
        found.append((len(rows), part))
    if len(found) < 2:
        return None
    usual = max(found, key=lambda pair: pair[0])[1]
    return Times(values, "date", usual.format, any(part.ambiguous for _, part in found), len(found))


def date_share(cells: Sequence[str]) -> float:
    """The share of cells that are a date in some format, each for itself; of the first ``TRIED`` different cells."""
    some = list(dict.fromkeys(cell.strip() for cell in cells))[:TRIED]
    like = [cell for cell in some if len(cell) <= 20 and 3 <= sum(char.isdigit() for char in cell) <= 8]
    return sum(any(_reads(pattern, [cell]) for pattern in DATES) for cell in like) / max(len(some), 1)


def read_packed(cells: Sequence[str]) -> Times | None:
    """Read a column of dates such as 20240131; None if a cell is none, or if they could well be other numbers."""
    distinct = {cell.strip() for cell in cells}
    if len(distinct) < FEWEST_PACKED or any(len(cell) != 8 or not cell.isdecimal() for cell in distinct):
        return None
    if any(not YEARS[0] <= int(cell[:4]) < YEARS[1] for cell in distinct):
        return None
    found = read(cells, compact=True)
    return found if found is not None and found.format.pattern == COMPACT[0] else None


def _format(pattern: str, fraction: int, numbers: dict[str, float], zones: dict[str, str]) -> TimeFormat:
    distinct = set(zones.values())
    if len(distinct) == 1 and not re.search(r"\d", next(iter(distinct))):
        return TimeFormat(pattern, min(fraction, 6), next(iter(distinct)))
    changes: list[float] = []
    offsets: list[str] = []
    for cell in sorted(numbers, key=numbers.__getitem__):
        if not offsets or offsets[-1] != zones[cell]:
            changes.append(numbers[cell])
            offsets.append(zones[cell])
    return TimeFormat(pattern, min(fraction, 6), "offset", tuple(changes), tuple(offsets))


def _patterns(compact: bool) -> list[tuple[str, str]]:
    moments = [(day + between + clock, "datetime") for day in DATES for between in BETWEEN for clock in CLOCKS]
    packed = [(p, "date" if p == "%Y%m%d" else "datetime") for p in COMPACT] if compact else []
    return [(p, "date") for p in DATES] + [(p, "time") for p in CLOCKS] + moments + packed


def _split(cell: str) -> tuple[str, str, str]:
    """A cell as (text without fraction and zone, digits of the fraction, zone)."""
    zone = ""
    if ":" in cell and (match := _ZONE.search(cell)):
        zone, cell = match[0], cell[: match.start()]
    match = _FRACTION.search(cell)
    if match:
        return cell[: match.start()] + cell[match.end() :], match[1], zone
    return cell, "", zone


def _delta(zone: str) -> timedelta:
    digits = re.sub(r"[^\d]", "", zone)
    if not digits:
        return timedelta()
    minutes = int(digits[:2]) * 60 + int(digits[2:4] or 0)
    return timedelta(minutes=-minutes if "-" in zone else minutes)


def _reads(pattern: str, cells: Sequence[str]) -> bool:
    try:
        for cell in cells:
            if datetime.strptime(cell, pattern).year > 9990:
                return False
    except ValueError:
        return False
    return True
