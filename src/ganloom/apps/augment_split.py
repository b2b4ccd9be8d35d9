"""Which images train and which test in `ganloom augment report`: never one image in both, and none that a GAN was trained on.

Images are compared by their pixels, in the shape of the model, so that copies and links of a file count as the same image.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom import data as datasets
from ganloom.apps.augment_models import ClassModel, open_labelled
from ganloom.core import class_names
from ganloom.core.errors import BadInput
from ganloom.core.names import printable
from ganloom.data.images import Images
from ganloom.report.progress import Report, stage
from ganloom.runs import manifest

LEAST_TEST = 2
"""Fewest test images of a class."""


@dataclass(frozen=True)
class Trained:
    """The images that a GAN was trained on.

    Attributes:
        keys: of the images; None if they are not known.
        per_class: mean number of images of a class.
        held_out: images that the run split off before training, or None.
        started_from: the run whose weights training started from (--init), which saw other images; empty without.
    """

    keys: frozenset[bytes] | None
    per_class: float = 0.0
    held_out: Images | None = None
    started_from: str = ""


@dataclass(frozen=True)
class Split:
    """The images of a report.

    Attributes:
        data: all labelled images.
        keys: of its images.
        rows: int64, images of the data that classifiers may be trained on.
        test: uint8 (N, H, W, C) test images.
        labels: int64 (N,) their classes, as numbers of the data.
        test_name: where they come from.
        notes: what was left out, a line each.
    """

    data: Images
    keys: list[bytes]
    rows: NDArray[np.int64]
    test: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test_name: str
    notes: list[str] = field(default_factory=list)


def keys_of(data: Images) -> list[bytes]:
    """Return a digest of the pixels of each image."""
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in data.rows]


def trained_on(model: ClassModel, progress: Report = None) -> Trained:
    """Find the images that a model was trained on.

    Args:
        model: The model.
        progress: Called with (what, done, total).

    Returns:
        The images; unknown for a model/ folder, imported weights, or data that is gone or has changed.
    """
    described = model.described
    recorded = described.get("data")
    if model.path is None or not isinstance(recorded, dict) or "source" not in recorded:
        return Trained(None)
    stage(progress, "reading the training images of the run")
    try:
        data = manifest.own_data(described, model.path)
    except (BadInput, OSError):
        return Trained(None)
    if not isinstance(data, Images) or data.fingerprint != recorded.get("fingerprint"):
        return Trained(None)
    held = manifest.held_out(data, model.path) if recorded.get("held_out") else None
    init = described.get("init")
    start = printable(init.get("source", "other weights")) if isinstance(init, dict) else ""
    return Trained(frozenset(keys_of(data)), len(data) / max(1, len(data.classes_with_rows)), held, start)


def split(
    data: Images,
    trained: Sequence[Trained],
    models: Sequence[ClassModel],
    test: Any = None,
    *,
    resize: bool = False,
    progress: Report = None,
) -> Split:
    """Choose the test images: ``test``, or images that the runs held out, or those of the data that no GAN was trained on.

    Args:
        data: All labelled images.
        trained: What each model was trained on.
        models: The models.
        test: Other labelled images, or None.
        resize: See ``open_labelled``.
        progress: Called with (what, done, total).

    Returns:
        The split.

    Raises:
        BadInput: There are no test images that the GANs were not trained on.
    """
    assert data.labels is not None
    keys = keys_of(data)
    used = frozenset().union(*(one.keys or frozenset() for one in trained))
    unknown = [model.name for model, one in zip(models, trained, strict=True) if one.keys is None]
    held = [one.held_out for one in trained if one.held_out is not None]
    notes = []
    if test is not None:
        opened = open_labelled(test, models[0], resize=resize, what="--test", progress=progress)
        name = opened.name
    elif unknown:
        raise BadInput(
            f"it is not known which images {unknown[0]} was trained on: give images that it has not seen, --test DATA"
        )
    elif held and held[0].labels is not None:
        opened, name = held[0], f"images that {models[0].name} held out"
    else:
        rows = np.array([i for i, key in enumerate(keys) if key not in used], np.int64)
        if not len(rows):
            raise BadInput(
                f"{models[0].name} was trained on all images of {data.name}, and a test needs images that it has not seen: "
                f"give --test DATA{_hint(data.name)}, or train with --held-out 0.2"
            )
        opened = Images(data.rows[rows], data.facts.take(rows))
        name = f"images of {data.name} that the GAN was not trained on"
    before = [one.started_from for one in trained if one.started_from]
    for one in [*unknown, *before]:
        notes.append(f"it is not known which images {one} was trained on: none of {name} must be among them")
    test_keys = keys_of(opened)
    kept, labels = _test_rows(opened, test_keys, data, used, notes)
    taken = {key for key, keep in zip(test_keys, kept, strict=True) if keep}
    rows = np.array([i for i, key in enumerate(keys) if key not in taken], np.int64)
    if test is not None and len(rows) < len(data):
        notes.append(
            f"{len(data) - len(rows):,} images of {data.name} are test images too: no classifier is trained on them"
        )
    _check_classes(data, rows, labels[kept], name)
    return Split(data, keys, rows, opened.rows[np.flatnonzero(kept)], labels[kept], name, notes)


def _hint(name: str) -> str:
    other = f"{name.removesuffix('-10k').removesuffix('-mnist')}-mnist-test"
    return f", such as {other}" if other in datasets.BUILTIN else ""


def _test_rows(
    opened: Images, keys: list[bytes], data: Images, used: frozenset[bytes], notes: list[str]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which test images count, and the class of each as a number of the data."""
    assert opened.labels is not None
    found = class_names.match(data.class_names, opened.class_names, "DATA", "the test images")
    notes += [found.text] if found.text and opened is not data else []
    labels = np.asarray(found.numbers, np.int64)[opened.labels]
    seen = np.array([key in used for key in keys])
    if seen.any():
        notes.append(f"{int(seen.sum()):,} test images are left out: a GAN was trained on them")
    return (labels >= 0) & ~seen, labels


