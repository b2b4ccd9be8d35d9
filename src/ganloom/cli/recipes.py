"""ganloom recipes"""

import dataclasses
import functools
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ganloom.baselines import BASELINES
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.recipes import LISTED, RECIPES, TABLES, TEXTS
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """List the recipes and the baselines: paper, data, whether they use labels, parameters at their default shape, and
    measured speed."""

    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Print the table."""
    args = parse(Arguments, argv, "recipes")
    speeds = json.loads((files("ganloom.recipes") / "measured.json").read_text(encoding="utf-8"))
    with Progress(patience=3.0) as progress:
        rows = []
        for i, name in enumerate(RECIPES):
            progress("counting parameters", i, len(RECIPES))
            rows.append(_row(name, speeds.get(name)))
    others, tables, texts = ([_row(name, None) for name in names] for names in (BASELINES, TABLES, TEXTS))
    if args.json:
        listed = [row | {"measured": speeds.get(row["recipe"])} for row in rows]
        print(json.dumps({"recipes": listed, "baselines": others, "tables": tables, "texts": texts}))
        return
    print(table(rows))
    print(
        "\nbaselines: not GANs, but trained, sampled and measured in the same way (G: what samples; D: what else is trained)\n"
    )
    print(table([{"baseline": row.pop("recipe"), **row} for row in others]))
    print("\ntables: learn rows of a CSV or Parquet file with `ganloom table fit`\n")
    print(table([{"method": row.pop("recipe"), **row} for row in tables]))
    print("\ntexts: learn to write texts with `ganloom text train RECIPE TEXTS`\n")
    print(table([{"method": row.pop("recipe"), **row} for row in texts]))
    machines = {f"{one['machine']}, {one['threads']} thread{'s' * (one['threads'] > 1)}" for one in speeds.values()}
    if machines:
        print(
            f"\nimg/s: real images per second in training on fashion-10k with the smaller networks of docs/recipes/, on "
            f"{', '.join(sorted(machines))}; `ganloom plan RECIPE DATA` measures your machine"
        )
    print(
        "\n"
        + following(["train", "default", "fashion-10k"], ["compare", "--budget", "10m", "fashion-10k", "dcgan", "vae"])
    )


@functools.cache
def _parameters(name: str) -> tuple[float, float]:
    """Millions of parameters of G and of D (of everything else, if there is no D) by the default settings."""
    import torch

    with torch.device("meta"):  # tensors without data: counting parameters needs no memory
        gan = LISTED[name].MODEL(LISTED[name].Config())
    g, everything = (sum(p.numel() for p in net.parameters()) / 1e6 for net in (gan.G, gan))
    return g, sum(p.numel() for p in gan.D.parameters()) / 1e6 if hasattr(gan, "D") else everything - g


def _row(name: str, measured: dict[str, Any] | None) -> dict[str, str]:
    module = LISTED[name]
    cfg = module.Config()
    g, d = _parameters(name)
    return {
        "recipe": name,
        "what": module.TITLE,
        "paper": module.PAPER,
        "data": module.DATA,
        "labels": _labels(module, cfg),
        "shape": "x".join(map(str, getattr(cfg, "shape", ("texts" if module.MODEL.learns == "texts" else "rows",)))),
        "G": f"{g:.2f} M",
        "D": f"{d:.2f} M",
        "img/s": f"{measured['img_per_s']:g}" if measured else "",
    }


def _labels(module: Any, cfg: Any) -> str:
    """Whether a recipe uses labels, or captions instead."""
    if module.MODEL.conditions_on == "captions":
        return "captions"
    return "no" if not hasattr(cfg, "n_classes") else "needs" if cfg.n_classes else "uses"
