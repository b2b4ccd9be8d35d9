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
from ganloom.core.errors import BadInput
from ganloom.evaluation.evaluate import choose_features, evaluate, measure_model
from ganloom.evaluation.measure import choose_all
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
    monkeypatch.setattr("ganloom.metrics.extractors.by_name.TASK_SAMPLES", 200)
    images = np.random.default_rng(0).integers(0, 256, (120, 16, 16, 3), np.uint8)
    labelled = datasets.open(images, labels=[0, 1] * 60)
    assert choose_features("auto", labelled).name.startswith("task_")
    assert choose_features("random", labelled).name == "random"
    assert choose_features("auto", datasets.open(images)).name == "random"
    assert choose_features("auto", datasets.open(images, labels=[0] * 100 + [1] * 20)).name == "random"
    with pytest.raises(BadInput, match="no labels"):
        choose_features("task", datasets.open(images))


def test_a_model_needs_data_and_gives_plain_numbers() -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 1), np.uint8)
    model = Replay(datasets.open(images).get(range(40)))
    result: dict[str, Any] = evaluate(model, images, n=30)
    assert json.loads(json.dumps(result)) == result
    assert set(result["rows"]) == {"generated", "real (other half)", "noise"} and result["run"] is None
    assert result["rows"]["generated"]["fd_random30"]["low"] <= result["rows"]["generated"]["fd_random30"]["value"]
    with pytest.raises(BadInput, match="give the images"):
        evaluate(model)
    with pytest.raises(BadInput, match="needs at least 24 rows"):
        evaluate(model, images[:20])


def test_points_are_their_own_features() -> None:
    ring = datasets.open("ring:2000")
    good = measure_model(Replay(ring.get(range(1000, 2000))), ring, n=400, intervals=False)
    one_mode = ring.get(np.flatnonzero(ring.labels == 0))
    bad = measure_model(Replay(one_mode), ring, n=400, intervals=False)
    assert good.value("fd") < 0.05 < 0.5 < bad.value("fd") and good.value("coverage_points400") > 0.8
    assert bad.value("coverage") < 0.3 and bad.value("precision") > 0.5
    assert any("points features" in line for line in bad.lines())
    with pytest.raises(BadInput, match="intra is for images"):
        measure_model(Replay(one_mode), ring, n=400, metrics=("fd", "intra"))


def test_rows_protocol_and_metrics_of_a_conditional_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganloom.evaluation.model_metrics.PATHS", 50)
    fashion = datasets.open("fashion-10k")
    model = Replay(fashion.get(range(4000, 8000)), torch.from_numpy(fashion.labels[4000:8000]))
    data = fashion.split(4000)[0]
    got = measure_model(
        model, data, n=200, features="fashion,random", intervals=False, metrics=("fd", "intra", "msssim", "ppl")
    )
    assert list(got.rows) == ["generated", "real (other half)", "one class", "noise"]
    fd = {row: values["fd_fashion200"].value for row, values in got.rows.items()}
    assert fd["real (other half)"] < fd["one class"] < fd["noise"]
    assert list(got.rows["generated"]) == [
        "fd_fashion200", "intra_kd_fashion200", "msssim_class_pixels200", "ppl_fashion50",
        "fd_random200", "intra_kd_random200", "ppl_random50",
    ]  # fmt: skip
    for p in got.protocols:
        assert (p["weights"], p["truncation"], p["seed"], p["resizer"]) == ("EMA", 1.0, 0, "antialiased")
        assert p["one_class"].endswith("images") and len(p["sha8"]) == 8
    counts = got.class_counts["one class"]
    assert max(counts) > 0.7 * sum(counts)
    swapped = Replay(model.rows, 9 - model.labels)  # a model that mixes its labels up
    bad = measure_model(swapped, data, n=200, features="fashion", intervals=False, metrics=("intra",))
    assert bad.value("intra_kd") > 10 * abs(got.value("intra_kd"))
    with pytest.raises(BadInput, match="class-conditional"):
        measure_model(Replay(model.rows), data, n=200, features="fashion", metrics=("intra",))


def test_both_adds_effnet_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    fashion = datasets.open("fashion-10k")
    made: list[str] = []

    def choose(name: str, *args: Any, **more: Any) -> SimpleNamespace:
        made.append(name)
        return SimpleNamespace(name=name)

    monkeypatch.setattr("ganloom.evaluation.measure.choose_features", choose)
    monkeypatch.setattr("ganloom.evaluation.measure.effnet_installed", lambda: True)
    monkeypatch.setattr("ganloom.evaluation.measure.weight_file", lambda: None)
    assert len(choose_all("both", fashion)) == 2 and made == ["auto", "effnet"]
    monkeypatch.setattr("ganloom.evaluation.measure.weight_file", lambda: Path("weights"))
    assert [net.name for net in choose_all("both", fashion)] == ["auto", "effnet", "mobilenet"]
    monkeypatch.setattr("ganloom.evaluation.measure.weight_file", lambda: None)
    assert len(choose_all("auto", fashion)) == 1
    monkeypatch.setattr("ganloom.evaluation.measure.effnet_installed", lambda: False)
    assert len(choose_all("both", fashion)) == 1
    assert len(choose_all(["fashion, random"], fashion)) == 2
    with pytest.raises(BadInput, match="fashion twice"):
        choose_all("fashion,fashion", fashion)
    with pytest.raises(BadInput, match="names no feature net"):
        choose_all(" , ", fashion)


def test_real_features_are_kept_between_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 1), np.uint8)
    model = Replay(datasets.open(images).get(range(40)))
    first = evaluate(model, images, n=30, features="random")
    assert len(list((tmp_path / "features").iterdir())) == 2  # the reference and the other half
    again = evaluate(model, images, n=30, features="random")
    assert again["rows"] == first["rows"]
    assert len(list((tmp_path / "features").iterdir())) == 2
    evaluate(model, images, n=30, features="random", seed=1)
    assert len(list((tmp_path / "features").iterdir())) == 4


def test_missing_inception_weights_are_one_line_before_anything_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANLOOM_INCEPTION", raising=False)
    monkeypatch.setattr("ganloom.metrics.extractors.inception_weights.folders", lambda: [tmp_path])
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 1), np.uint8)
    model = Replay(datasets.open(images).get(range(40)))
    monkeypatch.setattr(model, "generate", lambda *args, **more: pytest.fail("generated before the weights were there"))
    for options in ({"features": "inception"}, {"features": "random,inception", "weights": tmp_path / "no.pth"}):
        with pytest.raises(BadInput, match=r"Inception weights are missing|no such file") as caught:
            measure_model(model, datasets.open(images), n=30, **options)
        assert "\n" not in str(caught.value)


def test_a_model_that_makes_nan_is_one_line() -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 1), np.uint8)
    broken = Replay(torch.full((10, 1, 16, 16), float("nan")))
    with pytest.raises(BadInput, match="must be finite"):
        evaluate(broken, images, n=30, features="random")
