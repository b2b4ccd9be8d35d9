"""A fitted detector: its scores on the hold-out, the threshold that follows from them, and its files in a run folder.

RUN/anomaly/detector.json holds what was chosen and the scores of the hold-out; RUN/anomaly/rows.safetensors holds the normal
samples that neighbours are searched in, so that RUN works when the training data are gone.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly.choice import Choice
from ganloom.anomaly.scorers import Scorers
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.imaging import levels
from ganloom.report.progress import Report

FOLDER, FILE, ROWS = "anomaly", "detector.json", "rows.safetensors"
FORMAT = 1
ALPHA = 0.05
"""Share of normal samples that are above the threshold, by default."""
Array = NDArray[np.float64]


class Saved(TypedDict):
    """detector.json."""

    format: int
    score: str
    method: str
    reason: str
    seed: int
    shape: list[int]
    fit: NotRequired[str]
    hold_out: dict[str, list[float]]
    scales: dict[str, list[float]]
    areas: dict[str, Any]
    map: NotRequired[str | None]
    map_areas: NotRequired[dict[str, float]]
    map_range: NotRequired[list[float] | None]
    columns: NotRequired[list[str] | None]
    centre: NotRequired[list[float] | None]
    spread: NotRequired[list[float] | None]
    checkpoint: NotRequired[str | None]
    data: NotRequired[str]
    image_scales: NotRequired[dict[str, Any]]
    notes: NotRequired[list[str]]


class Request(TypedDict):
    """request.json: what the user asked for."""

    method: str
    seed: int
    columns: dict[str, Any] | None
    notes: NotRequired[list[str]]


@dataclass
class Detector:
    """Scores samples, and says which are above the threshold.

    Attributes:
        scorers: Computes the scores.
        score: Name of the score that counts.
        method: What the user asked for, such as "auto".
        reason: Why this score, in words.
        shape: Shape of a sample.
        hold_out: Score -> its values on the held-out normal samples, sorted.
        areas: Score -> kind of synthetic damage -> AUROC; empty if the method was given.
        fit: How images of another shape are resized, see ``data.resize``.
        map: Name of the heat map; None for tables.
        map_areas: Heat map -> AUROC of its pixels on synthetic damage.
        map_range: The median, and the value that 1 in 1,000 pixels exceeds, of the heat maps of held-out normal images.
        columns, centre, spread: Of tables: the names of the columns, and what they are shifted and divided by.
        checkpoint: Name of the model's checkpoint.
        data: Name of the training data.
        image_scales: Which numbers were black and white in training, for images of more than 8 bits.
        notes: Lines for the user.
    """

    scorers: Scorers
    score: str
    method: str
    reason: str
    shape: tuple[int, ...]
    hold_out: dict[str, Array]
    areas: dict[str, dict[str, float]] = field(default_factory=dict)
    fit: str = "crop"
    map: str | None = None
    map_areas: dict[str, float] = field(default_factory=dict)
    map_range: list[float] | None = None
    columns: list[str] | None = None
    centre: list[float] | None = None
    spread: list[float] | None = None
    checkpoint: str | None = None
    data: str = ""
    image_scales: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    # ---- scores
    def scores(self, x: Tensor, name: str | None = None, progress: Report = None) -> Array:
        """Return one score (N,) of samples (N, *shape); None: the score that counts."""
        found = self.scorers.scores(x, (name or self.score,), progress)
        if not found:
            raise BadInput(f"the score {name or self.score} cannot be computed: {'; '.join(self.scorers.notes)}")
        return next(iter(found.values()))

    def threshold(self, alpha: float = ALPHA, name: str | None = None) -> float:
        """Return the score above which a sample counts as an anomaly; see ``quantile``."""
        return quantile(self.hold_out[name or self.score], alpha)

    def p_values(self, scores: Array, name: str | None = None) -> Array:
        """Return for each score the probability that a normal sample has it or a higher one (a conformal p-value)."""
        normal = self.hold_out[name or self.score]
        above = len(normal) - np.searchsorted(normal, scores, side="left")
        return np.asarray((1 + above) / (1 + len(normal)), np.float64)

    def caution(self, alpha: float = ALPHA) -> str:
        """Say that the hold-out is too small for a threshold at ``alpha``; empty if it is not."""
        n = len(self.hold_out[self.score])
        if (n + 1) * alpha >= 1:
            return ""
        return (
            f"only {n} normal samples were held out: the threshold is the highest of their scores, and about 1 in {n + 1} "
            f"normal samples will be above it, not {alpha:.0%}; more normal samples give a better threshold"
        )

    # ---- files
    def save(self, run: Path) -> Path:
        """Write RUN/anomaly/; return the folder."""
        folder = run / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        rows = self.scorers.train
        stored = ((rows + 1) * 127.5).round().to(torch.uint8) if rows.dim() == 4 else rows
        content = safetensors.torch.save({"rows": stored.contiguous()})
        replace_file(folder / ROWS, content)
        saved: Saved = {
            "format": FORMAT,
            "score": self.score,
            "method": self.method,
            "reason": self.reason,
            "seed": self.scorers.seed,
            "shape": list(self.shape),
            "fit": self.fit,
            "hold_out": {name: values.tolist() for name, values in self.hold_out.items()},
            "scales": {name: list(pair) for name, pair in self.scorers.scales.items()},
            "areas": self.areas,
            "map": self.map,
            "map_areas": self.map_areas,
            "map_range": self.map_range,
            "columns": self.columns,
            "centre": self.centre,
            "spread": self.spread,
            "checkpoint": self.checkpoint,
            "data": self.data,
            "image_scales": self.image_scales,
            "notes": self.notes,
        }
        write_json(folder / FILE, dict(saved))
        return folder


def quantile(normal: Array, alpha: float) -> float:
    """Return the threshold that a new normal sample exceeds with a probability of at most ``alpha``.

    It is the ceil((n + 1) (1 - alpha))-th smallest of n scores of held-out normal samples, or the largest if n is too small.

    Args:
        normal: Scores of held-out normal samples, sorted.
        alpha: The share, above 0 and below 1.
    """
    check_alpha(alpha)
    place = math.ceil((len(normal) + 1) * (1 - alpha))
    return float(normal[min(place, len(normal)) - 1])


def check_alpha(alpha: float) -> None:
    """Raise BadInput if ``alpha`` is not a share."""
    if not 0 < alpha < 1:
        raise BadInput(f"--alpha must be above 0 and below 1, got {alpha:g}")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file of the detector, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(value, indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file. Raises BadInput if it is damaged."""
    return json_files.read(path, fix="Remove it, and run the command again")


