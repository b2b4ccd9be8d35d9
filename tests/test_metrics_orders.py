"""Known damage is ordered, ten generators are ranked as by ten thousand samples; the long tests of the judge."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.stats
import torch
from test_metrics import one_thread
from test_metrics_features import FASHION, needs_effnet, needs_fashion
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "tools" / "measure_nets.py"
    spec = importlib.util.spec_from_file_location("measure_nets", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_nets"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@needs_effnet
@pytest.mark.parametrize("name", ["fashion-10k", "shapes", "letters"])
def test_two_nets_together_order_known_damage(tool: ModuleType, name: str) -> None:
    found = tool.measure(tool.open_set(name), 400)
    assert len(found) == 2
    ranks = list(tool.together(found).values())
    assert ranks == sorted(ranks) and ranks[0] == 1 and ranks[1] > 1.2, (found, ranks)
    for values in found.values():
        assert min(values.values()) == values["real"] and max(values.values()) == values["noise"]


def test_one_net_orders_known_damage(tool: ModuleType) -> None:
    values = tool.measure(datasets.open("fashion-10k"), 300)["fashion"] if not tool.effnet_installed() else None
    if values is None:
        real, made = tool.damaged(datasets.open("fashion-10k"), 300)
        extract = metrics.get("fashion")
        values = {k: metrics.frechet_distance(extract(real), extract(x)) for k, x in made.items()}
    assert list(values.values()) == sorted(values.values())


def test_twenty_images_repeated_fifty_times() -> None:
    fashion = datasets.open("fashion-10k")
    extract = metrics.get("fashion")
    real, few = extract(fashion.get(range(1000))), extract(fashion.get(range(1000, 1020)))
    got = metrics.prdc(real, few.repeat(50, 1))
    assert got["recall"] == 0 and got["coverage"] < 0.15 and got["precision"] > 0.5
    fresh = metrics.prdc(real, extract(fashion.get(range(1000, 2000))))
    assert fresh["recall"] > 0.85 and fresh["coverage"] > 0.9


def test_precision_and_recall_are_not_swapped_on_images() -> None:
    fashion = datasets.open("fashion-10k")
    extract, labels = metrics.get("fashion"), np.asarray(fashion.labels)
    real = extract(fashion.get(range(1000)))
    trousers = extract(fashion.get(np.flatnonzero(labels == 1)[200:700]))
    got = metrics.prdc(real, trousers)
    assert got["precision"] > 0.85 and got["coverage"] < 0.2  # true images of few kinds
    back = metrics.prdc(trousers, real)
    assert back["precision"] < 0.35  # many kinds, few of them trousers


def generators(tool: ModuleType, x: Tensor, y: Tensor) -> list[Tensor]:
    """Ten sets of the given images, more and more of them damaged, each in three ways."""
    made = []
    rng = torch.Generator().manual_seed(0)
    for share in (0.0, 0.04, 0.08, 0.13, 0.2, 0.28, 0.38, 0.5, 0.7, 0.9):
        picks = torch.randperm(len(x), generator=rng)
        rows, n = x[picks].clone(), round(share * len(x) / 3)
        rows[:n] = tool.blurred(rows[:n], 0.8)
        rows[n : 2 * n] = (rows[n : 2 * n] + 0.3 * torch.randn(rows[n : 2 * n].shape, generator=rng)).clamp(-1, 1)
        kind = x[y == 1]
        rows[2 * n : 3 * n] = kind[torch.randint(len(kind), (n,), generator=rng)]
        made.append(rows[torch.randperm(len(x), generator=rng)])
    return made


@pytest.mark.slow
@needs_fashion
def test_ten_generators_are_ranked_as_by_ten_thousand_samples(tool: ModuleType) -> None:
    data = datasets.open(f"fashion-mnist:{FASHION}")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:20_000]
    x, y = data.get(order.numpy()).cpu(), torch.from_numpy(np.asarray(data.labels))[order]
    extract = metrics.get("fashion")
    real = extract(x[:10_000])
    found = [extract(rows) for rows in generators(tool, x[10_000:], y[10_000:])]
    truth = [metrics.kernel_distance(real, fake, subsets=1, subset_size=10_000)[0] for fake in found]
    quick = [metrics.quick(real[:1000], fake[:1000]) for fake in found]  # as the judge of training measures
    for name in ("kd", "fd"):
        rank = scipy.stats.spearmanr(truth, [q[name] for q in quick]).statistic
        assert rank >= 0.9, (name, rank, truth, quick)
