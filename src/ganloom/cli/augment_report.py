"""ganloom augment report DATA --with RUN ..."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.names import printable, word_of
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Say whether the images of a GAN help a classifier. Small classifiers are trained on real images, on real ones with
    classic augmentation, on generated ones (CAS), and on both, with several seeds, at several numbers of labels. They are
    tested on images that neither they nor the GAN were trained on. If you stop it, run the same command to continue."""

    data: Annotated[str, Positional("DATA")]
    """Labelled images: class folders, .zip, .npz, or the name of a built-in data set."""
    with_: tuple[str, ...]
    """A run or model/ folder, trained with the classes of DATA. Of several, each row takes the one that was trained on the most
    labels, but not more than the row has (see `ganloom augment subset`)."""
    labels: tuple[str, ...] = ("20", "100", "all")
    """Numbers of real images of each class; all: all of DATA. The rows of the report."""
    seeds: int = 3
    """Number of trainings of each classifier."""
    seed: int = 0
    """The first seed."""
    test: str | None = None
    """Labelled test images. None: those that RUN held out, or those of DATA that it was not trained on."""
    per_class: int | None = None
    """Number of generated images of each class. None: as many as real ones, 1,000 to 6,000."""
    steps: int | None = None
    """Steps of each classifier, of 128 images. None: four epochs of the real images, 300 to 600."""
    truncation: float = 1.0
    """Below 1: generated images are more typical and less diverse."""
    flip: bool = False
    """Mirror images in the classic augmentation too. Use it only where a mirrored image has the same class."""
    resize: bool = False
    """Resize images to the size that RUN generates. Otherwise other sizes are refused."""
    out: str | None = None
    """The folder for report.html, report.json and the finished classifiers. None: runs/augment-DATA-RUN."""
    checkpoint: str = "latest"
    """latest, best, or the name of a checkpoint."""
    device: str = "auto"
    """auto, cpu, cuda or mps, for the generator."""
    overwrite: bool = False
    """Replace a report in the folder that was changed since it was written."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train the classifiers, print the table and the verdicts."""
    args = parse(Arguments, argv, "augment report")
    from ganloom.apps.augment_report import augmentation_report

    out = args.out or folder_of(args.data, args.with_)
    with continued_by_the_same_command(), Progress() as progress:
        report = augmentation_report(
            args.data, args.with_, test=args.test, labels=args.labels, seeds=args.seeds, seed=args.seed,
            per_class=args.per_class, steps=args.steps, truncation=args.truncation, flip=args.flip, resize=args.resize,
            out=out, checkpoint=args.checkpoint, device=args.device, overwrite=args.overwrite, progress=progress,
        )  # fmt: skip
    if args.json:
        print(json.dumps(report.to_dict()))
        return
    print("\n".join(printable(line) for line in report.lines()))
    print(f"wrote {printable(out)}: report.html, report.json")
    model = word_of(args.with_[-1])
    if any(row.verdict.word == "helps" for row in report.rows):
        print(
            following(
                ["augment", "data", word_of(args.data), "--with", model, "--per-class", 1000, "--out", "augmented"]
            )
        )
    else:
        print(following(["evaluate", model], ["resume", model]))


def folder_of(data: str, runs: Sequence[str]) -> Path:
    """The default folder, runs/augment-DATA-RUN: the same command uses the same folder."""
    plain = (re.sub(r"[^\w.-]+", "-", Path(word).name or word).strip("-.") for word in (data, *runs))
    return Path("runs") / "-".join(["augment", *plain])
