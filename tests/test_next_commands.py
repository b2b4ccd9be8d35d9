"""The commands that are proposed next: they fit the recipe, and they work when they are pasted."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from PIL import Image

import ganloom
from ganloom import recipes
from ganloom.cli import COMMANDS, next_commands
from ganloom.cli.messages import following

AFTER = {
    "training": lambda run: next_commands.after_training(run, "finished"),
    "sample": next_commands.after_sample,
    "evaluate": next_commands.after_evaluate,
    "translate": next_commands.after_translate,
    "doctor": next_commands.after_doctor,
    "import": next_commands.after_import,
    "export": next_commands.after_export,
    **{f"latent {name}": (lambda run, name=name: next_commands.after_latent(run, name)) for name in (
        "walk", "mix", "project", "directions"
    )},
}  # fmt: skip


def commands_in(text: str) -> list[list[str]]:
    """The proposed commands of a command's output, split as a shell does."""
    (line,) = [line for line in text.splitlines() if line.startswith("next: ")]
    return [shlex.split(part) for part in line.removeprefix("next: ").split("        ")]


def described(recipe: str, root: Path, name: str, **more: Any) -> Path:
    """A run folder as far as the proposals read it."""
    run = root / name
    (run / "samples").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    data = {"source": {"source": "fashion-10k"}, "size": 10_000, "name": "fashion-10k"} | more
    (run / "config.json").write_text(json.dumps({"recipe": recipe, "config": {}, "train": {}, "data": data}))
    (run / "run.json").write_text('{"state": "finished"}')
    Image.new("L", (8, 8)).save(run / "samples" / "input.png")
    return run


@pytest.mark.parametrize("recipe", recipes.LISTED)
@pytest.mark.parametrize("after", AFTER)
def test_proposals_fit_the_recipe(recipe: str, after: str, tmp_path: Path) -> None:
    run = described(recipe, tmp_path, "a run")
    model = recipes.LISTED[recipe].MODEL
    words = commands_in(following(*AFTER[after](run)))
    assert words
    for command in words:
        assert command[0] == "ganloom" and command[1] in COMMANDS
        translates, styled = model.conditions_on == "images", hasattr(model, "synthesis")
        if command[1] == "translate" and command[2] != "--help":
            assert translates and Path(command[3]).exists() and not Path(command[4]).exists()
        if command[1] == "upscale" and command[2] != "--help":
            assert model.upscales and Path(command[2]).exists() and not Path(command[3]).exists()
        if command[1] == "sample":
            assert not translates and model.learns in ("images", "volumes")
        if command[1:3] == ["latent", "mix"]:
            assert styled
        if command[1:3] in (["latent", "project"], ["latent", "directions"]):
            assert recipe in recipes.RECIPES and not translates
        if command[1] not in ("plan", "translate", "upscale", "inpaint", "table") or command[2] != "--help":
            assert str(run) in command, "the path is one word"
        assert not {"IN", "OUT", "DATA", "RUN", "RECIPE", "DIR"} & set(command)


def test_evaluate_is_proposed_only_with_enough_data_that_is_there(tmp_path: Path) -> None:
    def proposed(name: str, **data: Any) -> bool:
        commands = next_commands.after_training(described("dcgan", tmp_path, name, **data), "finished")
        return any(command[0] == "evaluate" for command in commands)

    assert proposed("a") and not proposed("b", size=23)
    assert not proposed("c", source={"source": str(tmp_path / "gone")})
    assert not proposed("d", source={"source": "data.npz", "in_run": True})
    for i, damaged in enumerate(("{", "[]", "{}", '{"recipe": 3, "data": 4}', '{"data": {"source": {"source": [1]}}}')):
        run = described("dcgan", tmp_path, f"e{i}")
        (run / "config.json").write_text(damaged)
        assert following(*next_commands.after_training(run, "finished"))


def test_a_stopped_run_is_resumed_and_odd_names_are_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = described("dcgan", tmp_path, "-it's a $run")
    (run / "run.json").write_text('{"state": "stopped"}')
    assert commands_in(following(*next_commands.after_training(Path(run.name), "SIGINT"))) == [
        ["ganloom", "resume", "./-it's a $run"]
    ]
    assert commands_in(following(*next_commands.after_doctor(run)))[0][1] == "resume"
    (run / "walk.gif").write_bytes(b"")
    (run / "config.json").write_text(json.dumps({"recipe": "stylegan2", "config": {}}))
    (walk,) = commands_in(following(*next_commands.after_latent(run, "directions")))
    assert walk[-2:] == ["--out", str(run / "walk-2.gif")]


@pytest.mark.slow
def test_a_chain_of_pasted_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    root = tmp_path / "my pictures"
    for side in ("trainA", "trainB"):
        (root / side).mkdir(parents=True)
        for i in range(26):
            Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(root / side / f"{side}{i}.png")
    small = "--width 4 --d-width 4 --blocks 1 --judge 0 --no-doctor --grid 4 --total-kimg 0.004 --batch-size 2".split()
    code, out, err = call(capsys, "train", "cyclegan", root, "--out", tmp_path / "a run", *small)
    assert code == 0, err
    seen = []
    for _ in range(2):
        (command, *_) = commands_in(out)
        seen.append(command[1])
        quick = ["--n", "12", "--features", "random", "--no-intervals", "--k", "3"] if command[1] == "evaluate" else []
        code, out, err = call(capsys, *command[1:], *quick)
        assert code == 0, (command, err)
    assert seen == ["translate", "evaluate"]


def test_an_unlabelled_model_without_data(tmp_path: Path) -> None:
    run = ganloom.train(
        "dcgan", np.zeros((30, 16, 16, 1), np.uint8) + 7, tmp_path / "r", width=4, batch_size=8, total_kimg=0.02, judge=0,
        doctor=False, grid=4,
    )  # fmt: skip
    model = run.path / "model"
    words = commands_in(following(*next_commands.after_import(model)))
    assert words == [["ganloom", "sample", str(model)]]
