"""Training that starts from another run's weights: which tensors are loaded or re-initialized, errors, and FreezeD."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_train import IMAGES, LABELS, QUICK, SMALL, assert_equal_runs, last_tensors, rows

import ganloom
from ganloom import testing
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.runs import freeze_d, warm_start
from ganloom.training.callbacks import Callback
from ganloom.training.trainer import Trainer

SMALL = SMALL | {
    "stylegan2": {"width": 8, "z_dim": 6, "batch_size": 8},
    "sngan": {"width": 4, "d_width": 4, "batch_size": 4, "n_critic": 2},
}


class Start(Callback):
    """Keeps the tensors at the start of a run."""

    tensors: dict[str, dict[str, torch.Tensor]]

    def on_start(self, trainer: Trainer) -> None:
        self.tensors = {part: {n: t.clone() for n, t in ts.items()} for part, ts in trainer.tensors().items()}


def train(recipe: str, out: Path, **options: Any) -> ganloom.Run:
    options = {"data": IMAGES, "labels": LABELS, "total_kimg": 0.3} | QUICK | options
    return ganloom.train(recipe, out=out, console=Callback(), **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short run of each recipe, trained when a test needs it."""
    home = tmp_path_factory.mktemp("runs")

    class Runs(dict[str, Path]):
        def __missing__(self, recipe: str) -> Path:
            self[recipe] = train(recipe, home / recipe, seed=5, **SMALL[recipe]).path
            return self[recipe]

    return Runs()


def networks(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t for name, t in tensors.items() if name.startswith(("G.", "D."))}


