"""Train text models on sequences of the oracle, and compare each with maximum likelihood at equal likelihood of test sequences.

A model that draws only very probable sequences has a low NLL_oracle, and lowering the temperature does just that. So a model is
a pair (NLL_oracle of its sequences, NLL_test that it gives to true ones), and the control is the curve of the pairs of maximum
likelihood over temperatures (Caccia et al. 2020, arXiv:1811.02549). The gain of a model is how far it is below that curve.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganloom import api, recipes
from ganloom.apps import text_plans
from ganloom.baselines.mle import LanguageModel
from ganloom.bench.text.oracle import FULL, Mean, Oracle, Sizes
from ganloom.core import json_files
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.core.output_files import replace_file
from ganloom.core.randomness import key
from ganloom.report.progress import Report, part_of, stage
from ganloom.texts.judge import diversity
from ganloom.training.callbacks import Callback

TEMPERATURES = (1.1, 1.05, 1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
BASELINE = "mle"
BATCH = 250
COMPARED = 500
"""Sequences for BLEU and self-BLEU."""
RESULT, PLAN = "result.json", "plan.json"
WIDE = "relgan"
"""The recipe whose G is no LSTM and has no ``hidden``."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        recipes: Names of ``recipes.TEXTS``; maximum likelihood is always measured.
        hidden: Widths of the LSTM.
        seeds: Seeds of the trainings; the oracle and its sequences are always the same.
        full: The paper's sizes and settings instead of the reduced ones.
        total_kimg: Length of each training, in thousands of sequences. None: that of the recipe.
        sizes: Sizes of the benchmark; None: by ``full``.
    """

    recipes: tuple[str, ...] = ("seqgan", "relgan", "maligan", "residual-energy")
    hidden: tuple[int, ...] = (32, 8)
    seeds: tuple[int, ...] = (0,)
    full: bool = False
    total_kimg: float | None = None
    sizes: Sizes | None = None

    @property
    def measured(self) -> Sizes:
        """The sizes."""
        return self.sizes or (FULL if self.full else Sizes())


@dataclass(frozen=True)
class Point:
    """One model at one temperature."""

    temperature: float
    oracle: Mean
    """NLL_oracle: the oracle's negative log likelihood per token of sequences that the model draws."""
    test: Mean
    """NLL_test: the model's negative log likelihood per token of sequences of the oracle."""
    bleu: dict[str, float] = field(default_factory=dict)
    """BLEU-2 and BLEU-4 against test sequences, and self-BLEU-2 and -4."""


@dataclass(frozen=True)
class Row:
    """One trained model.

    Attributes:
        recipe: Its recipe.
        hidden: Width of the LSTM of the curve that it is compared with.
        seed: Seed of the training.
        points: Of maximum likelihood one for each temperature, of the others one.
        gain: NLL_oracle of the curve at equal NLL_test, minus that of the model; NaN for maximum likelihood itself.
        test_change: NLL_test minus that of maximum likelihood at temperature 1; below 0: better.
    """

    recipe: str
    hidden: int
    seed: int
    points: list[Point]
    gain: Mean = Mean(float("nan"), float("nan"))
    test_change: float = float("nan")


def measure(
    plan: Plan, out: str | Path, *, device: str = "cpu", console: Callback | None = None, progress: Report = None
) -> list[Row]:
    """Train and measure what is not measured yet.

    Args:
        plan: What to measure.
        out: A folder for the runs. If it holds the same benchmark, what is there is kept and continued.
        device: "cpu", "cuda", "mps" or "auto".
        console: The callback that prints the progress of a training.
        progress: Called with (what, done, total).

    Returns:
        The models with their gains.

    Raises:
        BadInput: There is no such recipe, or the folder holds another benchmark.
        KeyboardInterrupt: Ctrl-C was pressed; everything is saved, and the same command continues.
    """
    choose_device(device)
    folder = _folder(plan, out)
    stage(progress, "drawing the sequences of the oracle")
    oracle = Oracle(plan.measured)
    data = oracle.data()
    tasks = _tasks(plan)
    rows: list[Row] = []
    for number, (recipe, hidden, seed) in enumerate(tasks, 1):
        where = folder / f"{recipe}-h{hidden}-s{seed}"
        label = f"{recipe}, width {hidden}, seed {seed} ({number} of {len(tasks)})"
        if not (where / RESULT).is_file():
            stage(progress, label)
            model = _trained(plan, recipe, hidden, seed, data, where, device, console, progress)
            points = _points(model, recipe, oracle, data.test, part_of(progress, f"measuring {label}"))
            content = {"points": [dataclasses.asdict(point) for point in points]}
            replace_file(where / RESULT, (json.dumps(content, indent=1) + "\n").encode())
        rows.append(Row(recipe, hidden, seed, _read(where / RESULT)))
    return compared(rows)


def _folder(plan: Plan, out: str | Path) -> Path:
    unknown = [name for name in plan.recipes if name not in recipes.TEXTS]
    if unknown:
        raise BadInput(f'--recipes: "{unknown[0]}" is no recipe for texts{did_you_mean(unknown[0], recipes.TEXTS)}')
    if not plan.hidden or not plan.seeds or min(plan.hidden) < 1 or min(plan.seeds) < 0:
        raise BadInput(
            "--hidden and --seeds each need at least one number, widths of at least 1 and seeds of at least 0"
        )
    if plan.total_kimg is not None and not 0 < plan.total_kimg < math.inf:
        raise BadInput(f"--total-kimg must be above 0, got {plan.total_kimg:g}")
    folder = as_path(out)
    same = {"full": plan.full, "total_kimg": plan.total_kimg, "sizes": dataclasses.asdict(plan.measured)}
    if (folder / PLAN).exists():
        if json_files.read(folder / PLAN) != same:
            raise BadInput(f"{folder} holds a benchmark with other settings. Choose another --out")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder and no benchmark of texts. Choose another --out")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / PLAN, (json.dumps(same) + "\n").encode())
    return folder


