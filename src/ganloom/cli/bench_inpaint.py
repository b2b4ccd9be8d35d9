"""ganloom bench inpaint DATA ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import FeatureBenchFlags
from ganloom.core.names import printable
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments(FeatureBenchFlags):
    """Measure how well a model fills holes, by hole size, beside the mean colour, a biharmonic fill and, where OpenCV is
    installed, its Telea and Navier-Stokes fills. Use images that the model was not trained on."""

    data: Annotated[str, Positional("DATA")]
    """A folder of images, a built-in data set, or a run that held out images (--held-out), which are measured on."""
    model: str = "photographs"
    """photographs, biharmonic, big-lama, lama-fourier, a run or model/ folder, or a file of LaMa."""
    n: int = 256
    """Number of images."""
    crop: int | None = None
    """Cut crops with this side from the photographs, at random scales. None: whole images, in the model's size."""
    holes: Literal["lama", "quarter"] = "lama"
    """lama: strokes and boxes of all sizes; quarter: one box, or strokes, of about a quarter of the image."""
    last: int | None = None
    """Use only the last images of the data set, such as those that a training left out."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "bench inpaint")
    from ganloom.bench.inpaint import benchmark

    with Progress() as progress:
        progress("loading the model")
        report = benchmark.measure(
            args.data, args.model, n=args.n, crop=args.crop, holes=args.holes, last=args.last, features=args.features,
            seed=args.seed, device=args.device, progress=progress,
        )  # fmt: skip
    for name, reason in report.left_out:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    if args.json:
        rows = {
            size: {name: {k: v.value for k, v in figures.items()} for name, figures in methods.items()}
            for size, methods in report.rows.items()
        }
        print(
            json.dumps(
                {"rows": rows, "images": report.images, "features": report.features, "left_out": report.left_out}
            )
        )
        return
    print(table([_line(size, name, v) for size, methods in report.rows.items() for name, v in methods.items()]))
    print(
        f"means over the images with 95 % intervals; features: distance in {report.features}; lower L1 and features are better"
    )
    print(following(["inpaint", "IN", "MASK", "OUT", "--model", args.model]))


def _line(size: str, name: str, figures: dict[str, Any]) -> dict[str, str]:
    metrics = {"masked L1": "masked_l1", "PSNR": "psnr", "hole PSNR": "hole_psnr", "features": "features"}
    return {
        "hole": size,
        "images": f"{figures['images'].value:.0f}",
        "method": name,
        **{title: str(figures[key]) for title, key in metrics.items()},
    }
