"""Text of docs/gallery.md and of the pages on other data: tables with eight samples a recipe, its figures and its command."""

import re
from collections.abc import Mapping, Sequence

from ganloom.bench.recipes.recipe_page import cell, former, minutes
from ganloom.bench.recipes.rows import Row, differences, images_folder, ranked
from ganloom.recipes import RECIPES

COLOUR, OTHERS = "colour.md", "more-data.md"
"""Pages with rows on colour images, and on other grey images."""
BEST = 3
"""So many recipes of a data set are shown with a large image."""


def year(recipe: str) -> int:
    """Return the year of a recipe's paper."""
    found = re.search(r"\b(19|20)\d\d\b", str(RECIPES[recipe].PAPER))
    return int(found[0]) if found else 0


def gallery(rows: Mapping[str, Row], others: Sequence[str] = ()) -> str:
    """Return the text of docs/gallery.md: one table row a recipe, sorted by the year of the paper.

    Args:
        rows: The rows, by recipe.
        others: Pages with rows on other data.
    """
    order = sorted(rows.values(), key=lambda row: (year(row.recipe), list(RECIPES).index(row.recipe)))
    lines = [
        "# Gallery\n",
        "Every recipe that makes images, by the year of its paper: samples of the first seeds, not selected, of a training with "
        "`--small`. Samples of recipes with labels show different classes. Coverage (real images reach 0.97, higher is better) "
        "is the mean of the seeds [smallest, largest]; L1 (lower is better) is for recipes that translate images, which show "
        "four inputs, each with its translation. Time is processor time of one thread. `ganloom bench recipes --out docs` trains "
        "and measures all of them, and writes this page.\n",
        *([f"The same plans on other data: {', '.join(f'[{page}]({page})' for page in others)}.\n"] if others else []),
        *former(rows),
        "| year | recipe | samples | figure | minutes | command |",
        "|---|---|---|---|---|---|",
    ]
    for row in order:
        key, word = ("l1", "L1") if row.translates else ("coverage", "coverage")
        old = " (out of date)" if differences(row) else ""
        lines.append(
            f"| {year(row.recipe)} | [{row.recipe}](recipes/{row.recipe}.md) | {strip(row)} | "
            f"{word} {cell(row.figures[key])}{old} | {minutes(row):.1f} | `{row.command}` |"
        )
    return "\n".join(lines) + "\n"


def strip(row: Row, name: str = "") -> str:
    """Return the image with eight samples of a row; "not drawn yet" for a row of an earlier version."""
    path = images_folder(name, "gallery") / f"{row.recipe}.png"
    return f"![eight samples of {row.recipe}]({path.as_posix()})" if row.seeds else "not drawn yet"


def other_data(title: str, about: str, sets: Mapping[str, Mapping[str, Row]]) -> str:
    """Return the text of a page with the rows on other data.

    Args:
        title: Title of the page.
        about: A paragraph below the title.
        sets: Name of the files -> the rows, by recipe.
    """
    lines = [f"# {title}\n", about + "\n"]
    for name, rows in sets.items():
        lines += _data_set(name, ranked(list(rows.values())))
    return "\n".join(lines) + "\n"


def _data_set(name: str, rows: Sequence[Row]) -> list[str]:
    """The table of one data set, the best recipe first, and large images of the best ones."""
    first = rows[0]
    classes = f", {first.classes} classes" if first.classes else ""
    features = first.protocol["backbone"].partition("_")[0]
    size = " x ".join(map(str, first.shape[1:]))
    lines = [
        f"## {first.data} at {size}\n",
        f"{first.images:,} images of {size} pixels, {'RGB' if first.shape[0] == 3 else 'grey'}{classes}. {features} features, "
        f"{first.protocol['n_fake']:,} samples; real images reach a coverage of {cell(first.floor['coverage'])}.\n",
        "| recipe | samples | coverage | Frechet distance | smallest class | read as its class | minutes | command |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        smallest = "" if row.smallest is None else f"{row.smallest[1]} {row.smallest[0]:.2f}"
        read = "" if row.read is None else f"{row.read:.1%}"
        old = " (out of date)" if differences(row) else ""
        weak = f"; seed {', '.join(map(str, row.weak))} under half" if row.weak else ""
        lines.append(
            f"| [{row.recipe}](recipes/{row.recipe}.md) | {strip(row, name)} | {cell(row.figures['coverage'])}{weak}{old} | "
            f"{cell(row.figures['fd'])} | {smallest} | {read} | {minutes(row):.1f} | `{row.command}` |"
        )
    lines.append("")
    for row in rows[:BEST]:
        about = f"; {row.image}" if row.image else ""
        path = images_folder(name) / f"{row.recipe}.png"
        lines += [
            f"![samples of {row.recipe}]({path.as_posix()})\n",
            f"*{row.recipe}: samples of the first seeds, not selected{about}.*\n",
        ]
    return lines
