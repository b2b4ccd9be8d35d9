"""ganloom bench restore PHOTOS ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import FeatureBenchFlags
from ganloom.core.names import printable
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments(FeatureBenchFlags):
    """Measure super-resolution models beside bicubic and Lanczos: crops of photographs are reduced and enlarged again. Prints
    errors, the distance in the features of a network, and regular patterns on flat areas. Use photographs that the models
    were not trained on."""

    data: Annotated[str, Positional("PHOTOS")]
    """A folder of photographs."""
    model: tuple[str, ...] = ("compact",)
    """One or more models of the same factor: names (see `ganloom upscale --help`), runs or files. The others are compared
    with the first."""
    n: int = 64
    """Number of crops."""
    crop: int = 256
    """Side of the crops, which are cut at random scales."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "bench restore")
    from ganloom.bench.restore import benchmark

    with Progress() as progress:
        progress("loading the models")
        report = benchmark.measure(
            args.data, args.model, n=args.n, crop=args.crop, features=args.features, seed=args.seed, device=args.device,
            progress=progress,
        )  # fmt: skip
    for name, reason in report.left_out:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    if args.json:
        print(json.dumps(dataclasses.asdict(report)))
        return
    print(table([_line(name, figures) for name, figures in report.rows.items()]))
    for name, figures in report.differences.items():
        first = next(iter(report.rows))
        share = figures["features"].value / max(report.rows[first]["features"].value, 1e-12)
        print(
            f"{name} minus {first}: PSNR {figures['psnr']} dB, features {figures['features']} "
            f"({abs(share):.1%} {'nearer to' if share < 0 else 'farther from'} the true images)"
        )
    print(
        f"{report.images} crops, reduced by {report.scale}; means with 95 % intervals; features: distance in {report.features}; "
        f"grid: pattern with a period of {report.scale} pixels on {report.flat} flat blocks, in levels of 255, and its 99th "
        "percentile; peak: power at the frequencies of that pattern, divided by that beside them; lower features, grid and "
        "peak are better"
    )
    print(following(["upscale", "IN", "OUT", "--model", args.model[0]]))


def _line(name: str, figures: dict[str, Any]) -> dict[str, str]:
    titles = {
        "PSNR": "psnr",
        "SSIM": "ssim",
        "features": "features",
        "grid": "grid",
        "grid 99 %": "grid_worst",
        "peak": "grid_peak",
    }
    return {"method": name, **{title: str(figures[key]) if key in figures else "" for title, key in titles.items()}}
