"""The result of `ganloom compare --budget` as text, Markdown, JSON and an image grid."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.apps.compare import Protocol, SavedValue, direction
from ganloom.core import json_files
from ganloom.core.json_files import AnyNumber
from ganloom.core.names import shown
from ganloom.doctor import RED
from ganloom.imaging import grid
from ganloom.metrics import FLOOR, NOISE, Value
from ganloom.report.number_format import duration, short

OWN = {
    "ms_sample_64": ("ms per sample, batch of 64", -1),
    "ms_sample_1": ("ms per sample, one by one", -1),
    "sharpness": ("sharpness, real = 1", 0),
    "classes_apart": ("difference of class shares, 0 to 1", -1),
    "least_class": ("rarest class, real = 1", 1),
    "bits_per_dim": ("bits per dimension", 0),
}
"""Values that are not distances: (their name in the table, 1 if larger is better, -1 if smaller is, 0 if neither)."""

LOST = 0.1
"""A class whose share is less than this part of its real share counts as lost."""


@dataclass(frozen=True)
class Row:
    """One training and its measurements. ``values`` is empty if training failed before the first checkpoint."""

    model: str
    seed: int
    family: str
    """"gan" or "baseline"."""
    run: str
    ended: str
    """"healthy" if its time was used up, else why training ended."""
    seconds: float
    """Time of training."""
    kimg: float
    values: dict[str, Value] = field(default_factory=dict)
    references: dict[str, dict[str, Value]] = field(default_factory=dict)
    parameters: int = 0
    generator: int = 0
    """Number of parameters that sampling uses."""
    protocols: list[dict[str, Any]] = field(default_factory=list)
    levels: int = 0
    """Levels of a pixel, for bits_per_dim."""
    likelihood: str = ""
    """What bits_per_dim is: exact, or a bound."""
    machine: str = ""
    cores: float = 0.0
    """Processor time divided by time in training. It is below the number of threads if other programs were running."""
    torch: str = ""
    warnings: list[str] = field(default_factory=list)
    finding: str = ""
    """The doctor's worst finding at the end, such as "red: mode collapse"; empty without findings."""

    @property
    def state(self) -> str:
        """Why training ended, or what is wrong with the model: a red finding, else a lost class, else a yellow finding.

        "healthy" if nothing is wrong.
        """
        if self.ended != "healthy":
            return self.ended
        least = self.values.get("least_class")
        lost = least is not None and least.value < LOST
        return "classes lost" if lost and not self.finding.startswith(RED) else self.finding or self.ended

    @property
    def speed(self) -> float:
        """Real images per second in training."""
        return self.kimg * 1000 / self.seconds if self.seconds > 0 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        plain = dict(vars(self)) | {"img_per_s": round(self.speed, 2) if self.seconds > 0 else None}
        plain["seconds"] = None if math.isnan(self.seconds) else self.seconds
        plain["values"] = _plain(self.values)
        plain["references"] = {row: _plain(values) for row, values in self.references.items()}
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Row":
        """The row of which ``plain`` is the ``to_dict``."""
        fields = {name: value for name, value in plain.items() if name != "img_per_s"}
        fields["seconds"] = math.nan if fields["seconds"] is None else fields["seconds"]
        fields["values"] = {name: Value(**value) for name, value in plain["values"].items()}
        fields["references"] = {
            row: {name: Value(**value) for name, value in values.items()} for row, values in plain["references"].items()
        }
        return cls(**fields)


class _SavedRow(TypedDict):
    """measured.json of a model, as ``Row.to_dict`` writes it."""

    model: str
    seed: int
    family: str
    run: str
    ended: str
    seconds: float | None
    kimg: AnyNumber
    values: dict[str, SavedValue]
    references: dict[str, dict[str, SavedValue]]
    parameters: int
    generator: int
    protocols: list[Protocol]
    levels: int
    likelihood: str
    machine: str
    cores: float
    torch: str
    warnings: list[str]
    finding: str


