"""`ganloom doctor sensitivity`: train a recipe with other learning rates, penalty weights, beta1 and batch sizes.

Each setting is a short run. The doctor's light and the distance that selects the best checkpoint decide whether it works.
"""

import dataclasses
import json
import math
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from ganloom import recipes
from ganloom.apps.run_cache import finished
from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.old_import_paths import renamed
from ganloom.core.output_files import may_rewrite, rewrite
from ganloom.doctor import RED
from ganloom.doctor.callback import FILE, read_rows
from ganloom.doctor.run_facts import PENALTIES
from ganloom.imaging.grid import png_bytes
from ganloom.report.number_format import duration
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder

RATES = (0.2, 1.0, 5.0)
"""Factors for the learning rates of D and G; all pairs are tried."""
WEIGHTS = (0.1, 10.0)
BATCHES = (0.5, 2.0)
MOMENTA = (0.0, 0.5, 0.9)
NEAR = 1.5
"""A setting works well ("thrives") if its distance is at most this many times the best one."""


@dataclass(frozen=True)
class Setting:
    """One setting of the grid."""

    name: str
    axis: str
    options: dict[str, Any]
    place: tuple[int, int] | None = None
    """Row (learning rate of D) and column (learning rate of G) in the image."""


@dataclass(frozen=True)
class Result:
    """The result of one setting."""

    name: str
    axis: str
    verdict: str
    """"dies", "lives" or "thrives"."""
    light: str
    finding: str
    metric: str
    value: float | None
    seconds: float
    place: tuple[int, int] | None = None


def settings(recipe: str, base: Any) -> list[Setting]:
    """Build the grid of settings around a config.

    Args:
        recipe: The name of the recipe, for messages.
        base: Its config.

    Returns:
        The settings.

    Raises:
        BadInput: The config has no optimizers ``g_opt`` and ``d_opt``.
    """

    def opt(net: str, **changes: Any) -> Any:
        return dataclasses.replace(getattr(base, f"{net}_opt"), **changes)

    if not (hasattr(base, "g_opt") and hasattr(base, "d_opt")):
        raise BadInput(f"{recipe} does not have the optimizers g_opt and d_opt, so there are no settings to try")
    grid = []
    for row, d in enumerate(RATES):
        for column, g in enumerate(RATES):
            options = {"d_opt": opt("d", lr=base.d_opt.lr * d), "g_opt": opt("g", lr=base.g_opt.lr * g)}
            grid.append(Setting(f"D lr x{d:g}, G lr x{g:g}", "learning rates", options, (row, column)))
    for field in PENALTIES:
        weight = getattr(base, field, None)
        if weight:
            grid += [Setting(f"{field} x{f:g}", field, {field: weight * f}) for f in (0.0, *WEIGHTS)]
    if hasattr(base.g_opt, "betas"):
        own = (base.g_opt.betas[0], base.d_opt.betas[0])
        for beta in MOMENTA:
            if own != (beta, beta):
                both = {f"{n}_opt": opt(n, betas=(beta, getattr(base, f"{n}_opt").betas[1])) for n in "gd"}
                grid.append(Setting(f"beta1 {beta:g}", "beta1", both))
    if hasattr(base, "batch_size"):
        grid += [
            Setting(f"batch {round(base.batch_size * f)}", "batch", {"batch_size": max(2, round(base.batch_size * f))})
            for f in BATCHES
        ]
    return grid


