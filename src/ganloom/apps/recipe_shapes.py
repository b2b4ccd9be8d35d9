"""What the networks of each recipe get from a data set: recipes differ in the size of images that have no common one."""

import contextlib
import os
from dataclasses import dataclass
from typing import Any

from ganloom import recipes
from ganloom.core.errors import BadInput
from ganloom.data.check_report import Report
from ganloom.data.default_shape import keeps_size
from ganloom.data.folder_layouts import training_folders
from ganloom.data.paired_folders import equal_names_and_sizes
from ganloom.gan import kind_of_inputs
from ganloom.recipes import presets

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class RecipeShape:
    """(C, H, W) that a recipe gets by default, and with ``--small``."""

    shape: Shape
    small: Shape


def recipe_shapes(report: Report, source: Any, shape: Shape | None = None) -> dict[str, RecipeShape]:
    """Return what each recipe would get.

    Args:
        report: The report on the data.
        source: What was checked. Image-to-image recipes are listed if it is a folder with two domains.
        shape: The requested shape.

    Returns:
        Name of the recipe -> shapes; empty if all recipes get the shape of the report.
    """
    if report.kind != "images" or report.sizes is None or shape is not None:
        return {}
    if report.sizes.distinct == 1 and keeps_size((report.sizes.width[1], report.sizes.height[1])):
        return {}
    usable = _domains(source) | ({"captions"} if report.captions is not None else set())
    shapes = {}
    for name in recipes.RECIPES:
        module = recipes.find(name)
        own: Any = getattr(module.Config(), "shape", ())
        if len(own) == 3 and _input_of(module.MODEL) in usable:
            whole, small = ((report.shape[0], side, side) for side in (int(own[1]), min(int(own[1]), presets.SIDE)))
            shapes[name] = RecipeShape(whole, small)
    return shapes


def shape_lines(report: Report, shapes: dict[str, RecipeShape]) -> list[str]:
    """Return a line for each shape that is not the one of the report, with the recipes that get it."""
    groups: dict[RecipeShape, list[str]] = {}
    for name, shape in shapes.items():
        if shape.shape != report.shape:
            groups.setdefault(shape, []).append(name)
    lines = []
    for shape, names in sorted(groups.items(), key=lambda item: item[0].shape):
        small = "" if shape.small == shape.shape else f"; with --small {_text(shape.small)}"
        lines.append(f"  {', '.join(names)} {'sees' if len(names) == 1 else 'see'} {_text(shape.shape)}{small}")
    return [*lines, "  --shape C H W gives any recipe another size"] if lines else []


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _input_of(model: Any) -> str:
    """What a model needs from the data beside images: "none", "pairs", "domains", "captions" or "volumes"."""
    kind = kind_of_inputs(model)
    return "none" if kind in (None, "crops") else str(kind)


def _domains(source: Any) -> set[str]:
    """Which of the inputs of `_input_of` a source has."""
    usable = {"none"}
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        with contextlib.suppress(BadInput):  # such as an empty folder for A
            folders = training_folders(os.fspath(source))
            if not isinstance(folders, str):
                usable |= {"domains", "pairs"} if equal_names_and_sizes(*folders) else {"domains"}
    return usable
