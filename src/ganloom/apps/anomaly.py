"""Score files with a fitted anomaly detector, and measure it: CSV of scores, heat maps, figures in the run's report."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly import detector, evaluation, fitting, heat_maps, pictures
from ganloom.anomaly.detector import ALPHA, Detector
from ganloom.anomaly.estimator import open_for
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_file, new_folder, write_new
from ganloom.data.own_folders import mark_output
from ganloom.imaging import grid
from ganloom.report import page
from ganloom.report.progress import Report

COLUMNS = ("file", "score", "threshold", "p_value", "anomaly")


@dataclass(frozen=True)
class Scored:
    """What ``score_files`` found and wrote."""

    names: list[str]
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]
    threshold: float
    score: str
    out: Path | None
    heat_maps: Path | None
    bad: list[tuple[str, str]]
    notes: list[str]

    @property
    def anomalies(self) -> NDArray[np.bool_]:
        """Which samples are above the threshold."""
        return np.asarray(self.scores > self.threshold)


def score_files(
    run: str | Path,
    source: str | Path,
    out: str | Path | None = None,
    *,
    heatmaps: str | Path | None = None,
    alpha: float = ALPHA,
    name: str | None = None,
    overwrite: bool = False,
    progress: Report = None,
) -> Scored:
    """Score new images or rows; write a CSV file and heat maps.

    Args:
        run: A run folder of ``ganloom anomaly fit``.
        source: A folder of images, an image, or a CSV file of numbers.
        out: A new .csv file. None: nothing is written.
        heatmaps: A new or empty folder for heat maps, one PNG per image. None: no heat maps.
        alpha: Share of normal samples that may be above the threshold.
        name: Name of the score; None: the one that counts.
        overwrite: Replace existing files.
        progress: Called with (what, done, total).

    Raises:
        BadInput: An argument cannot be used.
    """
    detector.check_alpha(alpha)
    target = None if out is None else new_file(out, (".csv",), overwrite=overwrite)
    folder = None if heatmaps is None else new_folder(heatmaps, overwrite=overwrite, flag="--heatmaps ")
    found = fitting.open_run(run, progress)
    if name is not None and name not in found.hold_out:
        raise BadInput(f"--score must be one of {', '.join(found.hold_out)}, got {name}")
    if folder is not None and found.map is None:
        raise BadInput("--heatmaps is for images, and this detector has learned a table. Leave it out")
    opened = open_for(found, as_path(source), progress)
    scores = found.scores(opened.x, name, progress)
    made = Scored(
        opened.names, scores, found.p_values(scores, name), found.threshold(alpha, name), name or found.score, target, folder,
        opened.bad, [*opened.notes, *([found.caution(alpha)] if found.caution(alpha) else [])],
    )  # fmt: skip
    if target is not None:
        write_new(target, _csv(made).encode(), overwrite=overwrite)
    if folder is not None:
        _write_maps(found, made, opened.x, folder, overwrite, progress)
    return made


def _csv(made: Scored) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, score, p, above in zip(made.names, made.scores, made.p_values, made.anomalies, strict=True):
        writer.writerow((name, repr(float(score)), repr(made.threshold), f"{p:.6g}", "yes" if above else "no"))
    return text.getvalue()


def _write_maps(found: Detector, made: Scored, x: Tensor, folder: Path, overwrite: bool, progress: Report) -> None:
    """Write one picture per image: the image, and its heat map at its right."""
    assert found.map is not None and found.map_range is not None
    is_new = not folder.is_dir() or not any(folder.iterdir())
    maps = heat_maps.draw(found.map, found.scorers, x, progress)
    plain = [Path(name).with_suffix(".png") for name in made.names]
    taken = Counter(str(path).casefold() for path in plain)
    for number, (name, path) in enumerate(zip(made.names, plain, strict=True)):
        if progress is not None:
            progress("writing heat maps", number, len(plain))
        relative = Path(f"{name}.png") if taken[str(path).casefold()] > 1 else path
        relative = Path(relative.name) if relative.is_absolute() else relative
        image = pictures.beside(x[number], maps[number], found.map_range)
        grid.save_png(image, folder / relative, overwrite=overwrite)
    if is_new:
        mark_output(folder, "anomaly score")


def evaluate_run(
    run: str | Path,
    test: str | Path,
    *,
    alpha: float = ALPHA,
    masks: str | Path | None = None,
    progress: Report = None,
) -> evaluation.Result:
    """Measure a detector on a test set, and write the figures into its report.

    Args:
        run: A run folder of ``ganloom anomaly fit``.
        test: A folder with good/ and one folder for each kind of anomaly, or good.csv and other CSV files.
        alpha: Share of normal samples that may be above the threshold.
        masks: A folder of masks; see ``evaluation.evaluate``.
        progress: Called with (what, done, total).

    Raises:
        BadInput: An argument cannot be used.
    """
    detector.check_alpha(alpha)
    evaluation.test_folders(as_path(test))
    found = fitting.open_run(run, progress)
    result = evaluation.evaluate(found, as_path(test), alpha=alpha, masks=masks, progress=progress)
    path = as_path(run)
    detector.write_json(
        path / detector.FOLDER / "evaluation.json", {"test": str(test), "alpha": alpha, **result.to_dict()}
    )
    pictures.write(found, result.x, result.scores, [bool(v) for v in result.anomalous], path)
    page.write(path)
    return result
