"""Write the pages made from the rows of `ganloom bench recipes`: recipes.md, one page a recipe, gallery.md, colour.md ..."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganloom.bench.recipes import gallery_page, recipe_page, small_page
from ganloom.bench.recipes.gallery_page import COLOUR, OTHERS
from ganloom.bench.recipes.rows import Row, differences, kept, other_sets, ranked
from ganloom.core.output_files import replace_file, rewrite
from ganloom.recipes import RECIPES

NOTE = "<!-- written by `make docs` from the docstrings: change those -->\n\n"
DECLARED = Path("results") / "out-of-date.txt"
"""Names of recipes whose figures may be those of a former plan, one a line; a test compares it with the rows."""
SOURCE = Path("..") / ".." / "src" / "ganloom" / "recipes"
"""The folder of the recipes' source, from docs/recipes/ of a checkout."""
ABOUT_COLOUR = (
    "The plans of `--small` on colour images, with the same flags for all recipes. The plans were tuned on grey `fashion-10k` "
    "and on nothing of this page. `emoji` is made from an emoji font ([data.md](data.md)); `shapes` needs nothing. "
    "`ganloom bench recipes --data NAME --shape 3 H W --out docs` makes the rows of a data set."
)
ABOUT_OTHERS = (
    "The plans of `--small` on other grey images, with the same flags for all recipes. The plans were tuned on `fashion-10k` and "
    "on nothing of this page. `ganloom bench recipes --data NAME --out docs` makes the rows of a data set."
)


def texts(folder: Path, names: Iterable[str] = tuple(RECIPES)) -> dict[str, str]:
    """Return the text of every page, by its path in the folder.

    Args:
        folder: The folder of the results, such as docs.
        names: The recipes that get a page.
    """
    rows = kept(folder)
    sets = {name: found for name in other_sets(folder) if (found := kept(folder, name))}
    by_page = {
        COLOUR: ("Colour images", ABOUT_COLOUR, {name: found for name, found in sets.items() if is_colour(found)}),
        OTHERS: (
            "Other grey images",
            ABOUT_OTHERS,
            {name: found for name, found in sets.items() if not is_colour(found)},
        ),
    }
    made = {page: given for page, given in by_page.items() if given[2]}
    pages = {page: gallery_page.other_data(*given) for page, given in made.items()}
    source = SOURCE if (folder / "recipes" / SOURCE).is_dir() else None
    for name in names:
        others = [page for page, given in made.items() if any(name in found for found in given[2].values())]
        pages[f"recipes/{name}.md"] = recipe_page.recipe(name, rows.get(name), others, source)
    pages["recipes.md"] = recipe_page.recipes(rows)
    pages["gallery.md"] = gallery_page.gallery(rows, list(made))
    small = folder / small_page.PAGE
    if small.is_file():
        pages[small_page.PAGE] = small_page.filled(small.read_text(encoding="utf-8"), rows)
    return {name: text if name == small_page.PAGE else NOTE + text.rstrip() + "\n" for name, text in pages.items()}


def is_colour(rows: dict[str, Row]) -> bool:
    """Whether rows are of images with three channels or more."""
    return all(row.shape[0] >= 3 for row in rows.values())


def write(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the pages into the folder of the results, and shorten the list of recipes that may be out of date.

    Args:
        folder: A folder with rows. In the docs of a checkout, all pages are written, elsewhere those of measured recipes.
        overwrite: Replace pages that ganloom did not write.

    Returns:
        The files.

    Raises:
        BadInput: A page was not written by ganloom.
    """
    everywhere = {row for name in ("", *other_sets(folder)) for row in kept(folder, name)}
    is_docs = (folder / "recipes" / SOURCE).is_dir()
    found = texts(folder, [name for name in RECIPES if is_docs or name in everywhere])
    if not is_docs:
        del found["recipes.md"]  # its links lead to pages of all recipes
        found = {name: text for name, text in found.items() if name != "gallery.md" or kept(folder)}
    written = [
        rewrite(folder / name, text.encode(), overwrite=overwrite, ours=lambda content: _is_ours(content))
        for name, text in found.items()
    ]
    if (folder / DECLARED).is_file():
        shorten(folder)
    return written


def _is_ours(content: bytes) -> bool:
    return content.startswith(NOTE.encode()) or small_page.START.encode() in content


def out_of_date(folder: Path) -> dict[str, list[str]]:
    """Return the recipes whose figures are not those of the present plan, with the differences; "NAME on DATA" for other data."""
    found = {}
    for name in ("", *other_sets(folder)):
        for recipe, row in kept(folder, name).items():
            if texts := differences(row):
                found[recipe if not name else f"{recipe} on {name}"] = texts
    return found


def declared(folder: Path) -> list[str]:
    """Read which recipes are declared to be out of date."""
    lines = (folder / DECLARED).read_text(encoding="utf-8").splitlines() if (folder / DECLARED).exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def shorten(folder: Path) -> None:
    """Remove recipes that are up to date from the declared list. Nothing is added: that needs a person."""
    old = out_of_date(folder)
    lines = (folder / DECLARED).read_text(encoding="utf-8").splitlines()
    left = [line for line in lines if line.startswith("#") or not line.strip() or line.strip() in old]
    replace_file(folder / DECLARED, ("\n".join(left) + "\n").encode())


# ------------------------------------------------------------------------------------------------- files of the package


def measured(folder: Path) -> str:
    """Return the text of recipes/measured.json, from which `ganloom recipes` shows speeds."""
    speeds = {
        name: {
            "kimg": row.kimg,
            "seconds": row.seconds,
            **{key: row.figures[key][0] for key in ("coverage", "l1") if key in row.figures},
            **vars(row.speed),
        }
        for name, row in kept(folder).items()
        if row.speed is not None
    }
    return json.dumps(speeds, indent=1) + "\n"


def small_data(folder: Path) -> str:
    """Return the text of recipes/small_data.json, from which `ganloom plan` proposes a recipe for small data sets.

    It has the rows on other data than that of the plans, the best recipe first; not those of a former plan.
    """
    sets: list[dict[str, Any]] = []
    for name in other_sets(folder):
        rows = [row for row in ranked(list(kept(folder, name).values())) if not differences(row) and not row.translates]
        if rows:
            first = rows[0]
            described = {"data": first.data, "shape": first.shape, "images": first.images, "classes": first.classes}
            sets.append({**described, "recipes": [_for_plan(row) for row in rows]})
    return json.dumps({"sets": sets}, indent=1) + "\n"


def _for_plan(row: Row) -> dict[str, Any]:
    return {
        "recipe": row.recipe, "coverage": row.figures["coverage"], "kimg": row.kimg, "cpu_minutes": row.cpu_minutes,
        "seeds": len(row.seeds),
    }  # fmt: skip
