"""Schedules over training time, as knots: (kimg, value) pairs, linear in between."""

import math

Knots = tuple[tuple[float, float], ...]
"""(kimg, value) pairs in the order of time; empty: constant 1."""


def constant() -> Knots:
    """Factor 1 at all times."""
    return ()


def linear(start: float, end: float, to: float = 0.0) -> Knots:
    """Factor 1 until ``start`` kimg, then linear to ``to`` at ``end`` kimg."""
    return ((start, 1.0), (end, to))


def cosine(start: float, end: float, to: float = 0.0, pieces: int = 32) -> Knots:
    """Factor 1 until ``start`` kimg, then half a cosine to ``to`` at ``end`` kimg, in ``pieces`` linear pieces."""
    steps = [i / pieces for i in range(pieces + 1)]
    return tuple((start + (end - start) * t, to + (1 - to) * 0.5 * (1 + math.cos(math.pi * t))) for t in steps)


def inverse(start: float, pieces: int = 32) -> Knots:
    """Factor 1 until ``start`` kimg, then start / kimg, in pieces that grow; it needs no end."""
    return tuple((start * 1.25**i, 1 / 1.25**i) for i in range(pieces))


def at(knots: Knots, kimg: float) -> float:
    """The value of knots at a time: linear between two knots, constant before the first and after the last.

    Args:
        knots: At least one (kimg, value) pair.
        kimg: Thousands of images.
    """
    if kimg <= knots[0][0]:
        return knots[0][1]
    for (t0, f0), (t1, f1) in zip(knots, knots[1:], strict=False):
        if kimg < t1:
            return f0 + (f1 - f0) * (kimg - t0) / (t1 - t0)
    return knots[-1][1]
