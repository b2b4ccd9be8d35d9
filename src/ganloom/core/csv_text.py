"""Parse CSV text whose cells may have any length."""

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _csv import Reader

LONGEST_CELL = 2**31 - 1
"""Python's own limit is 131,072 characters."""


def reader(lines: Iterable[str], **options: Any) -> "Reader":
    """Return ``csv.reader(lines, **options)`` with the limit ``LONGEST_CELL``.

    The limit is a setting of the process. It is set here and nowhere else, so that what one reader accepts does not depend on
    which other files were read before.
    """
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, **options)
