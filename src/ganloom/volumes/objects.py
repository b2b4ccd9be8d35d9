"""Objects of known shape, with proportions drawn from the object's number: furniture and mugs, and coloured primitives."""

from dataclasses import dataclass

import numpy as np

from ganloom.volumes.solids import Box, Cone, Solid, Sphere, cylinder

FURNITURE = ("chair", "table", "mug")
PRIMITIVES = ("cube", "sphere", "cone", "cylinder")
PALETTE = (
    (0.86, 0.16, 0.16), (0.15, 0.65, 0.2), (0.16, 0.3, 0.85), (0.93, 0.78, 0.12), (0.62, 0.2, 0.7), (0.1, 0.7, 0.75),
)  # fmt: skip
"""Base colours of the primitives, RGB in 0..1: red, green, blue, yellow, purple, cyan."""
HELD_OUT = 1_000_000
"""Objects from this number on are in no built-in data set: they are for measurements."""
_FACES = {
    "cube": (0, 0, 2, 2, 1, 1),
    "sphere": (0, 1, 0, 0, 0, 0),
    "cone": (0, 1, 2, 2, 0, 0),
    "cylinder": (0, 1, 2, 2, 0, 0),
}
"""Which of an object's colours each face has."""


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        kind: Number of its class.
        solids: What it is made of.
        colours: RGB of the faces 0 to 5 in 0..1; empty for an object without colours.
    """

    kind: int
    solids: tuple[Solid, ...]
    colours: tuple[tuple[float, float, float], ...] = ()


def furniture(number: int) -> Thing:
    """Return object ``number`` of the set ``silhouettes``: a chair, a table or a mug, in turns."""
    kind = number % len(FURNITURE)
    return Thing(kind, (_chair, _table, _mug)[kind](_Draws(number)))


def primitive(number: int) -> Thing:
    """Return object ``number`` of the set ``primitives3d``: a cube, sphere, cone or cylinder, in turns, with 2 or 3 colours."""
    kind, u = number % len(PRIMITIVES), _Draws(number)
    picks = u.random.permutation(len(PALETTE))[:3]
    base = np.clip(np.array(PALETTE)[picks] + 0.08 * (u.random.random((3, 3)) - 0.5), 0, 1)
    centre = (0.0, 0.0, 0.0)
    solid: Solid
    if PRIMITIVES[kind] == "cube":
        half = u(0.36, 0.52)
        solid = Box(centre, (half * u(0.85, 1.1), half * u(0.85, 1.1), half * u(0.85, 1.1)))
    elif PRIMITIVES[kind] == "sphere":
        solid = Sphere(centre, u(0.45, 0.68))
    elif PRIMITIVES[kind] == "cone":
        solid = Cone(centre, u(0.42, 0.62), 0.0, u(0.45, 0.68))
    else:
        solid = cylinder(centre, u(0.34, 0.52), u(0.4, 0.62))
    colours = [tuple(float(v) for v in base[i]) for i in _FACES[PRIMITIVES[kind]]]
    return Thing(kind, (solid,), tuple((r, g, b) for r, g, b in colours))


class _Draws:
    """Uniform numbers that depend on the object's number only."""

    def __init__(self, number: int) -> None:
        self.random = np.random.default_rng([7, number])

    def __call__(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))


def _legs(width: float, depth: float, thick: float, top: float, bottom: float) -> list[Solid]:
    """Four legs in the corners of a seat or a board."""
    y, half = (top + bottom) / 2, (top - bottom) / 2
    x, z = width - thick, depth - thick
    return [Box((i * x, y, j * z), (thick, half, thick)) for i in (-1, 1) for j in (-1, 1)]


def _chair(u: _Draws) -> tuple[Solid, ...]:
    width, depth, seat = u(0.32, 0.46), u(0.32, 0.46), u(-0.2, 0.05)
    board, leg, bottom, top = u(0.06, 0.1), u(0.07, 0.11), u(-0.75, -0.55), u(0.5, 0.78)
    back = Box((0.0, (seat + top) / 2, leg - depth), (width, (top - seat) / 2, leg))
    return (Box((0.0, seat, 0.0), (width, board, depth)), back, *_legs(width, depth, leg, seat, bottom))


def _table(u: _Draws) -> tuple[Solid, ...]:
    width, depth, height = u(0.42, 0.62), u(0.36, 0.5), u(0.1, 0.35)
    board, leg, bottom = u(0.06, 0.1), u(0.07, 0.11), -u(0.3, 0.55)
    if u(0, 1) < 0.35:  # round, with one leg and a foot
        column = cylinder((0.0, (height + bottom) / 2, 0.0), u(0.1, 0.17), (height - bottom) / 2)
        top = cylinder((0.0, height, 0.0), u(0.45, 0.7), board)
        return top, column, cylinder((0.0, bottom + 0.07, 0.0), u(0.28, 0.42), 0.07)
    return (Box((0.0, height, 0.0), (width, board, depth)), *_legs(width, depth, leg, height, bottom))


def _mug(u: _Draws) -> tuple[Solid, ...]:
    """A mug without a cavity: silhouettes do not show whether it has one."""
    radius, half = u(0.3, 0.46), u(0.36, 0.62)
    reach, thick = u(0.2, 0.32), u(0.07, 0.09)
    handle, end = half * u(0.45, 0.7), radius + reach
    middle, length = (radius + end) / 2 - 0.05, reach / 2 + 0.05
    bars = [Box((middle, i * (handle - thick), 0.0), (length, thick, thick)) for i in (-1, 1)]
    return (cylinder((0.0, 0.0, 0.0), radius, half), *bars, Box((end - thick, 0.0, 0.0), (thick, handle, thick)))
