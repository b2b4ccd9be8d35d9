"""ganloom recipes"""

import dataclasses
import json
from collections.abc import Sequence

from ganloom.cli.parse import parse
from ganloom.cli.say import table
from ganloom.recipes import RECIPES


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the recipes: name, paper, conditions, parameters at the recipe's own shape."""

    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Print the table."""
    args = parse(Arguments, argv, "recipes")
    rows = [_row(name) for name in RECIPES]
    if args.json:
        print(json.dumps({"recipes": rows}))
        return
    print(table(rows))
    print("\nnext: ganloom train RECIPE DATA        ganloom train RECIPE --help")


def _row(name: str) -> dict[str, str]:
    import torch

    module = RECIPES[name]
    cfg = module.Config()
    with torch.device("meta"):  # shapes without numbers: counting costs no memory
        gan = module.MODEL(cfg)
    g, d = (sum(p.numel() for p in net.parameters()) / 1e6 for net in (gan.G, gan.D))
    return {
        "recipe": name,
        "what": module.TITLE,
        "paper": module.PAPER,
        "labels": "no" if not hasattr(cfg, "n_classes") else "needs" if cfg.n_classes else "uses",
        "shape": "x".join(map(str, cfg.shape)),
        "G": f"{g:.2f} M",
        "D": f"{d:.2f} M",
    }
