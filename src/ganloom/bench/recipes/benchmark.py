"""`ganloom bench recipes`: train every recipe for some minutes, draw and measure its samples, and time its steps.

The data is fashion-10k; for image-to-image recipes two domains made from it, or pairs (see ``ganloom.recipes.presets``).
"""

import dataclasses
import json
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganloom.api import Run, load, prepare
from ganloom.apps.run_cache import finished
from ganloom.bench.recipes.sheets import draw, translated
from ganloom.bench.step.benchmark import trainer_of
from ganloom.bench.step.timing import clock, contest, cycle_of
from ganloom.core import allocator, hardware, json_files
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import BadInput
from ganloom.core.output_files import may_rewrite, replace_file, rewrite
from ganloom.evaluation.evaluate import evaluate
from ganloom.evaluation.translator import COPIED, MATCHED, MEAN
from ganloom.imaging import grid
from ganloom.recipes import RECIPES, find
from ganloom.recipes.base.translator import Translator
from ganloom.recipes.presets import DATA, command, keywords, plan
from ganloom.report.progress import Progress, stage
from ganloom.runs.folder import Folder

ROWS, IMAGES = Path("results") / "recipes.json", Path("images") / "recipes"
N = 2000
"""Number of samples to measure, against as many real images."""
FIGURES = ("coverage", "precision", "recall", "density", "fd", "kd")
OF_TRANSLATION = ("l1", "psnr", "ssim", "called_b", "cycle_l1")

Interval = tuple[float, float, float]


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
class Row:
    """The result of one recipe."""

    recipe: str
    command: str
    seed: int
    kimg: float
    seconds: float
    """Time of training, on a machine that may have been busy."""
    threads: int
    precision: str
    torch: str
    parameters: dict[str, int]
    """Number of parameters of G and D."""
    figures: dict[str, Interval]
    """Values and 95 % intervals of the EMA weights at the end."""
    floor: dict[str, Interval]
    """The same for real images: what a perfect model would reach."""
    protocol: dict[str, Any]
    image: str
    """What the rows of the image are."""
    speed: Speed | None = None
    trivial: dict[str, dict[str, Interval]] = dataclasses.field(default_factory=dict)
    """For image-to-image recipes: the same values for methods without training."""

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Row":
        """The row of which ``values`` is the ``to_dict``."""
        fields = {**values, "speed": Speed(**values["speed"]) if values.get("speed") else None}
        for name in ("figures", "floor"):
            fields[name] = _three(values[name])
        fields["trivial"] = {name: _three(figures) for name, figures in values.get("trivial", {}).items()}
        return cls(**fields)


def _three(figures: dict[str, Sequence[float]]) -> dict[str, Interval]:
    return {key: (float(a), float(b), float(c)) for key, (a, b, c) in figures.items()}


# -------------------------------------------------------------------------------------------------------------- rows


def kept(folder: Path) -> dict[str, Row]:
    """Read the rows of a folder, by recipe."""
    path = folder / ROWS
    if not path.exists():
        return {}
    with json_files.blaming(path, "rows that cannot be read", "Delete it, or choose another --out"):
        return {row["recipe"]: Row.from_dict(row) for row in json_files.read(path)["recipes"]}


def keep(folder: Path, row: Row) -> None:
    """Write a row into the folder, in place of the old row of the recipe.

    Args:
        folder: The folder.
        row: The row.
    """
    rows = {**kept(folder), row.recipe: row}
    ordered = [rows[name] for name in RECIPES if name in rows]
    path = folder / ROWS
    lines = ",\n".join(json.dumps(one.to_dict()) for one in ordered)
    replace_file(path, f'{{"recipes": [\n{lines}\n]}}\n'.encode())


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Sort rows by coverage, the best first; then image-to-image recipes by l1."""

    def place(row: Row) -> tuple[bool, float]:
        translates = "l1" in row.figures
        return translates, row.figures["l1"][0] if translates else -row.figures["coverage"][0]

    return sorted(rows, key=place)


def measure(
    names: Sequence[str],
    folder: Path,
    runs: Path,
    *,
    seed: int = 0,
    kimg: float | None = None,
    anew: bool = False,
    overwrite: bool = False,
    each: Callable[[Row], None] = lambda row: None,
    show: Progress | None = None,
) -> list[Row]:
    """Train, sample, measure and time recipes.

    A recipe that was measured with the same command is not repeated, and a stopped run is continued.

    Args:
        names: Recipes.
        folder: The folder for rows and images.
        runs: The folder for run folders.
        seed: The seed.
        kimg: Length of every run in thousands of images. None: that of each recipe.
        anew: Repeat recipes that were already measured.
        overwrite: Replace images that ganloom did not write, or that were changed.
        each: Called with each row after it is written.
        show: Prints the progress. None: nothing is printed.

    Returns:
        The rows.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    names = [name.lower().replace("_", "-") for name in names]
    for name in names:
        if find(name) and name not in RECIPES:
            raise BadInput(
                f"{name} is a baseline without a page: measure it with `ganloom compare --budget 10m {DATA} {name}`"
            )
    if kimg is not None and not kimg > 0:
        raise BadInput(f"--total-kimg must be above 0, got {kimg}")
    allocator.keep_freed_blocks()
    progress = _Progress(names, show)
    rows = []
    for name in names:
        options = {**plan(name).options, **({} if kimg is None else {"total_kimg": kimg})}
        line = command(name, options, seed)
        row = kept(folder).get(name)
        if row is None or row.command != line or anew:
            image = may_rewrite(folder / IMAGES / f"{name}.png", overwrite=overwrite)
            progress.begin(name, line)
            path = runs / f"{name}-{zlib.crc32(line.encode()):08x}"
            run = finished(name, plan(name).data, path, show, seed=seed, **keywords(find(name), options))
            stage(show, f"drawing and measuring samples of {name}")
            row = _row(name, line, run, image, overwrite)
            stage(show, f"timing steps of {name}")
            row = dataclasses.replace(row, speed=speed(name, options))
            keep(folder, row)
        rows.append(row)
        each(row)
        progress.end(name)
    return rows


