"""Label maps: images whose grey values are labels, shown to networks as colours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data.decode import BadImage, to_array
from ganloom.data.file_index import Listing
from ganloom.data.open_options import Options
from ganloom.data.resize import Shape, crop_box

LABEL_LIMIT = 64
"""Grey images whose values are all below this are taken for label maps."""
EXAMINED = 16
"""About this many images of a folder, evenly spaced, are examined."""


def label_map(image: Image.Image, shape: Shape, fit: str) -> NDArray[np.uint8]:
    """Resize a label map by nearest neighbour, so that no label is mixed with its neighbour.

    Args:
        image: grey, its values are labels and get the colours of `colours`; or a colour image, whose colours stay.
        shape: (C, H, W) of the result.
        fit: "crop" or "squash".

    Returns:
        uint8 (H, W, C).
    """
    if image.mode == "L":
        image = Image.fromarray(colours()[np.asarray(image)])
    channels, height, width = shape
    image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}.get(channels, "RGB"))
    box = crop_box(image.size, width, height) if fit == "crop" else None
    return to_array(image.resize((width, height), Image.Resampling.NEAREST, box=box))


def colours() -> NDArray[np.uint8]:
    """Return a colour for each of 256 labels, uint8 (256, 3). Label 0 is black, and low labels differ most.

    Bits 0, 3 and 6 of a label are the highest bits of red, bits 1, 4 and 7 those of green, bits 2 and 5 those of blue.
    """
    labels = np.arange(256)
    table = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        table[:, bit % 3] |= ((labels >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return table


def check_label_maps(listing: Listing, options: Options) -> None:
    """Check the option label_maps against the images of domain A: label maps taken for grey images would be almost black.

    Raises:
        BadInput: the images look like label maps and label_maps is not set, or it is set together with fit "pad".
    """
    if options["label_maps"]:
        if options["fit"] == "pad":
            raise BadInput("--label-maps needs --fit crop or squash: the border that pad adds has no label")
        return
    values: set[int] = set()
    for i in examined_indices(listing):
        try:
            image = listing.decode(i)
        except BadImage:
            continue
        if image.mode != "L":
            return
        values |= set(np.unique(np.asarray(image)).tolist())
    if 2 <= len(values) and max(values) < LABEL_LIMIT:
        raise BadInput(
            f"the images in {listing.root} hold {len(values)} grey values from {min(values)} to {max(values)}, so they are "
            "label maps: add --label-maps to give each label a colour"
        )


def examined_indices(listing: Listing) -> range:
    """Indices of about `EXAMINED` images, evenly spaced over a listing."""
    count = len(listing.entries)
    return range(0, count, max(1, count // EXAMINED))