def _check_classes(data: Images, rows: NDArray[np.int64], labels: NDArray[np.int64], name: str) -> None:
    assert data.labels is not None
    if len(data.classes_with_rows) < 2:
        raise BadInput(f"{data.name} has one class: a classifier needs two or more")
    for what, present in (("training", data.labels[rows]), ("test", labels)):
        least = LEAST_TEST if what == "test" else 1
        short = [data.class_names[k] for k in data.classes_with_rows if int((present == k).sum()) < least]
        if short:
            raise BadInput(
                f"{name if what == 'test' else data.name}: {class_names.listing(short)} have fewer than {least} {what} images "
                "that no GAN was trained on: give other images with --test"
                if what == "test"
                else f"{data.name}: all images of {class_names.listing(short)} are test images too: give other ones with --test"
            )


# ------------------------------------------------------------------------------------------------------------ few labels


@dataclass(frozen=True)
class Labels:
    """The real images of a row of the report.

    Attributes:
        per_class: number of images of a class; None: all.
        model: which of the models generates the images of this row.
        known: what that GAN was trained on compared with the row, in words.
        leaks: whether the GAN was trained on labelled images that the row does not have, or that are not known.
    """

    per_class: int | None
    model: int
    known: str
    leaks: bool

    @property
    def name(self) -> str:
        """The number of labels as the user wrote it."""
        return "all" if self.per_class is None else str(self.per_class)


def labels_of(split: Split, trained: Sequence[Trained], counts: Sequence[int | None]) -> tuple[list[Labels], list[str]]:
    """Choose a model for each number of labels: one that was trained on no more labels than the row has, if there is one.

    Args:
        split: The images.
        trained: What each model was trained on.
        counts: Numbers of labels of a class; None: all.

    Returns:
        The rows without repetitions, and notes.
    """
    assert split.data.labels is not None
    most = int(np.bincount(split.data.labels[split.rows]).max())
    notes = [
        f"no class has more than {most:,} images: {n} labels are all" for n in counts if n is not None and n > most
    ]
    have = np.bincount(split.data.labels[split.rows], minlength=len(split.data.class_names))
    for n in counts:
        short = [
            split.data.class_names[k]
            for k in split.data.classes_with_rows
            if n is not None and 0 < have[k] < min(n, most)
        ]
        if short:
            notes.append(f"fewer than {n} images to learn from: {class_names.listing(short)}")
    plain = list(dict.fromkeys(None if n is None or n >= most else n for n in counts))
    available = {split.keys[i] for i in split.rows.tolist()}
    return [_choose(n, most, trained, available) for n in plain], notes


def _choose(n: int | None, most: int, trained: Sequence[Trained], available: set[bytes]) -> Labels:
    fitting = [
        i
        for i, one in enumerate(trained)
        if one.keys is not None
        and not one.started_from
        and one.keys <= available
        and one.per_class <= (most if n is None else n)
    ]
    if fitting:
        best = max(fitting, key=lambda i: trained[i].per_class)
        keys = trained[best].keys or frozenset()
        return Labels(n, best, f"trained on {len(keys):,} images, all of them among the real images of this row", False)
    known = [i for i, one in enumerate(trained) if one.keys is not None]
    if not known:
        return Labels(n, 0, "its training images are not known", True)
    best = min(known, key=lambda i: trained[i].per_class)
    count = trained[best].per_class
    if trained[best].started_from:
        return Labels(
            n, best, f"it started from the weights of {trained[best].started_from}, which saw other images", True
        )
    if not (trained[best].keys or frozenset()) <= available:
        return Labels(n, best, f"trained on about {count:,.0f} labels a class, some of other images than DATA", True)
    return Labels(n, best, f"trained on about {count:,.0f} labels a class, more than this row has", True)


def rows_of(split: Split, labels: Labels, trained: Trained, seed: int) -> NDArray[np.int64]:
    """Choose the real images of a row: all, or some of each class at random, those first that its GAN was trained on.

    Args:
        split: The images.
        labels: The row.
        trained: What its model was trained on.
        seed: Decides which images are chosen; with more labels, more images are added to the same.

    Returns:
        int64 row numbers of the data, sorted.
    """
    assert split.data.labels is not None
    if labels.per_class is None:
        return split.rows
    rows = np.random.default_rng(seed).permutation(split.rows)
    if not labels.leaks:
        known = np.array([split.keys[i] in (trained.keys or ()) for i in rows.tolist()], bool)
        rows = np.concatenate([rows[known], rows[~known]])
    of = split.data.labels[rows]
    return np.sort(np.concatenate([rows[of == k][: labels.per_class] for k in split.data.classes_with_rows]))
