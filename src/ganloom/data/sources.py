"""``open`` any source as a data set, and ``reopen`` it from the record that a run keeps."""

import os
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import command_line, word_of
from ganloom.data import arrays, builtin, idx_sets, npz_reader, python_sources, store, table_sources
from ganloom.data.apply_options import check_point_shape, images_with_options, points_with_options, resize_rows
from ganloom.data.caption_folders import captioned, open_caption_files
from ganloom.data.captioned import Captioned
from ganloom.data.crop_sources import crops_of_files, crops_of_images, name_of
from ganloom.data.crops import Crops
from ganloom.data.dataset import Data, Facts
from ganloom.data.encoded_table import EncodedTable
from ganloom.data.encoded_texts import EncodedTexts
from ganloom.data.file_index import Listing, NoImages, list_files
from ganloom.data.image_folders import open_files
from ganloom.data.images import Images
from ganloom.data.item_images import list_paths, open_items
from ganloom.data.labels import to_labels
from ganloom.data.open_options import REOPENED, Options, check_options, check_translation_options, image_shape
from ganloom.data.pixel_scale import Scales, check_scales
from ganloom.data.points import Points
from ganloom.data.translation_dataset import Domains, make_domains
from ganloom.data.translation_folders import open_folders
from ganloom.data.translation_objects import open_two_objects
from ganloom.data.volumes import open_volumes

TABLE_FILES = (".csv", ".tsv", ".parquet", ".pq", ".parq")
"""Endings of tables, which `ganloom table` learns."""
Source = Any
"""What ``open`` accepts: a path or name, a ``Data``, and the Python objects that docs/data.md lists."""


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
    scales: dict[str, Any] | None = None,
    keep_empty_classes: bool = False,
    cache: bool = True,
    progress: store.Progress = None,
) -> Data:
    """Open a source as a data set. Image files that cannot be read are left out and listed in ``bad_files``.

    Args:
        source: a folder of images (searched recursively; sub-folders are classes), a .zip archive of them, a folder with
            the IDX files of MNIST or a set like it, a .npz or .npy file, an array or tensor (see `arrays.to_rows`), a
            ``Data``, or the name of a built-in set (see ``BUILTIN``; write ./name for a folder of that name). A list of
            paths, images or (image, label); (images, labels); a dictionary of arrays; a torch Dataset or DataLoader; a
            Hugging Face data set; a pandas or polars frame: see docs/data.md. With ``inputs`` also two folders or two of
            the above (A, B), or the paths of two folders separated by a comma.
        shape: (C, H, W) that images are brought to, C in 1..4. None: the most common number of channels, and the
            images' own size if all share one of at most 128 pixels a side, else ``default_size`` square.
        default_size: side in pixels, 1 to 8192.
        fit: how an image of another size is resized: "crop" (scale to cover, cut the centre), "pad" (scale to fit,
            fill with the border's median colour) or "squash" (scale each side separately).
        flip: mirror images at random in ``draw``. A ``Data`` or a saved file that flips keeps flipping.
        labels: for Python objects one label per image: whole numbers, one-hot rows or names; for frames and Hugging
            Face data sets also the name of a column. False: ignore existing labels, class folders too.
        inputs: "pairs" or "domains" for image-to-image data, see `translation_folders.open_folders`; "crops" for random
            crops of photographs of any size, see `crops.Crops`; "captions" for images with captions, see `caption_sources`;
            "volumes" for voxels, see `volumes.open_volumes`.
        direction: "AtoB" or "BtoA": which domain holds the inputs.
        label_maps: the values of grey inputs are labels; each label gets a colour (see `label_maps.colours`).
        in_channels: channels of the inputs, 1 to 4; None: as they are.
        scales: which numbers are black and white in images of more than 8 bits, as another data set recorded it in
            ``source["scales_used"]``, so that both are read alike; None: decided from all images, see
            `pixel_scale.choose`.
        keep_empty_classes: keep classes without images. False: leave them out; the other classes keep their names or, if
            they have none, get their numbers as names (see `Facts.without_empty_classes`).
        cache: keep decoded images of folders and archives in ``$GANLOOM_CACHE`` (default ~/.cache/ganloom).
        progress: called with (done, total) while images are decoded.

    Returns:
        ``Images``, ``Points``, ``Domains`` for image-to-image data, or ``Crops``.

    Raises:
        BadInput: the source does not exist or cannot be used, or an option is wrong; the message is one line.
    """
    check_options(shape, default_size, fit)
    check_translation_options(inputs, direction, in_channels)
    source = _home(source)
    if inputs == "crops":
        given: Options = {
            "shape": None if shape is None else list(shape),
            "default_size": default_size,
            "fit": fit,
            "flip": flip,
        }
        return _open_crops(source, {"source": None, "inputs": inputs, **given}, scales, cache, progress)
    if inputs == "captions":
        given = {"shape": shape, "default_size": default_size, "fit": fit, "flip": flip, "scales": scales}
        return _open_captions(source, given, labels, cache, progress)
    if inputs == "volumes":
        return open_volumes(source, shape, flip, progress)
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
    if scales:
        check_scales(scales)
        options["scales"] = scales
    if inputs is not None:
        options |= {"inputs": inputs, "direction": direction, "label_maps": label_maps, "in_channels": in_channels}
        data = _open_translation(source, options, cache, progress)
        if data is not None:
            return data
    if isinstance(source, (str, os.PathLike)):
        if labels is not None and labels is not False:
            raise BadInput(
                "labels= is for Python objects; for files use class folders or dataset.json, or the key labels of a .npz"
            )
        return _without_empty_classes(_open_path(source, options, cache, progress), keep_empty_classes)
    return _without_empty_classes(_open_object(source, options, labels, cache, progress), keep_empty_classes)


