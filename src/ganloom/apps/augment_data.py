"""Write a data set of class folders with real and generated images, and a table that says which is which.

OUT/CLASS/real-000000.png, OUT/CLASS/generated-000000.png and OUT/metadata.csv. ``ganloom.data.open`` reads the labels from
metadata.csv, so the classes keep their names also where a folder cannot have such a name.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ganloom.apps.augment_files import Augmented, Writer, sources_of
from ganloom.apps.augment_models import TABLE, counts_of, is_own_data, open_labelled, open_model
from ganloom.core import class_names, json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import replace_file
from ganloom.data.unreadable_files import unreadable
from ganloom.report.progress import Report

PLAN = "augment.json"


def augment_data(
    data: Any,
    run: Any,
    out: str | os.PathLike[str],
    *,
    per_class: int | None = None,
    balance: bool = False,
    links: bool = False,
    seed: int = 0,
    truncation: float = 1.0,
    resize: bool = False,
    checkpoint: str = "latest",
    device: str = "auto",
    progress: Report = None,
) -> Augmented:
    """Write a data set of class folders with the real images and generated ones of each class.

    Args:
        data: Labelled images: whatever ``ganloom.data.open`` accepts.
        run: A run folder, a model/ folder, a Run, or a model, with the classes of the data.
        out: A new or empty folder; or one that the same call began and did not finish.
        per_class: Number of generated images of each class. With ``balance``: real and generated images together; None: as many
            as the largest class has.
        balance: Generate only what is missing in short classes.
        links: Link to the real files instead of copying them.
        seed: The first generated image has this seed, the next one the next, over all classes.
        truncation: Below 1 the samples are more typical and less diverse.
        resize: Resize real images to the shape of the model. Otherwise other shapes are refused.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, the classes or shapes do not fit, or the folder holds something else.
    """
    if per_class is not None and per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {per_class}")
    if per_class is None and not balance:
        raise BadInput("say how many images to generate: --per-class N, or --balance to fill up short classes")
    if not truncation >= 0:
        raise BadInput(f"--truncation must not be negative, got {truncation}")
    folder = _free(out, data)
    model = open_model(run, checkpoint=checkpoint, device=device, progress=progress)
    opened = open_labelled(data, model, resize=resize, progress=progress)
    numbers, text = model.numbers_of(opened)
    have = counts_of(opened)
    target = max(have) if per_class is None else per_class
    counts = [max(0, target - n) if balance else target for n in have]
    if not sum(counts):
        raise BadInput(
            f"--balance: each class of {opened.name} has {target} images or more: there is nothing to fill up"
        )
    notes = [*([text] if text else []), *unreadable(opened)]
    held = (model.described.get("data") or {}).get("held_out")
    if held and is_own_data(data, model):
        notes.append(
            f"{model.name} held out {held} of its images; the data set has all images of {opened.name}, so do not test a "
            "classifier on those"
        )
    plan = {
        "data": opened.name, "fingerprint": opened.fingerprint, "model": model.name, "kimg": _finite(model.gan.kimg),
        "counts": counts, "links": links, "seed": seed, "truncation": truncation,
    }  # fmt: skip
    _claim(folder, plan)
    writer = Writer(folder, opened, model.shape, links, progress, len(opened) + sum(counts))
    writer.real(sources_of(data, opened), np.arange(len(opened)))
    writer.generated(model, numbers, counts, seed, truncation)
    return writer.finish(notes)


def labelled_subset(
    data: Any,
    out: str | os.PathLike[str],
    *,
    per_class: int,
    links: bool = False,
    seed: int = 0,
    progress: Report = None,
) -> Augmented:
    """Write a data set with some images of each class, chosen at random: to train a GAN on few labels.

    Args:
        data: Labelled images: whatever ``ganloom.data.open`` accepts.
        out: A new or empty folder.
        per_class: Number of images of each class; a class that has fewer keeps all.
        links: Link to the files instead of copying them.
        seed: Decides which images are chosen.
        progress: Called with (what, done, total).

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or the folder holds something else.
    """
    if per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {per_class}")
    folder = _free(out, data)
    opened = open_labelled(data, None, progress=progress)
    assert opened.labels is not None
    shuffled = np.random.default_rng(seed).permutation(len(opened))
    rows = np.sort(
        np.concatenate([shuffled[opened.labels[shuffled] == k][:per_class] for k in opened.classes_with_rows])
    )
    short = [opened.class_names[k] for k, n in enumerate(counts_of(opened)) if 0 < n < per_class]
    notes = [f"fewer than {per_class} images: {class_names.listing(short)}"] if short else []
    notes += unreadable(opened)
    plan = {
        "data": opened.name,
        "fingerprint": opened.fingerprint,
        "per_class": per_class,
        "links": links,
        "seed": seed,
    }
    _claim(folder, plan)
    writer = Writer(folder, opened, opened.shape, links, progress, len(rows))
    writer.real(sources_of(data, opened), rows)
    return writer.finish(notes)


# ------------------------------------------------------------------------------------------------------------- folder


def _free(out: str | os.PathLike[str], data: Any) -> Path:
    """The folder to write, if it is new, empty, or unfinished, and not inside the data."""
    folder = as_path(out)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file: choose another name")
    if (folder / TABLE).exists() or (folder.is_dir() and any(folder.iterdir()) and not (folder / PLAN).is_file()):
        raise BadInput(f"--out {folder} exists and is not empty: choose another folder")
    if isinstance(data, str | os.PathLike) and as_path(data).is_dir():
        inside = as_path(data).resolve()
        if inside == folder.resolve() or inside in folder.resolve().parents:
            raise BadInput(f"--out {folder} is inside {data}: its images would become part of the data. Choose another")
    return folder


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Create the folder, or check that the same call began it."""
    if (folder / PLAN).is_file():
        before = json_files.read(folder / PLAN, fix="Delete the folder to start again")
        differing = sorted(name for name in before.keys() | plan.keys() if before.get(name) != plan.get(name))
        if differing:
            raise BadInput(f"--out {folder} was begun with another {', '.join(differing)}: choose another folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / PLAN, (json.dumps(plan) + "\n").encode())


def _finite(kimg: float) -> float | None:
    return kimg if np.isfinite(kimg) else None
