"""Tables that tests of synthetic tables use: one with every awkward column, and files written in several ways."""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable

import numpy as np

WORDS = ("rot", "grün", "日本", "a;b,c", '"q"')


def awkward(
    n: int = 200, separator: str = ",", comma: bool = False, seed: int = 0
) -> tuple[list[str], list[list[str]]]:
    """A header with a repeated name, and n rows with every awkward column type.

    Args:
        n: Number of rows.
        separator: The separator of the file.
        comma: Whether decimals have a comma.
        seed: Seed of the rows.
    """
    rng = np.random.default_rng(seed)
    header = [
        "id", "name", "count", "height", "price", "active", "day", "clock", "moment", "zoned", "word", "code", "same", "gone",
        "skew", "mail", "zip", "count", "note", "share", "gaps", "uuid", "step", "rank", "us_day",
    ]  # fmt: skip

    def number(x: float, decimals: int, thousands: bool = False) -> str:
        text = f"{x:{',' if thousands else ''}.{decimals}f}"
        return text.replace(",", "X").replace(".", ",").replace("X", ".") if comma else text

    rows = []
    for i in range(n):
        moment = dt.datetime(2020, 1, 1) + dt.timedelta(minutes=int(rng.integers(1_000_000)))
        offset = "+02:00" if 3 < moment.month < 11 else "+01:00"
        day = dt.date(1990, 1, 1) + dt.timedelta(days=int(rng.integers(9000)))
        rows.append(
            [
                str(i + 1), f"Anna Müller{i}", str(rng.integers(18, 90)), number(rng.normal(170, 10), 1),
                "€ " + number(rng.gamma(2, 900), 2, True), str(rng.choice(["yes", "no"])), moment.strftime("%d.%m.%Y"),
                moment.strftime("%H:%M"), moment.strftime("%Y-%m-%d %H:%M:%S"), moment.strftime("%Y-%m-%dT%H:%M:%S") + offset,
                str(rng.choice(WORDS, p=[0.4, 0.3, 0.1, 0.1, 0.1])), f"C{rng.integers(60):03d}", "x", "",
                number(float(np.exp(rng.normal(0, 4))), 6), f"user{i}@example.com", f"{rng.integers(1000, 1050):05d}",
                str(rng.integers(3)), f"{rng.choice(['a good', 'a bad', 'the ugly'])} thing number {rng.integers(10**6)} is fine",
                f"{rng.integers(100)}%", "" if rng.random() < 0.2 else str(rng.integers(1000)),
                f"{rng.integers(2**32):08x}-{rng.integers(2**16):04x}", str(rng.integers(-50, 50) * 5),
                str(rng.choice(["1", "2", "3"])), day.strftime("%m/%d/%Y"),
            ]
        )  # fmt: skip
    return header, rows


def content(header: list[str], rows: list[list[str]], separator: str = ",", encoding: str = "utf-8") -> bytes:
    """A table as the bytes of a text file."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def cells(raw: bytes, separator: str = ",", encoding: str = "utf-8") -> list[list[str]]:
    """The rows of a text file, with the header."""
    return list(csv.reader(io.StringIO(raw.decode(encoding), newline=""), delimiter=separator))


def invalid(header: list[str], real: list[list[str]], made: list[list[str]], comma: bool) -> list[str]:
    """The cells of a synthetic table that no real one could have, written independently of ganloom."""
    problems = []
    columns = list(zip(*real, strict=True))
    mark = "," if comma else r"\."
    group = r"\." if comma else ","

    def plain(text: str) -> float:
        text = re.sub(r"[€ %]", "", text)
        return float(text.replace(".", "").replace(",", ".") if comma else text.replace(",", ""))

    def inside(place: int, read: Callable[[str], object]) -> Callable[[str], bool]:
        known = [read(cell) for cell in columns[place] if cell]
        return lambda cell: min(known) <= read(cell) <= max(known)  # type: ignore[type-var, operator]

    shapes = {
        2: r"\d\d", 3: rf"\d{{2,3}}{mark}\d", 4: rf"€ \d{{1,3}}(?:{group}\d{{3}})*{mark}\d\d", 14: rf"\d+{mark}\d{{6}}",
        19: r"\d{1,2}%", 20: r"(?:\d{1,3})?", 22: r"-?\d*[05]", 15: r"\w+@example\.com", 21: r"[0-9a-f]{8}-[0-9a-f]{4}",
    }  # fmt: skip
    readers: dict[int, Callable[[str], object]] = dict.fromkeys((2, 3, 4, 14, 19, 20, 22), plain)
    readers |= {
        6: lambda c: dt.datetime.strptime(c, "%d.%m.%Y"), 7: lambda c: dt.datetime.strptime(c, "%H:%M"),
        8: lambda c: dt.datetime.strptime(c, "%Y-%m-%d %H:%M:%S"), 9: dt.datetime.fromisoformat,
        24: lambda c: dt.datetime.strptime(c, "%m/%d/%Y"),
    }  # fmt: skip
    ranges = {place: inside(place, read) for place, read in readers.items()}
    for row in made:
        for place, cell in enumerate(row):
            if place in shapes and not re.fullmatch(shapes[place], cell):
                problems.append(f"{header[place]}: {cell!r} is not written like the column")
            elif place in ranges and not (place == 20 and not cell) and not ranges[place](cell):
                problems.append(f"{header[place]}: {cell!r} is out of bounds")
            elif place in (5, 10, 11, 12, 13, 16, 17, 23) and cell not in columns[place]:
                problems.append(f"{header[place]}: {cell!r} is no known value")
            elif place in (0, 1, 15, 18, 21) and cell in columns[place]:
                problems.append(f"{header[place]}: {cell!r} is copied")
    return problems
