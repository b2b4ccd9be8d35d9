"""What the numbers of pixels mean: which value is black and which is white, decided once for a whole set of images.

One rule for image files and for arrays (`choose`). It looks at the type of the numbers and at the smallest and the
largest value of all images of that type, never at a single image, so that the contrast between images stays.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput

_DARK = 64
"""Integers that are all below this may be labels, or images that are far too dark."""
_DARK_SHARE = 1 / 16
"""Floats in [0, 1] that are all below this are almost black."""
_NARROW = 0.25
"""Floats with negative values above this are not in [-1, 1], but in [0, 1] with an error."""
_TOLERANCE = 1e-4
"""Floats that were rescaled exceed their range a little."""
_BITS = (8, 10, 12, 14)
_OWN_BITS = {"int8": 7, "uint8": 8, "int16": 15}
"""Bits of the largest value of a type; 16 for all others: no image has more."""

FULL_RANGE = 1 << _BITS[-1]
"""Unsigned 16-bit numbers use their full range if one of them is at least this."""


class UnclearScale(Exception):
    """The numbers do not say which of them is white; the message is the reason and what to do."""


class Scale(NamedTuple):
    """The values that are black and white, and a line for the user if they are not those of the type."""

    black: float
    white: float
    note: str = ""


@dataclass
class Scales:
    """The scales of one set of images, by the type of its numbers ("uint16", "float", ...).

    Args:
        known: (black, white) that a run was trained with, by type; used where all values are in that range.
        used: (black, white) that were chosen.
        notes: a line for each choice that the user should know.
        noun: what several images are called in notes.
    """

    known: Mapping[str, Sequence[float]] = field(default_factory=dict)
    used: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    noun: str = "files"

    def choose_for(self, kind: str, low: float, high: float, names: Sequence[str]) -> Scale:
        """Choose the scale of some images of a set, see ``choose``. If it is unclear, a note says that they are left out.

        Args:
            kind: the type of the numbers.
            low: the smallest value of the images.
            high: their largest value.
            names: their names.

        Raises:
            UnclearScale: see `choose`.
        """
        example = names[0] if names else ""
        what = example if len(names) < 2 else f"{len(names)} {self.noun} such as {example}"
        try:
            return self.choose(kind, low, high, what)
        except UnclearScale as error:
            self.notes.append(f"left out {what}: {error}")
            raise

    def choose(self, kind: str, low: float, high: float, what: str = "") -> Scale:
        """Choose the scale of all numbers of one type, see `choose`, and remember it.

        Args:
            kind: the type of the numbers.
            low: the smallest value of the set.
            high: the largest value of the set.
            what: what has these numbers, for the note.

        Raises:
            UnclearScale: see `choose`.
        """
        scale = known_scale(self.known.get(kind), low, high) or choose(kind, low, high)
        if scale.note:
            self.notes.append(f"{what}{': ' if what else ''}{scale.note}")
        self.used[kind] = [scale.black, scale.white]
        return scale


def choose(kind: str, low: float, high: float) -> Scale:
    """Decide which values are black and white.

    - Integers: 0 is black; white is the largest number of 8, 10, 12, 14 or all bits that holds every value.
    - Floats: [0, 1], [-1, 1], or 0 to 255.

    Args:
        kind: "float", or the NumPy name of an integer type.
        low: the smallest value of the whole set.
        high: the largest value of the whole set.

    Raises:
        UnclearScale: the values are in none of these ranges, or so dark that they may be labels or another range.
    """
    return _of_floats(low, high) if kind == "float" else _of_integers(kind, low, high)


def known_scale(pair: Sequence[float] | None, low: float, high: float) -> Scale | None:
    """Return the scale (black, white) that a run was trained with, or None if a value is outside."""
    if pair is None:
        return None
    slack = _TOLERANCE * (pair[1] - pair[0])
    inside = pair[0] - slack <= low and high <= pair[1] + slack
    return Scale(pair[0], pair[1]) if inside else None


def known_of_side(scales: Mapping[str, Any] | None, side: str) -> dict[str, list[float]]:
    """Return the recorded scales, by type of numbers, of domain "a" or "b"; those of all images if they have no sides."""
    table: dict[str, Any] = dict(scales or {})
    return dict(table.get(side) or {}) if {"a", "b"} & table.keys() else table


def by_side(a: Mapping[str, list[float]], b: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return the record of the scales of domains A and B; empty if all images have 8 bits."""
    return {"a": dict(a), "b": dict(b)} if a or b else {}


