"""Fit a detector: hold out normal samples, train a model as a run, choose the score, set the threshold."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganloom import recipes
from ganloom.anomaly import choice, detector, heat_maps, methods, pictures, sources
from ganloom.anomaly.detector import Detector
from ganloom.anomaly.scorers import Scorers
from ganloom.api import load, train
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, command_line, word_of
from ganloom.data.dataset import Data
from ganloom.data.unreadable_files import unreadable
from ganloom.recipes import presets
from ganloom.recipes.base.one_class import OneClass
from ganloom.report import page
from ganloom.report.progress import Report, stage
from ganloom.runs import manifest
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Callback

MOST_ROWS, MOST_BYTES = 6000, 2**25
"""Most normal samples that are kept for neighbours and controls, and their most bytes."""
PLAN_SIDE = 28
"""Side of the images for which the plans are made. Larger ones get a shorter training, at least a quarter."""
REQUEST = "request.json"
"""RUN/anomaly/request.json: what the user asked for, from the start on, so that a stopped fit can be completed."""


def is_one_class(recipe: str) -> bool:
    """Whether a recipe gives anomaly scores."""
    return recipe in recipes.LISTED and issubclass(recipes.LISTED[recipe].MODEL, OneClass)


def fit(
    source: Any,
    out: str | Path,
    *,
    method: str = methods.AUTO,
    shape: Sequence[int] | None = None,
    fit_images: str = "crop",
    seed: int = 0,
    small: bool = True,
    device: str = "auto",
    console: Callback | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Report = None,
    **options: Any,
) -> Detector:
    """Learn normal samples; write a run folder with the detector.

    Args:
        source: Normal samples only: a folder of images, a CSV file of numbers, or what ``ganloom.data.open`` accepts.
        out: The run folder, new or empty.
        method: "auto", or a name of ``methods.METHODS``.
        shape: Shape that images are brought to; None: see ``ganloom.data.open``.
        fit_images: How images of another size are resized: "crop", "pad" or "squash".
        seed: Seed of everything.
        small: Use the recipe's plan for small images and a CPU instead of the paper's settings.
        device: "auto", "cpu", "cuda" or "mps".
        console: Shows the training.
        callbacks: More callbacks of the training.
        progress: Called with (what, done, total).
        options: Options of ``ganloom.train``, such as ``total_kimg`` or ``minutes``.

    Returns:
        The detector.

    Raises:
        BadInput: An argument cannot be used.
        KeyboardInterrupt: The training was stopped; everything is saved, and ``ganloom resume`` continues it.
    """
    run, wanted = as_path(out), methods.find(method)
    recipe = methods.AUTO_RECIPE if wanted is None else wanted.recipe
    if is_pending(run) and is_trained(run) and not detector.exists(run):
        return complete(run, progress)  # it was stopped after the training
    Folder(run).check_startable()
    data, columns = sources.open_normal(source, None if shape is None else tuple(shape), fit_images, progress)
    share = min(sources.SHARE, sources.MOST_HELD_OUT / len(data))
    request = {
        "method": method.lower().replace("_", "-"), "seed": seed, "columns": _columns(columns),
        "notes": [*data.notes, *unreadable(data)],
    }  # fmt: skip
    if recipe is None:
        if options:
            raise BadInput(
                f"--{min(options).replace('_', '-')} is an option of a training, and {method} trains nothing"
            )
        normal, held = data.split(1.0 - share)
        return _complete(run, request, normal, held, None, progress)
    if small and not {"total_kimg", "minutes"} & options.keys():
        options["total_kimg"] = length_for(recipe, data.shape)
    training: dict[str, Any] = {
        "small": small, "seed": seed, "device": device, "precision": "float32", "judge": 0, "doctor": False,
        "kimg_per_tick": 2.0, "kimg_per_checkpoint": 20.0, **options,
    }  # fmt: skip
    train(
        recipe,
        data,
        run,
        held_out=share,
        console=console,
        progress=progress,
        callbacks=[_Note(request), *callbacks],
        **training,
    )
    return complete(run, progress)


def length_for(recipe: str, shape: Sequence[int]) -> float:
    """Return the length of a training in thousands of images: that of the plan, less for larger images, whose steps are slower.

    Args:
        recipe: Name of the recipe.
        shape: Shape of the samples.
    """
    whole = float(presets.plan(recipe).options["total_kimg"])
    if len(shape) != 3:
        return whole
    return whole * min(1.0, max(0.25, PLAN_SIDE / math.sqrt(shape[1] * shape[2])))


class _Note(Callback):
    """Writes RUN/anomaly/request.json when the training begins."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    def on_start(self, trainer: Any) -> None:
        """Write the file."""
        detector.write_json(Path(trainer.run_dir) / detector.FOLDER / REQUEST, self.request)


def _columns(columns: sources.Columns | None) -> dict[str, Any] | None:
    return None if columns is None else {"names": columns.names, "centre": columns.centre, "spread": columns.spread}