def read_row(path: Path) -> Row:
    """Read the measured.json of a model.

    Args:
        path: The file.

    Returns:
        The row.

    Raises:
        BadInput: If the file is damaged.
    """
    fix = "Delete it: the same command then measures the model again"
    saved = json_files.read(path, _SavedRow, fix)
    with json_files.blaming(path, "a row that cannot be read", fix):
        return Row.from_dict(saved)


def _plain(values: dict[str, Value]) -> dict[str, Any]:
    return {name: {k: x for k, x in vars(value).items() if x is not None} for name, value in values.items()}


@dataclass(frozen=True)
class Budgeted:
    """The result of a comparison under a time limit."""

    plan: dict[str, Any]
    """The fields of the plan."""
    rows: list[Row]
    """One for each model and seed."""
    where: str
    """Machine and threads in words."""

    @property
    def models(self) -> dict[str, list[Row]]:
        """The rows of each model, over seeds."""
        return {
            name: [row for row in self.rows if row.model == name] for name in dict.fromkeys(r.model for r in self.rows)
        }

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "plan": {**self.plan, "features": str(self.plan["features"])}, "where": self.where,
            "rows": [row.to_dict() for row in self.rows], "winners": self.winners(),
        }  # fmt: skip

    def metrics(self) -> list[str]:
        """Names of the distances and shares that were measured."""
        return [m for m in dict.fromkeys(m for row in self.rows for m in row.values) if m not in OWN]

    def cells(self) -> list[list[str]]:
        """The table: a line for each value, a column for each model, for real images and for noise; * marks a winner."""
        models, winners = self.models, self.winners()
        references = next((row.references for row in self.rows if row.references), {})
        reference_names = [name for name in (FLOOR, NOISE) if name in references]
        blank = [""] * len(reference_names)
        table = [["", *models, *reference_names]]
        for metric in self.metrics():
            cells = [_cell(rows, metric) + " *" * (winners.get(metric) == name) for name, rows in models.items()]
            table.append([metric, *cells, *(str(references[name].get(metric, "")) for name in reference_names)])
        for metric, (words, _) in OWN.items():
            if any(metric in row.values for row in self.rows):
                cells = [_cell(rows, metric) + " *" * (winners.get(metric) == name) for name, rows in models.items()]
                table.append([words, *cells, *blank])
        counts: list[tuple[str, Callable[[Row], str]]] = [
            ("trained", lambda row: duration(row.seconds)),
            ("kimg trained", lambda row: short(row.kimg)),
            ("img/s in training", lambda row: short(row.speed)),
            ("cores used", lambda row: f"{row.cores:.2f}"),
            ("parameters for sampling", lambda row: f"{row.generator / 1e6:.2f} M"),
            ("parameters, all", lambda row: f"{row.parameters / 1e6:.2f} M"),
            ("ended", lambda row: row.state),
        ]
        for words, text_of in counts:
            table.append([words, *(_join([text_of(row) for row in rows]) for rows in models.values()), *blank])
        return table

    def winners(self) -> dict[str, str]:
        """Value -> the best model, if its interval (one seed) or spread (several seeds) does not overlap with the others."""
        winners = {}
        for metric in [*self.metrics(), *OWN]:
            sign = OWN[metric][1] if metric in OWN else direction(metric)
            ends = {name: _ends(rows, metric) for name, rows in self.models.items()}
            known = {name: end for name, end in ends.items() if end is not None}
            if not sign or len(known) < 2:
                continue
            worst = {name: min(sign * end for end in pair) for name, pair in known.items()}
            best = {name: max(sign * end for end in pair) for name, pair in known.items()}
            first = max(worst, key=lambda name: worst[name])
            if all(worst[first] > best[name] for name in known if name != first):
                winners[metric] = first
        return winners

    def notes(self) -> list[str]:
        """Notes below the table."""
        seeds = len({row.seed for row in self.rows})
        spread = (
            f"mean ± standard deviation over {seeds} trainings" if seeds > 1
            else "brackets: 95 % intervals over the choice of samples, not over trainings (use --seeds for that)"
        )  # fmt: skip
        protocols = {p["backbone"]: p for row in self.rows for p in row.protocols}
        features = [
            f"{p['backbone']} features (sha8 {p['sha8']}): {p['n_fake']} samples and {p['n_real']} real images of "
            f"{p['split']}, seed {p['seed']}, k = {p['k']}"
            for p in protocols.values()
        ]
        notes = [*features, f"{spread}; * best without overlap"]
        bits = {
            row.model: f"{row.model} {row.likelihood}, of {row.levels} levels" for row in self.rows if row.likelihood
        }
        if bits:
            likelihoods = "; ".join(bits.values())
            notes.append(f"bits per dimension of the same real images: {likelihoods}; the others have no likelihood")
        if any("least_class" in row.values for row in self.rows):
            notes.append(
                f"classes by the feature net; a class with less than {LOST:g} of its real share counts as lost"
            )
        if any(row.finding for row in self.rows):
            notes.append("ended: the doctor's worst finding at the end; `ganloom doctor RUN` says what to change")
        notes += [f"{row.model}, seed {row.seed}: {text}" for row in self.rows for text in row.warnings]
        notes.append(f"{duration(self.plan['budget'])} of training for each model, EMA weights; {self.where}")
        return notes

    def lines(self) -> list[str]:
        """The table and the notes as aligned text."""
        table = self.cells()
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        rows = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
        return [*rows, *self.notes()]

    def markdown(self) -> str:
        """The table and the notes as Markdown."""
        head, *rest = self.cells()
        lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
        lines += ["| " + " | ".join(_bold(cell) for cell in line) + " |" for line in rest]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes())]) + "\n"


