"""--config: files of settings, what `ganloom config RUN` prints, and the same run from them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

import ganloom
from ganloom import recipes
from ganloom.cli import config_file, train
from ganloom.cli.config import _toml
from ganloom.core.errors import BadInput
from ganloom.recipes import presets

QUICK = "--judge 0 --no-doctor --grid 4 --total-kimg 0.03".split()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "my images.npz", images=images, labels=np.arange(40) % 2)
    return tmp_path / "my images.npz"


def test_toml_and_json_are_read_and_flags_win(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'recipe = "wgan_gp"\ndata = "fashion-10k"\ntotal-kimg = 3\nbatch_size = 5\nsmall = true\nflip = true\nshape = 32\n'
        '"d_opt.lr" = 1\n[g_opt]\nlr = 0.5\nschedule = "linear(1, 2)"\nbetas = [0, 0.9]\n'
    )
    command = train.read(["--config", str(tmp_path / "a.toml"), "--batch-size", "7"])
    assert (command.options.recipe, command.options.data, command.options.flip) == ("wgan-gp", "fashion-10k", True)
    s = command.settings
    assert s["total_kimg"] == 3.0 and s["batch_size"] == 7 and s["small"] is True and s["shape"] == (32,)
    assert s["g_opt"].lr == 0.5 and s["g_opt"].schedule == ((1.0, 1.0), (2.0, 0.0)) and s["g_opt"].betas == (0.0, 0.9)
    assert s["d_opt"].lr == 1.0
    other = train.read(
        ["dcgan", "ring", "--config", str(tmp_path / "b")] if (tmp_path / "b").exists() else ["dcgan", "ring"]
    )
    assert other.options.recipe == "dcgan"
    (tmp_path / "b").write_text('{"data": "ring", "z_dim": 3, "precision": "float32", "micro_batch": null}')
    mixed = train.read(["gan", "--config", str(tmp_path / "b")])
    assert mixed.options.data == "ring" and mixed.settings == {"z_dim": 3, "precision": "float32", "micro_batch": None}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "totl_kimg = 3", 'unknown key "totl_kimg" (did you mean "total_kimg"?)'),
        ("a.toml", "[g_opt]\nlrr = 3", 'unknown key "g_opt.lrr" (did you mean "g_opt.lr"?)'),
        ("a.toml", "total_kimg = 'many'", "--total-kimg cannot be"),
        ("a.toml", "total_kimg = [3]", "total_kimg"),
        ("a.toml", "total_kimg = ", "is not valid TOML"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[3]", "must be a table of settings"),
        ("a.json", "[" * 10_000, "is not valid JSON"),
        ("a.json", '{"recipe": "dcgann"}', 'did you mean "dcgan"'),
        ("a.json", '{"recipe": 3}', "unknown recipe"),
        ("a.json", '{"recipe": "dcgan", "config": 1, "train": {}, "data": {}}', "config must be an object"),
        ("a.json", '{"fit": "crap"}', "crop"),
        ("a.toml", "\x00\xff", "cannot be read"),
        ("a.toml", "\x00", "is not valid TOML"),
    ],
)
def test_faults_name_the_file(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    code, out, err = call(capsys, "train", "dcgan" if "recipe" not in text else "", "--config", tmp_path / name)[:3]
    if "recipe" in text:
        code, out, err = call(capsys, "train", "--config", tmp_path / name)
    assert code == 2 and not out and err.count("\n") == 1 and str(tmp_path / name) in err and message in err, err


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "train", "--config", "no/such.toml")
    assert code == 2 and "no/such.toml" in err and err.count("\n") == 1


@pytest.mark.parametrize("flags", [["dcgan", "--width", "4"], ["stylegan2", "--small", "--augment", "ada"]])
def test_the_same_run_from_its_settings(
    flags: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "a"
    words = [flags[0], data, *flags[1:], "--batch-size", "8", "--held-out", "0.2", *QUICK]
    assert call(capsys, "train", *words, "--out", first)[0] == 0
    code, out, _ = call(capsys, "config", first)
    assert code == 0 and tomllib.loads(out)["recipe"] == flags[0]
    (tmp_path / "c.toml").write_text(out, encoding="utf-8")
    (tmp_path / "c.json").write_text(call(capsys, "config", first, "--json")[1], encoding="utf-8")
    weights = (first / "model" / "G.safetensors").read_bytes()
    for i, file in enumerate(
        (tmp_path / "c.toml", tmp_path / "c.json", first / "config.json")[: 3 if flags[0] == "dcgan" else 1]
    ):
        again = tmp_path / f"again{i}"
        code, _, err = call(capsys, "train", "--config", file, "--out", again)
        assert code == 0, err
        before, now = (json.loads((run / "config.json").read_text()) for run in (first, again))
        assert before["data"].pop("source")["source"] == now["data"].pop("source")["source"]
        assert before == now
        assert (again / "model" / "G.safetensors").read_bytes() == weights


def test_other_data_keeps_its_own_classes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "a"
    assert call(capsys, "train", "cgan", data, "--width", "4", "--batch-size", "8", *QUICK, "--out", run)[0] == 0
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "b.npz", images=images, labels=np.arange(40) % 4)
    command = train.read(["cgan", str(tmp_path / "b.npz"), "--config", str(run)])
    assert "n_classes" not in command.settings and command.settings["width"] == 4
    assert command.options.data == str(tmp_path / "b.npz")


@pytest.mark.parametrize("recipe", recipes.LISTED)
def test_every_setting_of_every_recipe_survives_toml(recipe: str, tmp_path: Path) -> None:
    from ganloom.core import config

    module = recipes.find(recipe)
    options = presets.small(recipe, module)
    fields = {name: value for name, value in options.items() if hasattr(module.Config(), name)}
    cfg = config.replace(module.Config(), fields)
    described: dict[str, Any] = {
        "recipe": recipe, "config": config.to_dict(cfg), "train": config.to_dict(ganloom.training.config.TrainConfig()),
        "data": {"source": {"source": "fashion-10k"}},
    }  # fmt: skip
    described = json.loads(json.dumps(described))
    (tmp_path / "c.toml").write_text("\n".join(_toml(config_file.settings_of_run(described, tmp_path / "config.json"))))
    settings = train.read(["--config", str(tmp_path / "c.toml")]).settings
    for field, value in settings.items():
        if hasattr(cfg, field):
            assert value == getattr(cfg, field), field


def test_compare_reads_a_file_too(tmp_path: Path) -> None:
    from ganloom.cli.compare import Arguments
    from ganloom.cli.parse import parse_given

    (tmp_path / "a.toml").write_text('budget = "10m"\nruns = ["fashion-10k", "dcgan"]\nn = 100\n')
    args, given = parse_given(Arguments, ["--config", str(tmp_path / "a.toml"), "--n", "50"], "compare")
    assert args.budget == "10m" and args.runs == ("fashion-10k", "dcgan") and args.n == 50 and "budget" in given
    (tmp_path / "a.toml").write_text("budgt = 3")
    with pytest.raises(BadInput, match="budget"):
        parse_given(Arguments, ["--config", str(tmp_path / "a.toml")], "compare")
