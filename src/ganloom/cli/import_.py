"""ganloom import FILE --out RUN"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

from ganloom.apps.import_weights import import_weights
from ganloom.cli import next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import command, following
from ganloom.cli.parse import parse
from ganloom.core.config import to_dict
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Convert published weights into a model folder: StyleGAN2 (NVIDIA, rosinality), BigGAN-PyTorch,
    pytorch-pretrained-BigGAN, StudioGAN, mimicry, pix2pix, CycleGAN, UNIT and LaMa.

    The architecture is inferred from the names and shapes of the tensors. Every tensor must be used, otherwise the command
    fails. Code inside the file is never run.
    """

    file: Annotated[str, Positional("FILE")]
    """The generator: .pth, .pt, .bin or .safetensors, or a .pkl of StyleGAN2. With net_G_A, net_G_B in the same folder is read
    too."""
    out: str
    """The model folder, new or empty."""
    discriminator: str | None = None
    """The discriminator. With net_D_A, net_D_B in the same folder is read too. None: D is initialized at random."""
    overwrite: bool = False
    """Take a folder with content, and replace files of equal names. A run is never replaced."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, convert, print what the model is."""
    args = parse(Arguments, argv, "import")
    with Progress() as progress:
        progress(f"converting {args.file}")
        model = import_weights(args.file, args.out, args.discriminator, overwrite=args.overwrite)
    cfg = to_dict(model.gan.cfg)
    if args.json:
        result = {"out": str(model.folder), "recipe": model.recipe, "networks": list(model.networks), "config": cfg}
        print(json.dumps(result))
        return
    labels = f", {cfg['n_classes']} classes" if cfg.get("n_classes") else ""
    print(f"{model.recipe} of {'x'.join(map(str, cfg['shape']))}{labels}: {' and '.join(model.networks)} read")
    print(f"wrote {model.folder}: config.json, G.safetensors, README.md")
    if model.gan.makes_inputs:
        print(f"fill holes with: {command(['inpaint', 'IN', 'MASK', 'OUT', '--model', model.folder])}")
    elif model.gan.conditions_on == "images":
        print(f"translate your images with: {command(['translate', model.folder, 'IN', 'OUT'])}")
    print(following(*next_commands.after_import(model.folder)))