def exists(run: Path) -> bool:
    """Whether a run folder has a fitted detector."""
    return (run / FOLDER / FILE).is_file()


def read(run: Path) -> dict[str, Any]:
    """Return detector.json of a run. Raises BadInput if it is missing or damaged."""
    return json_files.read(run / FOLDER / FILE, Saved, fix="Fit the detector again")


def read_request(path: Path) -> dict[str, Any]:
    """Read request.json. Raises BadInput if it is damaged."""
    return json_files.read(path, Request, fix="Fit the detector again")


def load(run: Path, model: Any) -> Detector:
    """Load a detector.

    Args:
        run: The run folder.
        model: The trained model of the run, or None for a method without one.

    Raises:
        BadInput: A file is missing or damaged.
    """
    saved = read(run)
    path = run / FOLDER / ROWS
    try:
        rows = safetensors.torch.load_file(path)["rows"]
    except Exception as error:
        raise BadInput(f"{path} is missing or damaged ({type(error).__name__}): fit the detector again") from error
    shape = tuple(saved["shape"])
    if tuple(rows.shape[1:]) != shape or not len(rows):
        raise BadInput(f"{path} has samples of shape {tuple(rows.shape[1:])}, not {shape}: fit the detector again")
    train = levels.from_levels(rows) if rows.dim() == 4 else rows.float()
    scorers = Scorers(train, model, int(saved["seed"]))
    scorers.load_scales(saved["scales"])
    hold_out = {name: np.sort(np.asarray(values, np.float64)) for name, values in saved["hold_out"].items()}
    if not len(hold_out.get(saved["score"], ())):
        raise BadInput(f"{run / FOLDER / FILE} has no scores of the hold-out: fit the detector again")
    optional: Sequence[str] = (
        "fit", "map", "map_areas", "map_range", "columns", "centre", "spread", "checkpoint", "data", "image_scales",
        "notes",
    )  # fmt: skip
    return Detector(
        scorers, saved["score"], saved["method"], saved["reason"], shape, hold_out, saved["areas"],
        **{name: saved[name] for name in optional if name in saved},
    )  # fmt: skip


def fitted(
    scorers: Scorers, values: Mapping[str, Array], score: str, method: str, reason: str, choice: Choice | None
) -> Detector:
    """Build the detector from the scores of the hold-out.

    Args:
        scorers: The scores.
        values: Score -> its values on the held-out normal samples.
        score: Name of the score that counts.
        method: What the user asked for.
        reason: Why this score.
        choice: How it was chosen, or None.
    """
    if score not in values:
        raise BadInput(f"the score {score} cannot be computed: {'; '.join(scorers.notes)}")
    shape = tuple(scorers.train.shape[1:])
    areas = {} if choice is None else choice.areas
    ordered = {name: np.sort(v) for name, v in values.items()}
    return Detector(scorers, score, method, reason, shape, ordered, areas, notes=list(scorers.notes))
