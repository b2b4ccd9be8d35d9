"""Measure a trained model: samples against real images, with real images and noise as baselines."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import may_rewrite, rewrite
from ganloom.data.captioned import Captioned
from ganloom.evaluation.captions import CaptionFigures, measure_captions
from ganloom.evaluation.inpainting import measure_inpainter
from ganloom.evaluation.lpips_weights import load_lpips
from ganloom.evaluation.measure import choose_features, measure_model
from ganloom.evaluation.nearest_neighbours import memorise, sheet_of
from ganloom.evaluation.options import Features
from ganloom.evaluation.real_data import data_of, held_of, recorded_scales, training_data
from ganloom.evaluation.restoration import measure_restoration
from ganloom.evaluation.result_file import OWN, result_file
from ganloom.evaluation.translator import measure_translator
from ganloom.gan import GAN
from ganloom.runs import checkpoint as checkpoints
from ganloom.runs.folder import Folder
from ganloom.runs.load import load, refuse_tables

__all__ = ["choose_features", "data_of", "evaluate", "measure_model", "recorded_scales"]


def evaluate(
    run: str | os.PathLike[str] | GAN,
    data: Any = None,
    *,
    n: int = 2000,
    features: Features | Sequence[Features] = "auto",
    seed: int = 0,
    checkpoint: str = "latest",
    k: int = 5,
    intervals: bool = True,
    device: str = "cpu",
    gan: GAN | None = None,
    write: bool = True,
    metrics: Sequence[str] = metrics.METRICS,
    weights: str | Path | None = None,
    resizer: str = "legacy",
    truncation: float = 1.0,
    memorisation: bool = False,
    held_out: Any = None,
    labels: Any = None,
    lpips_weights: str | Path | None = None,
    progress: metrics.Progress = None,
    overwrite: bool = False,
    show: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Measure the generator of a run.

    Args:
        run: A run folder, a model/ folder, a Run, or a model.
        data: Real images: whatever ``ganloom.data.open`` accepts, such as images that were not used in training. None:
            the training data of the run.
        n: Number of samples, at most half of the number of real images: one half is the reference, the other half is
            measured like samples, which shows what a perfect model would score.
        features: The name of a feature net, a net of your own, or several ("fashion,effnet"; see ``metrics.get``). "auto":
            ``fashion`` for Fashion-MNIST, ``task`` for labelled data (two or more classes with at least 50 images each),
            else ``random``. "both": the same, and ``effnet`` and ``mobilenet`` if they
            are installed.
        seed: Seed of the samples and of the choice of real images.
        checkpoint: "latest", "best", the name of a checkpoint, or "both": the latest and the best one.
        k: Number of neighbours for precision, recall, density and coverage.
        intervals: Compute 95 % intervals.
        device: Where the generator and the feature nets run.
        gan: A fresh model, for a run of a GAN class of your own.
        write: Write the result to the run's metrics.json; for other data than the training data to another file of the run,
            metrics-NAME-FINGERPRINT.json.
        metrics: Names of ``metrics.METRICS`` and ``metrics.MORE``, and intra, msssim, ppl, prd, cas, sfd, lpips, classes.
        weights: The weight file of ``inception``.
        resizer: The resizer of ``inception``: "legacy", "clean" or "halfpixel".
        truncation: Truncation of the samples; below 1 they are more typical and less diverse.
        memorisation: Compare samples with the training images, and draw the nearest ones to RUN/neighbours.png.
        held_out: Images that were not used in training, for the check for memorisation.
        labels: Labels of ``data``, see ``ganloom.data.open``; False: ignore its labels.
        lpips_weights: For ``lpips``: the files of AlexNet or VGG-16 and of the linear heads, separated by a comma; this adds
            ``lpips`` to the metrics.
        progress: See ``metrics.Progress``.
        overwrite: Replace a metrics.json or neighbours.png that ganloom did not write.
        show: Called with the result before it is written.

    Returns:
        Plain data: ``rows`` (generated, real (other half), one class (for labelled data), noise -> metric -> value, low,
        high), ``protocol`` (of the first feature net), ``protocols``, ``class_counts``, ``classes`` (distance and recall of
        each class), ``curves`` (points of the precision-recall curve), ``warnings``, ``table`` (lines of text), ``run``,
        ``checkpoint``, ``kimg``, ``seconds``, ``memorisation``, ``captions`` (of a text-to-image model: set of captions ->
        images -> figure). If the run folder cannot be written, for example because it is
        read-only, the result is returned all the same, and ``not_written`` has a line for each file. ``file`` is the name of
        the file in the run folder.

    Raises:
        BadInput: The run, the data or an option cannot be used.
    """
    start = time.perf_counter()
    path = None if isinstance(run, GAN) else as_path(run)
    writes = write and path is not None and (path / "checkpoints").is_dir()
    if writes and path is not None:
        if data is None:
            may_rewrite(path / OWN, overwrite=overwrite, ours=_is_measurement)
        if memorisation or held_out is not None:
            may_rewrite(path / "neighbours.png", overwrite=overwrite)
    both, checkpoint = checkpoint == "both", "latest" if checkpoint == "both" else checkpoint
    model = run if isinstance(run, GAN) else load(run, checkpoint=checkpoint, gan=gan, device=device)
    refuse_tables(model, path or ".")
    opened, split, warnings = data_of(path, data, model, labels)
    held = held_of(opened, path) if model.conditions_on == "images" and data is None else None
    file_name, notice = OWN, ""
    if path is not None and data is not None:
        file_name, notice = result_file(Folder(path).read("config.json").get("data"), opened, labels)
        warnings = [*warnings, notice] if notice else warnings
        if writes:
            may_rewrite(path / file_name, overwrite=overwrite, ours=_is_measurement)
    if model.upscales and path is not None and file_name == OWN and held is None:
        warnings = [*warnings, "these are the training images: give other photographs, or train with --held-out 0.1"]
    net = load_lpips(lpips_weights, device) if lpips_weights else None
    names = tuple(dict.fromkeys((*metrics, *(["lpips"] if lpips_weights else []))))
    options: dict[str, Any] = {
        "n": n, "features": features, "seed": seed, "k": k, "split": split, "intervals": intervals, "lpips": net,
        "metrics": names, "weights": weights, "resizer": resizer, "truncation": truncation, "progress": progress,
    }  # fmt: skip
    measurement = _measure(model, opened, data is None, options, held)
    best = _other_best(path) if both else None
    if best and path is not None:
        other = _measure(load(path, checkpoint="best", gan=gan, device=device), opened, data is None, options, held)
        measurement = _with_row(measurement, other, f"best ({best})")
    measurement = replace(
        measurement, warnings=(*warnings, *measurement.warnings), class_names=tuple(opened.class_names)
    )
    table = measurement.lines()
    copies = None
    if memorisation or held_out is not None:
        copies = _memorise(path, data, opened, model, held_out, options)
        table += ["", *copies.found.lines()]
    captions = _captions(path, data, opened, model, options)
    if captions is not None:
        table += ["", *captions.lines()]
    result = measurement.to_dict() | {
        "table": table,
        "run": None if path is None else str(path),
        "checkpoint": checkpoint if path is not None and (path / "checkpoints").is_dir() else None,
        "kimg": model.kimg if np.isfinite(model.kimg) else None,
        "file": file_name if writes else None,
        "seconds": round(time.perf_counter() - start, 1),
    }
    if copies is not None:
        result["memorisation"] = copies.to_dict()
    if captions is not None:
        result["captions"] = captions.to_dict()
    show(result)
    if writes and path is not None:
        files = {file_name: (json.dumps(result, indent=1) + "\n").encode()}
        files |= {} if copies is None else sheet_of(copies)
        result["not_written"] = _write(path, files, overwrite)
    return result


