"""``open`` any source as a data set, and ``reopen`` it from the record that a run keeps."""

import os
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data import arrays, builtin, npz_reader, store
from ganloom.data.apply_options import check_point_shape, images_with_options, points_with_options, resize_rows
from ganloom.data.dataset import Data, Facts
from ganloom.data.image_folders import open_files
from ganloom.data.images import Images
from ganloom.data.labels import to_labels
from ganloom.data.open_options import REOPENED, Options, check_options, check_translation_options, image_shape
from ganloom.data.points import Points
from ganloom.data.translation_dataset import Domains, make_domains
from ganloom.data.translation_folders import open_folders

Source = str | os.PathLike[str] | NDArray[Any] | Tensor | Data | tuple[Any, Any]
"""What ``open`` accepts: a path or name, an array, a tensor, a data set, or two of them (inputs, targets)."""


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
    """Open a source as a data set. Image files that cannot be read are left out and listed in ``bad_files``.

    Args:
        source: a folder of images (searched recursively; sub-folders are classes), a .zip archive of them, a .npz or
            .npy file, an array or tensor (see `arrays.to_rows`), a ``Data``, or the name of a built-in set (see
            ``BUILTIN``; write ./name for a folder of that name). With ``inputs`` also two folders or two arrays
            (A, B), or the paths of two folders separated by a comma.
        shape: (C, H, W) that images are brought to, C in 1..4. None: the most common number of channels, and the
            images' own size if all share one of at most 128 pixels a side, else ``default_size`` square.
        default_size: side in pixels, 1 to 8192.
        fit: how an image of another size is resized: "crop" (scale to cover, cut the centre), "pad" (scale to fit,
            fill with the border's median colour) or "squash" (scale each side separately).
        flip: mirror images at random in ``draw``. A ``Data`` or a saved file that flips keeps flipping.
        labels: for arrays one label per image: whole numbers, one-hot rows or names. False: ignore existing labels.
        inputs: "pairs" or "domains" for image-to-image data, see `translation_folders.open_folders`.
        direction: "AtoB" or "BtoA": which domain holds the inputs.
        label_maps: the values of grey inputs are labels; each label gets a colour (see `label_maps.colours`).
        in_channels: channels of the inputs, 1 to 4; None: as they are.
        cache: keep decoded images of folders and archives in ``$GANLOOM_CACHE`` (default ~/.cache/ganloom).
        progress: called with (done, total) while images are decoded.

    Returns:
        ``Images``, ``Points``, or ``Domains`` for image-to-image data.

    Raises:
        BadInput: the source does not exist or cannot be used, or an option is wrong; the message is one line.
    """
    check_options(shape, default_size, fit)
    check_translation_options(inputs, direction, in_channels)
    source = _home(source)
    if isinstance(source, Data):
        return _open_data(source, shape, fit, flip, labels, progress)
    options: Options = {
        "source": None,
        "shape": None if shape is None else list(shape),
        "default_size": default_size,
        "fit": fit,
        "flip": flip,
    }
    if labels is False:
        options["labels"] = False
    if inputs is not None:
        options |= {"inputs": inputs, "direction": direction, "label_maps": label_maps, "in_channels": in_channels}
        data = _open_translation(source, options, cache, progress)
        if data is not None:
            return data
    if isinstance(source, tuple):
        raise BadInput("two sources are inputs and targets: give inputs='pairs' or inputs='domains'")
    if not isinstance(source, (str, os.PathLike)):
        return _open_array(source, options, labels, progress)
    if labels is not None and labels is not False:
        raise BadInput("labels= is for arrays; for files use class folders, or the key labels of a .npz")
    return _open_path(source, options, cache, progress)


