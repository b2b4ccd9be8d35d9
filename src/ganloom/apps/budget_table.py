"""The rows of a comparison under a budget, as text, Markdown, JSON and one sheet of images."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.apps.compare import direction
from ganloom.doctor import RED
from ganloom.imaging import grid
from ganloom.metrics import FLOOR, NOISE, Value
from ganloom.report.figures import duration, short

OWN = {
    "ms_sample_64": ("ms a sample, batch of 64", -1),
    "ms_sample_1": ("ms a sample, one by one", -1),
    "sharpness": ("sharpness, real = 1", 0),
    "classes_apart": ("class shares apart, 0 to 1", -1),
    "least_class": ("rarest class, real = 1", 1),
    "bits_per_dim": ("bits a dimension", 0),
}
"""Figures that are no distance: what they are called, and which way is better (0: neither)."""

LOST = 0.1
"""A class with less than this of its real share counts as lost."""


@dataclass(frozen=True)
class Row:
    """One training: what it took, what it made. ``values`` are empty where training broke before a checkpoint."""

    model: str
    seed: int
    family: str
    """gan or baseline."""
    run: str
    ended: str
    """healthy when its time was spent, or what broke training."""
    seconds: float
    """Of training."""
    kimg: float
    values: dict[str, Value] = field(default_factory=dict)
    references: dict[str, dict[str, Value]] = field(default_factory=dict)
    parameters: int = 0
    generator: int = 0
    """Parameters that sampling uses."""
    protocols: list[dict[str, Any]] = field(default_factory=list)
    levels: int = 0
    """Levels of the images that bits_per_dim is of."""
    likelihood: str = ""
    """What bits_per_dim is: exact, or a bound."""
    machine: str = ""
    cores: float = 0.0
    """Processor time over time while it trained: below the number of threads where the machine was shared."""
    torch: str = ""
    warnings: list[str] = field(default_factory=list)
    finding: str = ""
    """The worst that the doctor found at the end, such as "red: mode collapse"; empty where nothing, or nobody looked."""

    @property
    def state(self) -> str:
        """What broke training, or what is wrong with what came of it: the doctor's red finding, a class that has under
        ``LOST`` of its real share, the doctor's yellow finding; healthy where nothing is."""
        if self.ended != "healthy":
            return self.ended
        least = self.values.get("least_class")
        lost = least is not None and least.value < LOST
        return "classes lost" if lost and not self.finding.startswith(RED) else self.finding or self.ended

    @property
    def speed(self) -> float:
        """Real images a second in training."""
        return self.kimg * 1000 / self.seconds if self.seconds > 0 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain = dict(vars(self)) | {"img_per_s": round(self.speed, 2) if self.seconds > 0 else None}
        plain["seconds"] = None if math.isnan(self.seconds) else self.seconds
        plain["values"] = _plain(self.values)
        plain["references"] = {row: _plain(values) for row, values in self.references.items()}
        return plain

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Row":
        """What ``to_dict`` gave."""
        made = {name: value for name, value in found.items() if name != "img_per_s"}
        made["seconds"] = math.nan if made["seconds"] is None else made["seconds"]
        made["values"] = {name: Value(**value) for name, value in found["values"].items()}
        made["references"] = {
            row: {name: Value(**value) for name, value in values.items()} for row, values in found["references"].items()
        }
        return cls(**made)


def _plain(values: dict[str, Value]) -> dict[str, Any]:
    return {name: {k: x for k, x in vars(value).items() if x is not None} for name, value in values.items()}


