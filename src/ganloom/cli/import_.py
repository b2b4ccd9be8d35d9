"""ganloom import FILE --out RUN"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.apps.import_weights import import_weights
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.config import to_dict


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Read published weights: StyleGAN2 (NVIDIA, rosinality), BigGAN-PyTorch, pytorch-pretrained-BigGAN, StudioGAN, mimicry,
    pix2pix, CycleGAN and UNIT.

    What they are is found from names and shapes; every tensor is used, or the fault is said. No code of a file is run.
    """

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """The generator's .pth, .pt, .bin or .safetensors (beside a net_G_A the net_G_B is read too), or a .pkl of StyleGAN2."""
    out: str
    """The model folder, new or empty."""
    discriminator: str | None = None
    """Its discriminator's file (beside a net_D_A the net_D_B is read too); none: D stays as new."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, read, say what it is."""
    args = parse(Arguments, argv, "import")
    made = import_weights(args.file, args.out, args.discriminator)
    cfg = to_dict(made.gan.cfg)
    if args.json:
        found = {"out": str(made.folder), "recipe": made.recipe, "networks": list(made.networks), "config": cfg}
        print(json.dumps(found))
        return
    labels = f", {cfg['n_classes']} classes" if cfg.get("n_classes") else ""
    print(f"{made.recipe} of {'x'.join(map(str, cfg['shape']))}{labels}: {' and '.join(made.networks)} read")
    print(f"wrote {made.folder}: config.json, G.safetensors, README.md")
    if made.gan.conditions_on == "images":
        print(following(["translate", made.folder, "IN", "OUT"]))
        return
    print(following(["sample", made.folder], ["evaluate", made.folder, "DATA"]))
