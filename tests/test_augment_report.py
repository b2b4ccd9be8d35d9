"""ganloom augment report: which images train and test, the verdicts on built cases, what is kept, and what is refused."""

import json
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch
from scipy import stats
from test_augment_data import QUICK, folder_of_classes
from torch import Tensor

import ganloom
from ganloom import data as datasets
from ganloom.apps import augment_jobs as jobs
from ganloom.apps.augment_report import AugmentationReport
from ganloom.apps.augment_rows import BOTH, CLASSIC, METHODS, ONLY, REAL, Cell
from ganloom.core.errors import BadInput
from ganloom.data.images import Images
from ganloom.gan import GAN
from ganloom.metrics.statistics.paired_seeds import crossed_mean, judge, student_p, student_quantile
from ganloom.recipes import RECIPES

# ---------------------------------------------------------------------------------------------------------- statistics


def test_student_s_t_is_that_of_scipy() -> None:
    for dof in (1, 1.5, 2, 2.7, 5, 30, 1e4, 1e8):
        for t in (0.0, 0.1, 1.0, 2.5, 8.0, 50.0):
            assert student_p(t, dof) == pytest.approx(2 * stats.t.sf(t, dof), rel=1e-6, abs=1e-12)
        assert student_quantile(0.975, dof) == pytest.approx(stats.t.ppf(0.975, dof), rel=1e-6)


@pytest.mark.parametrize(("seeds", "of_seeds", "of_images"), [(3, 0.0, 0.0), (3, 0.03, 0.3), (5, 0.01, 0.3)])
def test_equal_classifiers_differ_in_one_of_twenty_tests(seeds: int, of_seeds: float, of_images: float) -> None:
    rng, found, covered = torch.Generator().manual_seed(1), 0, 0
    tests, images = 400, 200
    for _ in range(tests):
        base = torch.rand(images, generator=rng)
        apart = of_images * torch.randn(
            images, generator=rng
        )  # images that one is better at; equally many for the other
        right = []
        for sign in (1, -1):
            p = base + sign * apart + of_seeds * torch.randn(seeds, 1, generator=rng)
            right.append((torch.rand(seeds, images, generator=rng) < p.clamp(0, 1)).double())
        mean = crossed_mean(right[0] - right[1])
        found += mean.p is not None and mean.p < 0.05
        covered += mean.low <= 0 <= mean.high
    assert 0.02 <= found / tests <= 0.085 and covered == tests - found


def test_no_interval_is_certain() -> None:
    labels = torch.arange(4).repeat(10)
    right = torch.ones(2, 40, dtype=torch.bool)
    right[:, labels == 1] = False
    found = Cell.of(right, labels, list("abcd")).recalls
    assert (found["a"].value, found["a"].high) == (1.0, 1.0) and 0.65 < found["a"].low < 0.75  # type: ignore[operator]
    assert (found["b"].value, found["b"].low) == (0.0, 0.0) and 0.25 < found["b"].high < 0.35  # type: ignore[operator]


def test_verdicts() -> None:
    rng = torch.Generator().manual_seed(0)
    plain = torch.rand(3, 500, generator=rng) < 0.7
    better = plain | (torch.rand(3, 500, generator=rng) < 0.3)
    assert judge(better, plain).word == "helps" and judge(better, plain).p < 0.05
    assert judge(plain, better).word == "does not help"
    assert (
        judge(plain, plain).word == "does not help" and judge(plain, plain).p == 1.0
    )  # surely no gain of half a point
    noise = torch.rand(3, 60, generator=rng) < 0.7
    assert judge(noise, plain[:, :60]).word == "cannot tell"
    one = judge(better[:1], plain[:1])
    assert one.word == "cannot tell" and one.p is None and "one seed" in str(one)


# ------------------------------------------------------------------------------------------- cases with a known answer


