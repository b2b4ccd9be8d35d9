"""How the numbers of a text column are written: currency signs, units, decimal comma, thousands separators, decimals."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|US|Rs"
_CELL = re.compile(
    rf"(?P<first>[-−]?)(?P<prefix>(?:{_CODES})?[^\w+\-−.,()'\"#/:\d]{{0,3}}\s*)(?P<second>[-−]?)"
    r"(?P<body>\d(?:[\d.,' \u00a0\u202f]*\d)?|[.,]\d+)(?P<exponent>[eE][-+]?\d+)?(?P<suffix>[^\d.,'\-+]{0,8})"
)
MARKS = (
    (".", ""),
    (".", ","),
    (",", ""),
    (",", "."),
    (",", " "),
    (",", "\u00a0"),
    (",", "\u202f"),
    (".", " "),
    (".", "'"),
)
"""Known pairs of decimal mark and thousands separator."""
MOST_DECIMALS = 12
"""Numbers with more decimals are written with significant digits instead."""


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers."""

    prefix: str = ""
    """Text before each number, such as "$"."""
    suffix: str = ""
    """Text after each number, such as " kg" or "%"."""
    decimal: str = "."
    """Decimal mark."""
    thousands: str = ""
    """Separator of thousands; empty: none."""
    fixed: bool = False
    """Whether all numbers have the same number of decimals, zeros included."""
    sign_first: bool = True
    """Whether a minus is written before the prefix."""
    brackets: bool = False
    """Whether negative numbers are written in brackets, as in accounting: (1,200.50)."""
    digits: int = 15
    """Most significant digits, where decimals do not count."""
    exponent: str = ""
    """How all numbers write their exponents, by the example of 0: "e+00", "E0"; empty: not all have one."""

    def write(self, value: float, decimals: int | None) -> str:
        """Return a number as the text of a cell.

        Args:
            value: The number; an integer is written with all its digits.
            decimals: Decimals to write. None: significant digits.
        """
        magnitude = abs(value)
        if isinstance(magnitude, int) and decimals == 0:  # exact, also where a float would not be
            body = f"{magnitude:,}" if self.thousands else f"{magnitude}"
        elif decimals is None and self.exponent:
            body = self._scientific(magnitude)
        elif decimals is None:
            body = f"{magnitude:.{self.digits}g}"
        else:
            body = f"{magnitude:{',' if self.thousands else ''}.{decimals}f}"
            if decimals and not self.fixed:
                body = body.rstrip("0").rstrip(".")
        body = body.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        sign = "-" if value < 0 and re.search("[1-9]", body) else ""
        if sign and self.brackets:
            return f"({self.prefix}{body}{self.suffix})"
        before = sign + self.prefix if self.sign_first else self.prefix + sign
        return f"{before}{body}{self.suffix}"

    def _scientific(self, magnitude: float) -> str:
        body, _, power = f"{magnitude:.{self.digits - 1}e}".partition("e")
        if not self.fixed and "." in body:
            body = body.rstrip("0").rstrip(".")
        sign = "-" if int(power) < 0 else "+" if "+" in self.exponent else ""
        return f"{body}{self.exponent[0]}{sign}{abs(int(power)):0{self.exponent.count('0')}d}"


@dataclass(frozen=True)
class Numbers:
    """The numbers of a text column.

    Attributes:
        values: The numbers, float64 (n,).
        format: How they are written.
        decimals: Most decimals; None if they need significant digits.
    """

    values: NDArray[np.float64]
    format: NumberFormat
    decimals: int | None