def check_scales(scales: Any, sides: bool = True) -> None:
    """Check scales that were recorded: type of numbers -> [black, white], or "a" and "b" -> such a table.

    Raises:
        BadInput: they have another form.
    """
    if not isinstance(scales, dict):
        raise BadInput(f"scales={scales!r}: give a table such as {{'uint16': [0, 4095]}}, or None")
    for kind, pair in scales.items():
        if sides and kind in ("a", "b"):
            check_scales(pair, sides=False)
            continue
        numbers = isinstance(pair, (list, tuple)) and all(isinstance(n, (int, float)) for n in pair)
        if not numbers or len(pair) != 2 or not math.isfinite(pair[1] - pair[0]) or pair[0] >= pair[1]:
            raise BadInput(f"scales: {kind!r} is {pair!r}; give the values that are black and white, such as [0, 4095]")


def to_8_bits(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Map black to 0 and white to 255, rounded; values outside are clipped."""
    factor = 255.0 / (scale.white - scale.black)
    scaled = values.astype(np.float64) * factor - scale.black * factor
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _of_integers(kind: str, low: float, high: float) -> Scale:
    span = f"{kind} values from {low:g} to {high:g}"
    own = _OWN_BITS.get(kind, 16)
    if low < 0:
        raise UnclearScale(f"{span}: negative integers are not pixel values; shift them to 0 and above, or give uint8")
    if high == 0:
        return Scale(0.0, 2.0**own - 1)
    if high == 1:
        raise UnclearScale(f"{span}: is 1 white or nearly black? Give bool (1 bit), or multiply by 255")
    if high < _DARK and kind == "int64":  # NumPy's default type says nothing about the range
        return Scale(0.0, 255.0, f"{span} are taken for dark 8-bit numbers: 255 is white")
    if high < _DARK:
        raise UnclearScale(f"{span}: labels, or very dark? Multiply so that white is 255 and give uint8")
    bits = next((b for b in sorted({*_BITS, own}) if high < 1 << b), None)
    if bits is None:
        raise UnclearScale(f"{span}: give uint8 (0..255) or uint16 (0..65535)")
    white = 2.0**bits - 1
    if bits == own or (bits == 8 and kind == "int64"):
        return Scale(0.0, white)
    return Scale(0.0, white, f"{span} are taken for {bits}-bit numbers: {white:g} is white")


def _of_floats(low: float, high: float) -> Scale:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnclearScale("NaN or infinite values; remove them")
    span = f"float values from {low:g} to {high:g}"
    if -_TOLERANCE <= low and high <= 1 + _TOLERANCE:
        if 0 < high < _DARK_SHARE:
            raise UnclearScale(f"{span} are almost black; scale floats so that 1 is white")
        return Scale(0.0, 1.0)
    if -1 - _TOLERANCE <= low and high <= 1 + _TOLERANCE:
        if low > -_NARROW:
            raise UnclearScale(f"{span}: clip them to [0, 1], or scale floats to [-1, 1]")
        return Scale(-1.0, 1.0, f"{span}: -1 is black and 1 is white")
    if low >= 0 and _DARK <= high <= 255 * (1 + _TOLERANCE):
        return Scale(0.0, 255.0, f"{span}: 255 is white")
    raise UnclearScale(f"{span}; scale floats to [0, 1] or [-1, 1], or give uint8")
