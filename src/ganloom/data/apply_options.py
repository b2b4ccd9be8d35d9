"""Apply the options of ``open`` to images and points that are in memory: shape, fit, flip, labels, source."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import store
from ganloom.data.dataset import Facts
from ganloom.data.decode import from_array
from ganloom.data.default_shape import choose_shape, crop_note
from ganloom.data.images import Images
from ganloom.data.open_options import Options, image_shape
from ganloom.data.points import Points
from ganloom.data.resize import Shape, fit_image


def images_with_options(
    rows: NDArray[np.uint8], facts: Facts, options: Options, progress: store.Progress = None
) -> Images:
    """Build the data set of images in memory.

    Args:
        rows: uint8 (N, H, W, C), resized to the requested shape. Without one, saved rows (``facts.native``) keep
            their shape and others get `default_shape.choose_shape`.
        facts: what is known about the rows; ``source``, ``fit`` and ``flip`` are set here.
        options: the options of ``open``.
        progress: called with (done, total) while images are resized.

    Raises:
        BadInput: the requested shape does not have three numbers.
    """
    shape = image_shape(options)
    if shape is None and not facts.native:
        size = rows.shape[2], rows.shape[1]
        shape = choose_shape(Counter({rows.shape[3]: 1}), Counter({size: 1}), options["default_size"])
    facts.source, facts.fit, facts.flip = options, options["fit"], facts.flip or bool(options["flip"])
    if facts.scales:
        options["scales_used"] = facts.scales
    cropped = None if facts.native or shape is None else crop_note([(rows.shape[2], rows.shape[1])], shape, facts.fit)
    facts.notes += [cropped] if cropped else []
    if options.get("labels") is False:
        facts.labels = facts.classes = None
    return Images(resize_rows(rows, shape, facts.fit, progress), facts)


def points_with_options(points: Points, options: Options) -> Points:
    """Set the source of points, and drop their labels if the options say so.

    Raises:
        BadInput: another shape is requested.
    """
    check_point_shape(points, options["shape"])
    points.source = points.facts.source = options
    if options.get("labels") is False:
        points.facts.labels = None
        points = Points(points.rows, points.facts, points.modes, points.sd)
    return points


def check_point_shape(points: Points, shape: tuple[int, ...] | list[int] | None) -> None:
    """Refuse a requested shape that is not the points' own: points cannot be resized. Raises BadInput."""
    if shape is not None and tuple(shape) != points.shape:
        raise BadInput(f"shape={tuple(shape)}: {points.name} holds points of shape {points.shape}; leave it out")


def resize_rows(
    rows: NDArray[np.uint8], shape: Shape | None, fit: str, progress: store.Progress = None
) -> NDArray[np.uint8]:
    """Bring images in memory to one shape.

    Args:
        rows: uint8 (N, H, W, C).
        shape: (C, H, W); None: unchanged.
        fit: "crop", "pad" or "squash", see `resize.FITS`.
        progress: called with (done, total).

    Returns:
        uint8 (N, H, W, C); ``rows`` itself if the shape is the same.
    """
    if shape is None or (rows.shape[3], *rows.shape[1:3]) == shape:
        return rows
    target = shape

    def resize_row(index: int) -> NDArray[np.uint8]:
        return fit_image(from_array(rows[index]), target, fit)

    return store.fill(resize_row, len(rows), target, progress=progress).store.rows
