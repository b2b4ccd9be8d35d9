"""The statistics beside fd, kd and prdc, against other packages' figures, closed forms and brute force."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d
from test_metrics import normal, one_thread
from torch import Tensor, nn

from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.metrics import Extractor, Moments, frechet_distance, kernel_distance, prdc
from ganloom.metrics.statistics.intervals import half_samples
from ganloom.metrics.statistics.kernel import Kernels, squared_mmd
from ganloom.metrics.statistics.neighbours import Distances, nearest
from ganloom.metrics.statistics.pairs import pair_variance
from ganloom.metrics.statistics.ssim import scales
from ganloom.metrics.statistics.trimmed import trimmed_mean

__all__ = ["one_thread"]


def rows(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


def images(n: int, c: int = 1, side: int = 28, seed: int = 0) -> Tensor:
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# figures that other packages give for `rows(400, 16, 0)` and `rows(300, 16, 1, 0.3, 0.9)`

REAL, FAKE = rows(400, 16, 0), rows(300, 16, 1, 0.3, 0.9)
PRDC = {  # of prdc 0.2
    3: (0.8266666666666667, 0.535, 1.2877777777777777, 0.775),
    5: (0.9033333333333333, 0.67, 1.3293333333333335, 0.895),
}
PRDC_OF_COPIES = (1.0, 0.8725, 0.9357142857142858, 0.71)
# of torchmetrics 1.9.0 with a module that hands the features through
FID, KID_OF_300, INCEPTION_SCORE = 1.942239349929384, 0.30018900441994134, 2.8225939362925865


def test_figures_equal_the_prdc_packages() -> None:
    for k, want in PRDC.items():
        assert tuple(prdc(REAL, FAKE, k).values()) == pytest.approx(want, rel=1e-12)
    copies = np.concatenate([REAL[:40], REAL[:40], REAL[100:160]])
    assert tuple(prdc(REAL, copies, 5).values()) == pytest.approx(PRDC_OF_COPIES, rel=1e-12)


def test_figures_equal_torchmetrics() -> None:
    assert frechet_distance(REAL, FAKE) == pytest.approx(FID, rel=1e-9)
    assert kernel_distance(REAL[:300], FAKE)[0] == pytest.approx(KID_OF_300, rel=1e-9)
    assert metrics.inception_score(FAKE * 2, splits=1)[0] == pytest.approx(INCEPTION_SCORE, rel=1e-9)


def test_against_torchmetrics_itself() -> None:
    pytest.importorskip("torchmetrics")
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Through(nn.Module):
        num_features = 16

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).double()

    peer = FrechetInceptionDistance(feature=Through(), normalize=True).set_dtype(torch.float64)
    for values, real in ((REAL, True), (FAKE, False)):
        peer.update(torch.from_numpy(values).reshape(-1, 1, 4, 4), real=real)
    assert frechet_distance(REAL, FAKE) == pytest.approx(peer.compute().item(), rel=1e-6)


# moments that come in parts


def test_streamed_moments_do_not_depend_on_the_parts() -> None:
    x, y = torch.from_numpy(REAL) + 1000, torch.from_numpy(FAKE) + 1000
    whole = frechet_distance(x, y)
    for size in (1, 7, 150, 400):
        a, b = Moments(), Moments()
        for part in x.split(size):
            a.add(part)
        for part in y.split(size):
            b.add(part.numpy())
        assert a.n == 400 and a.distance(b) == pytest.approx(whole, rel=1e-8)
        assert np.allclose(a.cov, np.cov(REAL, rowvar=False), rtol=1e-9, atol=1e-9)
    with pytest.raises(BadInput, match="5 a row after 16"):
        a.add(torch.zeros(2, 5))
    with pytest.raises(BadInput, match="NaN"):
        a.add(torch.full((2, 16), math.nan))
    with pytest.raises(BadInput, match="at least 2"):
        _ = Moments().add(torch.zeros(1, 4)).cov


BIG = """
import resource, time, torch
from ganloom.metrics import Moments
rng = torch.Generator().manual_seed(0)
rotate = torch.randn(2048, 2048, generator=rng) / 45
parts = lambda shift: (torch.randn(2000, 2048, generator=rng) @ rotate + shift for _ in range(25))
start, sets = time.process_time(), []
for shift in (0.0, 0.01):
    sets.append(Moments())
    for part in parts(shift):
        sets[-1].add(part)
