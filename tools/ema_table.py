"""Compares the EMA's rule with the one before it, on the same trainings, and prints a table in Markdown.

    python tools/ema_table.py [--recipes wgan dcgan ...] [--seeds 0 1 2] [--length 1.0] [--n 2000] [--out docs/results/ema.json]

Each recipe's small form (`--small`) trains once per seed. Three averages are kept beside the same weights, so that all rows
are of one training: the present weights, the rule before (a flat half-life of 5 kimg), and the rule now
(``training.ema.HALF_LIFE`` updates of G). Samples of each are compared with real images by the Frechet distance of the
built-in Fashion-MNIST features.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

import ganloom
from ganloom import metrics, recipes
from ganloom.api import prepare
from ganloom.gan import GAN
from ganloom.recipes import presets
from ganloom.training import ema
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

AFFECTED = ("sngan", "wgan", "wgan-gp", "cnn-gan", "sagan", "dcgan", "ebgan", "infogan", "unrolled")
BEFORE_KIMG, BEFORE_STEPS, BEFORE_RAMP = 5.0, 16, 0.05


class FlatRule:
    """The rule before: half-life 5 kimg in every recipe, one update every 16 steps (each of the first 16)."""

    def __init__(self, gan: GAN) -> None:
        self.model, self.updated_at = ema.average_of(gan), 0

    @torch.no_grad()
    def after_step(self, trainer: Trainer) -> None:
        if trainer.step % BEFORE_STEPS and trainer.step >= BEFORE_STEPS:
            return
        since, self.updated_at = trainer.nimg - self.updated_at, trainer.nimg
        half_life = min(BEFORE_KIMG, trainer.nimg / 1000 * BEFORE_RAMP)
        weight = 1 - 0.5 ** (since / 1000 / max(half_life, 1e-8))
        for name in trainer.gan.averaged:
            mean, now = self.model.get_submodule(name), trainer.gan.get_submodule(name)
            for target, source in zip(
                [*mean.parameters(), *mean.buffers()], [*now.parameters(), *now.buffers()], strict=True
            ):
                if target.is_floating_point():
                    target.lerp_(source, weight)
                else:
                    target.copy_(source)


def measure(model: GAN, kimg: float, n: int, real: torch.Tensor, extractor: Any) -> float:
    """Frechet distance of n samples."""
    object.__setattr__(model, "kimg", kimg)
    return float(metrics.quick(real, extractor(model.generate(n, seed=10_000)))["fd"])


def train(name: str, seed: int, length: float, n: int, extra: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """One training; the distance under each rule, and the half-lives in updates of G."""
    module = recipes.find(name)
    options = presets.small(name, module)
    options["total_kimg"] *= length
    gan, data = prepare(name, "fashion-10k", seed=seed, **options)
    cfg = TrainConfig(total_kimg=options["total_kimg"], seed=seed)
    trainer = Trainer(gan, data, cfg, ema_kimg=None)
    before = FlatRule(gan)
    others = {}
    for label, (updates, ramp) in extra.items():
        per_update, _ = ema.images_per_update(gan, trainer.phases)
        others[label] = ema.EMA(gan, updates * per_update / 1000, ramp, trainer.phases)
    start = time.perf_counter()
    while trainer.nimg < trainer.total_nimg:
        trainer.train_step()
        before.after_step(trainer)
        for average in others.values():
            if average.due(trainer.step, trainer.nimg):
                average.update(trainer.nimg)
    seconds = time.perf_counter() - start
    extractor = metrics.get("fashion")
    real = extractor(data.get(torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:n]))
    per_update, _ = ema.images_per_update(gan, trainer.phases)
    kimg = trainer.nimg / 1000
    row = {
        "recipe": name, "seed": seed, "kimg": kimg, "seconds": round(seconds),
        "updates_before": BEFORE_KIMG * 1000 / per_update,
        "updates_now": trainer.averages.half_life_at(trainer.nimg) / per_update,
        "weights": measure(gan, kimg, n, real, extractor), "before": measure(before.model, kimg, n, real, extractor),
    }  # fmt: skip
    with trainer.averages.current(trainer.nimg):
        row["now"] = measure(trainer.ema, kimg, n, real, extractor)
    for label, average in others.items():
        with average.current(trainer.nimg):
            row[label] = measure(average.model, kimg, n, real, extractor)
    return row


def table(rows: list[dict[str, Any]], n: int) -> str:
    """The rows as Markdown: mean and range over the seeds."""
    labels = [k for k in rows[0] if k in ("weights", "before", "now") or k.startswith("try")]
    lines = [
        f"| recipe | kimg | half-life before, now (updates of G) | {' | '.join(f'fd_fashion{n} {label}' for label in labels)} |",
        "|---" * (3 + len(labels)) + "|",
    ]
    for name in dict.fromkeys(row["recipe"] for row in rows):
        own = [row for row in rows if row["recipe"] == name]
        cells = []
        for label in labels:
            values = [row[label] for row in own]
            cells.append(f"{statistics.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]")
        half = f"{own[0]['updates_before']:.0f}, {own[0]['updates_now']:.0f}"
        lines.append(f"| `{name}` | {own[0]['kimg']:.0f} | {half} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, print the table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=AFFECTED)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--length", type=float, default=1.0, help="share of the small form's own length")
    parser.add_argument("--n", type=int, default=2000, help="samples")
    parser.add_argument("--extra", nargs="*", default=[], help="further rules as UPDATES,RAMP")
    parser.add_argument("--out", type=Path, help="JSON file for the rows; rows in it are kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    extra = {f"try {text}": tuple(map(float, text.split(","))) for text in args.extra}
    for seed in args.seeds:
        for name in args.recipes:
            if any((row["recipe"], row["seed"]) == (name, seed) for row in rows):
                continue
            row = train(name, seed, args.length, args.n, extra)  # type: ignore[arg-type]
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.out:
                args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"ganloom {ganloom.__version__}, {args.n} samples, {len(args.seeds)} seeds, mean [least, most]\n")
    print(table(rows, args.n))


if __name__ == "__main__":
    main()
