"""Save image grids in a run folder: real data once, and samples of the EMA at ticks."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core import metrics_file
from ganloom.core.output_files import replace_file
from ganloom.imaging import grid, row_names
from ganloom.imaging.caption_grid import captioned_grid
from ganloom.training.callbacks.base import Callback, Row

MOST_GRIDS = 200
"""Most grids of samples in a run folder."""


class Grids(Callback):
    """Writes RUN/samples/: reals.png once, and samples of the EMA for the same latents at ticks.

    2-D points are drawn as scatter plots. Other data are not drawn. At most ``MOST_GRIDS`` grids of samples are kept, about
    evenly spaced, always with the first and the newest one.

    Args:
        every_tick: Number of ticks between two grids.
        n: Number of samples per grid.
    """

    POINTS = 1024

    def __init__(self, every_tick: int = 1, n: int = 64) -> None:
        self.every_tick, self.n = every_tick, n
        self._ticks = 0
        self._saved = -1

    def on_start(self, trainer: Any) -> None:
        shape = tuple(trainer.data.shape)
        drawable = len(shape) == 3 or (shape == (2,) and trainer.data.kind == "points")
        self._folder = Path(trainer.run_dir) / "samples" if trainer.run_dir is not None and drawable else None
        if self._folder is None:
            return
        classes = int(getattr(getattr(trainer.ema, "cfg", None), "n_classes", 0) or 0)
        self._points = shape == (2,)
        self._columns: int | None = None
        self._names: list[str] = []
        self._c: Tensor | None = None
        if classes and not self._points:
            drawn = getattr(trainer.ema, "drawn_classes", None) or range(classes)  # those that have images
            self._columns, rows = grid.class_rows(self.n, len(drawn))
            rows = [drawn[i] for i in rows]
            self._c = torch.tensor(rows).repeat_interleave(self._columns)
            self._names = _names(trainer.data, rows)
        self._count = self.POINTS if self._points else self.n if self._c is None else len(self._c)
        self._beside: list[Tensor] = []
        self._captions: list[str] = []
        if getattr(trainer.ema, "conditions_on", "") == "captions":
            self._caption(trainer)
        real = self._translations(trainer) if getattr(trainer.ema, "conditions_on", "") == "images" else None
        real = self._reals(trainer.data) if real is None else real
        self._extent = grid.reach(real) if self._points else None
        self._modes = getattr(trainer.data, "modes", None)
        self._written = self._of_earlier_sessions(trainer)
        if self._captions:
            rows = [i * len(trainer.data) // len(real) for i in range(len(real))]
            sheet = captioned_grid(real, trainer.data.captions_of(rows), self._columns)
        else:
            sheet = self._draw(real)
        grid.save_png(sheet, self._folder / "reals.png", overwrite=True)
        if self._beside:  # one input image, to try the model on
            one = grid.grid(self._beside[0][:1], 1, pad=0, scale=1)
            grid.save_png(one, self._folder / "input.png", overwrite=True)
        if self._names:
            replace_file(self._folder / "rows.json", json.dumps(self._names).encode(), sync=False)
        if trainer.start_nimg == 0:
            self._save(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._ticks += 1
        if self._ticks % self.every_tick == 0:
            self._save(trainer)

    def on_end(self, trainer: Any, reason: str) -> None:
        if reason == "finished" and trainer.nimg != self._saved:
            self._save(trainer)

    def _save(self, trainer: Any) -> None:
        if self._folder is None:
            return
        samples = trainer.ema.generate(self._count, seed=trainer.cfg.seed, c=self._c)
        if self._beside:  # input, output, and the true output if it is known
            samples = grid.side_by_side(self._beside[0], samples.cpu(), *self._beside[1:])
        grid.save_png(self._draw(samples), self._folder / _name(trainer.nimg), overwrite=True)
        self._saved = trainer.nimg
        self._written = sorted({*self._written, trainer.nimg})
        while len(self._written) > MOST_GRIDS:
            gone = least_needed(self._written)
            self._written.remove(gone)
            (self._folder / _name(gone)).unlink(missing_ok=True)

    def _of_earlier_sessions(self, trainer: Any) -> list[int]:
        """Return when the grids in the folder were written. A grid without a row in metrics.jsonl may be the user's."""
        rows = {0} | {row["nimg"] for row in metrics_file.read_rows(Path(trainer.run_dir) / "metrics.jsonl")}
        assert self._folder is not None
        return sorted(nimg for nimg in rows if (self._folder / _name(nimg)).is_file())

    def _translations(self, trainer: Any) -> Tensor:
        """Choose the inputs of an image-to-image model, from the held-out data if there are any; return the real images."""
        data = trainer.data.held or trainer.data
        count = max(1, min(self.n // 2, len(data)))
        rows = torch.tensor([i * len(data) // count for i in range(count)])
        self._c, self._count = trainer.ema.inputs(data, rows), count
        has_targets = data.paired or trainer.ema.makes_inputs
        shown = trainer.ema.shown_inputs(self._c).cpu()
        self._beside = [shown, *([data.get(rows).cpu()] if has_targets else [])]
        width = 2 + has_targets
        self._columns = width * max(1, round((width * count) ** 0.5 / width))
        real: Tensor = data.get(rows)
        return real

    def _caption(self, trainer: Any) -> None:
        """Choose captions of the data for the grids, evenly over it: a row of samples is one caption."""
        self._columns = max(1, round(math.sqrt(self.n)))
        count = max(1, min(self.n // self._columns, len(trainer.data)))
        rows = torch.tensor([i * len(trainer.data) // count for i in range(count)]).repeat_interleave(self._columns)
        self._c, self._count = trainer.ema.inputs(trainer.data, rows), len(rows)
        self._captions = trainer.data.captions_of(rows)

    def _draw(self, x: Tensor) -> Any:
        if self._points:
            return grid.scatter(x, self._modes, self._extent)
        if self._captions:
            return captioned_grid(x, self._captions, self._columns)
        image = grid.grid(x, self._columns)
        return row_names.beside(image, self._names) if self._names else image

    def _reals(self, data: Any) -> Tensor:
        """Return real data in the layout of the samples: by class, or evenly over the classes or the data set."""
        count, labels = self._count, getattr(data, "labels", None)
        labels = None if labels is None else torch.as_tensor(labels)
        if labels is None or labels.dim() != 1 or labels.is_floating_point():
            total = len(data)
            chosen = [i * total // count for i in range(min(count, total))]
        else:
            wanted = self._c if self._c is not None else torch.unique(labels).repeat(count)[:count]
            chosen = _members(labels, wanted.tolist()) or [i * len(data) // count for i in range(min(count, len(data)))]
        batch = data.get(torch.tensor(chosen))
        x: Tensor = getattr(batch, "x", batch)
        return x


def _names(data: Any, rows: Sequence[int]) -> list[str]:
    """Return the name of the class of each row; empty if the classes have no names."""
    known = getattr(data, "classes", None) or []
    return [str(known[i]) if i < len(known) else str(i) for i in rows] if known else []


def _name(nimg: int) -> str:
    return f"{nimg:08d}.png"


def least_needed(times: Sequence[int]) -> int:
    """Return which of three or more sorted numbers to remove, so that the rest is spaced as evenly as possible.

    Of two equally near numbers, the older one goes. The first and the last one stay.
    """
    inner = range(1, len(times) - 1)
    return times[min(inner, key=lambda i: (times[i + 1] - times[i - 1], i))]


def _members(labels: Tensor, wanted: Sequence[int]) -> list[int]:
    """Return for each wanted class the index of its next sample in ``labels``, cyclically."""
    rows = {c: torch.nonzero(labels == c).flatten().tolist() for c in set(wanted)}
    used = dict.fromkeys(rows, 0)
    chosen = []
    for c in wanted:
        if rows[c]:
            chosen.append(rows[c][used[c] % len(rows[c])])
            used[c] += 1
    return chosen
