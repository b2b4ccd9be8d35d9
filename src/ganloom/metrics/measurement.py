"""The result of a measurement: values with intervals, their names, the protocol, and the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ganloom.core.errors import BadInput
from ganloom.core.names import printable, shown
from ganloom.metrics.statistics.value import Value

GENERATED, FLOOR, NOISE, ONE_CLASS = "generated", "real (other half)", "noise", "one class"
_STANDARD = {"inception": "", "inceptionclean": "_clean", "inceptionhalfpixel": "_halfpixel"}
_PUBLISHED = {"fd": "fid", "kd": "kid", "is": "is", "fd_inf": "fid_inf"}


FEWEST_OF_CLASS = 20
"""A class with fewer samples or real images is not measured."""
SHOWN_CLASSES = 20
"""Classes in the table; with more of them the worst ones."""


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is generated.

    Attributes:
        name: of the class.
        backbone: the feature net.
        n_real: number of real images of the class.
        n_fake: number of samples.
        distance: kernel distance within the class; None if there are too few images.
        recall: share of the real images of the class near a sample of the class.
        predicted: whether the classes of the samples were predicted by the net.
    """

    name: str
    backbone: str
    n_real: int
    n_fake: int
    distance: Value | None
    recall: Value | None
    predicted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        values = {"kd": self.distance, "recall": self.recall}
        figures = {name: None if v is None else _plain(v) for name, v in values.items()}
        return {
            "name": self.name, "backbone": self.backbone, "n_real": self.n_real, "n_fake": self.n_fake,
            "predicted": self.predicted, **figures,
        }  # fmt: skip


def _plain(value: Value) -> dict[str, float]:
    """The number and what is known about its error."""
    return {name: x for name, x in vars(value).items() if x is not None}


