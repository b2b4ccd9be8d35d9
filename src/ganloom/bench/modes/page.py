"""What `ganloom bench modes --out DIR` writes: rows as JSON, tables in a Markdown page, and an image for each cure."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.bench.modes import dirac
from ganloom.bench.modes.benchmark import DATA, Row
from ganloom.bench.modes.cures import CURES
from ganloom.bench.modes.dirac_plot import draw
from ganloom.bench.modes.failures import against, verdict
from ganloom.bench.modes.toy_gans import BATCH, Mixture
from ganloom.bench.modes.toy_training import SAMPLES, Trained
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file, rewrite
from ganloom.imaging.grid import png_bytes, scatter

PAGE, KEPT = "known-truth.md", "known-truth.json"
AGAINST = "Each cure against its sickness"
"""The title of the section with all rows."""
BEGIN = "<!-- begin "
"""Begins a part of the page that this module writes. All other text of the page stays."""
PANEL, FIELD = 210, 105
"""Side of a panel in pixels; points on a side at which D is evaluated."""

Key = tuple[str, str, int, int, int]


def key(row: Row) -> Key:
    """The key of a row; rows with equal keys replace each other."""
    return row.data, row.cure, row.steps, row.seeds, row.seed


def keep(folder: Path, row: Row) -> list[Row]:
    """Add a row to the JSON file of the folder.

    Args:
        folder: The folder.
        row: The new row.

    Returns:
        All rows, in the order of the cures.
    """
    path = folder / KEPT
    with json_files.blaming(path, "rows that cannot be read", "Delete it, or choose another --out"):
        saved = [Row.from_dict(one) for one in json_files.read_list(path)]
    rows = {key(one): one for one in [*saved, row]}
    order = list(CURES)
    ordered = sorted(rows.values(), key=lambda r: (r.data, r.steps, r.seeds, r.seed, order.index(r.cure)))
    lines = ",\n".join(json.dumps(one.to_dict()) for one in ordered)  # one line for each row
    replace_file(path, f"[\n{lines}\n]\n".encode())
    return ordered


def table(rows: Sequence[Row]) -> list[str]:
    """Write rows with equal data, steps and seeds as a Markdown table.

    Args:
        rows: The rows.

    Returns:
        The lines.
    """
    n = len(DATA[rows[0].data].mixture().modes)
    out = [
        f"| cure | what | modes of {n} (worst seed) | fair modes | good samples, % | reverse KL (worst seed) "
        "| between seeds | s | compared with no cure |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        modes, fair, kl = (row.figures[name] for name in ("modes", "fair", "kl"))
        good = tuple(100 * value for value in row.figures["quality"])
        out.append(
            f"| `{row.cure}` | {CURES[row.cure].title} | {_cell(modes, 1)} ({row.worst['modes']:.0f}) | {_cell(fair, 1)} "
            f"| {_cell(good, 1)} | {_cell(kl, 3)} ({row.worst['kl']:.3f}) | {row.apart:.2f} | {row.seconds:.0f} "
            f"| {verdict(row, rows)} |"
        )
    return out


def _cell(figure: tuple[float, ...], digits: int) -> str:
    return f"{figure[0]:.{digits}f} [{figure[1]:.{digits}f}, {figure[2]:.{digits}f}]"


def section(rows: Sequence[Row], images: Sequence[str] = ()) -> str:
    """Write a table with its command and the meaning of its columns.

    Args:
        rows: The rows.
        images: Paths of images below the table.

    Returns:
        Markdown.
    """
    first = rows[0]
    names, what = " ".join(row.cure for row in rows), DATA[first.data].what
    out = [
        f"`ganloom bench modes --data {first.data} --cure {names} --seeds {first.seeds} --seed {first.seed} "
        f"--steps {first.steps}`",
        "",
        f"{what[:1].upper()}{what[1:]}. {first.seeds} seeds from {first.seed}, {first.steps:,} steps, {SAMPLES:,} samples of "
        "each seed; means over seeds with 95 % intervals. A mode counts if one sample is within 3 sd, and as fair if it has a "
        "fifth of its fair share; reverse KL over the good samples (samples of a perfect generator give "
        f"{(len(DATA[first.data].mixture().modes) - 1) / 2 / SAMPLES:.3f}). Between seeds: total variation of their "
        "shares. Seconds: all seeds together, on the machine of the measurement.",
        "",
        *table(rows),
    ]
    if images:
        shown = [f"![{Path(one).stem}]({one})" for one in images]
        out += [
            "",
            f"Seed {first.seed}: 2,500 samples, circles around the modes, and D's logits (orange: real).",
            "",
            *shown,
        ]
    return "\n".join(out)


def dirac_section(runs: Sequence[tuple[dirac.Row, dirac.Path]], image: str) -> str:
    """Write the table and the image of the Dirac-GAN as Markdown.

    Args:
        runs: (row, path) of each setting.
        image: The path of the image.
    """
    out = [
        "`ganloom bench modes --data dirac`",
        "",
        "Distance from the equilibrium after 100, 500 and 2,000 steps of 0.1 from (1, 1). Theory: the largest modulus of an "
        "eigenvalue of the update at the equilibrium. Measured: the factor per step over the last fifth of the steps.",
        "",
        "| setting | updates | theory | measured | after 100 | 500 | 2,000 | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, _ in runs:
        order = "alternating" if row.alternating else "simultaneous"
        modulus = "none: not differentiable" if row.modulus is None else f"{row.modulus:.4f}"
        far = " | ".join(f"{value:.2g}" for value in (row.at_100, row.at_500, row.at_2000))
        out.append(f"| `{row.setting}` | {order} | {modulus} | {row.rate:.4f} | {far} | {row.verdict} |")
    return "\n".join([*out, "", f"![trajectories and the theory]({image})"])


def put(folder: Path, name: str, text: str) -> Path:
    """Write a section into the page: in place of the one with this name, or at the end.

    Args:
        folder: The folder of the page.
        name: The title of the section.
        text: Markdown.

    Returns:
        The path of the page.
    """
    path = folder / PAGE
    page = (
        path.read_text(encoding="utf-8")
        if path.exists()
        else "# Methods against mode collapse, measured where the truth is known\n"
    )
    if path.exists() and BEGIN not in page:
        raise BadInput(f"{path} was not written by ganloom. Move it, or choose another --out")
    begin, end = f"{BEGIN}{name} -->", f"<!-- end {name} -->"
    block = f"{begin}\n{text}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page = pattern.sub(lambda _: block, page) if pattern.search(page) else f"{page.rstrip()}\n\n## {name}\n\n{block}\n"
    replace_file(path, page.encode())
    return path


def write_rows(folder: Path, rows: Sequence[Row], latest: Row) -> Path:
    """Write the table of the latest row, and the table of all cures, into the page.

    Args:
        folder: The folder of the page.
        rows: All rows.
        latest: The row that was added.

    Returns:
        The path of the page.
    """
    group = [row for row in rows if key(row)[2:] == key(latest)[2:] and row.data == latest.data]
    name = f"{latest.data}, {latest.steps:,} steps, seeds {latest.seed} to {latest.seed + latest.seeds - 1}"
    panels = [path for path in (panel_path(folder, row) for row in group) if path.exists()]
    put(folder, AGAINST, "\n".join(against(rows)))
    return put(folder, name, section(group, [path.relative_to(folder).as_posix() for path in panels]))


def write_dirac(folder: Path, runs: Sequence[tuple[dirac.Row, dirac.Path]], *, overwrite: bool = False) -> Path:
    """Write the image and the table of the Dirac-GAN.

    Args:
        folder: The folder of the page.
        runs: (row, path) of each setting.
        overwrite: Replace an image that ganloom did not write.

    Returns:
        The path of the page.
    """
    rewrite(folder / "images" / "dirac.svg", draw(runs).encode(), overwrite=overwrite)
    return put(folder, "Dirac-GAN", dirac_section(runs, "images/dirac.svg"))


def panel_path(folder: Path, row: Row) -> Path:
    """The path of the image of a row."""
    return folder / "images" / "modes" / f"{row.data}-{row.steps}-{row.seed}-{row.cure}.png"


def save_panels(folder: Path, row: Row, trained: Trained, mixture: Mixture, *, overwrite: bool = False) -> Path:
    """Draw the samples of the first seed with circles around the modes, and D's logits over the plane.

    Args:
        folder: The folder of the page.
        row: The row.
        trained: The networks.
        mixture: The data.
        overwrite: Replace an image that ganloom did not write.

    Returns:
        The path of the image.
    """
    extent = float(mixture.modes.abs().max()) * 1.25
    samples = scatter(trained.sample(SAMPLES, row.seed)[0], mixture.modes, extent, PANEL)
    field = Image.fromarray(colours(trained.field(0, extent, FIELD, BATCH)).numpy()).resize((PANEL, PANEL))
    sheet = Image.new("RGB", (2 * PANEL, PANEL + 22), (255, 255, 255))
    sheet.paste(samples, (0, 22))
    sheet.paste(field, (PANEL, 22))
    kl = f"KL {row.each[0].kl:.3f}, {row.each[0].modes} modes, {row.each[0].quality:.0%} good"
    ImageDraw.Draw(sheet).text((6, 5), f"{row.cure}: {kl}", fill=(30, 30, 30))
    content = png_bytes(sheet.quantize(48, dither=Image.Dither.NONE))
    return rewrite(panel_path(folder, row), content, overwrite=overwrite)


def colours(logits: Tensor) -> Tensor:
    """Color logits: blue below the median, orange above it.

    Args:
        logits: (H, W).

    Returns:
        (H, W, 3) uint8.
    """
    centred = torch.nan_to_num(logits - logits.nanmedian())
    scale = centred.abs().quantile(0.98).clamp(min=1e-12)
    t = (centred / scale).clamp(-1, 1)[..., None]
    low, high, middle = (
        torch.tensor(rgb) for rgb in ((36.0, 86.0, 196.0), (217.0, 113.0, 28.0), (250.0, 250.0, 248.0))
    )
    return torch.where(t < 0, torch.lerp(middle, low, -t), torch.lerp(middle, high, t)).round().to(torch.uint8)
