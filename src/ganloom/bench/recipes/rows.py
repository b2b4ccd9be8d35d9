"""The rows of `ganloom bench recipes`: one a recipe, with the figures of each seed; reading and writing them."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganloom.bench.recipes.task import Task, changed
from ganloom.core import json_files
from ganloom.core.names import file_name
from ganloom.core.output_files import replace_file
from ganloom.recipes import RECIPES
from ganloom.recipes.presets import command, plan

Interval = tuple[float, float, float]

HALF = 0.5
"""A seed whose coverage is below this share of the mean is named."""


@dataclass(frozen=True)
class Speed:
    """The speed of training steps at the end of the run, without reading data; a median over turns."""

    img_per_s: float
    machine: str
    threads: int
    load: float
    """Load of the machine before the timing. If other programs were running, the speed is too low."""
    precision: str
    torch: str


@dataclass(frozen=True)
class Classes:
    """What a classifier reads in the samples of labelled data."""

    shares: dict[str, float]
    """The share of each class among the samples."""
    smallest: float
    """The smallest share of a class, divided by the share of that class among real images."""
    smallest_class: str
    read: float | None = None
    """Conditional recipes: the share of samples that are read as their class."""
    read_real: float | None = None
    """The same for real images."""


@dataclass(frozen=True)
class Trained:
    """The result of one training."""

    seed: int
    command: str
    kimg: float
    seconds: float
    """Time of training steps, on a machine that may have been busy."""
    cpu_seconds: float | None
    """Processor time of the whole training: steps, images, doctor and checkpoints, also what was repeated after a stop."""
    measure_seconds: float
    """Processor time of drawing, measuring and timing."""
    figures: dict[str, Interval]
    """Values and 95 % intervals of the EMA weights at the end."""
    classes: Classes | None
    light: str
    """The doctor's light at the end."""
    findings: tuple[str, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Trained":
        """The result of which ``values`` is the ``dataclasses.asdict``."""
        classes = Classes(**values["classes"]) if values.get("classes") else None
        fields = {**values, "figures": three(values["figures"]), "findings": tuple(values["findings"])}
        return cls(**{**fields, "classes": classes})


@dataclass(frozen=True)
class Row:
    """The result of one recipe."""

    recipe: str
    command: str
    seed: int
    """The first seed; the image shows it."""
    kimg: float
    seconds: float
    """Time of training, on a machine that may have been busy; a mean over the seeds."""
    threads: int
    precision: str
    torch: str
    parameters: dict[str, int]
    """Number of parameters of G and D."""
    figures: dict[str, Interval]
    """Mean, smallest and largest value of the seeds. A row of one seed: its value and 95 % interval."""
    floor: dict[str, Interval]
    """Values and 95 % intervals for real images: what a perfect model would reach."""
    protocol: dict[str, Any]
    image: str
    """What the rows of the image are."""
    speed: Speed | None = None
    trivial: dict[str, dict[str, Interval]] = field(default_factory=dict)
    """For image-to-image recipes: the same values for methods without training."""
    data: str = ""
    shape: tuple[int, ...] = ()
    """Shape of the images."""
    images: int = 0
    """Number of training images."""
    classes: int = 0
    """Number of classes of the data."""
    digest: str = ""
    """See ``Task.digest``; empty in rows of earlier versions."""
    settings: dict[str, Any] = field(default_factory=dict)
    """See ``Task.settings``."""
    cpu_minutes: float | None = None
    """A mean over the seeds."""
    seeds: tuple[Trained, ...] = ()
    """The result of each seed; empty in rows of earlier versions, which have one seed."""
    failed: dict[str, str] = field(default_factory=dict)
    """Seed -> why its training has no result."""

    @property
    def translates(self) -> bool:
        """Whether this is an image-to-image recipe."""
        return "l1" in self.figures

    @property
    def weak(self) -> tuple[int, ...]:
        """The seeds whose coverage is below half of the mean."""
        mean = self.figures["coverage"][0] if "coverage" in self.figures else 0.0
        return tuple(one.seed for one in self.seeds if one.figures["coverage"][0] < HALF * mean)

    @property
    def smallest(self) -> tuple[float, str] | None:
        """The smallest relative share of a class over all seeds, and the class; None without classes."""
        known = [(one.classes.smallest, one.classes.smallest_class) for one in self.seeds if one.classes is not None]
        return min(known, default=None)

    @property
    def read(self) -> float | None:
        """The share of samples that are read as their class, a mean over the seeds; None for a recipe without labels."""
        known = [one.classes.read for one in self.seeds if one.classes is not None and one.classes.read is not None]
        return sum(known) / len(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Row":
        """The row of which ``values`` is the ``to_dict``, also of an earlier version."""
        fields = {**values, "speed": Speed(**values["speed"]) if values.get("speed") else None}
        for name in ("figures", "floor"):
            fields[name] = three(values[name])
        fields["trivial"] = {name: three(figures) for name, figures in values.get("trivial", {}).items()}
        fields["shape"] = tuple(values.get("shape", ()))
        fields["seeds"] = tuple(Trained.from_dict(one) for one in values.get("seeds", ()))
        return cls(**fields)


def three(figures: dict[str, Sequence[float]]) -> dict[str, Interval]:
    """Convert lists of three numbers to tuples."""
    return {key: (float(a), float(b), float(c)) for key, (a, b, c) in figures.items()}


def over_seeds(seeds: Sequence[Trained]) -> dict[str, Interval]:
    """Compute (mean, smallest, largest) of each figure; of one seed its value and interval.

    Args:
        seeds: At least one result.
    """
    if len(seeds) == 1:
        return dict(seeds[0].figures)
    keys = [key for key in seeds[0].figures if all(key in one.figures for one in seeds)]
    figures = {}
    for key in keys:
        values = [one.figures[key][0] for one in seeds]
        figures[key] = float(f"{sum(values) / len(values):.4g}"), min(values), max(values)
    return figures


def differences(row: Row, task: Task | None = None) -> list[str]:
    """Compare a row with the present plan of its recipe.

    Args:
        row: The row.
        task: What the row should be the result of. None: the plan on the row's own data.

    Returns:
        What changed in the plan since the row was measured; empty if its figures are those of the present plan.
    """
    options = plan(row.recipe).options
    if not row.digest:
        same = row.command == command(row.recipe, options, row.seed)
        return ["measured by an earlier version, with one seed" if same else "the command was another one"]
    now = (task or Task(row.recipe)).settings()
    texts = changed(row.settings, now)
    texts += [
        f"{key} was not there, now {now[key]}"
        for key in now
        if key not in row.settings and any(name.partition(".")[0] == key for name in options)
    ]
    return texts


# --------------------------------------------------------------------------------------------------------------- files


def name_of(data: str | None, shape: tuple[int, ...] | None) -> str:
    """Return the name of the files for rows on a data set: "" for the data of the plans, else such as "emoji-32"."""
    if data is None and shape is None:
        return ""
    sides = "" if shape is None else "-" + "x".join(map(str, shape[-2:] if len(set(shape[-2:])) > 1 else shape[-1:]))
    return file_name((data or "plans").replace(":", "-").replace("/", "-").strip("-.") + sides)


def rows_file(name: str = "") -> Path:
    """Return the file of the rows, relative to the folder of the results; see ``name_of``."""
    return Path("results") / f"recipes{'-' if name else ''}{name}.json"


def images_folder(name: str = "", kind: str = "recipes") -> Path:
    """Return the folder of the images ("recipes") or strips ("gallery"), relative to the folder of the results."""
    return Path("images") / f"{kind}{'-' if name else ''}{name}"


def kept(folder: Path, name: str = "") -> dict[str, Row]:
    """Read the rows of a folder, by recipe; see ``name_of``."""
    path = folder / rows_file(name)
    if not path.exists():
        return {}
    with json_files.blaming(path, "rows that cannot be read", "Delete it, or choose another --out"):
        return {row["recipe"]: Row.from_dict(row) for row in json_files.read(path)["recipes"]}


def keep(folder: Path, row: Row, name: str = "") -> None:
    """Write a row into the folder, in place of the old row of the recipe.

    Args:
        folder: The folder.
        row: The row.
        name: See ``name_of``.
    """
    rows = {**kept(folder, name), row.recipe: row}
    ordered = [rows[one] for one in RECIPES if one in rows]
    lines = ",\n".join(json.dumps(one.to_dict()) for one in ordered)
    replace_file(folder / rows_file(name), f'{{"recipes": [\n{lines}\n]}}\n'.encode())


def other_sets(folder: Path) -> list[str]:
    """Return the names of the files with rows on other data sets; see ``name_of``."""
    first = rows_file().stem
    return sorted(p.stem.removeprefix(f"{first}-") for p in (folder / "results").glob(f"{first}-*.json"))


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Sort rows by coverage, the best first; then image-to-image recipes by l1."""

    def place(row: Row) -> tuple[bool, float]:
        return row.translates, row.figures["l1"][0] if row.translates else -row.figures["coverage"][0]

    return sorted(rows, key=place)
