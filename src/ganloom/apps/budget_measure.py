"""Measure one trained model of a comparison, and draw samples of all of them."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganloom import data as datasets
from ganloom import metrics, recipes
from ganloom.api import Run, load
from ganloom.apps.budget_plan import Plan, run_path
from ganloom.apps.budget_table import Row, sheet
from ganloom.core import hardware
from ganloom.core.output_files import rewrite
from ganloom.doctor.callback import worst_of
from ganloom.evaluation import model_costs
from ganloom.evaluation.class_labels import conditions_of
from ganloom.evaluation.measure import measure_model
from ganloom.gan import GAN
from ganloom.report.progress import Report
from ganloom.runs.checkpoint import names as checkpoints_in
from ganloom.runs.folder import Folder, versions

SHOWN = 12
"""Samples of each model in the sheet."""


def measure_run(
    plan: Plan, name: str, seed: int, run: Run, data: datasets.Data, say: Callable[[str], None], progress: Report = None
) -> Row:
    """Measure a run.

    Args:
        plan: A checked plan.
        name: One of ``plan.models``.
        seed: The seed of the run.
        run: The trained run.
        data: The open training data.
        say: Called with a line of progress.
        progress: Called with (what, done, total).

    Returns:
        The row of the table. It has no values if training failed before the first checkpoint.
    """
    last = last_row(run)
    known: dict[str, Any] = {
        "model": name, "seed": seed, "family": "baseline" if plan.of(name)[0] not in recipes.RECIPES else "gan",
        "run": str(run.path), "ended": "healthy" if run.reason == "budget" else run.reason,
        "seconds": last.get("seconds", math.nan), "kimg": last.get("kimg", 0.0), "finding": worst_of(run.path),
    }  # fmt: skip
    if not checkpoints_in(run.path / "checkpoints"):
        return Row(**known)
    gan = load(run)
    n = min(plan.n, len(data) // 2)
    cached = model_costs.CachedSamples(gan, n, progress)
    measurement = measure_model(
        cached, data, n=n, k=plan.k, features=plan.features, seed=plan.seed, split=f"{data.name} (training data)",
        progress=progress,
    )  # fmt: skip
    plain = measurement.to_dict() | {"kimg": gan.kimg}
    rewrite(run.path / "metrics.json", (json.dumps(plain, indent=1) + "\n").encode())
    values = dict(measurement.rows[metrics.GENERATED]) | _other_values(plan, gan, cached, data, n)
    counts = measurement.class_counts
    if metrics.GENERATED in counts:
        apart, least = model_costs.classes_apart(counts[metrics.GENERATED], counts[metrics.FLOOR])
        values |= {"classes_apart": metrics.Value(apart), "least_class": metrics.Value(least)}
    say("timing samples")
    for batch in (model_costs.BATCH, 1):
        values[f"ms_sample_{batch}"] = metrics.Value(model_costs.milliseconds(gan, batch))
    return Row(
        **known, values=values, references={row: v for row, v in measurement.rows.items() if row != metrics.GENERATED},
        parameters=sum(p.numel() for p in gan.parameters()), generator=sum(p.numel() for p in gan.G.parameters()),
        protocols=measurement.protocols, levels=int(getattr(gan.cfg, "levels", 0)),
        likelihood=str(getattr(gan, "likelihood", "")),
        machine=f"{hardware.name(str(gan.device))}, {torch.get_num_threads()} threads",
        cores=float(Folder(run.path).read("run.json").get("cores", 0.0)), torch=versions()["torch"],
        warnings=list(measurement.warnings),
    )  # fmt: skip


def _other_values(
    plan: Plan, gan: GAN, cached: model_costs.CachedSamples, data: datasets.Data, n: int
) -> dict[str, metrics.Value]:
    """Sharpness, and bits per dimension of a model that has a likelihood."""
    picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(plan.seed))[:n].numpy()
    real = data.get(picks).cpu()
    values = {"sharpness": model_costs.sharpness(cached.images, real)}
    bits = model_costs.bits_per_dim(gan, real, conditions_of(gan, data, picks), plan.seed)
    return values if bits is None else values | {"bits_per_dim": bits}


def last_row(run: Run) -> dict[str, Any]:
    """The last row of metrics.jsonl; empty before the first tick."""
    rows = run.metrics
    return rows[-1] if rows else {}


def sample_sheet(plan: Plan, out: Path, data: datasets.Data) -> Image.Image | None:
    """Draw real images, then a row of samples of each model of the first seed.

    Args:
        plan: A checked plan.
        out: The folder of the comparison.
        data: The open training data.

    Returns:
        The image; None if no model has a checkpoint.
    """
    present = data.classes_with_rows or [0]
    labels = [present[i * len(present) // SHOWN] for i in range(SHOWN)]
    rows = [i % len(data) for i in range(SHOWN)]
    if data.labels is not None:
        members = {c: np.flatnonzero(data.labels == c) for c in set(labels)}
        rows = [int(members[c][labels[:i].count(c) % len(members[c])]) for i, c in enumerate(labels)]
    strips = [("real", data.get(torch.tensor(rows)).cpu())]
    for name in plan.models:
        path = run_path(out, name, plan.seed)
        if not checkpoints_in(path / "checkpoints"):
            continue
        gan = load(path)
        conditional = int(getattr(gan.cfg, "n_classes", 0) or 0) == data.n_classes > 0
        strips.append(
            (name, gan.generate(SHOWN, seed=plan.seed, c=torch.tensor(labels) if conditional else None).cpu())
        )
    return sheet(strips) if len(strips) > 1 else None
