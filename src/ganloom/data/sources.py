"""``open``: any source the user may name, as a data set; ``reopen``: the same again from a run's notes."""

import os
from collections import Counter
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data import arrays, builtin, store
from ganloom.data.dataset import Data, Facts
from ganloom.data.decode import from_array
from ganloom.data.image_folders import choose, open_files
from ganloom.data.images import Images
from ganloom.data.paired_folders import DIRECTIONS, INPUTS, open_folders
from ganloom.data.points import Points
from ganloom.data.resize import FITS, Shape, fit_image
from ganloom.data.translation_dataset import Domains, chosen

Source = str | os.PathLike[str] | NDArray[Any] | Tensor | Data | tuple[Any, Any]


def open(
    source: Source,
    *,
    shape: tuple[int, int, int] | None = None,
    default_size: int = 64,
    fit: str = "crop",
    flip: bool = False,
    labels: Any = None,
    inputs: str | None = None,
    direction: str = "AtoB",
    label_maps: bool = False,
    in_channels: int | None = None,
    cache: bool = True,
    progress: store.Progress = None,
) -> Data:
    """Open ``source`` as a data set.

    source: a folder of images (searched in depth; sub-folders are classes), a .zip of them, a .npz or .npy, an array
    or tensor, a ``Data``, or the name of a built-in set (see ``BUILTIN``; ./name for a folder of that name).
    shape: (C, H, W) wanted, C 1-4. None: most images' channels, and their size where all share one of at most 128 a
    side, else ``default_size`` square.
    fit: how an image of another size gets there, "crop" (scale to cover, cut the centre), "pad" (scale to fit, fill
    with the border's median colour) or "squash".
    flip: mirror images at random in ``draw``. A ``Data`` or a saved file that flips keeps doing so.
    labels: for arrays, one an image (whole numbers, one-hot rows or words); False ignores the labels there are.
    inputs: "pairs" or "domains" where images are made from images: the folders that ``pairs.open_folders`` knows, two
    folders or two arrays (A, B), or a folder's two names with a comma between. direction: "AtoB" or "BtoA". label_maps:
    grey inputs are labels, each of which gets a colour. in_channels: channels of the inputs; None: their own.
    cache: keep decoded images of folders and archives in ``$GANLOOM_CACHE`` (~/.cache/ganloom) for the next time.
    progress: called with (done, total) while images are decoded.

    Images that cannot be read are left out and listed in ``bad_files``. Raises BadInput, in one line, for anything
    else that is wrong.
    """
    _check_options(shape, default_size, fit)
    _check_inputs(inputs, direction, in_channels)
    if isinstance(source, Data):
        return _open_data(source, shape, fit, flip, labels, progress)
    asked: dict[str, Any] = {
        "source": None,
        "shape": None if shape is None else list(shape),
        "default_size": default_size,
        "fit": fit,
        "flip": flip,
    }
    if labels is False:
        asked["labels"] = False
    if inputs is not None:
        asked |= {"inputs": inputs, "direction": direction, "label_maps": label_maps, "in_channels": in_channels}
        found = _open_translation(source, asked, cache, progress)
        if found is not None:
            return found
    if isinstance(source, tuple):
        raise BadInput("two sources are inputs and targets: say inputs='pairs' or 'domains'")
    if not isinstance(source, (str, os.PathLike)):
        return _open_array(source, asked, labels, progress)
    if labels is not None and labels is not False:
        raise BadInput("labels= goes with arrays; for files use class folders, or the key labels of a .npz")
    text = os.fspath(source)
    if is_named(source):
        data = _open_builtin(text, asked, progress)
    elif holds_files(source):
        _image_shape(asked)
        data = open_files(text, asked, cache, progress)
    elif os.path.exists(text):
        data = _open_numpy(text, asked, progress)
    else:
        known = "built-in sets: " + ", ".join(builtin.BUILTIN)
        raise BadInput(
            f"no data set {text!r}{did_you_mean(text, builtin.BUILTIN)}; give a path that exists, or {known}"
        )
    return data


def is_named(source: Source) -> bool:
    """Whether ``open`` takes this for a built-in set's name."""
    return isinstance(source, str) and builtin.is_builtin(source)