def _bold(cell: str) -> str:
    return f"**{cell.removesuffix(' *')}**" if cell.endswith(" *") else cell


def _cell(rows: Sequence[Row], metric: str) -> str:
    """Value and interval for one training; mean and standard deviation for several."""
    values = [row.values[metric] for row in rows if metric in row.values]
    if not values:
        return "–"
    if len(values) == 1:
        return str(values[0])
    numbers = [value.value for value in values]
    return f"{Value(statistics.mean(numbers))} ± {Value(statistics.stdev(numbers))}"


def _ends(rows: Sequence[Row], metric: str) -> tuple[float, float] | None:
    """The range of a value: its interval for one training, mean and standard deviation for several; None without one."""
    values = [row.values[metric] for row in rows if metric in row.values]
    if not values or len(values) < len(rows):
        return None
    if len(values) == 1:
        value = values[0]
        return None if value.low is None or value.high is None else (value.low, value.high)
    numbers = [value.value for value in values]
    mean, sd = statistics.mean(numbers), statistics.stdev(numbers)
    return mean - sd, mean + sd


def _join(words: Sequence[str]) -> str:
    """The different words, separated by commas."""
    return ", ".join(dict.fromkeys(words))


def sheet(strips: Sequence[tuple[str, Tensor]]) -> Image.Image:
    """Draw rows of images with names.

    Args:
        strips: (name, images (N, C, H, W) in [-1, 1]) for each row.

    Returns:
        The image.
    """
    rows = [(shown(name), grid.grid(x, len(x), 1).convert("RGB")) for name, x in strips]
    margin = 8 + max(int(ImageDraw.Draw(rows[0][1]).textlength(name)) for name, _ in rows) + 8
    height = sum(row.height for _, row in rows)
    canvas = Image.new("RGB", (margin + max(row.width for _, row in rows), height), (250, 250, 248))
    draw, top = ImageDraw.Draw(canvas), 0
    for name, row in rows:
        canvas.paste(row, (margin, top))
        draw.text((8, top + row.height // 2 - 6), name, fill=(40, 40, 40))
        top += row.height
    return canvas
