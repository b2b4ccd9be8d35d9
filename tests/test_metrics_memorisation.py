"""Copies of training images are found, and what only resembles them is let alone."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from test_metrics import normal, one_thread
from test_metrics_evaluate import Replay

import ganloom
from ganloom import data as datasets
from ganloom.core.errors import BadInput
from ganloom.evaluation.evaluate import evaluate
from ganloom.evaluation.nearest_neighbours import memorise, write_sheet
from ganloom.metrics.statistics.memorisation import mann_whitney, memorisation, share

__all__ = ["one_thread"]


def test_copies_are_found_and_fresh_samples_are_not() -> None:
    train, held_out = normal(600, 5), normal(300, 5, seed=1)
    copies = memorisation(train, train[:200] + 0.001 * normal(200, 5, seed=2), held_out)
    assert copies.generated.duplicates.value == 1 and copies.generated.authentic.value < 0.02
    assert copies.c_t is not None and copies.c_t < -10 and copies.verdict.startswith("it copies")
    assert torch.equal(copies.generated.index, torch.arange(200))
    fresh = memorisation(train, normal(300, 5, seed=3), held_out)
    assert fresh.c_t is not None and abs(fresh.c_t) < 3 and fresh.verdict.startswith("no copying found")
    assert fresh.held_out is not None
    for mine, theirs in (
        (fresh.generated.authentic, fresh.held_out.authentic),
        (fresh.generated.duplicates, fresh.held_out.duplicates),
    ):
        assert mine.low is not None and mine.high is not None and mine.low <= theirs.value <= mine.high
    far = memorisation(train, normal(300, 5, seed=4, shift=3.0), held_out)
    assert (
        "far from all data" in far.verdict and far.generated.duplicates.value == 0 and "no copying" not in far.verdict
    )
    some = normal(300, 5, seed=5)
    some[:40] = train[:40]
    partly = memorisation(train, some, held_out)
    assert partly.verdict.startswith("it copies some") and partly.copies.share.value == pytest.approx(
        40 / 300, abs=0.03
    )
    assert set(partly.suspects[:40]) == set(range(40))  # the copies come first
    alone = memorisation(train, some)
    assert alone.held_out is None and alone.c_t is None and "nothing was held out" in alone.verdict
    assert alone.verdict.startswith("it copies some")
    assert memorisation(train, normal(300, 5, seed=3)).verdict.startswith(
        "no copies of single images, but nothing was held"
    )
    assert all("\n" not in line for line in partly.lines() + alone.lines())


def test_figures_are_the_published_definitions() -> None:
    train, fake = normal(80, 3).numpy(), normal(50, 3, seed=1).numpy()
    between = np.sqrt(((fake[:, None] - train[None]) ** 2).sum(-1))
    within = np.sqrt(((train[:, None] - train[None]) ** 2).sum(-1)) + np.eye(80) * 1e9
    own, index = within.min(1), between.argmin(1)
    got = memorisation(train, fake)
    assert got.generated.authentic.value == pytest.approx((between.min(1) > own[index]).mean())
    assert got.threshold == pytest.approx(np.quantile(own, 0.01))
    assert got.generated.duplicates.value == pytest.approx((between.min(1) < np.quantile(own, 0.01)).mean())
    assert got.generated.distance.numpy() == pytest.approx(between.min(1))


def test_training_rows_that_are_copies_of_each_other() -> None:
    train = normal(100, 3).repeat(2, 1)
    got = memorisation(train, normal(60, 3, seed=1), normal(60, 3, seed=2))
    assert got.threshold == 0 and got.generated.duplicates.value == 0
    assert memorisation(train, train[:60]).generated.duplicates.value == 1


def test_rank_test_is_scipys_with_ties() -> None:
    x = normal(60, 1)[:, 0].mul(3).round()
    y = normal(45, 1, seed=1)[:, 0].mul(3).add(0.4).round()
    found = scipy.stats.mannwhitneyu(x, y, alternative="less", use_continuity=False, method="asymptotic")
    assert mann_whitney(x, y) == pytest.approx(scipy.stats.norm.ppf(found.pvalue), rel=1e-6)
    assert mann_whitney(torch.ones(5), torch.ones(4)) == 0


def test_wilson_interval() -> None:
    value = share(0, 100)
    assert value.value == 0 and value.low == 0 and value.high == pytest.approx(0.037, abs=1e-3)
    value = share(30, 100)
    assert (value.low, value.high) == (pytest.approx(0.2189, abs=1e-4), pytest.approx(0.3958, abs=1e-4))


def test_bad_features_are_one_line() -> None:
    train = normal(30, 3)
    train[0, 0] = math.nan
    with pytest.raises(BadInput, match="NaN"):
        memorisation(train, normal(30, 3))
    with pytest.raises(BadInput, match="same extractor"):
        memorisation(normal(30, 3), normal(30, 3), normal(30, 2))


@pytest.mark.slow
def test_a_model_that_replays_its_training_images(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganloom.evaluation.nearest_neighbours.NORMAL", 60)
    monkeypatch.setattr("ganloom.evaluation.nearest_neighbours.PIXEL_SAMPLES", 120)
    fashion = datasets.open("fashion-10k")
    train, held_out = fashion.split(2000)[0].split(1500)
    thief = Replay(train.get(range(300)))
    got = memorise(thief, train, held_out, n=200, features="fashion")
    assert got.found.generated.duplicates.value == 1 and got.found.verdict.startswith("it copies")
    assert got.protocol["n_train"] == len(train) and got.protocol["n_held_out"] == 200
    assert got.sheet.shape == (12, 6, 1, 28, 28)
    assert all((row[0] - row[1]).abs().max() < 1e-6 for row in got.sheet)  # a sample beside its original
    folder = tmp_path_factory.mktemp("sheet")
    assert write_sheet(got, folder / "neighbours.png").stat().st_size > 1000
    honest = Replay(held_out.get(range(300)))
    assert "no copying" in memorise(honest, train, held_out, n=200, features="fashion").found.verdict
    with pytest.raises(BadInput, match="these are the training images"):
        memorise(honest, train, train, n=200, features="fashion")
    with pytest.raises(BadInput, match="too few to measure copying"):
        memorise(honest, train, None, n=20, features="fashion")


def test_evaluate_adds_memorisation() -> None:
    images = np.random.default_rng(0).integers(0, 256, (160, 16, 16, 1), np.uint8)
    model = Replay(datasets.open(images).get(range(60)))
    result = evaluate(model, images, n=60, features="random", intervals=False, memorisation=True)
    assert result["memorisation"]["generated"]["near_duplicates"]["value"] == 1
    assert any("near duplicates" in line for line in result["table"])


def test_evaluate_compares_with_the_training_images_of_a_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    own, other = (rng.integers(0, 256, (160, 16, 16, 1), np.uint8) for _ in range(2))
    ganloom.train("dcgan", own, tmp_path / "run", total_kimg=0.016, width=4, batch_size=8, judge=0, doctor=False)
    settings: dict[str, Any] = {
        "n": 60,
        "features": "random",
        "intervals": False,
        "metrics": ("fd",),
        "memorisation": True,
    }
    protocol = evaluate(tmp_path / "run", other, **settings)["memorisation"]["protocol"]
    assert protocol["n_train"] == 160 and protocol["n_held_out"], "the images that were given are the held-out ones"
