"""Show the measurements of several models in one table, if they were measured in the same way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.json_files import AnyNumber
from ganloom.core.names import as_path, printable
from ganloom.metrics import FLOOR, GENERATED, NOISE, ONE_CLASS, Value

KEYS = (
    "data", "split", "n_real", "n_fake", "seed", "k", "sha8", "resizer", "size", "truncation", "weights",
)  # fmt: skip
"""What two measurements with one feature net must have in common to be compared."""
SMALLER = ("fd", "fid", "kd", "kid", "fd_inf", "fid_inf", "swd", "ppl", "intra_kd")
LARGER = ("precision", "recall", "density", "coverage", "is", "iprecision", "irecall")


class SavedValue(TypedDict):
    """A value with its interval in metrics.json."""

    value: AnyNumber
    low: NotRequired[AnyNumber | None]
    high: NotRequired[AnyNumber | None]
    sd: NotRequired[AnyNumber | None]


class Protocol(TypedDict):
    """How the values with one feature net were measured."""

    backbone: str
    sha8: str
    n_fake: int
    n_real: int
    seed: int
    k: int
    split: NotRequired[str]


class MetricsFile(TypedDict):
    """metrics.json, which `ganloom evaluate` writes."""

    rows: dict[str, dict[str, SavedValue]]
    protocol: NotRequired[Protocol]
    protocols: NotRequired[list[Protocol]]
    kimg: NotRequired[float | None]


@dataclass(frozen=True)
class Result:
    """The contents of one metrics.json."""

    name: str
    """The path it was read from."""
    rows: dict[str, dict[str, Any]]
    protocols: dict[str, dict[str, Any]]
    """By feature net."""
    kimg: float | None

    def net_of(self, metric: str) -> str:
        """The feature net in the name of a metric."""
        fits = [net for net in self.protocols if f"_{net}" in metric]
        standard = next((net for net in self.protocols if net.startswith("inception")), "")
        return max(fits, key=len) if fits else standard


@dataclass(frozen=True)
class Comparison:
    """Several measurements that can be compared."""

    rows: dict[str, dict[str, Value]]
    """Model -> metric -> value."""
    references: dict[str, dict[str, Value]]
    """The same for the other half of the real images, for one class and for noise."""
    protocols: list[dict[str, Any]]
    """How it was measured, for each feature net."""
    winners: dict[str, str]
    """Metric -> the best model, where its interval does not overlap with another model's."""

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {
            "rows": _plain(self.rows), "references": _plain(self.references), "protocols": self.protocols,
            "winners": self.winners,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The table as text: a line for each metric, a column for each model and each reference; * marks a winner."""
        columns = {**self.rows, **self.references}
        table = [["", *map(printable, columns)]]
        for metric in dict.fromkeys(m for values in self.rows.values() for m in values):
            cells = [
                f"{values.get(metric, '')}{' *' * (self.winners.get(metric) == name)}"
                for name, values in columns.items()
            ]
            table.append([metric, *cells])
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
        for p in self.protocols:
            text.append(
                f"{p['backbone']} features (sha8 {p['sha8']}), {p['n_fake']} generated and {p['n_real']} real images"
                f"{' of ' + p['split'] if p.get('split') else ''}, seed {p['seed']}, k = {p['k']}"
            )
        return [
            *text,
            "brackets: 95 % intervals over the choice of samples, not over trainings; * best, and its interval does not overlap",
        ]


def _plain(rows: dict[str, dict[str, Value]]) -> dict[str, Any]:
    return {
        row: {metric: {k: x for k, x in vars(value).items() if x is not None} for metric, value in values.items()}
        for row, values in rows.items()
    }


def compare(sources: Sequence[str | Path]) -> Comparison:
    """Read the metrics.json of two or more runs, and compare them.

    Args:
        sources: Run folders, or metrics.json files.

    Returns:
        The comparison.

    Raises:
        BadInput: A run was not measured, or the runs were measured differently; the message names the difference.
    """
    paths = [as_path(source) for source in sources]
    if len(paths) < 2:
        raise BadInput("compare needs two or more runs that `ganloom evaluate` has measured")
    if len(set(paths)) < len(paths):
        raise BadInput(f"{next(p for p in paths if paths.count(p) > 1)} is given twice: give different runs")
    results = [_read(path) for path in paths]
    first, *others = results
    shared = [net for net in first.protocols if all(net in other.protocols for other in others)]
    if not shared:
        nets = "; ".join(f"{r.name}: {', '.join(r.protocols)}" for r in results)
        raise BadInput(
            f"the runs were measured with different feature nets ({nets}): evaluate them with the same --features"
        )
    _check_alike(results)
    rows: dict[str, dict[str, Value]] = {}
    for result in results:
        for row, values in result.rows.items():
            if row not in (FLOOR, NOISE, ONE_CLASS):
                name = result.name if row == GENERATED else f"{result.name} {row}"
                rows[name] = {metric: _value(v) for metric, v in values.items()}
    references = {
        row: {metric: _value(v) for metric, v in first.rows[row].items()}
        for row in (FLOOR, ONE_CLASS, NOISE)
        if row in first.rows
    }
    protocols = list({net: p for r in reversed(results) for net, p in r.protocols.items()}.values())
    return Comparison(rows, references, protocols, _winners(rows))


def _check_alike(results: Sequence[Result]) -> None:
    for i, a in enumerate(results):
        for b in results[i + 1 :]:
            for net in a.protocols:
                if net not in b.protocols:
                    continue
                p, q = a.protocols[net], b.protocols[net]
                differing = [key for key in KEYS if p.get(key) != q.get(key)]
                if differing:
                    text = ", ".join(f"{key} ({p.get(key)} and {q.get(key)})" for key in differing)
                    raise BadInput(
                        f"{a.name} and {b.name} were measured differently with {net}: {text}; use `ganloom evaluate` for both"
                        f" with equal DATA, --n, --seed, --k and --features"
                    )


def _read(path: Path) -> Result:
    file = path / "metrics.json" if path.is_dir() else path
    if not file.is_file():
        if path.is_dir() and (path / "config.json").is_file():
            raise BadInput(f"{path} was not measured yet: run `ganloom evaluate {path}` first")
        raise BadInput(f"there is no run and no metrics.json at {path}")
    saved = json_files.read(file, MetricsFile, fix="Evaluate the run again")
    protocols = saved.get("protocols") or [p for p in (saved.get("protocol"),) if p]
    if not protocols or GENERATED not in saved["rows"]:
        raise BadInput(
            f"{file} is not a measurement: it has no protocol, or no row {GENERATED}. Evaluate the run again"
        )
    return Result(str(path), saved["rows"], {p["backbone"]: p for p in protocols}, saved.get("kimg"))


def _value(saved: dict[str, Any]) -> Value:
    return Value(saved["value"], saved.get("low"), saved.get("high"), saved.get("sd"))


def direction(metric: str) -> int:
    """Which values of a metric are better.

    Args:
        metric: Its name.

    Returns:
        -1 if smaller is better, 1 if larger is better, 0 if neither.
    """
    for names, sign in ((SMALLER, -1), (LARGER, 1)):
        if any(metric.startswith(name) and not metric[len(name) : len(name) + 1].isalpha() for name in names):
            return sign
    return 0


def _winners(rows: dict[str, dict[str, Value]]) -> dict[str, str]:
    """Metric -> the model whose whole interval is better than the intervals of all others."""
    winners = {}
    for metric in dict.fromkeys(m for values in rows.values() for m in values):
        sign = direction(metric)
        values = {name: row[metric] for name, row in rows.items() if metric in row}
        if not sign or len(values) < 2:
            continue
        best = max(values, key=lambda name: sign * values[name].value)
        worst_end = _end(values[best], -sign)
        if all(sign * worst_end > sign * _end(v, sign) for name, v in values.items() if name != best):
            winners[metric] = best
    return winners


def _end(value: Value, side: int) -> float:
    """The upper end (side 1) or lower end (-1) of an interval. NaN without an interval, so that nothing wins."""
    end = value.high if side > 0 else value.low
    return math.nan if end is None else end