@pytest.mark.parametrize("recipe", ["dcgan", pytest.param("stylegan2", marks=pytest.mark.slow), "sngan"])
def test_networks_and_average_are_carried_over(
    recipe: str, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, before = Start(), last_tensors(runs[recipe])
    run = train(recipe, tmp_path / "b", data=255 - IMAGES, init=runs[recipe], callbacks=[start], total_kimg=0.1)
    for part in ("gan", "ema"):
        for name, value in networks(start.tensors[part]).items():
            assert torch.equal(value, before[f"{part}/{name}"]), name
    assert not torch.equal(
        start.tensors["ema"]["G." + average_of(recipe)], start.tensors["gan"]["G." + average_of(recipe)]
    )
    assert not start.tensors["optim"] or not any(t.any() for t in start.tensors["optim"].values())
    if recipe == "stylegan2":
        assert before["gan/pl_mean"] > 0 and start.tensors["gan"]["pl_mean"] == 0
    described = json.loads((run.path / "config.json").read_text())
    old = json.loads((runs[recipe] / "config.json").read_text())
    assert described["config"] == old["config"] and described["init"]["source"] == str(runs[recipe])
    assert described["init"]["checkpoint"].startswith("kimg-") and described["init"]["fresh"] == []
    assert json.loads((run.path / "model" / "config.json").read_text())["init"]["kimg"] == pytest.approx(0.3, abs=0.01)
    assert "init: weights of" in capsys.readouterr().err
    assert any(json.loads(line)["kind"] == "init" for line in (run.path / "events.jsonl").read_text().splitlines())


def average_of(recipe: str) -> str:
    """A weight of G that a short run has moved."""
    return next(n[2:] for n, p in testing.build(recipe).named_parameters() if n.startswith("G.") and p.dim() > 1)


@pytest.mark.parametrize(
    ("recipe", "layers"),
    [
        ("dcgan", 2),
        pytest.param("stylegan2", 4, marks=pytest.mark.slow),
        pytest.param("sngan", 3, marks=pytest.mark.slow),
    ],
)
def test_frozen_layers_stand_and_resume_is_exact(
    recipe: str, layers: int, runs: dict[str, Path], tmp_path: Path
) -> None:
    options = {"init": runs[recipe], "freeze_d": layers, "total_kimg": 0.4}
    train(recipe, tmp_path / "whole", **options)
    train(recipe, tmp_path / "cut", **options | {"total_kimg": 0.25})
    ganloom.resume(tmp_path / "cut", total_kimg=0.4, console=Callback())
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")
    frozen = set(json.loads((tmp_path / "cut" / "config.json").read_text())["init"]["frozen"])
    before, after = last_tensors(runs[recipe]), last_tensors(tmp_path / "cut")
    gan = ganloom.load(tmp_path / "cut")
    assert frozen and gan.frozen == frozen
    for name, _ in gan.D.named_parameters():
        moved = not torch.equal(before[f"gan/D.{name}"], after[f"gan/D.{name}"])
        assert moved != (f"D.{name}" in frozen), name
    owners = {n.split(".parametrizations.")[0] if ".parametrizations." in n else n.rpartition(".")[0] for n in frozen}
    for name, value in after.items():  # running statistics and vectors of spectral norm stand too
        if name.removeprefix("gan/").startswith(tuple(f"{owner}." for owner in owners if owner != "D")):
            assert torch.equal(value, before[name]), name


def test_the_order_is_that_in_which_a_image_meets_the_layers() -> None:
    gan = testing.build("stylegan2", (1, 32, 32))
    layers = freeze_d.d_layers(gan, testing.make_data((1, 32, 32)))
    named = [layer[0].removeprefix("D.").removesuffix(".weight") for layer in layers]
    assert named[:4] == ["start", "levels.0.conv0", "levels.0.skip", "levels.0.conv1"]
    assert layers[1] == ["D.levels.0.conv0.weight", "D.levels.0.conv0.bias"]
    assert sorted(name for layer in layers for name in layer) == sorted(f"D.{n}" for n, _ in gan.D.named_parameters())
    normed = freeze_d.d_layers(testing.build("dcgan", (1, 32, 32)), testing.make_data((1, 32, 32)))
    assert any(len(layer) > 2 for layer in normed), "a norm belongs to the layer before it"


def test_a_model_folder_has_no_d(runs: dict[str, Path], tmp_path: Path) -> None:
    model = runs["dcgan"] / "model"
    with pytest.raises(BadInput, match="contains no D. .*--fresh D"):
        train("dcgan", tmp_path / "b", init=model)
    assert not (tmp_path / "b").exists()
    start, average = Start(), last_tensors(runs["dcgan"])
    train("dcgan", tmp_path / "b", init=model, fresh=("D",), callbacks=[start], total_kimg=0.1)
    for name, value in start.tensors["gan"].items():
        if name.startswith("G."):
            assert torch.equal(value, average[f"ema/{name}"]) and torch.equal(value, start.tensors["ema"][name])
    assert not torch.equal(start.tensors["gan"]["D." + d_weight("dcgan")], average["gan/D." + d_weight("dcgan")])


def d_weight(recipe: str) -> str:
    return next(n[2:] for n, p in testing.build(recipe).named_parameters() if n.startswith("D.") and p.dim() > 1)


@pytest.mark.parametrize("recipe", ["stylegan2", "sngan", "cgan"])
def test_other_classes_reset_what_labels_decide_alone(recipe: str, runs: dict[str, Path], tmp_path: Path) -> None:
    start, before = Start(), last_tensors(runs[recipe])
    names = np.array(["x", "y"])[np.arange(60) % 2]
    train(recipe, tmp_path / "b", labels=names, init=runs[recipe], callbacks=[start], total_kimg=0.1)
    record = json.loads((tmp_path / "b" / "config.json").read_text())["init"]
    assert 0 < len(record["fresh"]) < 0.6 * len(networks(start.tensors["gan"]))
    for name, value in networks(start.tensors["gan"]).items():
        assert (value.shape != before[f"gan/{name}"].shape) == (name in record["fresh"]), name
        assert name in record["fresh"] or torch.equal(value, before[f"gan/{name}"])


def test_what_does_not_fit_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["dcgan"]
    for options, message in (
        (
            {"init": run, "width": 8},
            r"does not fit this DCGAN: G\.\S+ \(\S+ there, \S+ here\).* more\. Use the settings",
        ),
        ({"init": run, "fresh": ("D.nothing",)}, "--fresh D.nothing: no weight of this model"),
        ({"init": run, "freeze_d": 99}, "--freeze-d 99: D of this recipe has"),
        ({"init": run, "freeze_d": -1}, "must not be negative"),
        ({"init": run, "init_checkpoint": "kimg-7"}, 'no checkpoint "kimg-7"'),
        ({"freeze_d": 2}, "add --init RUN"),
        ({"fresh": ("D",)}, "add --init RUN"),
        ({"init": tmp_path}, "is neither a run nor a model/ folder"),
    ):
        with pytest.raises(BadInput, match=message) as error:
            train("dcgan", tmp_path / "b", **options)
        assert "\n" not in str(error.value) and not (tmp_path / "b").exists()
    with pytest.raises(BadInput, match="does not fit this VanillaGAN"):
        train("gan", tmp_path / "b", init=run)
    other = testing.build("dcgan", (1, 16, 16), width=4, z_dim=100)
    start = warm_start.load_weights(other, warm_start.read(run), testing.make_data(), fresh=("D",))
    assert "tensors are re-initialized" in start.text and all(n.startswith("D.") for n in start.record["fresh"])


def test_a_growing_recipe_starts_from_the_first_level(tmp_path: Path) -> None:
    small = {"width": 8, "z_dim": 6, "batch_size": 8, "stage_kimg": 0.01}
    run = train("progan", tmp_path / "a", total_kimg=0.1, **small)
    gan = testing.build("progan", (1, 16, 16), n_classes=3)
    start = warm_start.load_weights(gan, warm_start.read(run.path), testing.make_data())
    assert "a small --stage-kimg starts at full size" in start.text
    end = ganloom.load(train("progan", tmp_path / "b", init=run, total_kimg=0.1, stage_kimg=0.001).path)
    assert end.level == end.top


def test_the_command(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "new.npz", images=np.zeros((40, 24, 24, 1), np.uint8) + np.arange(40)[:, None, None, None])
    with pytest.raises(SystemExit) as left:
        main(["train", str(tmp_path / "new.npz"), "--init", str(runs["stylegan2"]), "--out", str(tmp_path / "b"),
              "--total-kimg", "0.05", "--judge", "0", "--freeze-d", "1", "--ada-kimg", "100"])  # fmt: skip
    output = capsys.readouterr()
    assert not left.value.code, output.err
    described = json.loads((tmp_path / "b" / "config.json").read_text())
    assert described["recipe"] == "stylegan2" and described["config"]["z_dim"] == 6
    assert described["config"]["shape"] == [1, 16, 16], "images are brought to the model's size"
    assert described["config"]["n_classes"] == 0 and described["config"]["ada_kimg"] == 100
    assert (
        "because the number of classes changed from 3 to 0" in output.err
        and "the first layer of D (start) does not train" in output.err
    )
    with pytest.raises(SystemExit) as left:
        main(["train", "--freeze-d", "3"])
    assert left.value.code == 2 and "--init RUN" in capsys.readouterr().err
