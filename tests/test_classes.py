"""Classes by name: read and matched by name everywhere; classes without images are left out, and never drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_train import QUICK, SMALL

import ganloom
from ganloom import data as datasets
from ganloom import recipes, testing
from ganloom.cli import main
from ganloom.core import class_names
from ganloom.core.class_names import Match
from ganloom.core.errors import BadInput
from ganloom.evaluation.class_labels import conditions_of, labels_of, match_classes
from ganloom.runs import manifest
from ganloom.runs.class_weights import ClassWeights, class_axes
from ganloom.runs.folder import Folder
from ganloom.scoring import joined
from ganloom.training.callbacks import Callback

RNG = np.random.default_rng(1)
BUGS = ["Bat", "Bee", "Dragonfly"]
LEVELS = {"Bat": 30, "Bee": 128, "Dragonfly": 230}
"""The grey level of each class, by which a test can tell them apart."""


def pictures(names: list[str], each: int = 12, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Images whose level says their class, and their labels: positions in ``names``."""
    labels = np.repeat(np.arange(len(names)), each)
    levels = np.array([LEVELS[name] for name in names])[labels]
    noise = RNG.integers(-20, 21, (len(labels), size, size, 1))
    return np.clip(levels[:, None, None, None] + noise, 0, 255).astype(np.uint8), labels


def save(path: Path, names: list[str], classes: list[str] | None, each: int = 12) -> str:
    images, labels = pictures(names, each)
    more = {} if classes is None else {"classes": np.array(classes)}
    np.savez(path, images=images, labels=labels, **more)
    return str(path)


def train(data: Any, out: Path, recipe: str = "default", **options: Any) -> ganloom.Run:
    options = {"total_kimg": 0.05, "doctor": False} | QUICK | SMALL.get(recipe, {}) | options
    return ganloom.train(recipe, data, out, console=Callback(), **options)


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ganloom.Run:
    home = tmp_path_factory.mktemp("classes")
    return train(save(home / "bugs.npz", BUGS, BUGS), home / "run")


# ------------------------------------------------------------------------------------------------- reading classes


@pytest.mark.parametrize(
    ("given", "names", "numbers"),
    [
        ("Bee", BUGS, [1]),
        ("dragonFLY", BUGS, [2]),
        (["Bat", 2, "1"], BUGS, [0, 2, 1]),
        ("Bat,Bee", BUGS, [0, 1]),
        ("1, 2", BUGS, [1, 2]),
        ("salt, pepper", ["salt, pepper", "salt"], [0]),
        (281, ["207", "281", "283"], [1]),
        ("1", ["207", "281", "283"], [1]),
        ("3", ["1", "2", "3"], [2]),
        ("7", ["7", "1"], [0]),
        (np.int64(1), BUGS, [1]),
        ("cafe\u0301", ["CAF\u00c9", "bar"], [0]),
        ("cat", ["Cat", "cat"], [1]),
    ],
)
def test_a_class_is_found_by_name_and_then_by_number(given: Any, names: list[str], numbers: list[int]) -> None:
    assert class_names.numbers(given, names) == numbers


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        ("Dragonfli", BUGS, r'did you mean "Dragonfly"'),
        (3, BUGS, r"it has Bat, Bee, Dragonfly, or 0\.\.2"),
        ("-1", BUGS, "is no class"),
        ("0", ["1", "2", "3"], "it has 1, 2, 3$"),
        ("5", ["0", "1"], r"it has 0\.\.1$"),
        ("CAT", ["Cat", "cat"], "fits several"),
        ("x", ["x", "x"], "fits several"),
        ("a" * 500, ["b" * 500, "c\n"], r"it has b{37}\.\.\., c\\n"),
    ],
)
def test_an_unknown_class_is_one_line(given: Any, names: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        class_names.numbers(given, names)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("here", "there", "numbers", "text"),
    [
        (BUGS, BUGS, (0, 1, 2), "^$"),
        (BUGS, BUGS[::-1], (2, 1, 0), "matched by name.*another order"),
        (BUGS, ["Bee", "Ant"], (1, -1), r"1 of 2 .*only in B: Ant; only in A: Bat, Dragonfly"),
        (BUGS, ["BEE", "Bat"], (1, 0), "2 of 2"),
        (BUGS, ["Ant"], (-1,), "0 of 1"),
        (["0", "1", "2"], BUGS, (0, 1, 2), r"A has only class numbers: .* by number \(0 = Bat, 1 = Bee"),
        (BUGS, ["0", "1", "2"], (0, 1, 2), "B has only class numbers"),
        (["0", "1"], BUGS, (-1, -1, -1), "no class is matched"),
        ([str(i) for i in range(10)], ["3", "7"], (3, 7), "2 of 2"),
        (["1", "2"], ["0", "1"], (-1, 0), "1 of 2"),
        (["x", "x", "y"], ["y", "x", "x"], (2, -1, -1), "1 of 3"),
    ],
)
def test_two_lists_are_matched_by_name_or_it_is_said(
    here: list[str], there: list[str], numbers: tuple[int, ...], text: str
) -> None:
    found = class_names.match(here, there, "A", "B")
    assert found.numbers == numbers
    with pytest.raises(BadInput, match=text):
        raise BadInput(found.text)


