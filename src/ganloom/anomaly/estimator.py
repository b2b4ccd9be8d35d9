"""Anomaly detection in scikit-learn's manner: ``Anomaly().fit(normal).score(new)``."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganloom.anomaly import fitting, heat_maps, sources
from ganloom.anomaly.detector import ALPHA, Detector
from ganloom.core.errors import BadInput
from ganloom.report.progress import Report
from ganloom.training.callbacks import Callback, Console

Array = NDArray[np.float64]


class Anomaly:
    """A detector of unusual images or rows of a table, which learns normal ones only.

    Args:
        method: "auto" (train one model, and choose its best score or a control by synthetic damage), or the name of a score;
            see docs/anomaly.md.
        out: The run folder, new or empty. None: a temporary folder, which is removed with the object.
        alpha: Share of normal samples that may be above the threshold.
        shape: Shape that images are brought to, (C, H, W). None: see ``ganloom.data.open``.
        seed: Seed of everything: the same seed gives the same scores, bit for bit.
        progress: Called with (what, done, total).
        console: Shows the training. None: a table or lines on stderr.
        options: Options of ``ganloom.train``, such as ``total_kimg``, ``minutes`` or ``device``.

    Attributes:
        detector_: What ``fit`` made.
        threshold_: Score above which a sample counts as an anomaly.
        score_: Name of the score that counts.
        reason_: Why this score, in words.
    """

    detector_: Detector

    def __init__(
        self,
        method: str = "auto",
        out: str | Path | None = None,
        *,
        alpha: float = ALPHA,
        shape: Sequence[int] | None = None,
        seed: int = 0,
        progress: Report = None,
        console: Callback | None = None,
        **options: Any,
    ) -> None:
        self.method, self.out, self.alpha, self.shape, self.seed = method, out, alpha, shape, seed
        self.progress, self.console, self.options = progress, console, options
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def load(cls, run: str | Path, *, alpha: float = ALPHA, progress: Report = None) -> Self:
        """Load a detector from its run folder.

        Args:
            run: The run folder.
            alpha: Share of normal samples that may be above the threshold.
            progress: Called with (what, done, total).

        Raises:
            BadInput: The folder holds no detector.
        """
        made = cls(out=run, alpha=alpha, progress=progress)
        made._take(fitting.open_run(run, progress))
        return made

    def fit(self, normal: Any, y: Any = None) -> Self:
        """Learn normal samples.

        Args:
            normal: Normal samples only: a folder of images, a CSV file of numbers, an array (N, H, W, C) or (N, d), a frame, or
                what else ``ganloom.data.open`` accepts.
            y: Not used; it is there for scikit-learn's pipelines.

        Returns:
            The object itself.

        Raises:
            BadInput: The samples or an option cannot be used.
        """
        out = self.out
        if out is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="ganloom-anomaly-")
            out = Path(self._temporary.name) / "run"
        self._take(
            fitting.fit(
                normal, out, method=self.method, shape=self.shape, seed=self.seed, progress=self.progress,
                console=self.console or Console(), **self.options,
            )
        )  # fmt: skip
        return self

    def score(self, new: Any, name: str | None = None) -> Array:
        """Return how unusual samples are, (N,); higher is more unusual.

        Args:
            new: Samples, in any form that ``fit`` accepts, or a single image file.
            name: Name of a score; None: the one that counts.
        """
        return self._detector().scores(self._open(new).x, name, self.progress)

    def score_samples(self, new: Any) -> Array:
        """Return minus ``score``: scikit-learn's convention, in which lower is more unusual."""
        return -self.score(new)

    def predict(self, new: Any) -> NDArray[np.int64]:
        """Return -1 for anomalies and 1 for normal samples, as scikit-learn's detectors do, (N,)."""
        return np.where(self.score(new) > self.threshold_, -1, 1).astype(np.int64)

    def p_values(self, new: Any) -> Array:
        """Return for each sample the probability that a normal one has a score as high, (N,)."""
        return self._detector().p_values(self.score(new))

    def heat_maps(self, new: Any) -> NDArray[np.float32]:
        """Return how unusual each pixel is, (N, H, W) in the shape of the detector.

        Raises:
            BadInput: The detector has learned a table.
        """
        found = self._detector()
        if found.map is None:
            raise BadInput("heat maps are for images, and this detector has learned a table")
        return heat_maps.draw(found.map, found.scorers, self._open(new).x, self.progress)

    def _detector(self) -> Detector:
        if not hasattr(self, "detector_"):
            raise BadInput("the detector has learned nothing yet: call fit(normal) first, or Anomaly.load(RUN)")
        return self.detector_

    def _open(self, new: Any) -> sources.Opened:
        return open_for(self._detector(), new, self.progress)

    def _take(self, found: Detector) -> None:
        self.detector_ = found
        self.threshold_ = found.threshold(self.alpha)
        self.score_, self.reason_ = found.score, found.reason


def open_for(found: Detector, new: Any, progress: Report = None) -> sources.Opened:
    """Open samples in the shape of a detector; see ``sources.open_new``."""
    columns = None
    if found.columns is not None:
        columns = sources.Columns(found.columns, list(found.centre or ()), list(found.spread or ()))
    return sources.open_new(new, found.shape, columns, found.fit, found.image_scales, progress)