def holds_files(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    """Whether ``open`` takes this for a folder or an archive of image files."""
    if not isinstance(source, (str, os.PathLike)) or is_named(source):
        return False
    text = os.fspath(source)
    return os.path.isdir(text) or (text.lower().endswith(".zip") and os.path.exists(text))


def reopen(source: dict[str, Any], *, cache: bool = True, progress: store.Progress = None) -> Data:
    """Open again what ``Data.source`` describes. BadInput when it was an array in memory."""
    if source.get("source") is None:
        raise BadInput("this data was an array in memory and cannot be opened again; give the data anew")
    kept = ("default_size", "fit", "flip", "labels", "inputs", "direction", "label_maps", "in_channels")
    options = {k: source[k] for k in kept if k in source}
    shape, place = source.get("shape"), source["source"]
    data = open(
        tuple(place) if isinstance(place, list) else place,
        shape=None if shape is None else tuple(shape),
        cache=cache,
        progress=progress,
        **options,
    )
    for count, seed, which in source.get("splits", []):
        data = data.split(count, seed)[which]
    return data


def other_half(data: Data) -> Data | None:
    """What ``data.split`` put apart from these data, opened again from their source; None where they are no half."""
    splits = data.source.get("splits")
    if not splits or data.source.get("source") is None:
        return None
    count, seed, which = splits[-1]
    return reopen({**data.source, "splits": [*splits[:-1], [count, seed, 1 - which]]})


def _check_inputs(inputs: str | None, direction: str, in_channels: int | None) -> None:
    if inputs is not None and inputs not in INPUTS:
        raise BadInput(f"inputs={inputs!r}: it is one of {', '.join(INPUTS)}")
    if direction not in DIRECTIONS:
        raise BadInput(f"--direction {direction}{did_you_mean(direction, DIRECTIONS)}: it is AtoB or BtoA")
    if in_channels is not None and not 1 <= in_channels <= 4:
        raise BadInput(f"--in-channels must lie in 1..4, got {in_channels}")


def _open_translation(source: Source, asked: dict[str, Any], cache: bool, progress: store.Progress) -> Data | None:
    """Inputs and targets; None where the source is a built-in set or a file, which says itself what it holds."""
    if isinstance(source, str) and "," in source and not os.path.exists(source) and not is_named(source):
        a, b = (part.strip() for part in source.split(",", 1))
        source = (a, b)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise BadInput(f"{len(source)} sources: inputs and targets are two")
        if all(isinstance(part, (str, os.PathLike)) for part in source):
            return open_folders((os.fspath(source[0]), os.fspath(source[1])), asked, cache, progress)
        return _two_arrays(source, asked)
    if isinstance(source, (str, os.PathLike)) and not is_named(source) and os.path.isdir(source):
        return open_folders(os.fspath(source), asked, cache, progress)
    return None


def _two_arrays(source: tuple[Any, Any], asked: dict[str, Any]) -> Domains:
    rows = [
        arrays.to_rows(arrays.to_numpy(part, name), name).copy()
        for part, name in zip(source, ("inputs", "targets"), strict=True)
    ]
    facts = Facts(f"{len(rows[1])} images made from {len(rows[0])} in memory")
    found = chosen(rows[0], rows[1], facts, asked, paired=asked["inputs"] == "pairs")
    return _reshaped(found, asked["shape"], asked["in_channels"], asked["fit"])


def _reshaped(data: Domains, shape: Any, in_channels: int | None, fit: str) -> Domains:
    """Both sides brought to the shape of the targets that was asked for."""
    target = data.shape if shape is None else (int(shape[0]), int(shape[1]), int(shape[2]))
    channels = in_channels or data.inputs.shape[0]
    if target == data.shape and channels == data.inputs.shape[0]:
        return data
    rows = _refit(data.rows, target, fit, None)
    inputs = _refit(data.inputs.rows, (channels, *target[1:]), fit, None)
    return Domains(rows, inputs, data.facts, paired=data.paired, held=data._held)


def _check_options(shape: Any, default_size: int, fit: str) -> None:
    if fit not in FITS:
        raise BadInput(f"fit={fit!r}{did_you_mean(str(fit), FITS)}; it is one of {', '.join(FITS)}")
    if not isinstance(default_size, (int, np.integer)) or not 1 <= default_size <= 8192:
        raise BadInput(f"default_size={default_size!r}: give 1 to 8192 pixels")
    if shape is None:
        return
    if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in shape):
        raise BadInput(f"shape={shape!r}: give (channels, height, width), such as (3, 64, 64)")
    if len(shape) == 3 and not (1 <= shape[0] <= 4 and all(1 <= n <= 8192 for n in shape[1:])):
        raise BadInput(f"shape={tuple(shape)}: give 1 to 4 channels and sides of 1 to 8192 pixels")


def _image_shape(asked: dict[str, Any]) -> Shape | None:
    shape = asked["shape"]
    if shape is None:
        return None
    if len(shape) != 3:
        raise BadInput(f"shape={tuple(shape)}: images have (channels, height, width), such as (3, 64, 64)")
    return int(shape[0]), int(shape[1]), int(shape[2])


def _open_builtin(text: str, asked: dict[str, Any], progress: store.Progress) -> Data:
    name = text.split(":", 1)[0]
    asked["source"] = text
    if name in ("ring", "grid"):
        return _finish_points(builtin.toy(text), asked)
    if name == "shapes":
        rows, facts = builtin.render_shapes(text, _image_shape(asked))
        facts.native = True
        return _finish_images(rows, facts, asked, progress)
    if name == "stacked":
        return _finish_images(*builtin.stack(text), asked, progress)
    if name in builtin.TRANSLATIONS:
        told = {"direction": "AtoB", **asked}
        return _reshaped(
            builtin.translation(text, told, progress), _image_shape(asked), asked.get("in_channels"), asked["fit"]
        )
    if ":" in text and text.split(":", 1)[1]:
        asked["source"] = f"{name}:{os.path.abspath(os.path.expanduser(text.split(':', 1)[1]))}"
    return _finish_images(*builtin.images(text), asked, progress)