def _write(folder: Path, files: dict[str, bytes], overwrite: bool) -> list[str]:
    """Write the results into a run folder; return a line for each file that cannot be written."""
    failed = []
    for name, content in files.items():
        try:
            rewrite(folder / name, content, overwrite=overwrite, ours=_is_measurement)
        except OSError as error:
            failed.append(f"{folder / name} was not written: {error.strerror or error}")
    return failed


def _is_measurement(content: bytes) -> bool:
    """Whether a metrics.json of an earlier version of ganloom has this content."""
    try:
        saved = json_files.parse(content)
    except ValueError:
        return False
    return isinstance(saved, dict) and "rows" in saved and ("protocols" in saved or "protocol" in saved)


def _measure(
    model: GAN, data: datasets.Data, own: bool, options: dict[str, Any], held: datasets.Data | None = None
) -> metrics.Measurement:
    """Measure samples; for an image-to-image model also the translations, on images that were held out if there are any."""
    if model.conditions_on != "images":
        return measure_model(model, data, **options)
    model.check_data(data)
    if held is not None:
        name = held.name if "held back" in held.name else f"{len(held)} images of {data.name} that were held out"
        options = {**options, "split": name}
    if model.upscales:
        return measure_restoration(model, held or data, **options)
    if model.makes_inputs:
        measured = measure_inpainter(model, held or data, **options)
    else:
        measured = measure_translator(model, held or data, data, **options)
    notes = (held or data).notes if own else []  # such as pairs that are known by their names
    return replace(measured, warnings=(*notes, *measured.warnings))


