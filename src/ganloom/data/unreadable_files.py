"""What to say of the files of a data set that could not be read."""

from ganloom.data.dataset import Data

LISTED = 10
"""Most files that are named one by one."""


def unreadable(data: Data) -> list[str]:
    """A line for each file that could not be read; at most ``LISTED``, and one for the others."""
    lines = [f"left out {name}: {reason}" for name, reason in data.bad_files[:LISTED]]
    more = len(data.bad_files) - LISTED
    return [*lines, f"left out {more} more files that could not be read"] if more > 0 else lines