def _home(source: Source) -> Source:
    """The source with the home folder in the place of ``~``, in a path or two."""
    if isinstance(source, tuple):
        return tuple(map(_home, source))  # type: ignore[return-value]
    if isinstance(source, str) and ",~" in source.replace(" ", "") and not os.path.exists(source):
        return ",".join(os.path.expanduser(part.strip()) for part in source.split(","))
    return os.path.expanduser(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else source


def is_named(source: Source) -> bool:
    """Whether ``open`` takes the source for the name of a built-in set."""
    return isinstance(source, str) and builtin.is_builtin(source)


def holds_files(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    """Whether ``open`` takes the source for a folder or an archive of image files."""
    if not isinstance(source, (str, os.PathLike)) or is_named(source):
        return False
    text = os.path.expanduser(os.fspath(source))
    return os.path.isdir(text) or (text.lower().endswith(".zip") and os.path.exists(text))


def reopen(source: dict[str, Any], *, cache: bool = True, progress: store.Progress = None) -> Data:
    """Open a data set again from its ``Data.source``.

    Args:
        source: the record, as kept in a run folder.
        cache: as for ``open``.
        progress: as for ``open``.

    Raises:
        BadInput: the data was an array in memory, or ``open`` refuses the source.
    """
    if source.get("source") is None:
        raise BadInput("this data was an array in memory and cannot be opened again; pass the data again")
    options = {key: source[key] for key in REOPENED if key in source}
    shape, path = source.get("shape"), source["source"]
    data = open(
        tuple(path) if isinstance(path, list) else path,
        shape=None if shape is None else tuple(shape),
        cache=cache,
        progress=progress,
        **options,
    )
    for count, seed, which in source.get("splits", []):
        data = data.split(count, seed)[which]
    return data


def other_half(data: Data) -> Data | None:
    """Open the other half of a data set that ``Data.split`` made.

    Returns:
        The half, or None if the data were not split or came from an array in memory.
    """
    splits = data.source.get("splits")
    if not splits or data.source.get("source") is None:
        return None
    count, seed, which = splits[-1]
    return reopen({**data.source, "splits": [*splits[:-1], [count, seed, 1 - which]]})


def _open_translation(source: Source, options: Options, use_cache: bool, progress: store.Progress) -> Domains | None:
    """Inputs and targets from folders or arrays. None for a built-in set or a file: those know whether they are paired."""
    if isinstance(source, str) and "," in source and not os.path.exists(source) and not is_named(source):
        a, b = (part.strip() for part in source.split(",", 1))
        source = (a, b)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise BadInput(f"{len(source)} sources: give two, the inputs and the targets")
        if all(isinstance(part, (str, os.PathLike)) for part in source):
            return open_folders((os.fspath(source[0]), os.fspath(source[1])), options, use_cache, progress)
        return _open_two_arrays(source, options)
    if isinstance(source, (str, os.PathLike)) and not is_named(source) and os.path.isdir(source):
        return open_folders(os.fspath(source), options, use_cache, progress)
    return None


def _open_two_arrays(source: tuple[Any, Any], options: Options) -> Domains:
    inputs, targets = (
        arrays.to_rows(arrays.to_numpy(part, name), name).copy()
        for part, name in zip(source, ("inputs", "targets"), strict=True)
    )
    facts = Facts(f"{len(targets)} images made from {len(inputs)} in memory")
    data = make_domains(inputs, targets, facts, options, paired=options["inputs"] == "pairs")
    return data.resized(image_shape(options), options["in_channels"], options["fit"])


def _open_path(source: str | os.PathLike[str], options: Options, use_cache: bool, progress: store.Progress) -> Data:
    """A built-in set, a folder, an archive, or a file of arrays."""
    text = os.fspath(source)
    if is_named(source):
        return builtin.open_builtin(text, options, progress)
    if holds_files(source):
        image_shape(options)  # check it before the files are listed
        return open_files(text, options, use_cache, progress)
    if os.path.exists(text):
        return _open_numpy_file(text, options, progress)
    known = "built-in sets: " + ", ".join(builtin.BUILTIN)
    raise BadInput(f"no data set {text!r}{did_you_mean(text, builtin.BUILTIN)}; give a path that exists, or {known}")


def _open_numpy_file(path: str, options: Options, progress: store.Progress) -> Data:
    if not path.lower().endswith((".npz", ".npy")):
        raise BadInput(f"{path} is not a data set: give a folder of images, a .zip, a .npz or a .npy")
    shape = options["shape"]
    content = npz_reader.read(path, None if shape is None else int(shape[0]))
    options["source"] = os.path.abspath(path)
    if isinstance(content, Points):
        return points_with_options(content, options)
    rows, facts = content
    if facts.beside is None:
        return images_with_options(rows, facts, options, progress)
    inputs, paired = facts.beside
    data = make_domains(inputs, rows, facts, options, paired)
    return data.resized(image_shape(options), options.get("in_channels"), options["fit"])


def _open_array(values: Any, options: Options, labels: Any, progress: store.Progress) -> Data:
    array = arrays.to_numpy(values, "the array")
    shape = options["shape"]
    rows = arrays.to_rows(array, "the array", None if shape is None else int(shape[0]))
    if rows is array or np.shares_memory(rows, array):
        rows = rows.copy()  # the caller may change the array later
    facts = Facts(f"{len(rows)} images in memory")
    if labels is not None and labels is not False:
        facts.labels, facts.classes = to_labels(labels, len(rows), "the array")
    return images_with_options(rows, facts, options, progress)


def _open_data(data: Data, shape: Any, fit: str, flip: bool, labels: Any, progress: store.Progress) -> Data:
    """The same object if nothing changes, else a copy with another shape, flip or labels."""
    flip = flip and isinstance(data, Images)  # points cannot be mirrored
    if isinstance(data, Domains):
        return data.resized(image_shape({"shape": shape}), None, fit)
    same_shape = shape is None or tuple(shape) == data.shape
    if same_shape and labels is None and (data.flip or not flip):
        return data
    if not same_shape and isinstance(data, Images) and data.source.get("source") is not None:
        # Start from the original files, so that no image is resized twice.
        record = {**data.source, "shape": list(shape), "fit": fit, "flip": data.flip or flip}
        return open(reopen(record, progress=progress).to(data.device), labels=labels)
    facts = data.facts.take(np.arange(len(data)))
    facts.flip = data.flip or flip
    facts.source = {**data.source, "flip": facts.flip}
    if labels is False:
        facts.labels = facts.classes = None
        facts.source["labels"] = False
    elif labels is not None:
        facts.labels, facts.classes = to_labels(labels, len(data), data.name)
        facts.source["source"] = None
    if isinstance(data, Points):
        check_point_shape(data, shape)
        return Points(data.rows, facts, data.modes, data.sd).to(data.device)
    assert isinstance(data, Images)
    if same_shape:
        return Images(data.rows, facts).to(data.device)
    facts.fit = fit
    facts.source.update(shape=list(shape), fit=fit)
    return Images(resize_rows(data.rows, image_shape(facts.source), fit, progress), facts).to(data.device)