def _without_empty_classes(data: Data, keep: bool) -> Data:
    """Leave out the classes of images that have no rows, and record it, so that ``reopen`` does the same."""
    is_saved = data.facts.native  # then empty classes were left out when the rows were first opened
    if keep or is_saved or not isinstance(data, Images) or isinstance(data, Domains):
        return data
    facts = data.facts.without_empty_classes()
    if facts is data.facts:
        return data
    facts.source["keep_empty_classes"] = False
    return data.with_facts(facts)


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


def listing_of(source: Source, use_labels: bool = True) -> Listing | None:
    """The image files that ``open`` reads, in the order of its rows; None for data without files."""
    if isinstance(source, (str, os.PathLike)):
        return list_files(os.path.expanduser(os.fspath(source)), use_labels) if holds_files(source) else None
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[1], (str, os.PathLike)):
        source = source[0]
    if isinstance(source, Data) or (isinstance(source, Mapping) and not table_sources.is_table(source)):
        return None
    items = python_sources.items_of(source, False)
    return None if items is None or items.paths is None else list_paths(items.paths)


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
    options["keep_empty_classes"] = source.get("keep_empty_classes", True)  # the records of older runs do not have it
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


def _open_crops(
    source: Source, options: Options, scales: dict[str, Any] | None, use_cache: bool, progress: store.Progress
) -> Crops:
    """Photographs of any size as random crops: of files, or of images in memory."""
    if isinstance(source, Crops):
        return source
    if scales:
        check_scales(scales)
        options["scales"] = scales
    listing = listing_of(source, use_labels=False)
    if listing is not None:
        if isinstance(source, (str, os.PathLike)):
            options["source"] = os.path.abspath(source)
        return crops_of_files(listing, name_of(source), options, progress)
    images = open(source, labels=False, default_size=options["default_size"], cache=use_cache, progress=progress)
    if not isinstance(images, Images) or isinstance(images, Domains):
        raise BadInput(f"{images.name}: crops are cut from images; give a folder of photographs")
    options["source"] = images.source.get("source")
    return crops_of_images(images, options)