def glyphs(n: int, seed: int, noise: float = 0.55) -> tuple[np.ndarray, np.ndarray]:
    """Bars at four angles with random place and much noise: few images are not enough to learn them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    angle = (labels * np.pi / 4)[:, None, None] + rng.normal(0, 0.12, (n, 1, 1))
    place = rng.uniform(-0.5, 0.5, (n, 1, 1))
    bars = np.exp(-(((x * np.sin(angle) - y * np.cos(angle)) - place) ** 2) / 0.02)
    images = np.clip(bars + rng.normal(0, noise, bars.shape), 0, 1) * 255
    return images.astype(np.uint8)[..., None], labels


class Pictures(GAN):
    """A generator that draws images of a set: ``wrong`` draws another class, ``collapsed`` class 2 for 3."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, fault: str = "") -> None:
        shape, self.count = (1, *images.shape[1:3]), int(labels.max()) + 1
        super().__init__(RECIPES["default"].Config(shape=shape, n_classes=self.count, z_dim=4, width=4))
        self.images, self.labels = (
            torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1,
            torch.from_numpy(labels),
        )
        self.G, self.fault = torch.nn.Identity(), fault

    def phases(self) -> list[Any]:
        return []

    def sample(self, z: Tensor, c: Tensor | None = None, **options: Any) -> Tensor:
        assert c is not None
        c = (c + 1) % self.count if self.fault == "wrong" else c
        c = torch.where(c == 3, 2, c) if self.fault == "collapsed" else c
        picks = []
        for row, label in zip(z, c, strict=True):
            of = (self.labels == label).nonzero()[:, 0]
            picks.append(of[min(int(torch.special.ndtr(row[0]) * len(of)), len(of) - 1)])
        return self.images[torch.stack(picks)]


def built(fault: str = "", **options: Any) -> AugmentationReport:
    """A report on four classes with few labels; the generator draws from a set that is a hundred times as large."""
    settings: dict[str, Any] = {"labels": (8,), "steps": 25, "per_class": 250} | options
    return ganloom.augmentation_report(
        glyphs(200, 0), Pictures(*glyphs(2000, 1), fault), test=glyphs(400, 2), **settings
    )


