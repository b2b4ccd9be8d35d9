"""Measuring translators: errors against a known truth, trivial rows, the domain classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ganloom
from ganloom.core.errors import BadInput
from ganloom.data.translation_sets import recoloured
from ganloom.evaluation.translator import called_b, domain_classifier
from ganloom.metrics import paired_errors
from ganloom.metrics.statistics.translation import feature_distance, matched


def test_errors_by_hand() -> None:
    a = torch.full((3, 1, 16, 16), -1.0)
    found = paired_errors(a, a + 0.2)
    assert found["l1"].value == pytest.approx(0.1, abs=1e-6) and found["psnr"].value == pytest.approx(20, abs=1e-4)
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    same = paired_errors(x, x)
    assert same["l1"].value == 0 and same["psnr"].value == pytest.approx(60) and same["ssim"].value == pytest.approx(1)
    assert paired_errors(x, -x)["ssim"].value < 0.2 and "ssim" not in paired_errors(x[..., :8], x[..., :8])
    with pytest.raises(BadInput, match="one shape"):
        paired_errors(x, x[:2])
    f = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert feature_distance(f, f * 3).value == pytest.approx(0) and feature_distance(f, -f).value == pytest.approx(2)


def test_a_matched_histogram_is_the_targets() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(20, 2, 16, 16, generator=rng) * 2 - 1
    targets = (torch.rand(30, 2, 16, 16, generator=rng) ** 3) * 2 - 1
    y = matched(x, targets)
    at = torch.linspace(0.05, 0.95, 7)
    for i in range(2):
        assert torch.allclose(
            torch.quantile(y[:, i].flatten(), at), torch.quantile(targets[:, i].flatten(), at), atol=0.03
        )
    order = x[0, 0].flatten().argsort()
    assert (y[0, 0].flatten()[order].diff() >= -1e-6).all(), "brighter stays brighter"


@pytest.mark.slow
def test_the_domain_classifier_tells_them_apart() -> None:
    data = ganloom.data.open("unpaired-fashion")
    judge = domain_classifier(data)
    held = data.held
    assert called_b(judge, held.get(range(200))) > 0.95 and called_b(judge, held.inputs.get(range(200))) < 0.05


@pytest.mark.slow
def test_evaluate_of_both_kinds(tmp_path: Path) -> None:
    small = {"width": 4, "d_width": 4, "batch_size": 4, "total_kimg": 0.02, "judge": 0}
    run = ganloom.train("cyclegan", "unpaired-fashion", tmp_path / "c", blocks=1, **small)
    found = run.evaluate(n=60, intervals=False)
    rows = found["rows"]
    assert set(rows) >= {"generated", "copied input", "mean target", "histogram matched", "noise"}
    held = ganloom.data.open("unpaired-fashion").held
    copied = np.abs(held.inputs.rows[:60].astype(float) - recoloured(held.inputs.rows[:60, ..., 0])).mean() / 255
    assert rows["copied input"]["l1"]["value"] == pytest.approx(copied, abs=1e-4)
    assert 0 < rows["generated"]["cycle_l1"]["value"] < 1 and rows["copied input"]["called_b"]["value"] < 0.1
    assert "held back" in found["protocol"]["split"] and any("copied input" in line for line in found["table"])
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (60, 16, 16, c), dtype=np.uint8) for c in (1, 3))
    run = ganloom.train("pix2pix", (a, b), tmp_path / "p", **small)
    rows = run.evaluate(n=24, intervals=False)["rows"]
    assert rows["generated"]["psnr"]["value"] > 0 and "called_b" not in rows["generated"]
