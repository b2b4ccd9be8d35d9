"""ganloom bench text ..."""

import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Compare text GANs with maximum likelihood on sequences whose true distribution is known (the oracle of SeqGAN).

    Prints the pair NLL_oracle and NLL_test of each model, the curve of maximum likelihood over temperatures, and the gain
    at equal NLL_test. The reduced benchmark has 500 tokens and 5,000 sequences of 20. Run the same command again to continue.
    """

    recipes: tuple[str, ...] = ("seqgan", "relgan", "maligan", "residual-energy")
    """Recipes of `ganloom text train`; mle is always measured."""
    hidden: tuple[int, ...] = (32, 8)
    """Widths of the LSTM. A weak model, such as 8, leaves more to gain. relgan has a network of its own: the first width only."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the trainings."""
    full: bool = False
    """The sizes and settings of the papers: 5,000 tokens and 10,000 sequences. Needs a GPU and hours."""
    total_kimg: float | None = None
    """Length of each training, in thousands of sequences. None: that of each recipe."""
    out: str = "runs/bench-text"
    """The folder of the runs, of results.json and of curve.svg."""
    device: str = "cpu"
    """cpu, auto, cuda or mps."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train and measure, print the tables."""
    args = parse(Arguments, argv, "bench text")
    from ganloom.bench.text import benchmark, figure
    from ganloom.core.output_files import may_rewrite, rewrite
    from ganloom.training.callbacks import Console

    plan = benchmark.Plan(args.recipes, args.hidden, args.seeds, args.full, args.total_kimg)
    folder = Path(args.out)
    curve, results = (may_rewrite(folder / name) for name in ("curve.svg", "results.json"))
    with continued_by_the_same_command(), Progress() as progress:
        console = Console(progress=progress, stream=io.StringIO() if args.json else None)
        rows = benchmark.measure(plan, folder, device=args.device, console=console, progress=progress)
    content = json.dumps({"rows": [dataclasses.asdict(row) for row in rows]}).replace("NaN", "null")
    rewrite(curve, figure.draw(rows).encode())
    rewrite(results, (content + "\n").encode())
    if args.json:
        print(content)
        return
    print(table([line for row in rows for line in lines(row)]))
    print("\n".join(gains(rows)))
    print(
        "NLL_oracle: of the model's sequences, by the true distribution; a low temperature lowers it, so alone it says nothing. "
        "NLL_test: of true sequences, by the model. gain: how far NLL_oracle is below that of mle at equal NLL_test"
    )
    print(f"wrote {curve}: the curves; {results}: all figures")
    print(following(["text", "train", "--help"]))


def lines(row: Any) -> list[dict[str, str]]:
    """The lines of a model in the table."""
    return [
        {
            "model": row.recipe, "width": str(row.hidden), "seed": str(row.seed), "T": f"{point.temperature:g}",
            "NLL_oracle": f"{point.oracle.value:.3f} ± {point.oracle.error:.3f}",
            "NLL_test": f"{point.test.value:.3f} ± {point.test.error:.3f}",
            **{name: f"{value:.3f}" for name, value in point.bleu.items()},
            "gain": "" if math.isnan(row.gain.value) else f"{row.gain.value:+.3f} ± {row.gain.error:.3f}",
            "NLL_test - mle": "" if math.isnan(row.test_change) else f"{row.test_change:+.3f}",
        }
        for point in row.points
    ]  # fmt: skip


def gains(rows: Sequence[Any]) -> list[str]:
    """A sentence on each model, over the seeds."""
    import numpy as np

    from ganloom.bench.text import benchmark

    found = []
    for name, hidden in dict.fromkeys((row.recipe, row.hidden) for row in rows if not math.isnan(row.gain.value)):
        own = [row for row in rows if (row.recipe, row.hidden) == (name, hidden)]
        values = np.array([row.gain.value for row in own])
        error = own[0].gain.error if len(own) == 1 else float(values.std(ddof=1) / len(own) ** 0.5)
        change = float(np.mean([row.test_change for row in own]))
        mean = float(values.mean())
        word = "gains" if mean > 2 * error else "loses" if mean < -2 * error else "neither gains nor loses"
        text = f"{name}, width {hidden}: {word} at equal NLL_test ({mean:+.3f} ± {error:.3f}); its NLL_test is {change:+.3f}"
        text += " against mle at temperature 1" + (f"; {len(own)} seeds" if len(own) > 1 else "")
        if name == benchmark.WIDE:
            text += ". Its network is another one than the LSTM of the curve, so a gain may come from the network"
        found.append(text)
    return found