def class_lines(classes: Sequence[ClassFigures]) -> list[str]:
    """A table of the classes, one line for each class; the worst ones if there are many."""
    lines = []
    for backbone in dict.fromkeys(one.backbone for one in classes):
        own = [one for one in classes if one.backbone == backbone]
        worst = sorted(own, key=lambda one: -1.0 if one.distance is None else one.distance.value, reverse=True)
        some = own if len(own) <= SHOWN_CLASSES else worst[:SHOWN_CLASSES]
        title = f"each class, {backbone}" + (f" ({len(some)} worst of {len(own)})" if len(some) < len(own) else "")
        table = [[title, "real", "generated", "kd", "recall"]]
        for one in some:
            few = f"too few images (fewer than {FEWEST_OF_CLASS})"
            table.append([
                shown(one.name), str(one.n_real), str(one.n_fake), few if one.distance is None else str(one.distance),
                "" if one.recall is None else str(one.recall),
            ])  # fmt: skip
        lines += ["", *_aligned(table)]
        if own[0].predicted:
            lines.append("note: the model takes no labels; the classes of its samples are those that the net predicts")
    return lines


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width; a line of one or two cells does not widen them."""
    widths = [max(len(line[i]) for line in table if i < len(line) > 2) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=False)).rstrip() for line in table]


@dataclass(frozen=True)
class Measurement:
    """Named values of several sets of images, and how they were measured.

    Attributes:
        rows: set (``generated``, ``real (other half)``, ``noise``) -> full metric name -> value.
        protocol: backbone, sha8, resizer, n_real, n_fake, k, size, split, seed, expected_coverage, note. With several
            feature nets it is the protocol of the first one.
        class_counts: set -> number of images that the net's classifier puts in each class; empty without a classifier.
        warnings: sentences on what not to conclude from the numbers.
        more: protocols of the other feature nets.
        class_names: names of the classes in ``class_counts``; empty if they are unknown.
        curves: set -> name -> points (precision, recall) of a curve.
        classes: distance and recall of each class, on request.
    """

    rows: dict[str, dict[str, Value]]
    protocol: dict[str, Any]
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    more: tuple[dict[str, Any], ...] = ()
    class_names: tuple[str, ...] = ()
    curves: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    classes: tuple[ClassFigures, ...] = ()

    @property
    def protocols(self) -> list[dict[str, Any]]:
        """One protocol for each feature net."""
        return [self.protocol, *self.more]

    def value(self, metric: str, row: str = GENERATED) -> float:
        """Look up one number.

        Args:
            metric: a full name (``fd_fashion2k``), or its first word (``fd``) for the first feature net.
            row: the set of images.

        Returns:
            The number without its interval.

        Raises:
            BadInput: the metric was not measured.
        """
        values = self.rows[row]
        name = metric if metric in values else metric_name(metric, self.protocol["backbone"], self.protocol["n_fake"])
        if name not in values:
            raise BadInput(f"{metric} was not measured for {row}; available: {', '.join(values)}")
        return values[name].value

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, ready for JSON."""
        rows = {row: {name: _plain(value) for name, value in values.items()} for row, values in self.rows.items()}
        return {
            "rows": rows, "protocol": dict(self.protocol), "protocols": [dict(p) for p in self.protocols],
            "class_counts": dict(self.class_counts), "class_names": list(self.class_names), "warnings": list(self.warnings),
            "curves": {row: {k: [list(p) for p in v] for k, v in c.items()} for row, c in self.curves.items()},
            "classes": [one.to_dict() for one in self.classes],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """A plain-text table: one line for each metric, one column for each row; class counts, protocol, warnings."""
        table = [["", *self.rows]]
        for name in dict.fromkeys(name for values in self.rows.values() for name in values):
            table.append([name, *(str(values.get(name, "")) for values in self.rows.values())])
        for row, counts in self.class_counts.items():
            table.append([f"classes, {row}", self._counts(counts)])
        text = [*_aligned(table), *class_lines(self.classes), *([""] if self.classes else [])]
        intervals = any(value.low is not None for values in self.rows.values() for value in values.values())
        text += [_protocol_line(p) + ("; brackets: 95 % intervals" if intervals else "") for p in self.protocols]
        notes = [f"note: {p['note']}" for p in self.protocols if p["note"]]
        return [printable(line) for line in text + notes + [f"warning: {w}" for w in self.warnings]]

    def _counts(self, counts: list[int]) -> str:
        """The counts of one row, with the names of the classes."""
        if len(self.class_names) != len(counts):
            return " ".join(map(str, counts))
        return ", ".join(f"{shown(name)} {count}" for name, count in zip(self.class_names, counts, strict=True))


def join(parts: Sequence[Measurement]) -> Measurement:
    """Join measurements of the same images through several feature nets.

    Args:
        parts: one measurement for each net.

    Returns:
        One measurement with all values. Protocol: of the first part. Class counts: of the first part that has them.
    """
    rows = {row: {name: v for part in parts for name, v in part.rows.get(row, {}).items()} for row in parts[0].rows}
    counts = next((part.class_counts for part in parts if part.class_counts), {})
    warnings = tuple(dict.fromkeys(w for part in parts for w in part.warnings))
    return Measurement(rows, parts[0].protocol, counts, warnings, tuple(part.protocol for part in parts[1:]))


def _protocol_line(p: dict[str, Any]) -> str:
    """A protocol in one line."""
    return (
        f"{p['backbone']} features (sha8 {p['sha8']}, {p['size']} px), {p['n_fake']} generated and {p['n_real']}"
        f" real images{' of ' + p['split'] if p['split'] else ''}, k = {p['k']},"
        f" coverage of a perfect model {p['expected_coverage']:.3f}"
    )


def count_name(n: int) -> str:
    """A sample count as metric names write it: 500 -> "500", 2000 -> "2k", 12500 -> "12.5k", 1234 -> "1234"."""
    return f"{n / 1000:g}k" if n >= 1000 and n % 100 == 0 else str(n)


def metric_name(metric: str, backbone: str, n: int) -> str:
    """Build the full name of a metric, such as ``fd_fashion2k``.

    An underscore separates a digest at the end of the backbone from the count: ``fd_task_1a2b3c4d_2k``. The standard
    Inception features have the published names: ``fid50k``, ``kid50k``, ``is50k``, and with another resizer
    ``fid_clean50k`` or ``fid_halfpixel50k``.

    Args:
        metric: its short name.
        backbone: name of the feature net.
        n: number of samples.

    Returns:
        The full name.
    """
    if backbone in _STANDARD and metric in _PUBLISHED:
        return f"{_PUBLISHED[metric]}{_STANDARD[backbone]}{count_name(n)}"
    return f"{metric}_{backbone}{'_' if '_' in backbone or backbone[-1].isdigit() else ''}{count_name(n)}"