@pytest.mark.parametrize("hurts", [True, False])
def test_generated_images_have_the_augmentation_of_what_they_are_compared_with(
    hurts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where classic augmentation hurts, real + GAN with it would be blamed for that."""
    wrong = {"classic": hurts, "plain": not hurts}
    seen: list[tuple[bool, bool]] = []

    def trained(first: Any, second: Any, classes: int, how: Any, each: Any) -> Any:
        seen.append((second is not None, how.classic))
        return wrong["classic" if how.classic else "plain"]

    def predicted(bad: bool, pool: Any) -> torch.Tensor:
        return (pool.y + bad) % 4

    monkeypatch.setattr(jobs, "train", trained)
    monkeypatch.setattr(jobs, "predict", predicted)
    (row,) = built(seeds=2).rows
    assert row.against == (REAL if hurts else CLASSIC)
    assert [classic for mixed, classic in seen if mixed] == [not hurts] * 4  # real + GAN and its control, two seeds


@pytest.mark.slow
def test_a_generator_of_many_real_images_helps() -> None:
    report = built()
    (row,) = report.rows
    assert row.verdict.word == "helps" and row.verdict.p is not None and row.verdict.p < 0.05
    assert row.cells[BOTH].accuracy.value > row.cells[CLASSIC].accuracy.value + 0.02
    assert row.control.word != "helps"  # noisy copies bring nothing new
    assert set(row.cells) == set(METHODS) and len(row.cells[ONLY].recalls) == 4


@pytest.mark.slow
def test_a_generator_of_other_classes_hurts() -> None:
    (row,) = built("wrong").rows
    assert row.verdict.word == "does not help" and row.verdict.p is not None and row.verdict.p < 0.05
    assert row.cells[BOTH].accuracy.value < row.cells[CLASSIC].accuracy.value - 0.1
    assert max(value.value for value in row.cells[ONLY].recalls.values()) < 0.2


@pytest.mark.slow
def test_a_class_without_images_of_its_own_has_a_low_recall() -> None:
    (row,) = built("collapsed").rows
    recalls = {name: value.value for name, value in row.cells[ONLY].recalls.items()}
    assert row.cells[ONLY].lowest[0] in ("2", "3") and recalls["0"] > 0.6 and recalls["1"] > 0.6
    assert row.verdict.word != "helps"


@pytest.mark.slow
def test_verdicts_with_clothes_and_20_labels() -> None:
    """A generator that draws from 7,000 images helps 20 labels a class; with shuffled labels it hurts."""
    clothes = datasets.open("fashion-10k")
    assert isinstance(clothes, Images) and clothes.labels is not None
    names = list(clothes.class_names)
    few, test, many = slice(0, 1000), slice(1000, 3000), slice(3000, None)
    for shuffled, word in ((False, "helps"), (True, "does not help")):
        labels = clothes.labels[many]
        labels = np.random.default_rng(0).permutation(labels) if shuffled else labels
        gan = Pictures(clothes.rows[many], labels)
        gan.class_names = tuple(names)
        report = ganloom.augmentation_report(
            {"images": clothes.rows[few], "labels": clothes.labels[few], "classes": np.array(names)},
            gan, test={"images": clothes.rows[test], "labels": clothes.labels[test], "classes": np.array(names)}, labels=(20,),
        )  # fmt: skip
        assert report.rows[0].verdict.word == word and report.rows[0].verdict.p < 0.05, report.lines()


# ------------------------------------------------------------------------------------------------- runs and their images


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_classes(tmp_path_factory.mktemp("data") / "photos", (30, 30, 30))


def trained(data: Any, out: Path, **options: Any) -> Path:
    ganloom.train("default", data, out, **{"width": 4, "batch_size": 8, "total_kimg": 0.1} | QUICK | options)
    return out


@pytest.fixture(scope="module")
def runs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run on all photos, one that held a third out, and one on five images of each class."""
    root = tmp_path_factory.mktemp("runs")
    few = ganloom.apps.augment_data.labelled_subset(photos, root / "few5", per_class=5).folder
    return {
        "all": trained(photos, root / "all"),
        "held": trained(photos, root / "held", held_out=1 / 3),
        "few": trained(few, root / "few"),
    }


FAST: dict[str, Any] = {"seeds": 2, "steps": 2, "per_class": 4}


def seen_by_classifiers(monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[bytes]]:
    """The images that classifiers were trained and tested on, filled while a report is made."""
    real, test = [], []
    made, answers = jobs.Work._real, jobs.Work.answers

    def spy(self: Any, row: Any, seed: int) -> Any:
        pool = made(self, row, seed)
        real.extend(image.numpy().tobytes() for image in pool.x)
        return pool

    def spied(self: Any) -> Any:
        test.extend(image.numpy().tobytes() for image in jobs.pool_of(self.split.test, self.split.labels).x)
        return answers(self)

    monkeypatch.setattr(jobs.Work, "_real", spy)
    monkeypatch.setattr(jobs.Work, "answers", spied)
    return real, test


def pixels(data: Any) -> set[bytes]:
    assert isinstance(data, Images)
    return {image.numpy().tobytes() for image in jobs.pool_of(data.rows, data.labels).x}


def test_no_image_is_in_training_and_test(
    photos: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, test = seen_by_classifiers(monkeypatch)
    report = ganloom.augmentation_report(photos, runs["held"], labels=(3, "all"), **FAST)
    assert len(set(test)) == 30 and not set(real) & set(test) and "held out" in report.test
    first, second = report.rows
    assert first.labels.leaks and "trained on about 20 labels a class, more than this row" in first.labels.known
    assert not second.labels.leaks and "NOT a row of 3 labels" in first.sentence and "NOT" not in second.sentence
    real.clear(), test.clear()
    report = ganloom.augmentation_report(
        photos, runs["few"], labels=(3, 5, 10), **FAST
    )  # the other 75 photos are the test
    given = pixels(datasets.open(runs["few"].parent / "few5"))
    assert len(set(test)) == 75 and not given & set(test) and not set(real) & set(test)
    assert "not trained on" in report.test and set(real) == given  # no row has more than the GAN's images
    assert len(report.rows) == 2 and any("10 labels are all" in note for note in report.notes)
    tuned = trained(runs["few"].parent / "few5", tmp_path / "tuned", init=runs["held"])
    report = ganloom.augmentation_report(photos, tuned, labels=(5,), **FAST)
    assert report.rows[0].labels.leaks and "started from the weights of" in report.rows[0].labels.known
    with pytest.raises(BadInput, match="trained on all images of photos.*--held-out"):
        ganloom.augmentation_report(photos, runs["all"], **FAST)


def test_each_row_takes_the_gan_of_its_labels(
    photos: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder_of_classes(tmp_path / "other", (8, 8, 8))
    real, _ = seen_by_classifiers(monkeypatch)
    report = ganloom.augmentation_report(
        photos, [runs["all"], runs["few"]], test=other, labels=(3, 5, 12, "all"), **FAST
    )
    assert [Path(row.model).name for row in report.rows] == ["few", "few", "few", "all"]
    assert [row.labels.leaks for row in report.rows] == [True, False, False, False]
    assert [row.images for row in report.rows] == [9, 15, 36, 90]
    real.clear()
    ganloom.augmentation_report(photos, runs["few"], test=other, labels=(12,), seeds=1, steps=2, per_class=4)
    assert pixels(datasets.open(runs["few"].parent / "few5")) <= set(real) and len(set(real)) == 36


def test_classes_with_fewer_images_than_a_row_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    uneven = folder_of_classes(tmp_path / "uneven", (12, 4, 12))
    other = folder_of_classes(tmp_path / "other", (8, 8, 8))
    report = ganloom.augmentation_report(uneven, runs["few"], test=other, labels=(3, 8, 50), **FAST | {"seeds": 1})
    assert [row.images for row in report.rows] == [9, 20, 28]
    assert any("no class has more than 12 images: 50 labels are all" in note for note in report.notes)
    short = [note for note in report.notes if note.startswith("fewer than")]
    assert [note.split(":")[0] for note in short] == [
        "fewer than 8 images to learn from",
        "fewer than 50 images to learn from",
    ]
    assert all(note.endswith("dog") for note in short), short
    assert "one seed, 95 % intervals over test images only" in report.caption


def test_images_of_the_gan_are_left_out_of_a_test_set(photos: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    mixed = folder_of_classes(tmp_path / "mixed", (4, 4, 4))
    for name in ("cat", "dog", "eel"):
        (mixed / name / "copy.png").write_bytes((photos / name / "0.png").read_bytes())
    report = ganloom.augmentation_report(photos, runs["all"], test=mixed, labels=("all",), **FAST)
    assert (
        any(note.startswith("3 test images are left out") for note in report.notes) and "12 test images" in report.test
    )
    report = ganloom.augmentation_report(photos, runs["all"] / "model", test=mixed, labels=(5,), **FAST)
    assert report.rows[0].labels.leaks and any("it is not known which images" in note for note in report.notes)
    with pytest.raises(BadInput, match="it is not known which images .* was trained on"):
        ganloom.augmentation_report(photos, runs["all"] / "model", **FAST)


def test_the_command_keeps_finished_classifiers_and_goes_on(
    photos: Path,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["augment", "report", photos, "--with", runs["held"], "--labels", "4", "all", "--seeds", "2", "--steps", "2",
            "--per-class", "4", "--out", tmp_path / "report"]  # fmt: skip
    train, calls = jobs.train, list[int]()

    def stop(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(jobs, "train", stop)
    code, _, err = commands.call(capsys, *argv)
    assert code == 130 and "Run the same command again to continue" in err
    assert len(list((tmp_path / "report" / "rows").glob("*.json"))) == 5
    code, out, err = commands.call(capsys, *argv)
    assert not code and len(calls) == 6 + 18 - 5, err
    assert "labels a class" in out and "wrote " in out and "lowest recall" in out
    saved = json.loads((tmp_path / "report" / "report.json").read_text())
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "4 labels a class" in page and "<script" not in page
    whole = ganloom.augmentation_report(
        str(photos), str(runs["held"]), labels=("4", "all"), out=tmp_path / "whole", seeds=2, steps=2, per_class=4
    )
    assert saved["rows"] == json.loads(json.dumps(whole.to_dict()["rows"]))  # as if it had not been stopped
    code, out, _ = commands.call(capsys, *argv, "--json")
    assert not code and json.loads(out)["rows"] == saved["rows"] and len(calls) == 19 + 18
    assert saved["rows"][0]["gan_saw_more_labels"] and not saved["rows"][1]["gan_saw_more_labels"]
    code, _, err = commands.call(capsys, *argv, "--seed", 7)
    assert code == 2 and "holds a report with another seed" in err


def test_what_cannot_be_used_is_one_line(
    photos: Path, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder_of_classes(tmp_path / "other")
    (other / "eel").rename(other / "yak")
    one = folder_of_classes(tmp_path / "one", (5,))
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    held = ("--with", runs["held"])
    faults: tuple[tuple[tuple[object, ...], str], ...] = (
        ((other, *held), "cannot generate 1 of the 3 classes"),
        ((photos, *held, "--test", one / "cat"), "has no labels"),
        ((photos, *held, "--test", other), "eel have fewer than 2 test images"),
        ((photos, *held, "--labels", "0"), "--labels must be at least 1"),
        ((photos, *held, "--labels", "few"), "--labels takes numbers and all"),
        ((photos, *held, "--seeds", "0"), "--seeds must be at least 1"),
        ((photos, *held, "--per-class", "0"), "--per-class must be at least 1"),
        ((photos, *held, "--out", taken), "is not empty and holds no report"),
        ((photos, "--with", runs["all"]), "give --test DATA, or train with --held-out"),
        ((photos,), "--with is missing"),
    )
    for argv, said in faults:
        out = () if "--out" in argv else ("--out", tmp_path / "out")
        code, _, err = commands.call(capsys, "augment", "report", *argv, *out)
        assert code == 2 and said in err and err.count("\n") == 1, (argv, err)
    assert not (tmp_path / "out").exists() and (taken / "mine.txt").read_text() == "mine"