def is_pending(run: Path) -> bool:
    """Whether a training belongs to a detector that is not fitted yet, or was fitted before the training went on."""
    if not (run / detector.FOLDER / REQUEST).is_file() or not (run / "config.json").is_file():
        return False
    return not detector.exists(run) or detector.read(run).get("checkpoint") != _newest(run)


def is_trained(run: Path) -> bool:
    """Whether the training of a run is finished."""
    return Folder(run).read("run.json").get("state") == "finished"


def open_run(run: str | Path, progress: Report = None) -> Detector:
    """Open the detector of a run folder; complete it first if its training was stopped and resumed.

    Args:
        run: A folder that ``fit`` wrote, or a run of a recipe with anomaly scores that held out images.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The folder holds no detector, or its training is not finished.
    """
    path = as_path(run)
    if not path.is_dir():
        raise BadInput(f"there is no run {path}: make one with `ganloom anomaly fit GOOD/ --out {word_of(path)}`")
    has_model = (path / "config.json").is_file()
    if not has_model and not detector.exists(path):
        raise BadInput(f"{path} holds no detector: make one with `ganloom anomaly fit GOOD/ --out RUN`")
    if has_model:
        recipe = str(Folder(path).read("config.json").get("recipe"))
        if not is_one_class(recipe):
            raise BadInput(
                f"{path} is a run of {recipe}, which gives no anomaly scores: use `ganloom anomaly fit GOOD/ --out RUN`"
            )
    if not detector.exists(path) or is_pending(path):
        return complete(path, progress)
    return detector.load(path, _model(path) if has_model else None)


def complete(run: Path, progress: Report = None) -> Detector:
    """Choose the score and set the threshold after the training of a run.

    Args:
        run: A run of a recipe with anomaly scores, whose training is finished.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The training is not finished, or held out no samples.
    """
    folder = Folder(run)
    described, state = folder.read("config.json"), folder.read("run.json")
    if state.get("state") not in (None, "finished"):
        command = command_line(["ganloom", "resume", word_of(run)])
        raise BadInput(f"the training of {run} is not finished: continue it with `{command}`")
    path = run / detector.FOLDER / REQUEST
    if path.is_file():
        request = detector.read_request(path)
    else:
        score = recipes.LISTED[str(described["recipe"])].MODEL.score_names[0]
        request = {"method": score, "seed": int(described["train"].get("seed", 0)), "columns": None}
    stage(progress, "opening the data of the run")
    normal = manifest.own_data(described, run)
    held = manifest.held_out(normal, run)
    if held is None:
        raise BadInput(
            f"{run} held out no samples, so no threshold can be set: train with --held-out 0.2, or use `ganloom anomaly fit`"
        )
    return _complete(run, request, normal, held, _model(run), progress)


def _model(run: Path) -> OneClass:
    model = load(run)
    assert isinstance(model, OneClass)
    return model


def _newest(run: Path) -> str | None:
    file = run / "checkpoints" / "latest"
    return file.read_text().strip() if file.is_file() else None


def _complete(
    run: Path, request: dict[str, Any], normal: Data, held: Data, model: OneClass | None, progress: Report
) -> Detector:
    """Choose the score, set the threshold, and write RUN/anomaly/."""
    seed = int(request["seed"])
    scorers = Scorers(_kept(normal, seed), model, seed)
    hold_out = _all(held)
    scorers.set_scales(hold_out)
    wanted = methods.find(str(request["method"]))
    chosen: choice.Choice | None = None
    if wanted is None:
        chosen = choice.choose(scorers, hold_out, seed, progress=progress)
        score, reason = chosen.score, chosen.sentence()
    else:
        score, reason = wanted.score, f"{wanted.score} was asked for"
    values = scorers.scores(hold_out, progress=progress)
    made = detector.fitted(scorers, values, score, str(request["method"]), reason, chosen)
    if hold_out.dim() == 4:
        made.map, made.map_areas = heat_maps.choose(scorers, hold_out, seed, progress)
        normal_maps = heat_maps.draw(made.map, scorers, hold_out[: heat_maps.DAMAGED], progress)
        made.map_range = [float(v) for v in np.quantile(normal_maps, (0.5, 0.999))]
    columns = request.get("columns")
    if columns:
        made.columns, made.centre, made.spread = columns["names"], columns["centre"], columns["spread"]
    made.fit, made.data, made.checkpoint = normal.fit, normal.name, _newest(run)
    made.notes = [*request.get("notes", []), *made.notes]
    made.image_scales = normal.source.get("scales_used") or {}
    run.mkdir(parents=True, exist_ok=True)
    made.save(run)
    pictures.write(made, hold_out, values[score], [False] * len(hold_out), run)  # until a test set is measured
    page.write(run)
    return made


def _kept(data: Data, seed: int) -> Tensor:
    """The normal samples that are kept: all, or a random part of many."""
    size = int(np.prod(data.shape)) * (1 if len(data.shape) == 3 else 4)
    most = max(1, min(MOST_ROWS, MOST_BYTES // size))
    rows = np.arange(len(data))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
    return data.get(rows).cpu().contiguous()


def _all(data: Data) -> Tensor:
    return data.get(slice(None)).cpu().contiguous()
