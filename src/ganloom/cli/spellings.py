"""How values are written on the command line, where their type does not say it: shapes and schedules."""

from typing import Any

from ganloom.cli import schedules
from ganloom.cli.flags import Spelling
from ganloom.core.errors import BadInput

MOST_CHANNELS = 4
SIDE = "give C H W, H W, or one side, such as 64"


def read_shape(words: list[str]) -> tuple[int, ...] | None:
    """Read a shape: 3 64 64, 3x64x64, 64 64, or 64. Without channels, those of the data are used.

    Args:
        words: The words.

    Returns:
        One to three numbers; None for "None".

    Raises:
        BadInput: The words are no shape.
    """
    if words == ["None"]:
        return None
    text = " ".join(words)
    try:
        numbers = tuple(int(number) for word in words for number in word.lower().split("x"))
    except ValueError:
        raise BadInput(f'--shape cannot be "{text}": {SIDE}') from None
    if not 1 <= len(numbers) <= 3:
        raise BadInput(f"--shape needs 1 to 3 values, got {len(numbers)}{': ' if text else ''}{text}: {SIDE}")
    if len(numbers) == 2 and 1 <= numbers[0] <= MOST_CHANNELS < numbers[1]:  # channels and one side
        return numbers[0], numbers[1], numbers[1]
    return numbers


def count_shape(words: list[str]) -> int:
    """How many of the words belong to a shape."""
    if words and not words[0].isdigit():
        return 1
    numbers = [word.isdigit() for word in words[:3]]
    return numbers.index(False) if False in numbers else len(numbers)


def write_shape(shape: Any) -> str:
    """A shape as text."""
    return "None" if shape is None else " ".join(map(str, shape))


SHAPE = Spelling("C H W", read_shape, write_shape, count_shape)
SPELLINGS = {"schedule": schedules.SPELLING, "shape": SHAPE}
