"""The progress of work on image files of different sizes, counted in pixels."""

from collections.abc import Callable

from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing

EachTile = Callable[[float, int], None] | None


class PixelProgress:
    """The progress over all images, in thousand input pixels."""

    def __init__(self, listing: Listing, progress: Callable[[str, int, int], None] | None) -> None:
        self._report = progress
        self._sizes = [0] * len(listing.entries)
        for i in range(len(listing.entries)):
            try:
                width, height = listing.header(i).size
                self._sizes[i] = max(1, width * height // 1000)
            except BadImage:
                continue
        self._all = sum(self._sizes)
        self._say(0)

    def finish(self, number: int) -> None:
        """Count an image as done."""
        self._say(sum(self._sizes[: number + 1]))

    def tiles(self, number: int, shape: tuple[int, ...]) -> EachTile:
        """Return what the tiles of an image are reported to."""
        before = sum(self._sizes[:number])
        return lambda tile, count: self._say(int(before + self._sizes[number] * tile / count))

    def _say(self, done: int) -> None:
        if self._report is not None:
            self._report("upscaling (thousand pixels)", done, self._all)
