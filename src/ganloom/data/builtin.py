"""The built-in data sets: the table of their names, and how each is opened."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.core.old_import_paths import renamed
from ganloom.data import (
    cache,
    digits,
    emoji,
    fashion_mnist,
    points,
    shapes,
    solid_objects,
    stacked,
    store,
    translation_sets,
)  # fmt: skip
from ganloom.data.apply_options import images_with_options, points_with_options
from ganloom.data.dataset import Data, Facts
from ganloom.data.idx_sets import is_idx_name, read_set
from ganloom.data.open_options import Options, image_shape
from ganloom.data.points import Points
from ganloom.data.resize import Shape
from ganloom.data.shapes_captions import wording_of
from ganloom.data.translation_dataset import Domains

BUILTIN: dict[str, str] = {
    "fashion-10k": "10,000 images of clothes, 10 classes, 28 x 28 grey; comes with ganloom",
    "fashion-mnist": "all 60,000 training images of Fashion-MNIST; fashion-mnist:DIR reads them from DIR",
    "fashion-mnist-test": "the 10,000 test images of Fashion-MNIST, in neither of the sets above",
    "mnist": "handwritten digits, from the IDX files in DIR: mnist:DIR; mnist-test:DIR the test images",
    "kmnist": "handwritten Japanese characters, from IDX files: kmnist:DIR, kmnist-test:DIR",
    "emnist": "handwritten letters and digits, from IDX files: emnist-letters:DIR; also balanced, byclass, bymerge, digits",
    "qmnist": "handwritten digits with 60,000 test images, from IDX files: qmnist:DIR, qmnist-test:DIR",
    "idx": "images and labels of any other IDX files: idx:DIR",
    "digits": "1,797 handwritten digits, 8 x 8 grey, enlarged to 28 x 28 or --shape; comes with ganloom",
    "emoji": "colour emoji, 64 px RGB or --shape, 9 groups; needs the Noto emoji font (emoji:FILE) or an npm package (emoji:DIR)",
    "emoji-names": "the same without skin tones and flags, so that names say what images show; for text-to-image models",
    "shapes": "rendered coloured shapes with known factors and captions, 32 x 32 RGB; shapes:N for N images, shapes:N,varied",
    "silhouettes": "silhouettes of rendered chairs, tables and mugs from all sides, 32 x 32 grey; silhouettes:N for N images",
    "primitives3d": "rendered cubes, spheres, cones and cylinders with 2 or 3 colours and light, 32 x 32 RGB; primitives3d:N",
    "stacked": "three images of fashion-10k as the channels of one, 1,000 combinations of classes; stacked:N for N images",
    "ring": "points: 8 Gaussian modes on a circle; ring:N for N points",
    "grid": "points: 25 Gaussian modes on a grid; grid:N for N points",
    "unpaired-fashion": "two domains: images of fashion-10k, and others of them inverted and coloured, 28 x 28 RGB",
    "edges-to-emoji": "pairs: edges of colour emoji and the emoji, 64 px; needs the Noto emoji font (edges-to-emoji:FILE)",
    "regular-to-bold": "pairs: letters of the installed fonts, regular and bold, 64 px grey",
}
"""Name -> a one-line description; ``ganloom.data.open(name)`` opens the set."""

TRANSLATIONS = ("unpaired-fashion", "edges-to-emoji", "regular-to-bold")
"""The built-in sets for image-to-image translation."""


def is_builtin(source: str) -> bool:
    """Whether this is the name of a built-in set, with or without ``:argument``."""
    return source.split(":", 1)[0] in BUILTIN or is_idx_name(source)


def open_builtin(source: str, options: Options, progress: store.Progress) -> Data:
    """Open a built-in set.

    Args:
        source: ``name`` or ``name:argument``; the name is a key of `BUILTIN` or in `idx_sets.NAMES`.
        options: the options of ``open``; "source" is set.
        progress: called with (done, total) while images are made or resized.

    Raises:
        BadInput: the argument or the shape is wrong, or files or fonts are missing.
    """
    name, _, argument = source.partition(":")
    options["source"] = source
    if name in ("ring", "grid"):
        return points_with_options(toy(source), options)
    if name == "shapes":
        rows, facts = render_shapes(source, image_shape(options))
        facts.native = True
        return images_with_options(rows, facts, options, progress)
    if name in solid_objects.SETS:
        shape = image_shape(options) or solid_objects.SETS[name].shape
        rows, facts = solid_objects.images(name, number(source, solid_objects.SETS[name].size), shape, progress)
        facts.native = True
        return images_with_options(rows, facts, options, progress)
    if name in ("emoji", emoji.PLAIN):
        size = square_side(options, name, emoji.SIZE)
        rows, facts = emoji.images(source, size, progress)
        return images_with_options(rows, facts, _with_absolute(options, name, argument), progress)
    if name == "digits":
        options["shape"] = options["shape"] or list(digits.SHAPE)
        return images_with_options(*digits.images(source), options, progress)
    if name == "stacked":
        return images_with_options(*stack(source), options, progress)
    if name in TRANSLATIONS:
        data = translation(source, {"direction": "AtoB", **options}, progress)
        return data.resized(image_shape(options), options.get("in_channels"), options["fit"])
    options = _with_absolute(options, name, argument)
    read = fashion_mnist.images if name.startswith("fashion") else read_set
    return images_with_options(*read(source), options, progress)


def toy(source: str) -> Points:
    """Sample the points of ``ring[:N]`` or ``grid[:N]``. Raises BadInput for a wrong N."""
    name, _, _ = source.partition(":")
    return (points.ring if name == "ring" else points.grid)(number(source, points.SIZE))


def render_shapes(source: str, shape: Shape | None) -> tuple[NDArray[np.uint8], Facts]:
    """Render ``shapes[:N]``.

    Args:
        source: ``shapes`` or ``shapes:N``, with ``,varied`` and the like after N: see `shapes_captions.OPTIONS`.
        shape: (C, H, W) that the images are rendered at, not resized to; None: 3 x 32 x 32.

    Returns:
        uint8 (N, H, W, C), and facts with labels, captions and factors.

    Raises:
        BadInput: N is not a number from 1 to 10,000,000.
    """
    plain, *words = source.split(",")
    facts = shapes.describe(number(plain, shapes.SIZE), wording=wording_of(words, source))
    factors, target = facts.factors or {}, shape or shapes.SHAPE
    size = len(factors["shape"])
    if size * math.prod(target) <= cache.MEMORY_LIMIT:
        return shapes.render(factors, target), facts

    def render_row(index: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = shapes.render({k: v[index : index + 1] for k, v in factors.items()}, target)[0]
        return image

    return store.fill(render_row, size, target).store.rows, facts


def stack(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """Build ``stacked[:N]``: uint8 (N, 28, 28, 3) and facts, see `stacked.images`. Raises BadInput for a wrong N."""
    return stacked.images(number(source, stacked.SIZE))


def translation(source: str, options: dict[str, Any], progress: store.Progress) -> Domains:
    """Open one of `TRANSLATIONS`.

    Args:
        source: ``name``, or ``edges-to-emoji:FILE``.
        options: the options of ``open``. Glyphs are drawn at the requested size, 16 to 512 pixels square, by default
            64; unpaired-fashion is always 28 x 28.
        progress: called with (done, total) while glyphs are drawn.

    Raises:
        BadInput: the argument or the size is wrong, or a font is missing.
    """
    name, _, argument = source.partition(":")
    if argument and name != "edges-to-emoji":
        raise BadInput(f"{source}: {name} takes no argument after the colon")
    if name == "unpaired-fashion":
        return translation_sets.unpaired_fashion(options)
    height = square_side(options, name, 64)
    if name == "edges-to-emoji":
        return translation_sets.edges_to_emoji(source, height, options, progress)
    return translation_sets.regular_to_bold(height, options, progress)


def square_side(options: Options, name: str, default: int) -> int:
    """Return the side of the squares that a set is drawn at. Raises BadInput for other shapes than 16 to 512 pixels square."""
    _, height, width = image_shape(options) or (0, default, default)
    if height != width or not 16 <= height <= 512:
        shape = " ".join(map(str, options["shape"]))
        raise BadInput(f"--shape {shape}: {name} draws squares of 16 to 512 pixels")
    return height


def _with_absolute(options: Options, name: str, argument: str) -> Options:
    """The options with the absolute path of a set's argument as source, if it has one."""
    if argument:
        options["source"] = f"{name}:{os.path.abspath(os.path.expanduser(argument))}"
    return options


def number(source: str, default: int) -> int:
    """Read the N of ``name:N``; ``default`` without a colon. Raises BadInput unless N is in 1..10,000,000."""
    name, colon, argument = source.partition(":")
    if not colon:
        return default
    digits = argument.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:12]) <= 10_000_000):
        raise BadInput(f"{source}: after the colon give a number from 1 to 10000000, such as {name}:{default}")
    return int(digits)


__getattr__ = renamed(__name__)  # names of earlier versions