# ------------------------------------------------------------------------------------------- classes without images


def folder_with_json(path: Path, numbers: tuple[int, ...]) -> str:
    path.mkdir()
    for i in range(24):
        Image.fromarray(RNG.integers(0, 256, (16, 16, 3), np.uint8)).save(path / f"{i:04d}.png")
    pairs = [[f"{i:04d}.png", numbers[i % len(numbers)]] for i in range(24)]
    (path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    return str(path)


@pytest.mark.parametrize("numbers", [(207, 281, 283), (1, 2, 3), (99_999, 5)])
@pytest.mark.parametrize("kind", ["json", "npz", "array"])
def test_numbers_of_classes_stay_as_names(numbers: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    labels = np.array([numbers[i % len(numbers)] for i in range(24)])
    images = RNG.integers(0, 256, (24, 16, 16, 1), dtype=np.uint8)
    if kind == "json":
        data = datasets.open(folder_with_json(tmp_path / "d", numbers))
    elif kind == "npz":
        np.savez(tmp_path / "d.npz", images=images, labels=labels)
        data = datasets.open(tmp_path / "d.npz")
    else:
        data = datasets.open(images, labels=labels)
    assert data.class_names == [str(n) for n in sorted(numbers)] and data.n_classes == len(numbers)
    assert data.labels is not None and [int(data.class_names[i]) for i in data.labels] == labels.tolist()
    assert len(data.facts.empty_classes) == max(numbers) + 1 - len(numbers)
    if kind != "array":
        again = datasets.reopen(data.source)
        assert again.fingerprint == data.fingerprint and again.source == data.source
        older = datasets.reopen({k: v for k, v in data.source.items() if k != "keep_empty_classes"})
        assert older.n_classes == max(numbers) + 1, "a run of an earlier version finds its data unchanged"
        half = datasets.reopen(data.split(0.5)[0].source)
        assert half.class_names == data.class_names


def test_a_class_folder_of_unreadable_files_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ant", "broken", "cow"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(12):
            file = tmp_path / "d" / name / f"{i}.png"
            if name == "broken":
                file.write_bytes(b"no image")
            else:
                Image.fromarray(RNG.integers(0, 256, (16, 16, 3), np.uint8)).save(file)
    run = train(str(tmp_path / "d"), tmp_path / "run")
    assert "classes: 1 of 3 classes are empty (no images) and are left out: broken" in capsys.readouterr().err
    model = ganloom.load(run)
    assert model.class_names == ("ant", "cow") and model.cfg.n_classes == 2
    call("data", "check", tmp_path / "d")
    out = capsys.readouterr().out
    assert "2: ant 12, cow 12" in out and "1 of 3 classes are empty (no images) and are left out: broken" in out


def test_a_half_that_lacks_a_class_never_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = pictures(BUGS)
    whole = datasets.open(images, labels=np.array(BUGS)[labels])
    part = whole._take(np.flatnonzero(labels != 1), whole.facts.take(np.flatnonzero(labels != 1)))
    assert part.n_classes == 3 and part.classes_with_rows == [0, 2]
    run = train(part, tmp_path / "run", doctor=True, total_kimg=0.2)
    said = capsys.readouterr().err
    assert (
        "1 of 3 classes are empty (no images to train on) and are not drawn: Bee" in said and "switched off" not in said
    )
    for model in (ganloom.load(run), ganloom.load(run.path / "model")):
        assert model.class_names == tuple(BUGS) and model.drawn_classes == (0, 2)
        drawn = model.c(200)
        assert drawn is not None and set(drawn.tolist()) == {0, 2}
    folder = Folder(run.path)
    again, _, _ = manifest.reopen(folder, folder.read("config.json"))
    assert again.drawn_classes == (0, 2)
    rows = run.metrics
    assert not any(row.get("doctor/c_empty") for row in rows), "c() need not return a class without images"
    found = match_classes(ganloom.load(run), whole)
    assert found is not None and found.numbers == (0, -1, 2) and "not trained on images of Bee" in found.text
    more = ganloom.resume(run, total_kimg=0.4, console=Callback())
    assert ganloom.load(more).drawn_classes == (0, 2)


def test_grids_show_the_classes_that_have_images(tmp_path: Path) -> None:
    run = train(folder_with_json(tmp_path / "d", (207, 281, 283)), tmp_path / "run")
    with (
        Image.open(run.path / "samples" / "reals.png") as real,
        Image.open(run.path / "samples" / "00000000.png") as fake,
    ):
        assert real.size == fake.size
    described = json.loads((run.path / "config.json").read_text())
    assert described["classes"] == ["207", "281", "283"] and described["config"]["n_classes"] == 3


@pytest.mark.parametrize("bad", [{"classes": 5}, {"classes": [1]}, {"classes_drawn": [9]}, {"classes_drawn": "a"}])
def test_a_damaged_record_of_classes_is_one_line(bad: dict[str, Any], run: ganloom.Run, tmp_path: Path) -> None:
    described = json.loads((run.path / "model" / "config.json").read_text()) | bad
    (tmp_path / "config.json").write_text(json.dumps(described))
    (tmp_path / "G.safetensors").write_bytes((run.path / "model" / "G.safetensors").read_bytes())
    with pytest.raises(BadInput, match="config.json.*classes"):
        ganloom.load(tmp_path)


# --------------------------------------------------------------------------------------------------- two lists meet


def test_evaluation_matches_by_name(run: ganloom.Run, tmp_path: Path) -> None:
    model = ganloom.load(run)
    other = datasets.open(save(tmp_path / "b.npz", ["Dragonfly", "Bat", "Bee"], ["Dragonfly", "Bat", "Bee"]))
    labels = conditions_of(model, other, np.arange(len(other)))
    assert labels is not None and other.labels is not None
    assert [model.class_names[i] for i in labels] == [other.class_names[i] for i in other.labels]
    more = save(tmp_path / "c.npz", ["Dragonfly", "Bat"], ["Dragonfly", "Moth"])
    result = ganloom.evaluate(run, more, n=12, k=2, features="random", metrics=("intra",), intervals=False)
    matched = next(line for line in result["warnings"] if "matched by name" in line)
    assert "1 of 2 classes of the data are matched by name (Dragonfly)" in matched
    assert "only in the data: Moth" in matched and "intra_kd_random12" in result["rows"]["generated"]
    unknown = labels_of(model, datasets.open(more), np.arange(24))
    assert unknown is not None and sorted(set(unknown.tolist())) == [-1, 2]
    strange = datasets.open(save(tmp_path / "d.npz", ["Bat", "Bee"], ["x", "y"]))
    assert conditions_of(model, strange, np.arange(4)) is None


def test_equal_classes_in_another_order_score_alike(run: ganloom.Run, tmp_path: Path) -> None:
    images, labels = pictures(BUGS)
    scores = []
    for i, order in enumerate(([0, 1, 2], [2, 0, 1])):
        names = [BUGS[k] for k in order]
        np.savez(
            tmp_path / f"{i}.npz", images=images, classes=np.array(names),
            labels=np.array([names.index(BUGS[k]) for k in labels]),
        )  # fmt: skip
        result = ganloom.evaluate(
            run, tmp_path / f"{i}.npz", n=18, k=2, features="random", metrics=("intra",), intervals=False
        )
        scores.append(result["rows"]["generated"]["intra_kd_random18"]["value"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


LABELLED = [name for name in recipes.LISTED.paths if hasattr(recipes.LISTED[name].Config(), "n_classes")]


@pytest.mark.parametrize("recipe", LABELLED)
def test_each_class_keeps_its_weights_in_another_order(recipe: str) -> None:
    old, new, larger = (testing.build(recipe, n_classes=n, seed=n).eval() for n in (4, 4, 5))
    axes = class_axes(new.state_dict(), larger.state_dict(), 4)
    assert axes, "the weights of the classes are found"
    generator = torch.Generator().manual_seed(3)
    for p in old.parameters():  # tables that start from zero would hide an error
        p.data += 0.3 * torch.randn(p.shape, generator=generator)
    order = (2, 0, 3, 1)
    carry = ClassWeights(axes, 4, 4, Match(order))
    own = new.state_dict()
    new.load_state_dict({name: carry.carried(name, t, own[name]) for name, t in old.state_dict().items()})
    there, here = torch.tensor(order), torch.arange(4)

    def sampled(gan: ganloom.GAN, c: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        with torch.no_grad():
            return gan.sample(gan.z(4), c)

    assert torch.equal(sampled(old, there), sampled(new, here))
    assert not torch.allclose(sampled(old, there), sampled(new, there), atol=1e-3)
    if hasattr(old, "D") and old.labels_to_d and hasattr(old.cfg, "shape"):  # D of a text model takes tokens
        x = torch.randn(4, *old.cfg.shape)
        with torch.no_grad():
            a, b = (joined(gan.logits_of(gan.D(x, c))) for gan, c in ((old, there), (new, here)))
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    carry = ClassWeights(axes, 4, 5, Match((-1, 3, 0, -1, 1)))
    carried = {name: carry.carried(name, t, larger.state_dict()[name]) for name, t in old.state_dict().items()}
    assert all(carried[name].shape == t.shape for name, t in larger.state_dict().items())


def test_init_carries_the_classes_over(run: ganloom.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Start(Callback):
        model: Any = None

        def on_start(self, trainer: Any) -> None:
            self.model = trainer.ema.generate(3, seed=0, c=["Bat", "Bee", "Dragonfly"])

    start, order = Start(), ["Dragonfly", "Bat", "Bee"]
    train(save(tmp_path / "b.npz", order, order), tmp_path / "b", init=run, callbacks=[start])
    assert torch.allclose(start.model, ganloom.load(run).generate(3, seed=0, c=BUGS), atol=1e-5)
    assert "matched by name: the data has them in another order" in capsys.readouterr().err
    record = json.loads((tmp_path / "b" / "config.json").read_text())["init"]
    assert record["class_map"] == [2, 0, 1] and record["fresh"] == []
    train(save(tmp_path / "c.npz", ["Bee", "Bat"], ["Bee", "Moth"]), tmp_path / "c", init=run)
    said = capsys.readouterr().err
    assert "only in the data: Moth" in said and "the weights of the other classes are new" in said
    train(save(tmp_path / "d.npz", BUGS, None), tmp_path / "d", init=run)
    assert "the data has only class numbers: they are matched" in capsys.readouterr().err


def test_resume_says_that_classes_have_other_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = pictures(["Bat", "Bee"])
    np.savez(tmp_path / "a.npz", images=images, labels=labels, classes=np.array(["Bat", "Bee"]))
    run = train(tmp_path / "a.npz", tmp_path / "run")
    np.savez(tmp_path / "a.npz", images=images, labels=labels, classes=np.array(["Bat", "Wasp"]))
    ganloom.resume(run, total_kimg=0.2, console=Callback())
    assert "Bee is now Wasp; the run keeps its names" in capsys.readouterr().err
    assert ganloom.load(run).class_names == ("Bat", "Bee")


# ------------------------------------------------------------------------------------------------------- by command


def test_generate_takes_names(run: ganloom.Run) -> None:
    for model in (run.load(), ganloom.load(run.path / "model")):
        expected = model.generate(3, seed=4, c=torch.tensor([2, 0, 2]))
        assert torch.equal(model.generate(3, seed=4, c=["Dragonfly", 0, "dragonfly"]), expected)
        assert torch.equal(model.generate(seed=4, c=["Dragonfly", 0, "2"]), expected), "n is the number of classes"
        assert torch.equal(model.generate(2, c="Bee"), model.generate(2, c=1))
        with pytest.raises(BadInput, match='c "Bea" is no class of this model .did you mean "Be'):
            model.generate(2, c="Bea")
        with pytest.raises(BadInput, match="2 entries for 3 samples"):
            model.generate(3, c=["Bat", "Bee"])


def sample(run: ganloom.Run, *words: object) -> list[str]:
    assert call("sample", *words) == 0
    return sorted(str(p.parent.name) for p in (run.path / "generated").rglob("seed*.png"))


def test_the_command_takes_names_and_lists(run: ganloom.Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = run.path
    assert sample(run, path, "--n", 2, "--c", "dragonfly", "Bat") == ["Bat", "Bat", "Dragonfly", "Dragonfly"]
    assert sample(run, "--n", 1, "--c", "1,Dragonfly", path)[:3] == ["Bat", "Bat", "Bee"], "RUN may come last"
    (folder,) = (path / "generated").glob(f"kimg{run.load().kimg:g}-seed0-n2-cdragonfly-Bat-*")
    assert (folder / "grid.png").exists()
    capsys.readouterr()
    assert call("sample", path, "--c", "Moth") == 2 and capsys.readouterr().err.count("\n") == 1
    assert call("latent", "walk", path, "--frames", 5, "--c", "Bee") == 0
    assert (path / "walk.gif").exists() and "next: ganloom latent directions" in capsys.readouterr().out


def test_long_and_odd_names_become_folders(tmp_path: Path) -> None:
    names = ["a" * 300, "a" * 299 + "b", "../x", "X/../", "\u00e9\u4e2d" * 100, ""]
    images = RNG.integers(0, 256, (24, 16, 16, 1), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(24) % 6, classes=np.array(names))
    run = train(tmp_path / "d.npz", tmp_path / "run")
    assert call("sample", run.path, "--c", "all", "--n", 1) == call("sample", run.path, "--c", names[0], "--n", 1) == 0
    folders = {p.parent for p in (run.path / "generated").rglob("seed*.png")}
    assert len(folders) == 7 and all(run.path / "generated" in p.parents for p in folders)
    assert run.load().generate(c=names[1]).shape == (1, 1, 16, 16)