def _memorise(path: Path | None, data: Any, opened: Any, model: GAN, held_out: Any, options: dict[str, Any]) -> Any:
    """Compare samples with the training images; other images that were given for evaluation are the held-out images."""
    if opened.kind != "images":
        raise BadInput("--memorisation needs images; this run was trained on points")
    trained = training_data(path, data, opened, model)
    if trained is not opened and held_out is None:
        held_out = opened
    scales = trained.source.get("scales_used")
    others = None if held_out is None else datasets.open(held_out, shape=trained.shape, labels=False, scales=scales)
    keys = ("n", "features", "seed", "weights", "resizer", "truncation", "progress")
    return memorise(model, trained, others, **{key: options[key] for key in keys})


def _captions(path: Path | None, data: Any, opened: Any, model: GAN, options: dict[str, Any]) -> CaptionFigures | None:
    """Measure whether images show what their captions say; None for other models, and for data without captions."""
    if model.conditions_on != "captions" or not isinstance(opened, Captioned):
        return None
    trained = training_data(path, data, opened, model)
    if not isinstance(trained, Captioned):
        return None
    held, other = (held_of(opened, path), None) if data is None else (None, opened)
    keys = ("n", "seed", "truncation", "progress")
    return measure_captions(model, trained, held=held, other=other, **{key: options[key] for key in keys})


def _other_best(path: Path | None) -> str | None:
    """The name of the best checkpoint, if it is not the latest one."""
    if path is None or not (path / "checkpoints").is_dir():
        return None
    best = checkpoints.pointer(path / "checkpoints", "best")
    return best if best != checkpoints.pointer(path / "checkpoints", "latest") else None


def _with_row(first: metrics.Measurement, other: metrics.Measurement, name: str) -> metrics.Measurement:
    """A measurement with the samples of another model as its second row."""
    generated, *rest = first.rows
    rows = {generated: first.rows[generated], name: other.rows[generated], **{row: first.rows[row] for row in rest}}
    counts = dict(first.class_counts)
    if generated in other.class_counts:
        counts[name] = other.class_counts[generated]
    curves = first.curves | ({name: other.curves[generated]} if generated in other.curves else {})
    return replace(first, rows=rows, class_counts=counts, curves=curves)
