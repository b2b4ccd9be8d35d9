"""Open folders of images for image-to-image translation, as pairs or as two domains, with their hold-out set."""

import os
from collections.abc import Callable

from ganloom.data import store
from ganloom.data.dataset import Facts
from ganloom.data.folder_layouts import Folders, held_out_folders, training_folders
from ganloom.data.open_options import Options
from ganloom.data.paired_folders import equal_names_and_sizes, read_pairs
from ganloom.data.translation_dataset import Domains, make_domains
from ganloom.data.unpaired_folders import read_domains


def open_folders(source: str | tuple[str, str], options: Options, use_cache: bool, progress: store.Progress) -> Domains:
    """Open pairs or two domains from one folder or two.

    Pairs are ``A/`` and ``B/`` (or ``trainA/`` and ``trainB/``) with files of equal names, endings apart; or images
    A|B side by side, the input on the left. Two domains are ``trainA/`` and ``trainB/``, ``A/`` and ``B/``, or two
    sub-folders of any names in alphabetical order. Pairs may be opened as "domains": a recipe that needs no pairs draws
    them independently (``Domains.unpaired``). Two folders opened as "domains" are known pairs only if the names and the
    sizes of all images agree; a note says so.

    Args:
        source: the folder (see `folder_layouts`), or the folders of domains A and B.
        options: the options of ``open``; ``options["inputs"]`` is "pairs" or "domains". "source", "shape" and
            "in_channels" are set, so that the hold-out set gets the same shapes.
        use_cache: keep decoded images in the cache.
        progress: called with (done, total) while images are decoded.

    Raises:
        BadInput: a folder or a partner is missing, the images of a pair differ in size, label maps are given without
            the option label_maps, or no image can be read.
    """
    paths = os.path.abspath(source) if isinstance(source, str) else [os.path.abspath(path) for path in source]
    options["source"] = paths
    folders = training_folders(paths)
    facts = Facts(os.path.basename(paths) if isinstance(paths, str) else " + ".join(map(os.path.basename, source)))
    held = _hold_out_opener(paths, options, use_cache) if isinstance(paths, str) else None
    known = isinstance(folders, str) or options["inputs"] == "pairs" or equal_names_and_sizes(*folders)
    if not known and not isinstance(folders, str):
        a, b, facts.bad_files, facts.notes = read_domains(*folders, options, use_cache, progress)
        data = make_domains(a, b, facts, options, paired=False, held=held)
    else:
        a, b, facts.bad_files, facts.notes = read_pairs(folders, options, use_cache, progress)
        if options["inputs"] == "domains" and not isinstance(folders, str):
            first, second = (os.path.basename(folder) for folder in folders)
            facts.notes.append(
                f"{first} and {second} hold images of equal names and sizes: they are taken for known pairs in evaluation, "
                "and are drawn independently in training. Give other names if they are no pairs"
            )
        data = make_domains(a, b, facts, options, paired=True, held=held)
    options["shape"], options["in_channels"] = list(data.shape), data.inputs.shape[0]
    return data


def _hold_out_opener(source: str, options: Options, use_cache: bool) -> Callable[[], Domains | None]:
    """A function that opens the hold-out set with the shapes of the training set."""

    def open_hold_out() -> Domains | None:
        folders: Folders | None = held_out_folders(source)
        if folders is None:
            return None
        same = {key: value for key, value in options.items() if key != "source"}
        same["scales"] = options.get("scales_used")
        return open_folders(folders, {**same, "flip": False}, use_cache, None)

    return open_hold_out
