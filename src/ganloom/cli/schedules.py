"""Short forms of schedules on the command line: constant, linear(100, 200), cosine(0, 200, 0.1), inverse(100)."""

import math
import re
from collections.abc import Callable

from ganloom.cli.flags import Spelling
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.gan import Knots, constant, cosine, inverse, linear

BUILDERS: dict[str, tuple[Callable[..., Knots], int, int]] = {
    "constant": (constant, 0, 0),
    "linear": (linear, 2, 3),
    "cosine": (cosine, 2, 3),
    "inverse": (inverse, 1, 1),
}
"""Name -> (builder, fewest arguments, most arguments)."""
FORMS = "constant, linear(START, END, TO), cosine(START, END, TO) or inverse(START), in kimg"
MOST_KNOTS = 4
"""Longer lists of knots that no builder returns are summarised."""


def read(words: list[str]) -> Knots:
    """Read a schedule.

    Args:
        words: One short form, such as "linear(100, 200)", or the knots as numbers: kimg, factor, kimg, factor, ...

    Returns:
        The knots.

    Raises:
        BadInput: The words are neither.
    """
    text = " ".join(words)
    form = re.fullmatch(r"([A-Za-z_]+)(?:\((.*)\))?", text)
    try:
        numbers = [float(word) for word in (form.group(2) or "").split(",") if word.strip()] if form else []
        knots = [] if form else [float(word) for word in words]
    except ValueError:
        raise BadInput(
            f'a schedule cannot be "{text}": give {FORMS}, or numbers: kimg factor kimg factor ...'
        ) from None
    if form is None:
        if len(knots) % 2:
            raise BadInput(f"a schedule has pairs of numbers, kimg and factor, got {len(knots)} numbers")
        return tuple(zip(knots[::2], knots[1::2], strict=True))
    name = form.group(1)
    if name not in BUILDERS:
        raise BadInput(f'there is no schedule "{name}"{did_you_mean(name, BUILDERS)}: give {FORMS}')
    builder, fewest, most = BUILDERS[name]
    if not fewest <= len(numbers) <= most:
        raise BadInput(f'schedule "{text}" has {len(numbers)} numbers: give {FORMS}')
    if not all(math.isfinite(number) for number in numbers) or (len(numbers) > 1 and not numbers[0] < numbers[1]):
        raise BadInput(f'schedule "{text}" must start before it ends, at finite numbers')
    if name == "inverse" and not numbers[0] > 0:
        raise BadInput(f'schedule "{text}" must start above 0')
    return builder(*numbers)


def write(knots: Knots) -> str:
    """A schedule as text: its short form if a builder returns these knots, else its numbers, or a summary of many."""
    if not knots:
        return "constant"
    start, end = knots[0][0], knots[-1][0]
    for name, arguments in (
        ("linear", (start, end)),
        ("linear", (start, end, knots[-1][1])),
        ("cosine", (start, end)),
        ("cosine", (start, end, knots[-1][1])),
        ("inverse", (start,)),
    ):
        if _equal(BUILDERS[name][0](*arguments), knots):
            return f"{name}({', '.join(f'{number:.12g}' for number in arguments)})"
    if len(knots) <= MOST_KNOTS:
        return " ".join(f"{number:.12g}" for knot in knots for number in knot)
    return f"{len(knots)} knots from {knots[0][1]:g} at {start:g} kimg to {knots[-1][1]:g} at {end:g} kimg"


def _equal(a: Knots, b: Knots) -> bool:
    """Whether two schedules are equal but for rounding."""
    return len(a) == len(b) and all(
        math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one, other, strict=True)
    )


SPELLING = Spelling("SCHEDULE", read, write)
