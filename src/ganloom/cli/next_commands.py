"""Which commands make sense next for a run: those that its recipe can do and that work as they are printed."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom import recipes
from ganloom.core.errors import BadInput
from ganloom.core.names import word_of
from ganloom.core.output_files import numbered
from ganloom.data.builtin import BUILTIN
from ganloom.data.folder_layouts import held_out_folders, training_folders
from ganloom.runs.folder import Folder
from ganloom.tables.folder import is_table

LEAST_ROWS = 24
"""`ganloom evaluate` needs at least this many real images."""
Command = Sequence[object]


@dataclass(frozen=True)
class Facts:
    """What a run or a model folder can do."""

    path: str
    translates: bool = False
    fills: bool = False
    """Whether it fills holes."""
    styled: bool = False
    """Whether the recipe has styles, which `latent mix` needs."""
    has_latents: bool = False
    """Whether the recipe has latent vectors, which `latent project` and `directions` need."""
    has_data: bool = False
    """Whether its training data is still there, with enough images for `ganloom evaluate`."""
    unfinished: bool = False
    """Whether `ganloom resume` can continue it."""
    inputs: str = ""
    """For an image-to-image recipe: a folder or a file to translate."""
    upscales: bool = False
    """Whether it enlarges images."""
    tables: bool = False
    """Whether it learns tables."""
    texts: bool = False
    """Whether it learns texts."""

    def draw(self) -> Command:
        """The command that applies the model."""
        if self.fills:
            return ["inpaint", "--help"]
        if self.tables:
            whole = Path(self.path).absolute().parent
            return ["table", "sample", word_of(whole)] if is_table(whole) else ["table", "--help"]
        if self.texts:
            return ["text", "sample", self.path]
        if not self.translates:
            return ["sample", self.path]
        if self.upscales and not self.inputs:
            return ["upscale", "--help"]
        if not self.inputs:
            return ["sample", self.path] if self.has_data else ["translate", "--help"]
        single = os.path.isfile(self.inputs)
        if self.upscales:
            return ["upscale", self.inputs, free(Path(self.path) / "upscaled.png"), "--model", self.path]
        return [
            "translate",
            self.path,
            self.inputs,
            free(Path(self.path) / ("translated.png" if single else "translated")),
        ]

    def measure(self) -> list[Command]:
        """The command that measures the model, if the run has data for it."""
        if self.texts:
            return [["text", "evaluate", self.path]]
        return [["evaluate", self.path]] if self.has_data else []


def facts(run: str | os.PathLike[str]) -> Facts:
    """Read what a run can do; a damaged or missing config.json is a run of an unknown model.

    Args:
        run: A run folder or a model/ folder.
    """
    path = Path(run)
    word = word_of(run)
    try:
        described, state = Folder(path).read("config.json"), Folder(path).read("run.json")
    except (BadInput, OSError):
        return Facts(word)
    name = described.get("recipe")
    model: Any = recipes.LISTED[name].MODEL if isinstance(name, str) and name in recipes.LISTED else None
    data = described.get("data")
    data = data if isinstance(data, dict) else {}
    translates = getattr(model, "conditions_on", "labels") == "images"
    upscales = bool(getattr(model, "upscales", False))
    return Facts(
        word,
        translates=translates,
        fills=getattr(model, "makes_inputs", False),
        styled=hasattr(model, "mapping") and hasattr(model, "synthesis"),
        has_latents=name in recipes.RECIPES and not translates,
        has_data=getattr(model, "learns", "images") == "images"
        and _rows(data) >= LEAST_ROWS
        and _exists(data.get("source"), path),
        unfinished=state.get("state") not in (None, "finished") and (path / "checkpoints").is_dir(),
        inputs=_inputs({} if upscales else data.get("source"), path) if translates else "",
        upscales=upscales,
        tables=getattr(model, "learns", "images") == "table",
        texts=getattr(model, "learns", "images") == "texts",
    )


def after_training(run: str | os.PathLike[str], reason: str) -> list[Command]:
    """The commands after `ganloom train` and `ganloom resume`."""
    found = facts(run)
    return [found.draw(), *found.measure()] if reason == "finished" else [["resume", found.path]]


def after_sample(run: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom sample`."""
    found = facts(run)
    if found.tables or found.texts:
        return [found.draw()]
    translate = [found.draw()] if found.translates and found.inputs else []
    return [*translate, *found.measure()] or _exported(found) or [_walk(found)]


def after_evaluate(run: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom evaluate`."""
    found = facts(run)
    return [found.draw(), *([_walk(found)] if found.styled else [])]


def after_translate(run: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom translate`."""
    found = facts(run)
    if found.tables or found.texts:
        return [found.draw()]
    return found.measure() or _exported(found) or [["translate", "--help"]]


def after_latent(run: str | os.PathLike[str], command: str) -> list[Command]:
    """The command after one of `ganloom latent`."""
    found = facts(run)
    if not found.has_latents:
        return [found.draw()]
    if command == "walk" and found.styled:
        return [["latent", "mix", found.path, *_out(found, "mix.png")]]
    if command != "directions":
        name = "sefa" if found.styled else "jacobian"
        return [["latent", "directions", found.path, *_out(found, f"{name}.png", f"{name}.safetensors")]]
    return [_walk(found)]


def after_doctor(run: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom doctor RUN`."""
    found = facts(run)
    return [*([["resume", found.path]] if found.unfinished else []), found.draw(), *found.measure()]


def after_import(model: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom import` and `ganloom export`."""
    return [facts(model).draw()]


def after_export(run: str | os.PathLike[str]) -> list[Command]:
    """The commands after `ganloom export`."""
    return [facts(run).draw()]


# --------------------------------------------------------------------------------------------------------------- parts


def free(path: Path) -> str:
    """The path, or a similar one that does not exist yet."""
    return str(numbered(path, Path.exists))


def _out(found: Facts, *names: str) -> Sequence[object]:
    """--out with a free name, if a default output exists already."""
    taken = any((Path(found.path) / name).exists() for name in names)
    return ["--out", free(Path(found.path) / names[0])] if taken else []


def _walk(found: Facts) -> Command:
    return ["latent", "walk", found.path, *_out(found, "walk.gif")]


def _exported(found: Facts) -> list[Command]:
    if importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None:
        return []
    return [["export", found.path, *_out(found, "model.onnx")]]


def _rows(data: dict[str, Any]) -> int:
    size = data.get("size")
    return size if isinstance(size, int) else 0


def _exists(source: Any, run: Path) -> bool:
    """Whether the data of a run can be opened again."""
    where = source.get("source") if isinstance(source, dict) else None
    if isinstance(where, list):
        return all(isinstance(part, str) and os.path.exists(part) for part in where)
    if not isinstance(where, str):
        return False
    if source.get("in_run"):
        return (run / where).exists()
    return os.path.exists(where) or where.split(":")[0] in BUILTIN


def _inputs(source: Any, run: Path) -> str:
    """A folder of input images of an image-to-image run: of its hold-out set, or its training data; or one saved input."""
    where = source.get("source") if isinstance(source, dict) else None
    side = 1 if isinstance(source, dict) and source.get("direction") == "BtoA" else 0
    if isinstance(where, list) and len(where) == 2 and os.path.isdir(str(where[side])):
        return word_of(str(where[side]))
    if isinstance(where, str) and os.path.isdir(where):
        for find in (held_out_folders, training_folders):
            try:
                folders = find(where)
            except (BadInput, OSError):
                continue
            if isinstance(folders, tuple):
                return word_of(folders[side])
    saved = run / "samples" / "input.png"
    return word_of(saved) if saved.is_file() else ""
