"""Which recipe `ganloom plan` proposes for a small data set: the best one in a table of measured trainings.

The table is recipes/small_data.json. It has the rows of docs/colour.md and docs/more-data.md: recipes in their ``--small`` form
on other data than that for which the forms were tuned.
"""

import json
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ganloom import recipes
from ganloom.evaluation.measure import effnet_installed

MOST = 20_000
"""Largest number of images of a data set for which the table is used."""
NEAR = 2.0
"""The sides of the images may differ from those of the table by this factor."""
DEFAULT = "default"


@dataclass(frozen=True)
class Suggestion:
    """The recipe that did best on the most similar data set of the table.

    Attributes:
        recipe: The recipe, in its small form.
        kimg: Length of its training, in thousands of images.
        why: The data set of the table and the figures, in words.
        clear: Whether each seed is better than each seed of the default recipe.
    """

    recipe: str
    kimg: float
    why: str
    clear: bool


def table() -> list[dict[str, Any]]:
    """Read the table: for each data set its name, shape, number of images and classes, and the recipes, the best one first."""
    text = (files("ganloom.recipes") / "small_data.json").read_text(encoding="utf-8")
    sets: list[dict[str, Any]] = json.loads(text)["sets"]
    return sets


def suggest(data: Any, sets: list[dict[str, Any]] | None = None) -> Suggestion | None:
    """Find the recipe that did best on data like these.

    Args:
        data: The opened data.
        sets: The table. None: that of the package.

    Returns:
        The suggestion. None if the table has no similar data set, or not the default recipe on it.
    """
    if data.kind != "images" or data.inputs is not None or len(data) > MOST:
        return None
    near = [one for one in (table() if sets is None else sets) if _distance(data, one) < math.inf]
    if not near:
        return None
    most_similar = min(near, key=lambda one: _distance(data, one))
    rows = [row for row in most_similar["recipes"] if _is_usable(row["recipe"], data.n_classes)]
    own = next((row for row in rows if row["recipe"] == DEFAULT), None)
    if own is None:
        return None
    best = rows[0]
    channels, height, width = most_similar["shape"]
    where = f"{most_similar['data']} ({most_similar['images']:,} images, {height} x {width}, {'RGB' if channels > 1 else 'grey'})"
    figure = f"coverage {best['coverage'][0]:.2f}"
    beside = "" if best is own else f", the default recipe {own['coverage'][0]:.2f}"
    page = "colour.md" if channels > 1 else "more-data.md"
    why = f"on {where}, {best['recipe']} --small has {figure}{beside} (docs/{page})"
    clear = best is not own and best["coverage"][1] > own["coverage"][2]
    return Suggestion(best["recipe"], float(best["kimg"]), why, clear)


def _distance(data: Any, one: dict[str, Any]) -> float:
    """How different a data set of the table is; infinite if it is of another kind."""
    channels, height, width = one["shape"]
    side = abs(math.log(math.sqrt(height * width / (data.shape[-2] * data.shape[-1]))))
    if (channels >= 3) is not (data.shape[0] >= 3) or side > math.log(NEAR) + 1e-9:
        return math.inf
    labels = 0.5 * (bool(one["classes"]) != bool(data.n_classes))
    return side + 0.3 * abs(math.log(one["images"] / len(data))) + labels


def _is_usable(name: str, classes: int) -> bool:
    """Whether a recipe can train here: the labels that it needs are there, and so is its extra."""
    module = recipes.RECIPES.get(name)
    if module is None or (getattr(module.Config(), "n_classes", 0) > 0 and not classes):
        return False
    return getattr(module, "EXTRA", None) != "effnet" or effnet_installed()
