"""Figures of ``evaluate`` beyond two sets of features: classes, the accuracy score, curves, spatial maps and LPIPS."""

import json

import numpy as np
import pytest
import scipy.linalg
import torch
from test_metrics import one_thread
from test_metrics_evaluate import Replay
from test_metrics_lpips import weights
from torch import Tensor, nn

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.evaluation.evaluate import evaluate
from ganloom.metrics.extractors.extractor import Extractor
from ganloom.metrics.extractors.inception_net import FIDInception
from ganloom.metrics.extractors.nets import RandomNet, SmallNet
from ganloom.metrics.extractors.spatial import spatial
from ganloom.metrics.measurement import ClassFigures, class_lines

__all__ = ["one_thread"]


def bars(labels: Tensor, seed: int) -> Tensor:
    """Grey images (n, 1, 16, 16) with a bar at the height of the class."""
    x = 0.3 * torch.randn(len(labels), 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    for i, label in enumerate(labels.tolist()):
        x[i, :, 5 * label : 5 * label + 4] += 0.6
    return x.clamp(-1, 1)


def as_data(x: Tensor, labels: Tensor | None) -> datasets.Data:
    images = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return datasets.open(images, labels=None if labels is None else labels.tolist())


LABELS = torch.arange(240) % 3


def test_a_class_that_is_generated_badly_shows(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("files")
    monkeypatch.setenv("GANLOOM_CACHE", str(folder))
    monkeypatch.setattr("ganloom.evaluation.model_metrics.CAS_SAMPLES", 900)
    x = bars(LABELS, 1)
    rows = bars(LABELS, 2)
    rows[LABELS == 2] = bars(LABELS, 3)[LABELS == 0]  # the model draws class 0 when it is asked for class 2
    backbone, heads = weights("alex")
    torch.save(backbone | heads, folder / "alex.pth")
    names = ("kd", "cas", "classes", "prd", "sfd")
    result = evaluate(
        Replay(rows, LABELS),
        as_data(x, LABELS),
        n=120,
        features="random",
        metrics=names,
        lpips_weights=folder / "alex.pth",
    )
    assert json.loads(json.dumps(result)) == result
    classes = {one["name"]: one for one in result["classes"]}
    assert len(classes) == 3 and all(one["n_real"] + one["n_fake"] > 60 for one in classes.values())
    assert classes["2"]["kd"]["value"] > 10 * max(classes[c]["kd"]["value"] for c in "01")
    assert classes["2"]["recall"]["value"] < 0.1 < 0.5 < classes["0"]["recall"]["value"]
    assert classes["0"]["kd"]["low"] <= classes["0"]["kd"]["value"] <= classes["0"]["kd"]["high"]
    generated, real = result["rows"]["generated"], result["rows"]["real (other half)"]
    assert generated["cas_classifier120"]["value"] == pytest.approx(2 / 3, abs=0.08)
    assert real["cas_classifier120"]["value"] > 0.9
    assert generated["prd_recall_random120"]["value"] < real["prd_recall_random120"]["value"]
    curve = result["curves"]["generated"]["prd_random120"]
    assert curve[0][0] < 0.01 and curve[-1][1] < 0.01 and len(curve) == 101
    assert generated["sfd_random120"]["value"] > real["sfd_random120"]["value"]
    assert 0 < generated["lpips_pairs_alex120"]["value"] and real["lpips_pairs_alex120"]["low"] > 0
    assert any(line.startswith("each class, random") for line in result["table"])


def test_metrics_of_classes_need_labels() -> None:
    x = bars(LABELS, 1)
    for name in ("cas", "classes"):
        with pytest.raises(BadInput, match=rf"metrics: {name} needs"):
            evaluate(Replay(x), as_data(x, None), n=60, features="random", metrics=["kd", name], intervals=False)
    with pytest.raises(BadInput, match="--lpips-weights"):
        evaluate(Replay(x), as_data(x, None), n=60, features="random", metrics=["lpips"], intervals=False)


def test_the_table_of_classes_is_short() -> None:
    value = metrics.Value
    some = [ClassFigures(f"c{i}", "random", 50, 50, value(float(i)), value(0.5)) for i in range(100)]
    lines = class_lines([*some, ClassFigures("rare", "random", 50, 3, None, None)])
    assert len(lines) == 22 and "20 worst of 101" in lines[1] and lines[2].startswith("c99")
    assert any("too few images" in line for line in class_lines([ClassFigures("rare", "random", 50, 3, None, None)]))


def test_spatial_distance_is_the_frechet_distance_of_the_map() -> None:
    """Against the formula with scipy's matrix root; parts that change places are seen, which averages do not show."""
    net = RandomNet()
    extractor = Extractor(net, name="random", size=64)
    real, fake = (bars(LABELS[:150], seed).expand(-1, 3, -1, -1) for seed in (1, 2))
    features = spatial(extractor)(real).double()
    with torch.no_grad():
        big = metrics.Extractor(lambda x: x.flatten(1), size=64)(real).view(-1, 3, 64, 64)
        expected = net.maps(big)[2][:, :7].flatten(1).double()
    assert features.shape == (150, 7 * 16 * 16) and torch.allclose(features, expected, atol=1e-5)
    a, b = (spatial(extractor)(x)[:, ::64].double().numpy() for x in (real, fake))
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    formula = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(formula, rel=1e-6)
    moved = real.flip(2)
    others = [metrics.frechet_distance(features, spatial(extractor)(x)) for x in (moved, fake)]
    assert others[0] > 2 * others[1]
    with pytest.raises(BadInput, match="sfd needs"):
        spatial(Extractor(nn.Flatten(), name="flat"))


def test_spatial_maps_have_the_published_size() -> None:
    with torch.random.fork_rng(devices=[]):
        inception = FIDInception().eval()
    with torch.no_grad():
        assert inception.spatial_map(torch.zeros(1, 3, 299, 299)).shape == (1, 192, 17, 17)  # 7 x 17 x 17 = 2023
        small = SmallNet()
        assert small.eval().spatial_map(torch.zeros(2, 1, 28, 28)).shape == (2, 96, 7, 7)
