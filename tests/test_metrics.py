"""Statistics of features against closed forms, float64 numpy and brute force."""

import math
import time
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.linalg
import torch

from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.metrics import (
    bootstrap,
    count_name,
    expected_coverage,
    frechet_distance,
    frechet_from_stats,
    inception_score,
    kernel_distance,
    metric_name,
    moments,
    prdc,
    quick,
)
from ganloom.metrics.figures import row_values


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products on many threads mostly wait, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(n: int, d: int = 8, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale + shift


def direct_prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """The published definitions, pair by pair, with exact differences."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    r_real = np.sort(distances(real, real), axis=1)[:, k]
    r_fake = np.sort(distances(fake, fake), axis=1)[:, k]
    between = distances(real, fake)
    return {
        "precision": (between < r_real[:, None]).any(0).mean(),
        "recall": (between < r_fake[None]).any(1).mean(),
        "density": (between < r_real[:, None]).sum(0).mean() / k,
        "coverage": (between.min(1) < r_real).mean(),
    }


# Frechet distance


def test_frechet_of_two_known_gaussians() -> None:
    # commuting covariances: |mu|^2 + sum (sqrt a - sqrt b)^2
    mu1, mu2 = np.zeros(3), np.array([1.0, 2.0, 2.0])
    got = frechet_from_stats(mu1, np.diag([1.0, 4.0, 9.0]), mu2, np.diag([4.0, 4.0, 1.0]))
    assert got == pytest.approx(9 + 1 + 0 + 4, abs=1e-9)


def test_frechet_of_correlated_gaussians_in_two_dimensions() -> None:
    # for 2 x 2: tr sqrt(A) = sqrt(tr A + 2 sqrt(det A)), here A = S1 S2
    s1, s2 = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    product = s1 @ s2
    root = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    got = frechet_from_stats(np.zeros(2), s1, np.zeros(2), s2)
    assert got == pytest.approx(np.trace(s1) + np.trace(s2) - 2 * root, abs=1e-10)


@pytest.mark.parametrize("n", [400, 40, 25])  # more, fewer, and far fewer samples than features
def test_frechet_agrees_with_scipy(n: int) -> None:
    a, b = normal(n, 64).numpy(), (normal(n, 64, seed=1, shift=0.3) @ normal(64, 64, seed=2)).numpy() / 8
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    eigenvalues = scipy.linalg.eigvals(s1 @ s2).real.clip(0)
    want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.sqrt(eigenvalues).sum()
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-5)


def test_frechet_of_equal_sets_is_zero_and_of_a_shift_its_square() -> None:
    a = normal(300, 16)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(16 * 4, rel=1e-8)
    assert frechet_distance(a, a * 3) == pytest.approx(
        4 * a.var(0).sum().item() + 4 * a.mean(0).square().sum().item(), rel=1e-6
    )


def test_covariance_blocks_are_the_whole_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(50, 23)
    monkeypatch.setattr("ganloom.metrics.statistics.frechet._BLOCK", 5)
    mean, cov = moments(x)
    assert np.allclose(mean, x.mean(0)) and np.allclose(cov, np.cov(x.numpy(), rowvar=False))


def test_frechet_is_symmetric_and_takes_float32_float16_and_arrays() -> None:
    a, b = normal(200).float(), normal(150, seed=1, shift=1).float()
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b.numpy(), a.numpy()), rel=1e-6)
    assert frechet_distance(a.half(), b.half()) == pytest.approx(frechet_distance(a, b), rel=1e-2)


def test_frechet_keeps_its_digits_far_from_the_origin() -> None:
    a, b = normal(500), normal(500, seed=1)
    assert frechet_distance(a + 1e5, b + 1e5) == pytest.approx(frechet_distance(a, b), rel=1e-4)


@pytest.mark.parametrize(
    ("real", "fake", "word"),
    [
        (torch.zeros(10, 4), torch.zeros(10, 5), "4 features a row"),
        (torch.full((10, 4), math.nan), torch.zeros(10, 4), "NaN or Inf"),
        (torch.zeros(10, 4), torch.full((10, 4), math.inf), "fake"),
        (torch.zeros(1, 4), torch.zeros(10, 4), "1 rows"),
        (torch.zeros(10), torch.zeros(10, 4), "shape"),
        (torch.zeros(10, 4, 1, 1), torch.zeros(10, 4), "one row for each sample"),
    ],
)
def test_unusable_features_are_refused_in_one_line(real: torch.Tensor, fake: torch.Tensor, word: str) -> None:
    for statistic in (frechet_distance, kernel_distance, prdc):
        with pytest.raises(BadInput, match=word) as caught:
            statistic(real, fake)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="do not fit"):
        frechet_from_stats(np.zeros(3), np.eye(3), np.zeros(3), np.eye(4))


# kernel distance


def test_kernel_distance_agrees_with_the_formula() -> None:
    x, y = normal(60).numpy(), normal(60, seed=1, shift=0.5).numpy()

    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    off = ~np.eye(60, dtype=bool)
    want = k(x, x)[off].mean() + k(y, y)[off].mean() - 2 * k(x, y).mean()
    mean, sd = kernel_distance(x, y)
    assert mean == pytest.approx(want, rel=1e-10) and sd == 0
    mean, sd = kernel_distance(x, y, subsets=100, subset_size=40)
    assert mean == pytest.approx(want, abs=4 * sd / 10) and sd > 0


def test_kernel_distance_is_unbiased() -> None:
    values = [kernel_distance(normal(100, seed=2 * i), normal(100, seed=2 * i + 1))[0] for i in range(100)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10
    assert min(values) < 0 < max(values)


def test_kernel_distance_is_keyed_by_its_seed() -> None:
    a, b = normal(300), normal(200, seed=1)
    state = torch.get_rng_state()
    once = kernel_distance(a, b, subsets=5, subset_size=100)
    assert once == kernel_distance(a, b, subsets=5, subset_size=100)
    assert once != kernel_distance(a, b, subsets=5, subset_size=100, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(BadInput, match="subset_size 1"):
        kernel_distance(a, b, subset_size=1)


# precision, recall, density, coverage


@pytest.mark.parametrize(("n_real", "n_fake", "k"), [(120, 120, 5), (80, 150, 3), (150, 30, 1)])
def test_prdc_agrees_with_brute_force(n_real: int, n_fake: int, k: int) -> None:
    real, fake = normal(n_real, 4).numpy(), normal(n_fake, 4, seed=1, shift=0.7, scale=0.8).numpy()
    assert prdc(real, fake, k) == pytest.approx(direct_prdc(real, fake, k), abs=1e-12)


def test_prdc_of_copies_agrees_with_exact_differences() -> None:
    real = (normal(90, 6) * 8).round().float().numpy()  # a lattice: many equal distances, and copies
    fake = np.concatenate([real[:20], real[:20], real[30:60]])
    assert prdc(real, fake, 3) == pytest.approx(direct_prdc(real, fake, 3), abs=1e-12)
    assert prdc(real, fake + 1000, 3)["precision"] == 0


def test_prdc_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(200, 4), normal(170, 4, seed=1, scale=0.7)
    whole = prdc(real, fake), frechet_distance(real, fake), kernel_distance(real, fake, subsets=2)
    monkeypatch.setattr("ganloom.metrics.statistics.rows._CHUNK_VALUES", 1500)
    assert prdc(real, fake) == whole[0]
    assert frechet_distance(real, fake) == pytest.approx(whole[1], rel=1e-9)
    assert kernel_distance(real, fake, subsets=2) == pytest.approx(whole[2], rel=1e-9)


def test_precision_and_recall_are_not_swapped() -> None:
    real = normal(500, 4)
    collapsed = normal(500, 4, seed=1, scale=1e-3)  # one sharp image at the heart of the data
    got = prdc(real, collapsed)
    assert got["precision"] == 1 and got["recall"] < 0.01 and got["coverage"] < 0.05
    back = prdc(collapsed, real)
    assert back["precision"] < 0.01 and back["recall"] == 1


def test_twenty_images_repeated_have_no_recall_and_no_coverage() -> None:
    real = normal(1000, 16)
    got = prdc(real, real[:20].repeat(50, 1))
    assert got["recall"] == 0 and got["coverage"] < 0.12 and got["precision"] == 1


def test_expected_coverage() -> None:
    assert expected_coverage(10**6, 5) == pytest.approx(1 - 2**-5, abs=1e-4)
    assert expected_coverage(2, 1) == pytest.approx(1 - 1 / 3)
    got = [prdc(normal(300, 6, seed=2 * i), normal(200, 6, seed=2 * i + 1))["coverage"] for i in range(20)]
    assert np.mean(got) == pytest.approx(expected_coverage(300, 5, 200), abs=0.01)
    with pytest.raises(BadInput, match="k: "):
        expected_coverage(5, 5)
    with pytest.raises(BadInput, match="5 real and 9 fake"):
        prdc(normal(5), normal(9))


# inception score


def test_inception_score_closed_forms() -> None:
    assert inception_score(torch.zeros(500, 7)) == pytest.approx((1, 0), abs=1e-9)
    sure = 1e4 * torch.nn.functional.one_hot(torch.arange(500) % 5, 5)
    assert inception_score(sure) == pytest.approx((5, 0), abs=1e-9)
    assert inception_score(sure[:, :5] * 0 + sure[0]) == pytest.approx((1, 0), abs=1e-9)
    p = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(50, 1)
    want = math.exp(math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert inception_score(p.log(), splits=5)[0] == pytest.approx(want, rel=1e-6)
    with pytest.raises(BadInput, match="splits"):
        inception_score(torch.zeros(4, 3))


# intervals


def test_bootstrap_of_a_mean_is_the_textbook_interval() -> None:
    real, fake = normal(400, 1), normal(900, 1, seed=1, scale=2)
    low, high = bootstrap(lambda a, b: float(b.mean() - a.mean()), real, fake, n=300)
    want = 1.96 * math.sqrt(1 / 400 + 4 / 900)
    assert (high - low) / 2 == pytest.approx(want, rel=0.2)
    assert (high + low) / 2 == pytest.approx((fake.mean() - real.mean()).item(), abs=1e-9)
    capped = bootstrap(lambda a, b: float(b.mean() - a.mean()), real, fake, n=300, most=100)
    assert (capped[1] - capped[0]) / 2 == pytest.approx(want, rel=0.2)


def test_half_samples_of_neighbours_match_fresh_draws() -> None:
    def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        return normal(300, 4, seed=seed), normal(300, 4, seed=seed + 1000, scale=0.8)

    fresh = [prdc(*draw(s)) for s in range(50)]
    guesses = [row_values(*draw(s), names=("precision", "recall", "density", "coverage")) for s in (5000, 5001)]
    for metric in ("precision", "recall", "density", "coverage"):
        widths = [g[metric].high - g[metric].low for g in guesses]
        assert 0.7 < np.mean(widths) / 4 / np.std([f[metric] for f in fresh], ddof=1) < 1.8, metric


def test_bootstrap_bounds_and_faults() -> None:
    a = normal(100)
    low, high = bootstrap(lambda x, y: prdc(x, y)["precision"], a, a, bounds=(0, 1))
    assert 0 <= low <= high == 1
    with pytest.raises(BadInput, match="half-samples"):
        bootstrap(frechet_distance, a, a, n=1)
    with pytest.raises(BadInput, match="at least 4"):
        bootstrap(frechet_distance, a[:3], a)


# names and the fast path


@pytest.mark.parametrize(
    ("n", "name"),
    [(2000, "2k"), (500, "500"), (12500, "12.5k"), (50000, "50k"), (1234, "1234"), (1000, "1k"), (7, "7")],
)
def test_count_name(n: int, name: str) -> None:
    assert count_name(n) == name


def test_metric_name_keeps_digests_apart_from_counts() -> None:
    assert metric_name("fd", "fashion", 2000) == "fd_fashion2k"
    assert metric_name("kd", "task_1a2b3c4d", 500) == "kd_task_1a2b3c4d_500"
    assert metric_name("fd", "effnet64px", 10000) == "fd_effnet64px10k"


def test_quick_agrees_with_the_full_functions() -> None:
    a, b = normal(400), normal(400, seed=1, scale=0.8)
    got = quick(a, b)
    near = prdc(a, b)
    assert got == {
        "fd": frechet_distance(a, b),
        "kd": kernel_distance(a, b, subset_size=400)[0],
        "coverage": near["coverage"],
        "precision": near["precision"],
    }


def test_five_thousand_samples_in_ten_seconds() -> None:
    a, b = normal(5000, 64).float(), normal(5000, 64, seed=1).float()
    start = time.process_time()
    quick(a, b)
    kernel_distance(a, b)
    assert time.process_time() - start < 10  # on one core


def test_public_names() -> None:
    for name in set(metrics.__all__) - {"METRICS", "MORE", "GENERATED", "FLOOR", "NOISE", "ONE_CLASS", "Progress"}:
        assert getattr(metrics, name).__doc__
    assert callable(metrics.prdc) and callable(metrics.bootstrap) and callable(metrics.inception_score)