def time_again(
    names: Sequence[str],
    folder: Path,
    each: Callable[[Row], None] = lambda row: None,
    show: Progress | None = None,
) -> list[Row]:
    """Time the training steps again.

    Args:
        names: Recipes with rows in the folder.
        folder: The folder.
        each: Called with each row after it is written.
        show: Prints the progress. None: nothing is printed.

    Returns:
        The rows with the new speeds.

    Raises:
        BadInput: A recipe has no row.
    """
    rows, before = [], kept(folder)
    missing = [name for name in names if name not in before]
    if not before or missing:
        raise BadInput(
            f"{folder / ROWS} has no row for {', '.join(missing) or 'any recipe'}: run without --speed first"
        )
    allocator.keep_freed_blocks()
    for place, name in enumerate(names, 1):
        stage(show, f"[{place}/{len(names)}] {name}: timing a dozen steps or more")
        rows.append(dataclasses.replace(before[name], speed=speed(name, plan(name).options)))
        keep(folder, rows[-1])
        each(rows[-1])
    return rows


def _row(name: str, line: str, run: Run, image: Path, overwrite: bool) -> Row:
    gan = load(run.path)
    sheet, rows = translated(gan, plan(name).data) if isinstance(gan, Translator) else draw(gan)
    rewrite(image, grid.png_bytes(sheet), overwrite=overwrite)
    result = evaluate(run.path, n=N, write=False)
    described, last = Folder(run.path).read("run.json"), run.metrics[-1]
    generated, real = (_intervals(result["rows"][key]) for key in ("generated", "real (other half)"))
    trivial = {key: _intervals(result["rows"][key]) for key in (COPIED, MEAN, MATCHED) if key in result["rows"]}
    return Row(
        recipe=name, command=line, seed=Folder(run.path).read("config.json")["train"]["seed"], kimg=last["kimg"],
        seconds=last["seconds"], threads=int(described["versions"]["threads"]), precision=described["precision"],
        torch=described["versions"]["torch"], parameters=_parameters(name, run), figures=generated, floor=real,
        protocol=result["protocol"], image=rows, trivial=trivial,
    )  # fmt: skip


def _intervals(values: dict[str, dict[str, float]]) -> dict[str, Interval]:
    """Values without the name of the feature net, with 4 digits; a value without interval is repeated."""
    intervals: dict[str, Interval] = {}
    for full, value in values.items():
        key = full if full in OF_TRANSLATION else full.split("_")[0]
        if key in FIGURES + OF_TRANSLATION:
            low, high = (value["value"] if value.get(end) is None else value[end] for end in ("low", "high"))
            intervals[key] = float(f"{value['value']:.4g}"), float(f"{low:.4g}"), float(f"{high:.4g}")
    return intervals


def _parameters(name: str, run: Run) -> dict[str, int]:
    from ganloom.core import config

    module = find(name)
    described = Folder(run.path).read("config.json")["config"]
    with torch.device("meta"):
        gan = module.MODEL(config.from_dict(module.Config, described))
    return {net: sum(p.numel() for p in getattr(gan, net).parameters()) for net in "GD"}


# -------------------------------------------------------------------------------------------------------------- speed


def speed(name: str, options: dict[str, Any], rounds: int = 3) -> Speed:
    """Time at least a dozen training steps at the end of the run, where growing networks have their full size.

    Args:
        name: The recipe.
        options: Keywords of ``ganloom.train``.
        rounds: Number of turns.

    Returns:
        The speed.
    """
    load_now = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
    settings = keywords(find(name), options)
    device = choose_device("auto")
    gan, data = prepare(name, plan(name).data, **settings)
    precision = choose_precision(settings.get("precision", "auto"), device, gan)
    trainer = trainer_of(gan, data, device, precision)
    end = int(1000 * float(settings.get("total_kimg", 0.0)))
    trainer.load_state(trainer.tensors(), trainer.state() | {"nimg": end})
    before, first_step = trainer.nimg, trainer.step
    cycle = cycle_of([phase.lazy for phase in trainer.phases])
    times = contest(
        {"step": clock(trainer.train_step, lambda: hardware.wait(device))}, rounds, cycle=cycle, seconds=10.0
    )["step"]
    images_a_step = (trainer.nimg - before) / (trainer.step - first_step)
    seconds = sorted(times)[len(times) // 2]
    return Speed(
        float(f"{images_a_step / seconds:.3g}"), hardware.name(device), torch.get_num_threads(), round(load_now, 1),
        precision, torch.__version__,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- progress


class _Progress:
    """Print on stderr which recipe is trained, and the time left for all; each run prints its own progress."""

    def __init__(self, names: Sequence[str], show: Progress | None) -> None:
        self.names, self.done, self.spent, self.show = list(names), 0.0, 0.0, show
        self.start = 0.0

    def begin(self, name: str, line: str) -> None:
        self.start = time.perf_counter()
        place = self.names.index(name)
        left = f", about {self.spent / self.done * (len(self.names) - place) / 60:.0f} min left" if self.done else ""
        text = f"[{place + 1}/{len(self.names)}] {line}{left}; Ctrl-C stops, the same command continues"
        if self.show is not None:
            self.show.say(text)

    def end(self, name: str) -> None:
        if self.start:
            self.done, self.spent = self.done + 1, self.spent + time.perf_counter() - self.start
            self.start = 0.0