def read(cells: Sequence[str], comma: bool = False) -> Numbers | None:
    """Read a column as numbers.

    Args:
        cells: The cells without missing ones.
        comma: Whether a lone comma, as in "1,234", is a decimal mark. Other columns or the separator of the file say it.

    Returns:
        The numbers, or None if one cell is no number or the cells are not written alike.
    """
    stripped = [cell.strip() for cell in cells]
    bracketed = [cell[:1] == "(" and cell[-1:] == ")" for cell in stripped]
    brackets = any(bracketed) and not all(bracketed)
    if brackets:
        stripped = [cell[1:-1].strip() if inside else cell for cell, inside in zip(stripped, bracketed, strict=True)]
    matches = [_CELL.fullmatch(cell) for cell in stripped]
    if any(match is None for match in matches):
        return None
    found = [match for match in matches if match is not None]
    if len({(match["prefix"], match["suffix"]) for match in found}) != 1:
        return None
    bodies = [match["body"] for match in found]
    if any(re.match(r"0\d", body) for body in bodies):  # a code, such as a postal code
        return None
    mark = _mark(bodies, comma)
    if mark is None:
        return None
    decimal, thousands = mark
    plain = [body.replace(thousands, "") if thousands else body for body in bodies]
    plain = [body.replace(decimal, ".") for body in plain]
    exponents = [match["exponent"] or "" for match in found]
    values = np.array([float(body + exponent) for body, exponent in zip(plain, exponents, strict=True)])
    if not np.isfinite(values).all():
        return None
    negative = np.array([bool(match["first"] or match["second"]) for match in found])
    if brackets:
        if negative.any():  # two ways to write a negative number, or a minus in brackets
            return None
        negative = np.array(bracketed)
    values = np.where(negative, -values, values)
    counts = {len(body.partition(".")[2]) for body in plain}
    most = max(counts)
    decimals = None if any(exponents) or most > MOST_DECIMALS else most
    sign_first = not any(match["second"] and match["prefix"] for match in found)
    digits = max(len(re.sub(r"^[0.]+|\.", "", body)) for body in plain)
    written = NumberFormat(
        found[0]["prefix"], found[0]["suffix"], decimal, thousands, len(counts) == 1, sign_first, brackets,
        min(max(digits, 1), 15) if decimals is None else 15, _exponent(exponents),
    )  # fmt: skip
    return Numbers(values, written, decimals)


def _exponent(exponents: Sequence[str]) -> str:
    """``NumberFormat.exponent`` of a column."""
    if not all(exponents) or len({text[0] for text in exponents}) > 1:
        return ""
    plus = "+" if any("+" in text for text in exponents) else ""
    return exponents[0][0] + plus + "0" * min(len(text.lstrip("eE+-")) for text in exponents)


def _mark(bodies: Sequence[str], comma: bool) -> tuple[str, str] | None:
    """The decimal mark and the thousands separator that explain all numbers."""
    used = {char for body in bodies for char in body if not char.isdigit()}
    if not used:
        return ("," if comma else "."), ""
    order: tuple[tuple[str, str], ...] = MARKS
    if used == {","}:
        order = ((",", ""), (".", ",")) if comma else ((".", ","), (",", ""))
    elif used == {"."} and comma:
        order = ((",", "."), (".", ""))
    fitting = [mark for mark in order if used <= set(mark) - {""} and _explains(mark, bodies)]
    return fitting[0] if fitting else None


def _explains(mark: tuple[str, str], bodies: Sequence[str]) -> bool:
    decimal, thousands = re.escape(mark[0]), re.escape(mark[1])
    whole = rf"(?:\d{{1,3}}(?:{thousands}\d{{3}})+|\d{{1,3}})" if thousands else r"\d*"
    pattern = re.compile(rf"{whole}(?:{decimal}\d+)?")
    return all(pattern.fullmatch(body) for body in bodies)


def decimals_of(values: NDArray[np.float64]) -> int | None:
    """The decimals that binary numbers need; None if they need significant digits."""
    for decimals in range(MOST_DECIMALS + 1):
        rounded = np.round(values, decimals)
        if np.allclose(rounded, values, rtol=4e-16 * 8, atol=0):
            return decimals
    return None


def step_of(values: NDArray[np.float64], decimals: int | None) -> float:
    """The largest step, such as 5 or 0.25, from which all values are whole multiples apart; 0 if there is none."""
    if decimals is None or len(values) < 2:
        return 0.0
    units = np.round((values - values.min()) * 10.0**decimals)
    if units.max() > 2**53:
        return 0.0
    divisor = int(np.gcd.reduce(units.astype(np.int64)))
    return 0.0 if divisor <= 1 or not math.isfinite(divisor) else divisor / 10.0**decimals
