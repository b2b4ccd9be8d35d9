"""Save sample texts in a run folder: real texts once, and texts of the model at ticks."""

from pathlib import Path
from typing import Any

from ganloom.core.output_files import replace_file
from ganloom.training.callbacks.base import Callback, Row
from ganloom.training.callbacks.grids import MOST_GRIDS, least_needed

LONGEST = 500
"""Longest text in a file of samples, in characters."""


class SampleTexts(Callback):
    """Writes RUN/samples/: reals.txt once, and texts for the same latents at ticks, a text a line.

    Models of tokens without names are not written. At most ``MOST_GRIDS`` files of samples are kept.

    Args:
        n: Number of texts in a file.
    """

    def __init__(self, n: int = 20) -> None:
        self.n = n
        self._saved = -1
        self._folder: Path | None = None

    def on_start(self, trainer: Any) -> None:
        named = getattr(trainer.gan, "tokens", None) is not None
        self._folder = Path(trainer.run_dir) / "samples" if trainer.run_dir is not None and named else None
        if self._folder is None:
            return
        count = min(self.n, len(trainer.data))
        rows = [i * len(trainer.data) // count for i in range(count)]
        _write(self._folder / "reals.txt", trainer.gan.texts(trainer.data.get(rows)))
        if trainer.start_nimg == 0:
            self._save(trainer)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._save(trainer)

    def on_end(self, trainer: Any, reason: str) -> None:
        if reason == "finished" and trainer.nimg != self._saved:
            self._save(trainer)

    def _save(self, trainer: Any) -> None:
        if self._folder is None:
            return
        made = trainer.ema.generate(self.n, seed=trainer.cfg.seed)
        _write(self._folder / f"{trainer.nimg:08d}.txt", trainer.gan.texts(made))
        self._saved = trainer.nimg
        files = sorted((int(file.stem), file) for file in self._folder.glob("*.txt") if file.stem.isdigit())
        if len(files) > MOST_GRIDS:
            gone = least_needed([nimg for nimg, _ in files])
            (self._folder / f"{gone:08d}.txt").unlink(missing_ok=True)


def _write(file: Path, texts: list[str]) -> None:
    lines = [" ".join(text.split())[:LONGEST] for text in texts]
    replace_file(file, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"), sync=False)