distance = sets[0].distance(sets[1])
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, distance)
"""


@pytest.mark.slow
def test_fifty_thousand_inception_features_in_time_and_memory() -> None:
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    seconds, gigabytes, distance = map(float, done.stdout.split())
    assert seconds < 120 and gigabytes < 3  # 120 s of processor time are 60 s on 2 cores
    assert 0.2 < distance < 100


# extrapolation


def test_extrapolation_takes_the_bias_away() -> None:
    true = 8 * 0.2**2  # equal covariances, a shift
    d = 8
    found, biased = [], []
    for seed in range(6):
        a, b = normal(900, d, seed=seed), normal(900, d, seed=100 + seed, shift=0.2)
        found.append(metrics.frechet_infinity(a, b, seed=seed))
        biased.append(frechet_distance(a, b))
    values = [f.value for f in found]
    assert abs(np.mean(values) - true) < abs(np.mean(biased) - true)
    assert np.mean(values) == pytest.approx(true, abs=4 * np.std(values) / 6**0.5)
    counts = [n for n, _ in found[0].points]
    assert len(counts) == 15 and counts == sorted(counts) and (counts[0], counts[-1]) == (300, 900)
    assert found[0].low < found[0].value < found[0].high
    with pytest.raises(BadInput, match="more than 24 samples"):
        metrics.frechet_infinity(normal(20, 8), normal(20, 8))


# sliced Wasserstein


def test_sliced_wasserstein_closed_forms() -> None:
    x = normal(500, 6)
    shift = torch.tensor([3.0, 0, 0, 0, 0, 4.0], dtype=torch.float64)
    assert metrics.sliced_wasserstein(x, x) == 0
    assert metrics.sliced_wasserstein(x, x + shift, projections=20_000) == pytest.approx(5 / 6**0.5, rel=0.02)
    assert metrics.sliced_wasserstein(x, x.flip(0)) == pytest.approx(0, abs=1e-12)
    line = torch.tensor([[0.0], [1.0], [5.0]])
    assert metrics.sliced_wasserstein(line, line + 2) == pytest.approx(2)
    assert metrics.sliced_wasserstein(line, line[:2]) == pytest.approx((1 / 6 + 16 / 3) ** 0.5)


def test_sliced_wasserstein_of_unequal_counts_is_that_of_repeated_rows() -> None:
    x, y = normal(12, 3), normal(8, 3, seed=1)
    want = metrics.sliced_wasserstein(x.repeat_interleave(2, 0), y.repeat_interleave(3, 0))
    assert metrics.sliced_wasserstein(x, y) == pytest.approx(want, rel=1e-12)
    state = torch.get_rng_state()
    assert metrics.sliced_wasserstein(x, y, seed=1) != metrics.sliced_wasserstein(x, y)
    assert torch.equal(state, torch.get_rng_state())


# diversity


def test_vendi_score_counts_different_rows() -> None:
    eye = torch.eye(5, 9)
    assert metrics.vendi_score(eye.repeat(4, 1)) == pytest.approx(5)
    assert metrics.vendi_score(torch.eye(5, 40)) == pytest.approx(5)  # fewer rows than features
    assert metrics.vendi_score(torch.ones(7, 3)) == pytest.approx(1)
    x = normal(30, 12)
    k = nn.functional.normalize(x) @ nn.functional.normalize(x).T / 30
    p = torch.linalg.eigvalsh(k).clamp(min=1e-300)
    assert metrics.vendi_score(x) == pytest.approx(float((-(p * p.log()).sum()).exp()), rel=1e-9)
    with pytest.raises(BadInput, match="row of zeros"):
        metrics.vendi_score(torch.zeros(3, 3))


def test_pair_distance() -> None:
    x = normal(40, 5)
    want = torch.pdist(x).mean().item() / 5**0.5
    assert metrics.pair_distance(x) == pytest.approx(want, rel=1e-9)
    assert metrics.pair_distance(x, pairs=700) == pytest.approx(want, rel=0.1)
    assert metrics.pair_distance(torch.ones(4, 2)) == 0


def test_intra_class_distance_sees_ignored_labels() -> None:
    y = torch.arange(400) % 2
    real, fake = normal(400, 4) + 3 * y[:, None], normal(400, 4, seed=1) + 3 * y[:, None]
    good = metrics.intra_class_distance(real, y, fake, y, metric="fd")
    bad = metrics.intra_class_distance(real, y, fake, 1 - y, metric="fd")
    assert set(good) == {0, 1} and max(good.values()) < 1 < 20 < min(bad.values())
    assert good[1] == pytest.approx(frechet_distance(real[y == 1], fake[y == 1]), rel=1e-9)
    assert metrics.intra_class_distance(real, y, fake, y)[0] == pytest.approx(
        squared_mmd(real[y == 0], fake[y == 0]), rel=1e-9
    )
    with pytest.raises(BadInput, match="no class"):
        metrics.intra_class_distance(real, y, fake, y + 5)
    with pytest.raises(BadInput, match="400 and 3 labels"):
        metrics.intra_class_distance(real, y, fake, y[:3])


def direct_ms_ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Wang et al.'s formula on two grey images in [0, 1], by two-dimensional convolution."""
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    blur = lambda x: convolve2d(x, window, mode="valid")
    weights, result = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), 1.0
    for i, weight in enumerate(weights):
        ma, mb = blur(a), blur(b)
        va, vb, vab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        terms = (2 * vab + 0.03**2) / (va + vb + 0.03**2)
        if i == 4:
            terms = terms * (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
        result *= terms.mean() ** weight
        half = lambda x: x[: len(x) // 2 * 2, : len(x) // 2 * 2].reshape(len(x) // 2, 2, len(x) // 2, 2).mean((1, 3))
        a, b = half(a), half(b)
    return float(result)


def test_ms_ssim_is_the_formula() -> None:
    a = np.random.default_rng(3).random((180, 180))
    b = (a + 0.3 * (np.random.default_rng(4).random((180, 180)) - 0.5)).clip(0, 1)
    x, y = (torch.from_numpy(v)[None, None].float() * 2 - 1 for v in (a, b))
    assert metrics.ms_ssim(x, y).item() == pytest.approx(direct_ms_ssim(a, b), rel=1e-5)
    assert metrics.ms_ssim(x, x).item() == pytest.approx(1)
    assert [scales(n, n + 3) for n in (10, 11, 28, 64, 176, 500)] == [0, 1, 2, 3, 5, 5]
    with pytest.raises(BadInput, match="needs 11 pixels"):
        metrics.ms_ssim(images(1, side=8), images(1, side=8))
    with pytest.raises(BadInput, match="MS-SSIM needs equal shapes"):
        metrics.ms_ssim(images(1), images(2))


def test_ms_ssim_diversity_rises_with_sameness() -> None:
    varied, same = images(40), images(1).expand(40, -1, -1, -1)
    labels = torch.arange(40) % 4
    alike = images(4)[labels]  # one image a class
    assert metrics.ms_ssim_diversity(same, pairs=50).value == pytest.approx(1)
    value = metrics.ms_ssim_diversity(varied, pairs=50)
    assert value.low is not None and value.high is not None and value.low < value.value < value.high < 0.3
    assert metrics.ms_ssim_diversity(alike, labels, pairs=50).value == pytest.approx(1)
    assert metrics.ms_ssim_diversity(alike, pairs=50).value < 0.6
    with pytest.raises(BadInput, match="a pair of one class"):
        metrics.ms_ssim_diversity(images(3), torch.arange(3))


# precision and recall as first published


def test_improved_precision_recall_counts_the_rim_and_is_not_swapped() -> None:
    real, spot = normal(300, 4), normal(300, 4, seed=1, scale=1e-3)
    assert metrics.improved_precision_recall(real, spot) == pytest.approx((1, 0), abs=0.01)
    back = metrics.improved_precision_recall(spot, real)
    assert back[0] < 0.01 and back[1] == 1
    near = prdc(REAL, FAKE, 3)  # no ties: the same but for the rim
    assert metrics.improved_precision_recall(REAL, FAKE) == (near["precision"], near["recall"])
    lattice = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    rim = torch.tensor([[4.0], [9.0], [12.0]])  # 4 lies on the rim of 3's ball of reach 1
    assert metrics.improved_precision_recall(lattice, rim, k=1)[0] == pytest.approx(1 / 3)
    assert prdc(lattice, rim, k=1)["precision"] == 0
    with pytest.raises(BadInput, match="k: "):
        metrics.improved_precision_recall(lattice, rim, k=3)


def test_twenty_images_repeated_have_no_recall_under_either_definition() -> None:
    real = normal(1000, 16)
    assert metrics.improved_precision_recall(real, real[:20].repeat(50, 1))[1] <= 0.02  # the twenty themselves


def test_nearest() -> None:
    x, y = normal(30, 3), normal(20, 3, seed=1)
    want = torch.cdist(x, y).square()
    distance, index = nearest(x, y)
    assert torch.allclose(distance, want.min(1).values) and torch.equal(index, want.argmin(1))
    own, _ = nearest(x, x, itself=True)
    assert torch.allclose(own, (torch.cdist(x, x).square() + torch.eye(30) * 99).min(1).values)


# tables of all pairs give what direct computation gives


def test_tables_of_pairs_agree_with_direct_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    i, j = torch.randperm(400)[:90], torch.randperm(300)[:70]
    assert Kernels(a, b).squared_mmd(i, j) == pytest.approx(squared_mmd(a[i], b[j]), rel=1e-9)
    assert Distances(a, b).row_values(i, j, 5).means() == pytest.approx(prdc(a[i], b[j], 5), abs=1e-12)
    rim = Distances(a, b).row_values(i, j, 3, rim=True).means()
    assert (rim["precision"], rim["recall"]) == pytest.approx(metrics.improved_precision_recall(a[i], b[j]), abs=1e-12)
    once = kernel_distance(a, b, subsets=20, subset_size=100)
    monkeypatch.setattr("ganloom.metrics.statistics.kernel.TABLE_ROWS", 1)
    assert once == pytest.approx(kernel_distance(a, b, subsets=20, subset_size=100), rel=1e-9)


# half-samples and the variances that come from them


def test_half_samples_are_disjoint_halves_of_equal_size() -> None:
    splits: list[tuple[list[int], list[int]]] = []

    def note(i: Tensor, j: Tensor) -> dict[str, float]:
        splits.append((i.tolist(), j.tolist()))
        return {"a": 1.0, "b": float(i[0])}

    halves = half_samples(note, (9, 6), pairs=3)
    assert set(halves.values) == {"a", "b"} and halves.values["a"].shape == (3, 2) and halves.pairs == 3
    for (i, j), (k, m) in zip(splits[::2], splits[1::2], strict=True):
        assert len(i) == len(k) == 4 and len({*i, *k}) == 8 and {*j, *m} == set(range(6))
    assert splits[0] != splits[2]


def test_variances_of_linear_and_quadratic_statistics() -> None:
    """Variance of the mean of x: 1 / n. Of its square: linear far from 0 (36 / n), purely quadratic (2 / n^2) at 0."""
    n, found = 200, {"mean": [], "far": [], "near": []}
    for seed in range(60):
        x = normal(n, 1, seed=seed)[:, 0]
        halves = half_samples(
            lambda i, x=x: {
                "mean": float(x[i].mean()),
                "far": float((x[i].mean() + 3) ** 2),
                "near": float(x[i].mean() ** 2),
            },
            (n,),
            pairs=60,
        )
        found["mean"].append(halves.variance("mean"))
        found["far"].append(halves.smooth_variance("far"))
        found["near"].append(halves.linear_and_quadratic("near"))
    assert np.mean(found["mean"]) == pytest.approx(1 / n, rel=0.1)
    assert np.mean(found["far"]) == pytest.approx(36 / n, rel=0.1)
    linear, quadratic = np.mean(found["near"], axis=0)
    assert linear + quadratic == pytest.approx(2 / n**2, rel=0.5)  # few random terms: chi-squared with one degree


def test_means_with_too_few_values() -> None:
    assert metrics.Value.mean_of(torch.ones(1)).low is None  # one value has no spread
    mean, low, high, count = trimmed_mean(torch.arange(101.0), 0.1)
    assert (mean, count) == (50, 81) and 50 - low == pytest.approx(high - 50)
    with pytest.raises(BadInput, match="trim: 0.49 leaves 0 of 4 values"):
        trimmed_mean(torch.arange(4.0), 0.49)


def test_variance_of_a_mean_over_pairs() -> None:
    """All pairs of x_i + x_j: the mean is twice the mean of x, so its variance is 4 / n. Of independent pairs: s^2 / P."""
    x = normal(400, 1)[:, 0]
    first, second = torch.triu_indices(400, 400, 1)
    assert pair_variance(x[first] + x[second], first, second) == pytest.approx(4 * float(x.var()) / 400, rel=0.02)
    apart = pair_variance(x[:200] + x[200:], torch.arange(200), torch.arange(200, 400))
    assert apart == pytest.approx(float((x[:200] + x[200:]).var()) / 200)


# path length


def test_path_length_of_a_linear_generator() -> None:
    start, end = normal(500, 5), normal(500, 5, seed=1)
    weights = normal(5, 12, seed=2) * 0.02
    flat = Extractor(lambda x: x.flatten(1), name="flat", channels=3)

    def make(z: Tensor, first: int) -> Tensor:
        return (z @ weights.to(z.dtype)).reshape(-1, 3, 2, 2).clamp(-1, 1).float()

    want = ((end - start) @ weights).square().sum(1)
    got = metrics.path_length(make, start, end, flat, spherical=False, trim=0.0, epsilon=0.01)
    assert got.value == pytest.approx(want.mean().item(), rel=1e-3) and got.kept == 500
    assert got.low < got.value < got.high
    half = metrics.path_length(make, start, end, flat, spherical=False, epsilon=0.01)
    assert 485 <= half.kept <= 492 and half.value < got.value
    parts = metrics.path_length(make, start, end, flat, spherical=False, trim=0.0, epsilon=0.01, batch=7)
    assert parts.value == pytest.approx(got.value, rel=1e-5)
    still = metrics.path_length(lambda z, first: torch.zeros(len(z), 3, 2, 2), start, end, flat)
    assert still.value == 0
    unit = torch.eye(2, 5, dtype=torch.float64)[[0, 0, 0, 0]], torch.eye(2, 5, dtype=torch.float64)[[1, 1, 1, 1]]
    around = metrics.path_length(  # a quarter of the unit circle in unit time
        lambda z, first: (z[:, :3, None, None] / 2).float(), *unit, flat, trim=0.0, epsilon=0.01
    )
    assert around.value == pytest.approx((math.pi / 4) ** 2, rel=1e-3)
    with pytest.raises(BadInput, match="two equal"):
        metrics.path_length(make, start, end[:3], flat)
    with pytest.raises(BadInput, match="epsilon"):
        metrics.path_length(make, start, end, flat, epsilon=0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_are_one_line_everywhere(bad: float) -> None:
    good, broken = normal(40, 4), normal(40, 4)
    broken[3, 2] = bad
    calls = [
        lambda: metrics.sliced_wasserstein(good, broken),
        lambda: metrics.frechet_infinity(good, broken),
        lambda: metrics.vendi_score(broken),
        lambda: metrics.pair_distance(broken),
        lambda: metrics.improved_precision_recall(good, broken),
        lambda: metrics.compare(good, {"x": broken}, "own"),
    ]
    for call in calls:
        with pytest.raises(BadInput, match="NaN or Inf") as caught:
            call()
        assert "\n" not in str(caught.value)
    for call in (metrics.sliced_wasserstein, metrics.frechet_infinity, metrics.improved_precision_recall):
        with pytest.raises(BadInput, match="same extractor"):
            call(good, good[:, :2])
