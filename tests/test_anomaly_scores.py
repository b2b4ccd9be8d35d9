"""Parts of anomaly detection: ROC, neighbours, controls, synthetic damage, thresholds, the choice of the score, heat maps."""

import itertools

import numpy as np
import pytest
import torch

from ganloom.anomaly import choice, controls, corruptions, detector, heat_maps, neighbours, pictures, roc
from ganloom.anomaly.scorers import Scorers
from ganloom.core.errors import BadInput, MissingExtra


def images(n: int, seed: int = 0, shape: tuple[int, ...] = (1, 16, 16)) -> torch.Tensor:
    """Bright discs on a dark ground, at about the same place."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    centre = np.array(shape[1:]) / 2 + rng.normal(0, 0.6, (n, 2))
    distance = np.hypot(rows - centre[:, 0, None, None], columns - centre[:, 1, None, None])
    disc = np.clip(5.5 - distance, -1, 1) * 0.8 + rng.normal(0, 0.03, distance.shape)
    return torch.from_numpy(np.repeat(disc[:, None], shape[0], 1).astype(np.float32)).clamp(-1, 1)


# ---------------------------------------------------------------------------------------------------------------- ROC


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(0)
    scores, anomalous = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    pairs = list(itertools.product(scores[anomalous], scores[~anomalous]))
    expected = np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
    assert roc.auroc(scores, anomalous) == pytest.approx(expected)
    points = np.array(roc.curve(scores, anomalous))
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1] and (np.diff(points, axis=0) >= 0).all()
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    anomalous = np.array([True, False, True, False])
    assert roc.average_precision(np.array([4.0, 3.0, 2.0, 1.0]), anomalous) == pytest.approx((1 + 2 / 3) / 2)
    assert roc.average_precision(np.ones(4), anomalous) == pytest.approx(0.5)


def test_the_interval_covers_the_true_area() -> None:
    """Normal scores with shift 1: the area is Phi(1 / sqrt 2) = 0.760."""
    rng, anomalous = np.random.default_rng(1), np.repeat([False, True], (60, 40))
    hits = 0
    for _ in range(400):
        found = roc.interval(rng.normal(size=100) + anomalous, anomalous)
        hits += found.low <= 0.7602 <= found.high
    assert 0.92 <= hits / 400 <= 0.98
    perfect = roc.interval(anomalous.astype(float), anomalous)
    assert perfect.value == perfect.high == 1 and 0.9 < perfect.low < 1


def test_the_difference_of_two_scores_uses_that_they_share_samples() -> None:
    rng, anomalous = np.random.default_rng(2), np.repeat([False, True], 100)
    first = rng.normal(size=200) + anomalous
    same = roc.difference(first, first * 3 + 1, anomalous)
    assert same.value == same.low == same.high == 0
    near = roc.difference(first, first + rng.normal(0, 0.05, 200), anomalous)
    far = roc.difference(first, rng.normal(size=200) + anomalous, anomalous)
    assert near.high - near.low < 0.2 * (far.high - far.low)


# ------------------------------------------------------------------------------------------------- neighbours, controls


def test_distances_are_those_of_the_nearest_rows_and_do_not_depend_on_the_others() -> None:
    rng = torch.Generator().manual_seed(0)
    bank, x = torch.randn(50, 30, generator=rng), torch.randn(300, 30, generator=rng)
    expected = torch.stack([(row - bank).norm(dim=1).sort()[0][:5].mean() for row in x])
    found = neighbours.distances(bank, x)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(neighbours.distances(bank, x[17:18]), found[17:18])
    assert neighbours.distances(bank[:2], x[:1]).isfinite().all(), "fewer rows than neighbours"
    assert torch.equal(neighbours.nearest(bank, bank), torch.arange(50))


@pytest.mark.parametrize("name", [n for n in controls.TITLES if n not in ("forest", "texture")])
def test_each_control_finds_another_shape_and_repeats_itself(name: str) -> None:
    train, normal, other = images(60), images(20, 1), images(20, 2).roll(6, 3)
    made, notes = controls.build(train, 0, (name,))
    values = made[name](torch.cat([normal, other])).numpy()
    assert not notes and roc.auroc(values, np.repeat([False, True], 20)) > 0.95
    again, _ = controls.build(train, 0, (name,))
    assert np.array_equal(again[name](torch.cat([normal, other])).numpy(), values), "same seed, same scores"
    assert made[name](normal[3:4]).numpy() == values[3], "a score does not depend on the other samples"


def test_the_texture_control_finds_a_small_spot_at_any_place() -> None:
    rng = np.random.default_rng(0)

    def stripes(n: int) -> torch.Tensor:
        """Stripes with a random phase, so that no two images have equal pixels."""
        phase = np.arange(32)[None] * 0.6 + rng.uniform(0, 6.3, (n, 1))
        rows = np.sin(phase)[:, None, None, :].repeat(32, 2) * 0.5 + rng.normal(0, 0.05, (n, 1, 32, 32))
        return torch.from_numpy(rows.astype(np.float32))

    train, normal, broken = stripes(60), stripes(20), stripes(20)
    broken[:, :, 12:16, 20:24] = -0.9
    x, anomalous = torch.cat([normal, broken]), np.repeat([False, True], 20)
    made, _ = controls.build(train, 0, ("texture", "knn-pixels"))
    values = made["texture"](x)
    assert roc.auroc(values.numpy(), anomalous) > 0.95 > roc.auroc(made["knn-pixels"](x).numpy(), anomalous)
    assert torch.equal(made["texture"](broken[5:6])[0], values[25])


def test_the_forest_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, extra: str) -> None:
        raise MissingExtra(f'pip install "ganloom[{extra}]"')

    monkeypatch.setattr(controls, "need", missing)
    made, notes = controls.build(images(20), 0, ("pca", "forest"))
    assert list(made) == ["pca"] and "left out forest" in notes[0] and "ganloom[anomaly]" in notes[0]


def test_the_forest_finds_outliers() -> None:
    pytest.importorskip("sklearn")
    rng = torch.Generator().manual_seed(0)
    train = torch.randn(200, 4, generator=rng)
    score = controls.build(train, 3, ("forest",))[0]["forest"]
    x = torch.cat([train[:20], 6 + train[:20]])
    assert roc.auroc(score(x).numpy(), np.repeat([False, True], 20)) == 1
    assert torch.equal(score(x), controls.build(train, 3, ("forest",))[0]["forest"](x))


def test_components_reproduce_what_lies_in_their_plane() -> None:
    rng = torch.Generator().manual_seed(0)
    axes = torch.randn(3, 20, generator=rng)
    train = torch.randn(50, 3, generator=rng) @ axes + 1
    pca = controls.PrincipalComponents(train, most=3)
    assert (
        pca(torch.randn(5, 3, generator=rng) @ axes + 1).max() < 1e-9
        and pca(torch.randn(5, 20, generator=rng)).min() > 0.01
    )


# --------------------------------------------------------------------------------------------- damage, choice, threshold


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24), (4, 9, 9)])
def test_damage_is_where_it_says_and_repeats_itself(shape: tuple[int, ...]) -> None:
    x = images(12, shape=shape)
    for name, (samples, where) in corruptions.damaged(x, 0).items():
        assert samples.shape == x.shape and float(samples.abs().max()) <= 1, name
        assert torch.equal(samples, corruptions.damaged(x, 0)[name][0])
        changed = (samples != x).any(1)
        assert changed.flatten(1).any(1).float().mean() > 0.8, f"{name} changes nearly every image"
        if where is not None and name != "stained":  # its soft edge is outside
            assert not (changed & ~where).any(), name
    assert {"pasted", "scratched", "stained"} <= set(corruptions.damaged(x, 0))


def test_damage_of_tables_keeps_each_column_alone_where_it_says_so() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=rng)
    damaged = corruptions.damaged(x, 1)
    exchanged = damaged["exchanged"][0]
    assert all(set(exchanged[:, i].tolist()) <= set(x[:, i].tolist()) for i in range(5)) and not torch.equal(
        exchanged, x
    )
    assert ((damaged["shifted"][0] != x).sum(1) == 1).all()


def test_the_threshold_is_a_conformal_quantile() -> None:
    normal = np.arange(1.0, 20.0)  # 19 scores
    assert (
        detector.quantile(normal, 0.05) == 19
        and detector.quantile(normal, 0.1) == 18
        and detector.quantile(normal, 0.5) == 10
    )
    assert detector.quantile(normal, 0.001) == 19, "too few for such a share: the largest"
    for alpha in (0.0, 1.0, 2.0):
        with pytest.raises(BadInput, match="--alpha"):
            detector.quantile(normal, alpha)


def test_a_new_normal_sample_is_above_the_threshold_as_often_as_said() -> None:
    rng, above = np.random.default_rng(0), []
    for _ in range(300):
        normal = np.sort(rng.normal(size=99))
        above.append((rng.normal(size=50) > detector.quantile(normal, 0.1)).mean())
    assert np.mean(above) == pytest.approx(0.1, abs=0.01)


def test_the_choice_is_the_best_mean_and_says_so() -> None:
    scorers = Scorers(images(60), None, 0)
    made = choice.choose(scorers, images(30, 1), 0, ("knn-pixels", "pca", "random-d"))
    means = dict(made.means())
    assert made.score == max(means, key=lambda name: means[name]) == made.means()[0][0]
    assert set(made.areas["pca"]) == set(corruptions.IMAGES) and set(means) == {"knn-pixels", "pca", "random-d"}
    assert "no anomaly was used" in made.sentence() and all(name in made.sentence() for name in means)


def test_a_sum_is_preferred_where_the_difference_is_noise() -> None:
    means = {"d-features": 0.834, "rotations+d-features": 0.833, "rotations+knn-pooled": 0.826, "pca": 0.79}
    assert choice.best_of(means) == "rotations+d-features"
    assert choice.best_of(means | {"pca": 0.85}) == "pca" and choice.best_of({"pca": 0.7, "forest": 0.8}) == "forest"


# ----------------------------------------------------------------------------------------------------------- heat maps


@pytest.mark.parametrize("name", ["statistics", "extremes", "pixel-places", "nearest", "pca"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 18, 22)])
def test_maps_are_bright_where_the_damage_is(name: str, shape: tuple[int, ...]) -> None:
    scorers = Scorers(images(40, shape=shape), None, 0)
    x = images(6, 1, shape)
    where = torch.zeros(6, *shape[1:], dtype=torch.bool)
    where[:, 2:7, 2:7] = True
    x = torch.where(where[:, None], 0.9, x)
    maps = heat_maps.draw(name, scorers, x)
    assert maps.shape == where.shape and heat_maps.pixel_auroc(torch.from_numpy(maps), where) > 0.85
    assert np.array_equal(heat_maps.draw(name, scorers, x[2:3])[0], maps[2]), (
        "a map does not depend on the other images"
    )


def test_colours_of_a_map_rise_with_it() -> None:
    colours = pictures.coloured(np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, 99.0]]), 0.0, 1.0).astype(int)
    assert colours.shape == (1, 6, 3) and colours[0, 0].tolist() == colours[0, 1].tolist() == [0, 0, 0]
    assert (np.diff(colours[0].sum(1)) >= 0).all() and colours[0, 4].tolist() == colours[0, 5].tolist()
