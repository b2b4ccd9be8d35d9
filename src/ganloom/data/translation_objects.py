"""Open image-to-image data that Python objects hold: (inputs, targets)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.data import arrays, python_sources, store
from ganloom.data.dataset import Facts
from ganloom.data.item_images import open_items
from ganloom.data.open_options import Options, image_shape
from ganloom.data.pixel_scale import Scales, by_side, known_of_side
from ganloom.data.translation_dataset import Domains, make_domains


def open_two_objects(source: tuple[Any, Any], options: Options, use_cache: bool, progress: store.Progress) -> Domains:
    """Open inputs and targets as image-to-image data. The numbers of each have a scale of their own.

    Args:
        source: the inputs and the targets, see docs/data.md.
        options: the options of ``open``; ``options["inputs"]`` is "pairs" or "domains".
        use_cache: keep decoded files in the cache.
        progress: called with (done, total) while images are decoded.

    Raises:
        BadInput: images cannot be used, or pairs differ in number or size.
    """
    shape = image_shape(options)
    size = None if shape is None else shape[1:]
    notes: list[str] = []
    used: list[dict[str, Any]] = []

    def rows(part: Any, name: str, side: str, channels: int | None) -> NDArray[np.uint8]:
        items = python_sources.items_of(part, False)
        known = known_of_side(options.get("scales"), side)
        if items is None:
            scales = Scales(known)
            array = arrays.to_rows(arrays.to_numpy(part, name), name, scales=scales).copy()
            notes.extend(f"{name}: {note}" for note in scales.notes)
            used.append(scales.used)
            return array
        wanted = None if size is None else [channels or 3, *size]
        own = {**options, "shape": wanted, "labels": False, "flip": False, "scales": known}
        images = open_items(items, own, use_cache, progress)
        notes.extend(f"{name}: {note}" for note in images.notes)
        used.append(images.source.get("scales_used") or {})
        return images.rows

    channels = options["in_channels"], None if shape is None else shape[0]
    inputs, targets = (rows(*part) for part in zip(source, ("inputs", "targets"), ("a", "b"), channels, strict=True))
    facts = Facts(f"{len(targets)} images made from {len(inputs)} in memory", notes=notes, scales=by_side(*used))
    data = make_domains(inputs, targets, facts, options, paired=options["inputs"] == "pairs")
    return data.resized(shape, options["in_channels"], options["fit"])