def measure(
    data: str,
    recipe: str,
    folder: Path,
    kimg: float = 10.0,
    seed: int = 0,
    options: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    progress: Progress | None = None,
    overwrite: bool = False,
) -> list[Result]:
    """Train every setting that is not in the folder yet, and write the results after each one.

    Args:
        data: The data.
        recipe: The name of the recipe.
        folder: The folder for the runs, sensitivity.json and sensitivity.png.
        kimg: Length of each run in thousands of images.
        seed: Seed of every run.
        options: More options of ``ganloom.train``.
        say: Called with a line of progress.
        progress: Shows what is done between these lines.
        overwrite: Replace a sensitivity.json and sensitivity.png that ganloom did not write.

    Returns:
        The results.

    Raises:
        BadInput: An argument cannot be used.
    """
    if not kimg > 0:
        raise BadInput(f"--total-kimg must be above 0, got {kimg}")
    module = recipes.find(recipe)
    own = dict(options or {})
    config = {k: v for k, v in own.items() if k in {f.name for f in dataclasses.fields(module.Config)}}
    base = dataclasses.replace(module.Config(), **config)
    base = _with_weight(module, base, data, own)
    grid = settings(recipe, base)
    train: dict[str, Any] = {
        "kimg_per_tick": max(kimg / 10, 0.05),
        "kimg_per_checkpoint": kimg,
        "total_kimg": kimg,
        "seed": seed,
        "grid": 16,
        "keep": 1,
    }
    raw: list[tuple[Setting, dict[str, Any]]] = []
    start, ran = time.perf_counter(), 0
    for name in ("sensitivity.json", "sensitivity.png"):
        may_rewrite(folder / name, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for i, one in enumerate(grid):
        path = folder / "runs" / f"{i:02d}-{re.sub('[^a-z0-9.]+', '-', one.name.lower())}"
        fresh = not (path / "run.json").exists() or Folder(path).read("run.json").get("state") not in (
            "finished",
            "failed",
        )
        run_start = time.perf_counter()
        if fresh:
            try:
                finished(recipe, data, path, progress, **train, **(own | one.options))
            except GanloomError as error:
                if not (path / "run.json").exists():
                    raise
                say(f"{one.name}: {error}")
            ran += 1
        raw.append((one, _outcome(path, time.perf_counter() - run_start)))
        left = (time.perf_counter() - start) / max(1, ran) * (len(grid) - i - 1)
        if fresh:
            say(f"{i + 1}/{len(grid)} {one.name}: {raw[-1][1]['light']}, about {duration(left)} left")
        results = _judged(raw)
        rows = [dataclasses.asdict(r) for r in results]
        head = {"recipe": recipe, "data": data, "kimg": kimg, "seed": seed, "rows": rows}
        rewrite(folder / "sensitivity.json", json.dumps(head, indent=1).encode(), overwrite=overwrite)
        sheet = png_bytes(image(results, f"{recipe} on {data}, {kimg:g} kimg"))
        rewrite(folder / "sensitivity.png", sheet, overwrite=overwrite)
    return results


def _with_weight(module: Any, base: Any, data: str, own: dict[str, Any]) -> Any:
    """Replace penalty weights that depend on the shape of the data by their numbers."""
    for field in PENALTIES:
        if hasattr(base, field) and getattr(base, field) is None:
            from ganloom.api import prepare

            name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
            weight = getattr(prepare(name, data, **own)[0], field, None)
            base = dataclasses.replace(base, **{field: weight})
    return base


def _outcome(path: Path, seconds: float) -> dict[str, Any]:
    findings = Folder(path).read(FILE).get("findings", [])
    red = any(f["severity"] == RED for f in findings)
    rows = read_rows(path)
    judged = [(n, v) for row in rows for n, v in row.items() if n.startswith("fd") and isinstance(v, float)]
    name, value = judged[-1] if judged else ("", math.nan)
    return {
        "light": RED if red else "yellow" if findings else "green", "finding": findings[0]["name"] if findings else "",
        "metric": name, "value": value, "seconds": rows[-1]["seconds"] if rows else seconds,
    }  # fmt: skip


def _judged(raw: Sequence[tuple[Setting, dict[str, Any]]]) -> list[Result]:
    alive = [o["value"] for _, o in raw if o["light"] != RED and math.isfinite(o["value"])]
    best = min(alive, default=math.nan)
    results = []
    for one, o in raw:
        known = math.isfinite(o["value"])
        verdict = "dies" if o["light"] == RED or not known else "thrives" if o["value"] <= NEAR * best else "lives"
        value = o["value"] if known else None
        results.append(
            Result(one.name, one.axis, verdict, o["light"], o["finding"], o["metric"], value, o["seconds"], one.place)
        )
    return results


def table(results: Sequence[Result]) -> list[str]:
    """The results as text: a line for each setting, and how many work.

    Args:
        results: From ``measure``.

    Returns:
        The lines.
    """
    width = max(len(r.name) for r in results)
    metric = next((r.metric for r in results if r.metric), "distance")
    lines = [f"{'setting':<{width}}  verdict  light   {metric:>18}  first finding"]
    for r in results:
        value = "-" if r.value is None else f"{r.value:.4g}"
        lines.append(f"{r.name:<{width}}  {r.verdict:<7}  {r.light:<6}  {value:>18}  {r.finding}")
    counts = {v: sum(r.verdict == v for r in results) for v in ("thrives", "lives", "dies")}
    return [
        *lines,
        f"of {len(results)} settings {', '.join(f'{n} {v[:-1] if n != 1 else v}' for v, n in counts.items())}",
    ]


# ------------------------------------------------------------------------------------------------------------- image

CELL, GAP, LEFT, TOP = 96, 4, 120, 60
DEAD, INK, PAPER = (120, 40, 40), (20, 20, 20), (255, 255, 255)


def image(results: Sequence[Result], title: str) -> Image.Image:
    """Draw the results: a square of learning rates, and a row for each other kind of setting.

    Failed settings are dark red; the others are between white (a large distance) and green (the best).

    Args:
        results: From ``measure``.
        title: The title.

    Returns:
        The image.
    """
    axes = [a for a in dict.fromkeys(r.axis for r in results) if a != "learning rates"]
    image = Image.new("RGB", (LEFT + 3 * (CELL + GAP) + 20, TOP + (3 + len(axes)) * (CELL + GAP) + 50), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((10, 10), f"{title}: distance, lower is better; red failed", fill=INK)
    values = [math.log(r.value) for r in results if r.value is not None and r.value > 0 and r.verdict != "dies"]
    low, high = min(values, default=0.0), max(values, default=1.0)
    for i, factor in enumerate(RATES):
        draw.text((LEFT + i * (CELL + GAP) + 8, TOP - 18), f"G lr x{factor:g}", fill=INK)
        draw.text((10, TOP + i * (CELL + GAP) + CELL // 2), f"D lr x{factor:g}", fill=INK)
    for r in results:
        if r.place is not None:
            _cell(draw, r, r.place[1], TOP + r.place[0] * (CELL + GAP), low, high, "")
    top = TOP + 3 * (CELL + GAP) + 20
    for row, axis in enumerate(axes):
        draw.text((10, top + row * (CELL + GAP) + CELL // 2), axis, fill=INK)
        for column, r in enumerate([r for r in results if r.axis == axis][:3]):
            _cell(draw, r, column, top + row * (CELL + GAP), low, high, r.name)
    return image


def _cell(draw: Any, r: Result, column: int, y: int, low: float, high: float, name: str) -> None:
    x = LEFT + column * (CELL + GAP)
    dead = r.verdict == "dies" or r.value is None or r.value <= 0
    far = 0.0 if dead or r.value is None or high <= low else (math.log(r.value) - low) / (high - low)
    far = min(1.0, max(0.0, far))
    colour = DEAD if dead else (int(60 + 190 * far), int(160 + 90 * far), int(90 + 160 * far))
    draw.rectangle((x, y, x + CELL, y + CELL), fill=colour)
    ink = PAPER if dead else INK
    value = "-" if r.value is None else f"{r.value:.3g}"
    for i, line in enumerate((name, value, r.verdict, r.finding[:15])):
        draw.text((x + 6, y + 8 + 20 * i), line, fill=ink)


__getattr__ = renamed(__name__)  # names of earlier versions