def _open_numpy(path: str, asked: dict[str, Any], progress: store.Progress) -> Data:
    if not path.lower().endswith((".npz", ".npy")):
        raise BadInput(f"{path} is no data set: give a folder of images, a .zip, a .npz or a .npy")
    shape = asked["shape"]
    found = arrays.read(path, None if shape is None else int(shape[0]))
    asked["source"] = os.path.abspath(path)
    if isinstance(found, Points):
        return _finish_points(found, asked)
    if found[1].beside is not None:
        inputs, paired = found[1].beside
        data = chosen(inputs, found[0], found[1], asked, paired)
        return _reshaped(data, shape, asked.get("in_channels"), asked["fit"])
    return _finish_images(*found, asked, progress)


def _open_array(values: Any, asked: dict[str, Any], labels: Any, progress: store.Progress) -> Data:
    array = arrays.to_numpy(values, "the array")
    shape = asked["shape"]
    rows = arrays.to_rows(array, "the array", None if shape is None else int(shape[0]))
    if rows is array or np.shares_memory(rows, array):
        rows = rows.copy()  # the caller may go on to change theirs
    facts = Facts(f"{len(rows)} images in memory")
    if labels is not None and labels is not False:
        facts.labels, facts.classes = arrays.to_labels(labels, len(rows), "the array")
    return _finish_images(rows, facts, asked, progress)


def _finish_points(points: Points, asked: dict[str, Any]) -> Points:
    if asked["shape"] is not None and tuple(asked["shape"]) != points.shape:
        raise BadInput(
            f"shape={tuple(asked['shape'])}: {points.name} holds points of shape {points.shape}; leave it out"
        )
    points.source = points.facts.source = asked
    if asked.get("labels") is False:
        points.facts.labels = None
        points = Points(points.rows, points.facts, points.modes, points.sd)
    return points


def _finish_images(rows: NDArray[np.uint8], facts: Facts, asked: dict[str, Any], progress: store.Progress) -> Images:
    """Rows in memory as a data set, brought to the shape that was asked for."""
    shape = _image_shape(asked)
    if shape is None and not facts.native:
        size = rows.shape[2], rows.shape[1]
        shape = choose(Counter({rows.shape[3]: 1}), Counter({size: 1}), asked["default_size"])
    facts.source, facts.fit, facts.flip = asked, asked["fit"], facts.flip or bool(asked["flip"])
    if asked.get("labels") is False:
        facts.labels = facts.classes = None
    return Images(_refit(rows, shape, facts.fit, progress), facts)


def _refit(rows: NDArray[np.uint8], shape: Shape | None, fit: str, progress: store.Progress) -> NDArray[np.uint8]:
    if shape is None or (rows.shape[3], *rows.shape[1:3]) == shape:
        return rows
    target = shape

    def work(index: int) -> NDArray[np.uint8]:
        return fit_image(from_array(rows[index]), target, fit)

    return store.fill(work, len(rows), target, progress=progress).store.rows


def _open_data(data: Data, shape: Any, fit: str, flip: bool, labels: Any, progress: store.Progress) -> Data:
    """The same object where nothing changes, else one with another shape, flip or labels."""
    flip = flip and isinstance(data, Images)  # points have no sides
    if isinstance(data, Domains):
        return _reshaped(data, shape, None, fit)
    same = shape is None or tuple(shape) == data.shape
    if same and labels is None and (data.flip or not flip):
        return data
    if not same and isinstance(data, Images) and data.source.get("source") is not None:
        # From the originals, so that no image is resized twice.
        again = reopen({**data.source, "shape": list(shape), "fit": fit, "flip": data.flip or flip}, progress=progress)
        return open(again.to(data.device), labels=labels)
    facts = data.facts.take(np.arange(len(data)))
    facts.flip = data.flip or flip
    facts.source = {**data.source, "flip": facts.flip}
    if labels is False:
        facts.labels = facts.classes = None
        facts.source["labels"] = False
    elif labels is not None:
        facts.labels, facts.classes = arrays.to_labels(labels, len(data), data.name)
        facts.source["source"] = None
    if isinstance(data, Points):
        if not same:
            raise BadInput(f"shape={tuple(shape)}: {data.name} holds points of shape {data.shape}; leave it out")
        return Points(data.rows, facts, data.modes, data.sd).to(data.device)
    assert isinstance(data, Images)
    if same:
        return Images(data.rows, facts).to(data.device)
    facts.fit = fit
    facts.source.update(shape=list(shape), fit=fit)
    return Images(_refit(data.rows, _image_shape(facts.source), fit, progress), facts).to(data.device)