@dataclass(frozen=True)
class Budgeted:
    """``plan``: what was asked; ``rows``: one a model and seed; ``where``: machine and threads in words."""

    plan: dict[str, Any]
    rows: list[Row]
    where: str

    @property
    def models(self) -> dict[str, list[Row]]:
        """The rows of each model, over seeds."""
        return {
            name: [row for row in self.rows if row.model == name] for name in dict.fromkeys(r.model for r in self.rows)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "plan": {**self.plan, "features": str(self.plan["features"])}, "where": self.where,
            "rows": [row.to_dict() for row in self.rows], "winners": self.winners(),
        }  # fmt: skip

    def metrics(self) -> list[str]:
        """Names of the distances and shares that were measured, in their order."""
        return [m for m in dict.fromkeys(m for row in self.rows for m in row.values) if m not in OWN]

    def cells(self) -> list[list[str]]:
        """The table: a line a figure, a column a model, then real images and noise; * marks a winner."""
        models, winners = self.models, self.winners()
        references = next((row.references for row in self.rows if row.references), {})
        shown = [name for name in (FLOOR, NOISE) if name in references]
        blank = [""] * len(shown)
        table = [["", *models, *shown]]
        for metric in self.metrics():
            cells = [_cell(rows, metric) + " *" * (winners.get(metric) == name) for name, rows in models.items()]
            table.append([metric, *cells, *(str(references[name].get(metric, "")) for name in shown)])
        for metric, (words, _) in OWN.items():
            if any(metric in row.values for row in self.rows):
                cells = [_cell(rows, metric) + " *" * (winners.get(metric) == name) for name, rows in models.items()]
                table.append([words, *cells, *blank])
        counts: list[tuple[str, Callable[[Row], str]]] = [
            ("trained", lambda row: duration(row.seconds)),
            ("kimg seen", lambda row: short(row.kimg)),
            ("img/s in training", lambda row: short(row.speed)),
            ("cores it had", lambda row: f"{row.cores:.2f}"),
            ("parameters that sample", lambda row: f"{row.generator / 1e6:.2f} M"),
            ("parameters, all", lambda row: f"{row.parameters / 1e6:.2f} M"),
            ("ended", lambda row: row.state),
        ]
        for words, say in counts:
            table.append([words, *(_said([say(row) for row in rows]) for rows in models.values()), *blank])
        return table

    def winners(self) -> dict[str, str]:
        """Figure -> the model that is best: beyond every interval with one seed, beyond every spread with several."""
        found = {}
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
                found[metric] = first
        return found

    def notes(self) -> list[str]:
        """What must be known to read the table."""
        seeds = len({row.seed for row in self.rows})
        spread = (
            f"mean ± standard deviation over {seeds} trainings" if seeds > 1
            else "brackets: 95 % intervals over the draw of samples, not over training (--seeds for that)"
        )  # fmt: skip
        protocols = {p["backbone"]: p for row in self.rows for p in row.protocols}
        said = [
            f"{p['backbone']} features (sha8 {p['sha8']}): {p['n_fake']} samples and {p['n_real']} real images of "
            f"{p['split']}, seed {p['seed']}, k = {p['k']}"
            for p in protocols.values()
        ]
        notes = [*said, f"{spread}; * best beyond that"]
        bits = {
            row.model: f"{row.model} {row.likelihood}, of {row.levels} levels" for row in self.rows if row.likelihood
        }
        if bits:
            said_of = "; ".join(bits.values())
            notes.append(f"bits a dimension of the same real images: {said_of}; the others have no likelihood")
        if any("least_class" in row.values for row in self.rows):
            notes.append(
                f"classes as the feature net names them; one with under {LOST:g} of its real share counts as lost"
            )
        if any(row.finding for row in self.rows):
            notes.append("ended: the doctor's worst finding at the end; `ganloom doctor RUN` says what to change")
        notes += [f"{row.model}, seed {row.seed}: {text}" for row in self.rows for text in row.warnings]
        notes.append(
            f"training under one clock of {duration(self.plan['budget'])} a model, averaged weights; {self.where}"
        )
        return notes

    def lines(self) -> list[str]:
        """The table as aligned text, then the notes."""
        table = self.cells()
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        rows = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
        return [*rows, *self.notes()]

    def markdown(self) -> str:
        """The table as Markdown, then the notes."""
        head, *rest = self.cells()
        lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
        lines += ["| " + " | ".join(_bold(cell) for cell in line) + " |" for line in rest]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes())]) + "\n"


def _bold(cell: str) -> str:
    return f"**{cell.removesuffix(' *')}**" if cell.endswith(" *") else cell


def _cell(rows: Sequence[Row], metric: str) -> str:
    """One training: value and interval. Several: mean and standard deviation."""
    values = [row.values[metric] for row in rows if metric in row.values]
    if not values:
        return "–"
    if len(values) == 1:
        return str(values[0])
    numbers = [value.value for value in values]
    return f"{Value(statistics.mean(numbers))} ± {Value(statistics.stdev(numbers))}"


def _ends(rows: Sequence[Row], metric: str) -> tuple[float, float] | None:
    """What the figure may be: its interval with one training, mean and spread with several; None without one."""
    values = [row.values[metric] for row in rows if metric in row.values]
    if not values or len(values) < len(rows):
        return None
    if len(values) == 1:
        value = values[0]
        return None if value.low is None or value.high is None else (value.low, value.high)
    numbers = [value.value for value in values]
    mean, sd = statistics.mean(numbers), statistics.stdev(numbers)
    return mean - sd, mean + sd


def _said(words: Sequence[str]) -> str:
    """Equal words once, unlike ones all."""
    return ", ".join(dict.fromkeys(words))


def sheet(strips: Sequence[tuple[str, Tensor]]) -> Image.Image:
    """A row of images a name, (N, C, H, W) in [-1, 1] each, the names to their left."""
    rows = [(name, grid.grid(x, len(x), 1).convert("RGB")) for name, x in strips]
    margin = 8 + max(int(ImageDraw.Draw(rows[0][1]).textlength(name)) for name, _ in rows) + 8
    height = sum(row.height for _, row in rows)
    canvas = Image.new("RGB", (margin + max(row.width for _, row in rows), height), (250, 250, 248))
    draw, top = ImageDraw.Draw(canvas), 0
    for name, row in rows:
        canvas.paste(row, (margin, top))
        draw.text((8, top + row.height // 2 - 6), name, fill=(40, 40, 40))
        top += row.height
    return canvas
