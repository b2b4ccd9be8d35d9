"""A picture through a network in tiles, equal to the whole: instance norms see the sums of all tiles.

Tiles overlap by more than a pixel can see, so that where they meet both know the same; the rest of the overlap is blended.
InstanceNorm divides by statistics of the whole picture, which no tile knows: all tiles go forward together from norm to
norm, one computing at a time, and what waits lies in a file. Memory is then that of a tile, whatever the picture's size.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ganloom.networks.translate import InstanceNorm

RAMP = 16
"""Pixels over which neighbours are blended."""


class Tile(NamedTuple):
    """Rows [top, bottom) and columns [left, right) with their overlap, and the core [y0, y1) x [x0, x1) within."""

    top: int
    bottom: int
    left: int
    right: int
    y0: int
    y1: int
    x0: int
    x1: int


def spans(length: int, core: int, halo: int) -> list[tuple[int, int, int, int]]:
    """(start, end, core start, core end) of the tiles along one axis."""
    return [
        (max(0, at - halo), min(length, at + core + halo), at, min(length, at + core)) for at in range(0, length, core)
    ]


def tiles_of(height: int, width: int, side: int, reach: int, multiple: int) -> list[Tile]:
    """Tiles of about ``side`` pixels, overlap included, whose borders lie on multiples of ``multiple``."""
    halo = -(-(reach + RAMP) // multiple) * multiple
    core = max((side - 2 * halo) // multiple, -(-64 // multiple)) * multiple
    return [
        Tile(top, bottom, left, right, y0, y1, x0, x1)
        for top, bottom, y0, y1 in spans(height, core, halo)
        for left, right, x0, x1 in spans(width, core, halo)
    ]


@torch.no_grad()
def tiled(
    net: Callable[[Tensor], Tensor], owner: nn.Module, x: Tensor, tiles: list[Tile], progress: Callable[[int], None]
) -> Tensor:
    """``net`` on x (1, C, H, W) tile by tile; ``owner`` holds the norms. H and W are such as the network takes."""
    norms = [module for module in owner.modules() if isinstance(module, InstanceNorm)]
    out: list[Any] = [None, torch.zeros(1, 1, *x.shape[2:])]

    def finish(tile: Tile, y: Tensor) -> None:
        if out[0] is None:
            out[0] = torch.zeros(1, y.shape[1], *x.shape[2:])
        place = (..., slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        weight = _weight(tile, *x.shape[2:])
        out[0][place] += y.cpu().float() * weight
        out[1][place] += weight
        progress(1)

    if norms and len(tiles) > 1:
        _Together(net, x, tiles, norms, finish).run()
    else:
        for tile in tiles:
            finish(tile, net(x[..., tile.top : tile.bottom, tile.left : tile.right]))
    joined: Tensor = out[0] / out[1]
    return joined


def _weight(tile: Tile, height: int, width: int) -> Tensor:
    """1 in the core, falling to 0 over RAMP pixels beyond it."""
    lines = []
    for start, end, a, b in ((tile.top, tile.bottom, tile.y0, tile.y1), (tile.left, tile.right, tile.x0, tile.x1)):
        at = torch.arange(start, end) + 0.5
        lines.append((torch.minimum(at - a, b - at) / RAMP + 1).clamp(0, 1))
    return lines[0][:, None] * lines[1][None, :]


class _Together:
    """The tiles' passes, each in a thread of its own, of which one at a time runs."""

    def __init__(
        self, net: Callable[[Tensor], Tensor], x: Tensor, tiles: list[Tile], norms: list[InstanceNorm], finish: Any
    ) -> None:
        self.net, self.x, self.tiles, self.norms, self.finish = net, x, tiles, norms, finish
        self.turn, self.mine = threading.Lock(), threading.local()
        self.sums: list[Any] = [None] * len(tiles)
        self.found: tuple[Tensor, Tensor] | None = None
        self.barrier = threading.Barrier(len(tiles), action=self._add)
        self.fault: BaseException | None = None

    def run(self) -> None:
        """All tiles, to the end; what one of them raises is raised here."""
        with tempfile.TemporaryDirectory(prefix="ganloom-tiles-") as folder, self._gathered():
            self.folder = folder
            threads = [threading.Thread(target=self._one, args=(i,)) for i in range(len(self.tiles))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.fault is not None:
            raise self.fault

    @contextlib.contextmanager
    def _gathered(self) -> Iterator[None]:
        for norm in self.norms:
            norm.gather = self._gather
        try:
            yield
        finally:
            for norm in self.norms:
                norm.gather = None

    def _one(self, index: int) -> None:
        self.mine.index, tile = index, self.tiles[index]
        try:
            with torch.no_grad(), self.turn:
                part = self.x[..., tile.top : tile.bottom, tile.left : tile.right]
                self.finish(tile, self.net(part))
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            self.fault = self.fault or error
            self.barrier.abort()

    def _gather(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (1, C, 1, 1) over the cores of all tiles at this norm."""
        tile = self.tiles[self.mine.index]
        down = (tile.bottom - tile.top) / x.shape[2], (tile.right - tile.left) / x.shape[3]
        rows = slice(round((tile.y0 - tile.top) / down[0]), round((tile.y1 - tile.top) / down[0]))
        columns = slice(round((tile.x0 - tile.left) / down[1]), round((tile.x1 - tile.left) / down[1]))
        core = x[..., rows, columns].double()
        self.sums[self.mine.index] = core.sum((2, 3)), core.square().sum((2, 3)), core.shape[2] * core.shape[3]
        del core
        path = os.path.join(self.folder, f"{self.mine.index}.bin")
        x.detach().clone().numpy().tofile(path)  # a clone, for what numpy has seen cannot be resized
        storage, size = x.untyped_storage(), x.untyped_storage().nbytes()
        shape, strides = x.shape, x.stride()
        storage.resize_(0)  # its memory is free while the others compute
        self.turn.release()
        try:
            self.barrier.wait()
        finally:
            self.turn.acquire()
        storage.resize_(size)
        assert x.shape == shape and x.stride() == strides
        x.copy_(torch.from_numpy(np.fromfile(path, np.float32)).view(shape))
        assert self.found is not None
        return self.found

    def _add(self) -> None:
        total, squares, count = (sum(part[i] for part in self.sums) for i in range(3))
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        self.found = mean.float()[..., None, None], variance.float()[..., None, None]