def _open_captions(source: Source, given: Options, labels: Any, use_cache: bool, progress: store.Progress) -> Captioned:
    """Images with captions: of files, of a set that knows its captions, or of Python objects whose labels are texts."""
    if holds_files(source):
        options = {**given, "source": None, "inputs": "captions", "shape": given["shape"] and list(given["shape"])}
        scales = options.pop("scales")
        if scales:
            check_scales(scales)
            options["scales"] = scales
        image_shape(options)
        return open_caption_files(os.fspath(source), options, use_cache, progress)
    images = open(source, **given, labels=None if labels is False else labels, cache=use_cache, progress=progress)
    if not isinstance(images, Images) or isinstance(images, Domains):
        raise BadInput(f"{images.name}: captions describe images; give images with captions")
    images.source["inputs"] = "captions"
    return captioned(images, from_labels=not isinstance(source, (str, os.PathLike)))


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
        return open_two_objects(source, options, use_cache, progress)
    if not isinstance(source, (str, os.PathLike)):
        pairs = None if isinstance(source, Mapping) else python_sources.split_pairs(source)
        return None if pairs is None else open_two_objects(pairs, options, use_cache, progress)
    if not is_named(source) and os.path.isdir(source):
        return open_folders(os.fspath(source), options, use_cache, progress)
    return None


def _open_path(source: str | os.PathLike[str], options: Options, use_cache: bool, progress: store.Progress) -> Data:
    """A built-in set, a folder, an archive, or a file of arrays."""
    text = os.fspath(source)
    if is_named(source):
        named = builtin.open_builtin(text, options, progress)
        if os.path.isdir(text):
            named.facts.notes.append(f"this is the built-in set {text}; for your folder of that name, write ./{text}")
        return named
    if holds_files(source):
        image_shape(options)  # check it before the files are listed
        try:
            return open_files(text, options, use_cache, progress)
        except NoImages:
            data = _open_idx(text, options, progress) if os.path.isdir(text) else None
            if data is None:
                raise
            return data
    if os.path.exists(text):
        data = None if text.lower().endswith((".npy", ".npz")) else _open_idx(text, options, progress)
        if data is not None:
            return data
        return _open_numpy_file(text, options, progress)
    folders = [part.strip() for part in text.split(",")]
    if len(folders) == 2 and all(os.path.isdir(folder) for folder in folders):
        command = command_line(["ganloom", "train", "cyclegan", word_of(text)])
        raise BadInput(f"{text} are two folders, for recipes that translate images: `{command}`")
    known = "built-in sets: " + ", ".join(builtin.BUILTIN)
    raise BadInput(f"no data set {text!r}{did_you_mean(text, builtin.BUILTIN)}; give a path that exists, or {known}")


def _open_idx(path: str, options: Options, progress: store.Progress) -> Data | None:
    """The IDX files in a folder, or one of them; None without IDX files."""
    found = idx_sets.source_of(path)
    if found is None:
        return None
    data = builtin.open_builtin(found, options, progress)
    names = (
        "mnist:DIR, kmnist:DIR and fashion-mnist:DIR name the classes" if found.startswith("idx") else "by their names"
    )
    data.facts.notes.insert(0, f"IDX files, opened as {found} ({names})")
    return data


def _open_numpy_file(path: str, options: Options, progress: store.Progress) -> Data:
    if path.lower().endswith(TABLE_FILES):
        raise BadInput(f"{path} is a table: use `{command_line(['ganloom', 'table', 'fit', word_of(path)])}`")
    if not path.lower().endswith((".npz", ".npy")):
        raise BadInput(f"{path} is not a data set: give a folder of images, a .zip, a .npz or a .npy")
    content = npz_reader.read(path, _channels(options), options.get("labels") is not False, options.get("scales"))
    options["source"] = os.path.abspath(path)
    return _with_options(content, options, progress)


