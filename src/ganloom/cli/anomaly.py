"""ganloom anomaly fit|score|evaluate ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import call_subcommand, with_progress
from ganloom.core.names import as_path, command_line, printable, word_of
from ganloom.core.stop_signals import continued_by
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Fit:
    """Learn normal images, or a table of normal rows; write a run folder that `score` and `evaluate` use.

    A fifth of the samples, at most 500, is held out: their scores set the threshold. With --method auto, one model is trained,
    and its scores and the controls, which need no GAN, are compared on synthetic damage of held-out samples. No anomaly is
    used. If the training is stopped, `ganloom resume RUN` continues it.
    """

    source: Annotated[str, Positional("GOOD")]
    """A folder of normal images, a built-in data set, or a CSV file of numbers with one normal sample per row."""
    out: str = "runs/anomaly"
    """The run folder, new or empty."""
    method: str = "auto"
    """auto; or rotations, d-features, rotations+d-features, rotations+knn-pooled (all of recipe ss-gan), f-anogan,
    f-anogan-features, ganomaly, ganomaly-features, anogan (slow), or a control: knn-pixels, knn-pooled, pca, texture, forest,
    random-d, noise-d."""
    shape: tuple[int, ...] | None = None
    """Shape of the images: side, height width, or channels height width. None: that of the images, or 64 pixels a side if they
    have none in common or are larger than 128."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    small: bool = True
    """The plan for small images and a CPU; --no-small: the paper's settings, which are for a GPU."""
    total_kimg: float | None = None
    """Length of the training, in thousands of images. None: that of the plan."""
    minutes: float | None = None
    """Length of the training in minutes. None: that of the plan."""
    alpha: float = 0.05
    """Share of normal samples that may be above the threshold."""
    seed: int = 0
    """Seed of everything: the same seed gives the same scores, bit for bit."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Score:
    """Score new images or rows, and say which are above the threshold."""

    run: Annotated[str, Positional("RUN")]
    """The run folder of `ganloom anomaly fit`."""
    source: Annotated[str, Positional("NEW")]
    """A folder of images, an image, or a CSV file with the columns of the training table."""
    out: str | None = None
    """A new .csv file with file, score, threshold, p_value and anomaly. None: the scores are printed."""
    heatmaps: str | None = None
    """A new or empty folder for pictures that show each image and, at its right, where it is unusual."""
    score: str | None = None
    """Another score than the chosen one, such as knn-pooled."""
    alpha: float = 0.05
    """Share of normal samples that may be above the threshold."""
    overwrite: bool = False
    """Replace existing files."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a detector on a test set, every score beside the controls, and write the figures into RUN/report.html.

    The threshold comes from the samples that `fit` held out, never from the test set.
    """

    run: Annotated[str, Positional("RUN")]
    """The run folder of `ganloom anomaly fit`."""
    test: Annotated[str, Positional("TEST")]
    """A folder with good/ and one folder for each kind of anomaly; for tables good.csv and other CSV files."""
    masks: str | None = None
    """A folder of masks, KIND/NAME.png or KIND/NAME_mask.png, for the AUROC of the pixels. None: TEST/ground_truth or
    TEST/../ground_truth, if there is one."""
    alpha: float = 0.05
    """Share of normal samples that may be above the threshold."""
    json: bool = False
    """Print one JSON object on stdout."""


def _fit(args: Fit, progress: Progress) -> None:
    from ganloom.anomaly import detector, fitting
    from ganloom.training.callbacks import Console

    detector.check_alpha(args.alpha)
    lengths: dict[str, Any] = {"total_kimg": args.total_kimg, "minutes": args.minutes}
    console = Console(progress=progress, stream=sys.stderr)
    again = command_line(["ganloom", "resume", word_of(args.out)])
    with continued_by(again, lambda: fitting.is_pending(as_path(args.out))):
        found = fitting.fit(
            args.source, args.out, method=args.method, shape=args.shape, fit_images=args.fit, small=args.small,
            seed=args.seed, device=args.device, console=console, progress=progress,
            **{name: value for name, value in lengths.items() if value is not None},
        )  # fmt: skip
    progress.stop()
    print_fitted(args.out, found, args.alpha, args.json)


def print_fitted(run: object, found: Any, alpha: float = 0.05, as_json: bool = False) -> None:
    """Print what a fitted detector is, and the next commands."""
    threshold, caution = found.threshold(alpha), found.caution(alpha)
    if as_json:
        facts = {"run": str(run), "score": found.score, "reason": found.reason, "threshold": threshold, "alpha": alpha}
        print(json.dumps(facts | {"areas": found.areas, "heat_map": found.map, "notes": found.notes}))
        return
    for note in (*found.notes, *([caution] if caution else [])):
        print(printable(note), file=sys.stderr)
    print(f"{found.reason}")
    held = len(found.hold_out[found.score])
    if caution:
        print(f"threshold {threshold:.6g}: the highest score of the {held} normal samples that were held out")
    else:
        print(
            f"threshold {threshold:.6g}: {1 - alpha:.0%} of normal samples are below it, by {held} that were held out"
        )
    if found.map is not None:
        print(f"heat maps: {found.map} (AUROC of pixels {found.map_areas[found.map]:.3f} on synthetic damage)")
    print(f"wrote {printable(run)}: anomaly/, report.html")
    print(following(["anomaly", "score", run, "NEW/"], ["anomaly", "evaluate", run, "TEST/"]))


def _score(args: Score, progress: Progress) -> None:
    from ganloom.apps.anomaly import score_files

    made = score_files(
        args.run, args.source, args.out, heatmaps=args.heatmaps, alpha=args.alpha, name=args.score, overwrite=args.overwrite,
        progress=progress,
    )  # fmt: skip
    progress.stop()
    for name, reason in made.bad:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    for note in made.notes:
        print(printable(note), file=sys.stderr)
    above = made.anomalies
    if args.json:
        rows = [
            {"file": name, "score": float(s), "p_value": float(p), "anomaly": bool(a)}
            for name, s, p, a in zip(made.names, made.scores, made.p_values, above, strict=True)
        ]
        paths = {"out": args.out, "heatmaps": args.heatmaps}
        print(json.dumps({"score": made.score, "threshold": made.threshold, "rows": rows, "bad": made.bad, **paths}))
        return
    if made.out is None:
        rows = [
            {"file": printable(n), made.score: f"{s:.6g}", "p": f"{p:.3g}", "anomaly": "yes" if a else "no"}
            for n, s, p, a in zip(made.names, made.scores, made.p_values, above, strict=True)
        ]  # fmt: skip
        print(table(rows))
    else:
        print(f"wrote {printable(made.out)}")
    if made.heat_maps is not None:
        print(f"wrote {len(made.names)} heat maps to {printable(made.heat_maps)}")
    print(f"{int(above.sum())} of {len(above)} are above the threshold {made.threshold:.6g} of {made.score}")
    print(following(["anomaly", "evaluate", args.run, "TEST/"]))


def _evaluate(args: Evaluate, progress: Progress) -> None:
    from ganloom.apps.anomaly import evaluate_run

    result = evaluate_run(args.run, args.test, alpha=args.alpha, masks=args.masks, progress=progress)
    progress.stop()
    if args.json:
        print(json.dumps(result.to_dict()))
        return
    for note in result.notes:
        print(printable(note), file=sys.stderr)
    kinds = ", ".join(f"{printable(kind)} {count}" for kind, count in result.kinds.items())
    print(f"{result.normal} normal samples; anomalies: {kinds}")
    print(table([_line(row, result.score) for row in result.rows]))
    print(
        "AUROC with 95 % intervals; false alarms and found: shares of normal samples and anomalies above the threshold, which "
        "comes from held-out normal samples"
    )
    if result.pixels is not None:
        print(f"AUROC of the pixels of the heat maps: {result.pixels:.3f}")
    print(result.verdict)
    print(f"wrote {printable(args.run)}/report.html")
    print(following(["anomaly", "score", args.run, "NEW/", "--heatmaps", "heatmaps"]))


def _line(row: Any, chosen: str) -> dict[str, str]:
    return {
        "score": f"{row.score}{' *' if row.score == chosen else ''}",
        "AUROC": str(row.auroc),
        "precision": f"{row.precision:.3f}",
        "false alarms": f"{row.false_alarms:.3f}",
        "found": f"{row.found:.3f}",
        "what": f"{'control: ' if row.is_control else ''}{row.title}",
    }


SUBCOMMANDS = {
    "fit": with_progress("anomaly fit", Fit, _fit),
    "score": with_progress("anomaly score", Score, _score),
    "evaluate": with_progress("anomaly evaluate", Evaluate, _evaluate),
}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("anomaly", SUBCOMMANDS, argv)
