"""``ganloom.evaluate``: which features it picks, and what it hands back."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_metrics import one_thread
from torch import Tensor, nn

from ganloom import data as datasets
from ganloom.apps.evaluate import choose_features, evaluate, measure_model
from ganloom.errors import BadInput
from ganloom.gan import GAN

__all__ = ["one_thread"]


class Replay(GAN):
    """A model that has learnt by heart the rows it was given; a label picks among the rows of its class."""

    def __init__(self, rows: Tensor, labels: Tensor | None = None) -> None:
        super().__init__(SimpleNamespace(z_dim=2, n_classes=0 if labels is None else int(labels.max()) + 1))
        self.G = nn.Identity()
        self.register_buffer("rows", rows)
        self.labels = labels

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        picks = (torch.special.ndtr(z[:, 0]) * len(self.rows)).long().clamp(max=len(self.rows) - 1)
        if c is not None and self.labels is not None:
            of = [(self.labels == label).nonzero()[:, 0] for label in c]
            picks = torch.stack([rows[pick % len(rows)] for rows, pick in zip(of, picks, strict=True)])
        return self.rows[picks]


def test_fashion_is_measured_with_its_own_net() -> None:
    fashion = datasets.open("fashion-10k")
    labels = torch.from_numpy(fashion.labels[4000:8000])
    model = Replay(fashion.get(range(4000, 8000)), labels)
    got = measure_model(model, datasets.open("fashion-10k").split(4000)[0], n=300, intervals=False)
    assert got.protocol["backbone"] == "fashion" and got.protocol["n_fake"] == 300
    assert got.value("fd") < 2 * got.value("fd", "real (other half)") < got.value("fd", "noise") / 10
    assert min(got.class_counts["generated"]) > 10


def test_auto_prefers_labels_to_random_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    monkeypatch.setattr("ganloom.metrics.features.TASK_SAMPLES", 200)
    pictures = np.random.default_rng(0).integers(0, 256, (120, 16, 16, 3), np.uint8)
    labelled = datasets.open(pictures, labels=[0, 1] * 60)
    assert choose_features("auto", labelled).name.startswith("task_")
    assert choose_features("random", labelled).name == "random"
    assert choose_features("auto", datasets.open(pictures)).name == "random"
    assert choose_features("auto", datasets.open(pictures, labels=[0] * 100 + [1] * 20)).name == "random"
    with pytest.raises(BadInput, match="no labels"):
        choose_features("task", datasets.open(pictures))


def test_a_model_needs_data_and_gives_plain_numbers() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 1), np.uint8)
    model = Replay(datasets.open(pictures).get(range(40)))
    result: dict[str, Any] = evaluate(model, pictures, n=30)
    assert json.loads(json.dumps(result)) == result
    assert set(result["rows"]) == {"generated", "real (other half)", "noise"} and result["run"] is None
    assert result["rows"]["generated"]["fd_random30"]["low"] <= result["rows"]["generated"]["fd_random30"]["value"]
    with pytest.raises(BadInput, match="say which pictures"):
        evaluate(model)
    with pytest.raises(BadInput, match="needs 24 or more"):
        evaluate(model, pictures[:20])


def test_points_are_their_own_features() -> None:
    ring = datasets.open("ring:2000")
    good = measure_model(Replay(ring.get(range(1000, 2000))), ring, n=400, intervals=False)
    one_mode = ring.get(np.flatnonzero(ring.labels == 0))
    bad = measure_model(Replay(one_mode), ring, n=400, intervals=False)
    assert good.value("fd") < 0.05 < 0.5 < bad.value("fd") and good.value("coverage_points400") > 0.8
    assert bad.value("coverage") < 0.3 and bad.value("precision") > 0.5
    assert any("points features" in line for line in bad.lines())
