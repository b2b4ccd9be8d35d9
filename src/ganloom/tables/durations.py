"""How the durations of a text column are written, and their conversion to seconds and back.

Four forms: 28:46:30 or 28:46 (hours, minutes, seconds), "2 days 03:04:05", "1h 07m" and PT1H7M (ISO 8601).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
EXAMPLES = '28:46:30, "2 days 03:04:05", "1h 07m", PT1H7M or a number'
_CLOCK = re.compile(r"(?P<sign>-?)(?P<h>\d+):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d)(?P<mark>[.,])?(?P<f>(?<=[.,])\d{1,9})?)?")
_DAYS = re.compile(r"(?P<d>\d+)(?P<word> days?,? )(?P<rest>\d+:.+)")
_UNITS = re.compile(
    r"(?:(?P<d>\d+)(?P<dg> ?)(?P<dn>days?|d))? ?(?:(?P<h>\d+)(?P<hg> ?)(?P<hn>hours?|hrs?|h))? ?"
    r"(?:(?P<m>\d+)(?P<mg> ?)(?P<mn>minutes?|mins?|m))? ?(?:(?P<s>\d+)(?P<sg> ?)(?P<sn>seconds?|secs?|s))?"
)
_ISO = re.compile(r"P(?:(?P<d>\d+)D)?(?:T(?=\d)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?)?")


@dataclass(frozen=True)
class DurationFormat:
    """How a column writes its durations."""

    style: Literal["clock", "days", "units", "iso"] = "clock"
    """28:46:30, "2 days 03:04:05", "1h 07m", PT1H7M."""
    seconds: bool = True
    """Whether a clock has seconds."""
    fraction: int = 0
    """Digits of fractions of a second, for clocks."""
    mark: str = "."
    """Decimal mark of the fractions."""
    hours: int = 1
    """Fewest digits of the hours of a clock."""
    word: str = " days "
    """Between the days and the clock."""
    units: tuple[tuple[str, str], ...] = ()
    """(key of ``SECONDS``, what follows its number), largest unit first."""
    padded: bool = False
    """Whether units after the first have two digits."""
    skips: bool = False
    """Whether units that are 0 are left out."""
    singular: bool = False
    """Whether a unit loses its "s" after 1."""

    def write(self, value: float) -> str:
        """Return seconds as the text of a cell."""
        sign, rest = "-" if value < 0 else "", abs(value)
        if self.style == "iso":
            parts = _divided(rest, "dhms")
            days = f"{parts['d']}D" if parts["d"] else ""
            clock = "".join(f"{parts[unit]}{unit.upper()}" for unit in "hms" if parts[unit])
            return f"{sign}P{days}{'T' + clock if clock or not days else ''}{'' if clock or days else '0S'}"
        if self.style == "units":
            parts = _divided(rest, "".join(unit for unit, _ in self.units))
            shown = [(unit, end) for unit, end in self.units if parts[unit] or not self.skips] or [self.units[-1]]
            texts = [
                f"{parts[unit]:0{2 if self.padded and i else 1}d}{self._after(end, parts[unit])}"
                for i, (unit, end) in enumerate(shown)
            ]
            return sign + "".join(texts).rstrip()
        ticks = round(rest * 10**self.fraction)
        whole, part = divmod(ticks, 10**self.fraction)
        head = ""
        if self.style == "days":
            days, whole = divmod(whole, 86400)
            head = f"{days}{self._after(self.word, days)}"
        minutes, second = divmod(whole, 60)
        hour, minute = divmod(minutes, 60)
        text = f"{sign}{head}{hour:0{self.hours}d}:{minute:02d}"
        text += f":{second:02d}" if self.seconds else ""
        return text + (f"{self.mark}{part:0{self.fraction}d}" if self.fraction else "")

    def _after(self, text: str, number: int) -> str:
        """The unit as it is written after a number."""
        return re.sub(r"s(?=[, ]*$)", "", text) if self.singular and number == 1 else text


@dataclass(frozen=True)
class Durations:
    """The durations of a text column.

    Attributes:
        values: Seconds, float64 (n,).
        format: How they are written.
    """

    values: NDArray[np.float64]
    format: DurationFormat


def read(cells: Sequence[str]) -> Durations | None:
    """Read a column as durations.

    Args:
        cells: The cells without missing ones.

    Returns:
        The durations, or None if one cell is none or the cells are not written alike.
    """
    stripped = [cell.strip() for cell in cells]
    for form in (_clocks, _days, _iso, _units):
        found = form(stripped)
        if found is not None:
            return found
    return None


def _divided(seconds: float, units: str) -> dict[str, int]:
    """Whole numbers of each unit, the largest first; the last one is rounded."""
    rest = round(seconds / SECONDS[units[-1]]) * SECONDS[units[-1]]
    parts = {}
    for unit in units:
        parts[unit], rest = divmod(rest, SECONDS[unit])
    return parts


def _matches(pattern: re.Pattern[str], cells: Sequence[str]) -> list[re.Match[str]] | None:
    found = []
    for cell in cells:
        match = pattern.fullmatch(cell)
        if not cell or match is None:
            return None
        found.append(match)
    return found or None


def _sum(match: re.Match[str]) -> float:
    return float(sum(int(match[unit] or 0) * size for unit, size in SECONDS.items()))


def _clocks(cells: Sequence[str]) -> Durations | None:
    found = _matches(_CLOCK, cells)
    if found is None or len({match["s"] is None for match in found}) != 1:
        return None
    values = [
        int(match["h"]) * 3600 + int(match["m"]) * 60 + float(f"{match['s'] or 0}.{match['f'] or 0}") for match in found
    ]
    signs = [-1.0 if match["sign"] else 1.0 for match in found]
    digits = max(len(match["f"] or "") for match in found)
    marks = [match["mark"] for match in found if match["mark"]]
    hours = min(len(match["h"]) for match in found)
    written = DurationFormat(
        seconds=found[0]["s"] is not None, fraction=digits, mark=marks[0] if marks else ".", hours=hours
    )
    return Durations(np.array(values) * np.array(signs), written)


def _days(cells: Sequence[str]) -> Durations | None:
    found = _matches(_DAYS, cells)
    clocks = None if found is None else _clocks([match["rest"] for match in found])
    if found is None or clocks is None:
        return None
    days = np.array([float(match["d"]) for match in found])
    word = max((match["word"] for match in found), key=len)
    plain = clocks.format
    written = DurationFormat(
        "days", plain.seconds, plain.fraction, plain.mark, plain.hours, word,
        singular=any("days" not in match["word"] for match in found),
    )  # fmt: skip
    return Durations(clocks.values + 86400 * days, written)


def _iso(cells: Sequence[str]) -> Durations | None:
    found = _matches(_ISO, cells)
    if found is None or any(match[0] == "P" for match in found):
        return None
    return Durations(np.array([_sum(match) for match in found]), DurationFormat("iso"))


def _units(cells: Sequence[str]) -> Durations | None:
    found = _matches(_UNITS, cells)
    if found is None:
        return None
    ends: dict[str, set[str]] = {}
    for match in found:
        for unit in SECONDS:
            if match[unit] is not None:
                ends.setdefault(unit, set()).add(match[unit + "g"] + match[unit + "n"])
    if len(ends) < 2 or any(len(texts) > 2 for texts in ends.values()):  # "45m" alone is a number with a unit
        return None
    used = [unit for unit in SECONDS if unit in ends]
    apart = " " if any(re.search(r"[a-z] \d", match[0]) for match in found) else ""
    later = [match[unit] for match in found for unit in used[1:] if match[unit] and len(match[unit]) < 2]
    written = DurationFormat(
        "units",
        units=tuple((unit, max(ends[unit], key=len) + apart) for unit in used),
        padded=not later,
        singular=any(len(texts) > 1 for texts in ends.values()),
        skips=any(match[unit] is None for match in found for unit in used),
    )
    return Durations(np.array([_sum(match) for match in found]), written)