def _tasks(plan: Plan) -> list[tuple[str, int, int]]:
    """Each model once, maximum likelihood first. RelGAN's G has no LSTM: it is compared with the first width only."""
    names = [BASELINE, *dict.fromkeys(name for name in plan.recipes if name != BASELINE)]
    widths = list(dict.fromkeys(plan.hidden))
    return [
        (name, hidden, seed)
        for seed in dict.fromkeys(plan.seeds)
        for hidden in widths
        for name in names
        if name != WIDE or hidden == widths[0]
    ]


REDUCED: dict[str, Any] = {"embedding": 32, "head_size": 32}
"""Settings of ``WIDE`` in the reduced benchmark; the LSTM of the others has the width of the task and embeddings of 32."""


def _trained(
    plan: Plan,
    recipe: str,
    hidden: int,
    seed: int,
    data: Any,
    where: Path,
    device: str,
    console: Callback | None,
    progress: Report,
) -> LanguageModel:
    module = recipes.TEXTS[recipe]
    own: dict[str, Any] = {"vocabulary": plan.measured.tokens + 4, "length": plan.measured.length, "fixed_length": True}
    if recipe != WIDE:
        own |= {"hidden": hidden, "embedding": 32}
    elif not plan.full:
        own |= REDUCED
    chosen = text_plans.settings(recipe, module, own, small=not plan.full, total_kimg=plan.total_kimg)
    state = json_files.read(where / "run.json").get("state") if (where / "run.json").exists() else None
    if state != "finished":
        if state is not None and any((where / "checkpoints").glob("kimg-*")):
            api.resume(where, console=console, progress=progress)
        else:
            api.train(
                chosen.config, data, where, total_kimg=chosen.total_kimg, kimg_per_tick=chosen.total_kimg / 20,
                kimg_per_checkpoint=chosen.total_kimg / 5, seed=seed, device=device, precision="float32", judge=0,
                doctor=False, console=console, progress=progress,
            )  # fmt: skip
    model = api.load(where)
    assert isinstance(model, LanguageModel)
    return model


def _points(model: LanguageModel, recipe: str, oracle: Oracle, test: Any, each: Any) -> list[Point]:
    rows = test.get(slice(None))
    references = _words(rows[:COMPARED])
    temperatures = TEMPERATURES if recipe == BASELINE else (1.0,)
    found = []
    for done, temperature in enumerate(temperatures):
        generator = torch.Generator().manual_seed(key("drawn", temperature))
        latent = model.z(1).shape[1]
        u = torch.rand(oracle.sizes.drawn, latent, generator=generator)
        with torch.no_grad():
            drawn = torch.cat([model.sample(part, temperature=temperature) for part in u.split(BATCH)]).long()
        nll = -model.log_likelihood(rows, temperature=temperature) / rows.shape[1]
        words = _words(drawn[:COMPARED])
        bleu = {f"BLEU-{n}": diversity.bleu(words, references, n) for n in (2, 4)}
        bleu |= {f"self-BLEU-{n}": diversity.self_bleu(words, n) for n in (2, 4)}
        found.append(Point(temperature, Mean.of(oracle.nll(drawn)), Mean.of(nll), bleu))
        if each is not None:
            each(done + 1, len(temperatures))
    return found


def _words(rows: torch.Tensor) -> list[list[str]]:
    return [[str(token) for token in row] for row in rows.tolist()]


def _read(file: Path) -> list[Point]:
    try:
        return [
            Point(p["temperature"], Mean(**p["oracle"]), Mean(**p["test"]), p["bleu"])
            for p in json_files.read(file)["points"]
        ]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{file} is damaged: remove it, and run the same command again") from error


def compared(rows: Sequence[Row]) -> list[Row]:
    """Rows with their gains against the curve of maximum likelihood with the same width and seed."""
    curves = {(row.hidden, row.seed): row.points for row in rows if row.recipe == BASELINE}
    found = []
    for row in rows:
        curve, (point, *_) = curves[row.hidden, row.seed], row.points
        if row.recipe != BASELINE:
            at = curve_at(curve, point.test.value)
            gain = Mean(at.value - point.oracle.value, (at.error**2 + point.oracle.error**2) ** 0.5)
            plain = next(own for own in curve if own.temperature == 1.0)
            row = dataclasses.replace(row, gain=gain, test_change=point.test.value - plain.test.value)
        found.append(row)
    return found


def curve_at(curve: Sequence[Point], test: float) -> Mean:
    """NLL_oracle of maximum likelihood at an NLL_test: the lowest that mixtures of neighbouring temperatures reach.

    An NLL_test below all of the curve is compared with the temperature of the lowest one.
    """
    best = min(curve, key=lambda point: point.test.value)
    cold = sorted((p for p in curve if p.temperature <= best.temperature), key=lambda point: point.test.value)
    xs = [point.test.value for point in cold]
    value = float(np.interp(test, xs, [point.oracle.value for point in cold]))
    return Mean(value, float(np.interp(test, xs, [point.oracle.error for point in cold])))
