"""ganloom augment preview DATA --out FILE.png"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from ganloom.cli.messages import following
from ganloom.cli.parse import parse, subcommand


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Real images as D sees them under ADA at several strengths and under DiffAugment; and beside them what G would draw if
    the augmentation leaked into its images. What must not be seen in samples, such as mirrored text, should not stand there.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder, class folders, .zip, .npz, .npy, or a built-in set."""
    out: str
    """The new sheet, a .png; the leak goes beside it as ...-leak.png."""
    p: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """Strengths of ADA."""
    parts: tuple[str, ...] = ("blit", "geometry", "colour")
    """Of ADA's pipeline: blit (flip, quarter, shift), geometry (scale, rotate, stretch, slide), colour (brightness, contrast,
    invert, hue, saturation), filter, noise, cutout; parts, or single ones of their transformations."""
    policy: tuple[str, ...] = ("colour", "translation", "cutout")
    """Of DiffAugment: colour, translation, cutout, flip."""
    n: int = 6
    """Images, a row each."""
    seed: int = 0
    """Everything random follows from it."""
    shape: tuple[int, int, int] | None = None
    """Channels, height, width that you mean to train at. None: as the data suggest."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How an image of another size is brought to the shape."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, draw, say what was written."""
    use = "`ganloom augment preview DATA --out FILE.png`"
    if subcommand("augment", ["preview"], argv, Arguments, use) is None:
        return
    args = parse(Arguments, argv[1:], "augment preview")
    from ganloom.apps.augment_preview import preview

    made = preview(
        args.data, args.out, p=args.p, parts=args.parts, policy=args.policy, n=args.n, seed=args.seed, shape=args.shape,
        fit=args.fit,
    )  # fmt: skip
    if args.json:
        print(json.dumps({"out": str(made.sheet), "leak": str(made.leak), "untouched": made.untouched}))
        return
    print("\n".join(made.lines()))
    print(f"wrote {made.sheet}: real, ADA at p {' '.join(f'{p:g}' for p in args.p)}, DiffAugment's parts, all of them")
    print(f"wrote {made.leak}: a row a strength, as G would draw where ADA leaks")
    print(following(["train", "stylegan2", args.data, "--augment", "auto"]))
