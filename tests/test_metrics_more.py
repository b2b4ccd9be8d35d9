"""CMMD, precision-recall curves and the classification accuracy score, against closed forms."""

import pytest
import torch
from test_metrics import normal, one_thread
from torch import Tensor

from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.precision_recall_curve import curve_of_shares

__all__ = ["one_thread"]


def test_gaussian_mmd_is_its_closed_form() -> None:
    """For N(0, 1) and N(m, 1) in d dimensions: E k = (s^2 / (s^2 + 2))^(d/2) exp(-|m|^2 / (2 (s^2 + 2)))."""
    d, shift, s2 = 4, 0.8, 2.0**2
    scale = (s2 / (s2 + 2)) ** (d / 2)
    truth = 1000 * scale * 2 * (1 - torch.tensor(-d * shift**2 / (2 * (s2 + 2))).exp())
    got = metrics.gaussian_mmd(normal(4000, d), normal(4000, d, seed=1, shift=shift), bandwidth=2.0, normalise=False)
    assert got == pytest.approx(float(truth), rel=0.05)
    many = [metrics.gaussian_mmd(normal(50, d, seed=2 * i), normal(60, d, seed=2 * i + 1)) for i in range(100)]
    mean, error = torch.tensor(many).mean(), torch.tensor(many).std() / 10
    assert abs(mean) < 4 * error  # no bias


def test_gaussian_mmd_by_hand() -> None:
    a, b = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[-1.0, 0.0], [0.0, 5.0]])

    def k(squared: float) -> float:
        return float(torch.tensor(-squared / 200, dtype=torch.float64).exp())

    expected = 1000 * (k(2) + k(2) - 2 * (k(4) + k(2) + k(2) + k(0)) / 4)
    assert metrics.gaussian_mmd(a, b) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(BadInput, match="above 0"):
        metrics.gaussian_mmd(a, b, bandwidth=0)


def test_precision_recall_curve_of_shares() -> None:
    """Fakes in half of the modes: the curve of the paper is min(l / 2, 1) against min(1 / 2, 1 / l)."""
    real, fake = torch.full((4,), 0.25), torch.tensor([0.5, 0.5, 0, 0])
    curve = curve_of_shares(real, fake)
    slope = torch.linspace(1e-6, torch.pi / 2 - 1e-6, 1001, dtype=torch.float64).tan()
    assert torch.allclose(curve.precision, (slope / 2).clamp(max=1))
    assert torch.allclose(curve.recall, (1 / slope).clamp(max=0.5))
    assert curve.f8 == pytest.approx(65 * 0.5 / (64 + 0.5), rel=1e-2)
    assert curve.f1_8 == pytest.approx((1 + 1 / 64) * 0.5 / (1 / 64 + 0.5), rel=1e-2)
    swapped = curve_of_shares(fake, real)
    assert swapped.f8 == pytest.approx(curve.f1_8, rel=1e-2) and curve_of_shares(real, real).f8 == pytest.approx(
        1, rel=1e-2
    )
    assert curve_of_shares(torch.tensor([1.0, 0]), torch.tensor([0, 1.0])).f8 == 0


def test_precision_recall_curve_of_features() -> None:
    def clusters(modes: int, seed: int) -> Tensor:
        picks = torch.arange(400) % modes
        return 20 * torch.eye(6, dtype=torch.float64)[picks] + 0.1 * normal(400, 6, seed=seed)

    curve = metrics.precision_recall_curve(clusters(6, 0), clusters(3, 1), clusters=6)
    assert curve.f1_8 > 0.95 and curve.f8 == pytest.approx(65 * 0.5 / 64.5, abs=0.03)
    assert metrics.precision_recall_curve(clusters(6, 0), clusters(6, 2), clusters=6).f8 > 0.97
    assert metrics.precision_recall_curve(torch.ones(30, 2), torch.ones(30, 2)).f8 > 0.99  # one point
    with pytest.raises(BadInput, match="clusters"):
        metrics.precision_recall_curve(normal(10, 2), normal(10, 2))


def test_classification_accuracy_score(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path_factory.mktemp("nets")))

    def bars(n: int, labels: Tensor, seed: int) -> Tensor:
        x = 0.3 * torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
        for i, label in enumerate(labels.tolist()):
            x[i, :, 4 * label // 5 : 4 * label // 5 + 4] += 0.6
        return x.clamp(-1, 1)

    labels = torch.tensor([0, 5, 10]).repeat(40)  # classes need not be 0, 1, 2
    real = bars(120, labels, 1)
    score, by_class = metrics.classification_accuracy_score(bars(120, labels, 0), labels, real, labels, samples=900)
    assert score.value > 0.95 and score.low is not None and score.low < score.value and set(by_class) == {0, 5, 10}
    two = labels != 10
    score, by_class = metrics.classification_accuracy_score(
        bars(120, labels, 0)[two], labels[two], real, labels, samples=900
    )
    assert by_class[10].value == 0 and score.value == pytest.approx(2 / 3, abs=0.05)  # a class that the model lacks
    with pytest.raises(BadInput, match="no class"):
        metrics.classification_accuracy_score(real, labels, real, labels + 1)