def _with_options(
    content: tuple[NDArray[np.uint8], Facts] | Points | EncodedTable | EncodedTexts,
    options: Options,
    progress: store.Progress,
) -> Data:
    """The data set of arrays that `npz_reader` read."""
    if isinstance(content, EncodedTable | EncodedTexts):
        content.source = content.facts.source = options
        return content
    if isinstance(content, Points):
        return points_with_options(content, options)
    rows, facts = content
    if facts.beside is None:
        return images_with_options(rows, facts, options, progress)
    inputs, paired = facts.beside
    data = make_domains(inputs, rows, facts, options, paired)
    return data.resized(image_shape(options), options.get("in_channels"), options["fit"])


def _open_object(source: Any, options: Options, labels: Any, use_cache: bool, progress: store.Progress) -> Data:
    """An array, or another Python object that holds images (docs/data.md)."""
    if isinstance(source, tuple) and any(
        isinstance(part, (str, os.PathLike)) and os.path.isdir(part) for part in source
    ):
        raise BadInput("two folders are inputs and targets: give inputs='pairs' or inputs='domains'")
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[1], (str, os.PathLike)):
        source, own = source
        if labels is not None and labels is not False:
            raise BadInput("labels are given twice: as labels= and in (images, labels); give them once")
        labels = own if labels is None else labels
        if _looks_like_images(labels):
            raise BadInput("two sets of images are inputs and targets: give inputs='pairs' or inputs='domains'")
    if isinstance(source, Mapping) and not table_sources.is_table(source):
        if labels is not None and labels is not False:
            source = {**source, "labels": labels}
        content = npz_reader.from_arrays(
            source, "the dictionary", "images in memory", _channels(options), labels is not False, options.get("scales")
        )
        return _with_options(content, options, progress)
    items = python_sources.items_of(source, labels)
    return (
        _open_array(source, options, labels, progress)
        if items is None
        else open_items(items, options, use_cache, progress)
    )


def _looks_like_images(labels: Any) -> bool:
    """Whether the second of two objects holds images and not labels."""
    return len(getattr(labels, "shape", ())) > 2


def _channels(options: Options) -> int | None:
    """Channels of the requested shape, which decide between NHWC and NCHW."""
    return None if options["shape"] is None else int(options["shape"][0])


def _open_array(values: Any, options: Options, labels: Any, progress: store.Progress) -> Data:
    array = arrays.to_numpy(values, "the array")
    scales = Scales(options.get("scales") or {})
    rows = arrays.to_rows(array, "the array", _channels(options), scales)
    if rows is array or np.shares_memory(rows, array):
        rows = rows.copy()  # the caller may change the array later
    facts = Facts(f"{len(rows)} images in memory", notes=scales.notes, scales=scales.used)
    if labels is not None and labels is not False:
        facts.labels, facts.classes = to_labels(labels, len(rows), "the array")
    return images_with_options(rows, facts, options, progress)


def _open_data(data: Data, shape: Any, fit: str, flip: bool, labels: Any, progress: store.Progress) -> Data:
    """The same object if nothing changes, else a copy with another shape, flip or labels."""
    flip = flip and isinstance(data, Images)  # points cannot be mirrored
    if isinstance(data, Domains):
        return data.resized(image_shape({"shape": shape}), None, fit)
    if isinstance(data, EncodedTable | EncodedTexts):
        return data
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
        facts = facts.without_empty_classes()
    if isinstance(data, Points):
        check_point_shape(data, shape)
        return Points(data.rows, facts, data.modes, data.sd).to(data.device)
    assert isinstance(data, Images)
    if same_shape:
        return Images(data.rows, facts).to(data.device)
    facts.fit = fit
    facts.source.update(shape=list(shape), fit=fit)
    return Images(resize_rows(data.rows, image_shape(facts.source), fit, progress), facts).to(data.device)
