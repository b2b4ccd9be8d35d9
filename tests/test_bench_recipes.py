"""ganloom bench recipes: rows, images, going on, and the pages made of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import commands
import pytest
from PIL import Image

from ganloom.apps.run_cache import finished
from ganloom.bench.recipes import benchmark
from ganloom.recipes import RECIPES, find, presets
from ganloom.stabilisers.config import Stabilise

TOOLS = str(Path(__file__).resolve().parent.parent / "tools")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "N", 100)
    monkeypatch.setattr(
        benchmark, "speed", lambda name, options: benchmark.Speed(123.0, "a machine", 1, 0.1, "float32", "2")
    )


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    return commands.call(capsys, "bench", "recipes", *argv)


def test_rows_images_and_pages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--out", str(tmp_path / "docs"), "--runs", str(tmp_path / "runs"), "--total-kimg", "0.2")
    code, out, err = call(capsys, *flags, "--recipe", "gan", "--json")
    (row,) = json.loads(out)["recipes"]
    assert code == 0 and row["recipe"] == "gan" and row["kimg"] >= 0.2 and row["speed"]["img_per_s"] == 123
    assert row["command"] in err and row["command"].startswith("ganloom train gan fashion-10k ")
    assert row["command"].endswith("--total-kimg 0.2 --seed 0")
    assert row["parameters"]["D"] == 533505
    low, high = row["figures"]["fd"][1:]
    assert low <= row["figures"]["fd"][0] <= high and row["figures"]["fd"][0] > row["floor"]["fd"][0]
    with Image.open(tmp_path / "docs" / "images" / "recipes" / "gan.png") as image:
        assert image.size[0] > 200

    monkeypatch.setattr(benchmark, "finished", lambda *args, **kwargs: pytest.fail("the row is there for that command"))
    assert call(capsys, *flags, "--recipe", "GAN", "--json")[0] == 0
    monkeypatch.undo()

    monkeypatch.syspath_prepend(TOOLS)
    pages = __import__("recipe_pages")
    monkeypatch.setattr(pages, "FIGURES", tmp_path / "docs" / "results" / "recipes.json")
    page = pages.recipe("gan")
    assert row["command"] in page and "123 images a second" in page and "![samples of gan]" in page
    assert f"{row['figures']['coverage'][0]:.3g}" in page and "| `z_dim` |" in page and "## Departures" in page
    assert json.loads(pages.measured())["gan"]["img_per_s"] == 123
    assert "| [gan](recipes/gan.md) |" in pages.recipes()


def test_a_translator_is_measured_on_its_own_data_beside_what_needs_no_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = presets.Plan({**presets.plan("cyclegan").options, "width": 4, "d_width": 4}, "Small.", "unpaired-fashion")
    monkeypatch.setitem(presets.PLANS, "cyclegan", small)
    flags = ("--out", str(tmp_path / "docs"), "--runs", str(tmp_path / "runs"), "--total-kimg", "0.02")
    code, out, err = call(capsys, *flags, "--recipe", "cyclegan")
    assert code == 0 and "ganloom train cyclegan unpaired-fashion --width 4" in err, err
    assert "cyclegan" in out and "l1" in out
    row = json.loads((tmp_path / "docs" / "results" / "recipes.json").read_text())["recipes"][0]
    assert set(row["trivial"]) == {"copied input", "mean target", "histogram matched"}
    assert {"l1", "psnr", "ssim", "called_b", "cycle_l1"} <= set(row["figures"])
    assert 0.5 < row["trivial"]["copied input"]["l1"][0] < 1, "white on black against dark blue on cream"
    with Image.open(tmp_path / "docs" / "images" / "recipes" / "cyclegan.png") as image:
        assert image.size[0] == 12 * 29 + 1, "input, translation and truth, four times a row"
    assert benchmark.Row.from_dict(row).to_dict() == benchmark.kept(tmp_path / "docs")["cyclegan"].to_dict()

    monkeypatch.syspath_prepend(TOOLS)
    pages = __import__("recipe_pages")
    monkeypatch.setattr(pages, "FIGURES", tmp_path / "docs" / "results" / "recipes.json")
    page = pages.recipe("cyclegan")
    assert "| L1 from the truth |" in page and "| copied input | mean target | histogram matched |" in page
    assert json.loads(pages.measured())["cyclegan"]["l1"] == row["figures"]["l1"][0]
    assert "| [cyclegan](recipes/cyclegan.md) |" in pages.recipes()


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"total_kimg": 0.3, "batch_size": 50}
    whole = finished("gan", "fashion-10k", tmp_path / "whole", **options)
    assert finished("gan", "fashion-10k", tmp_path / "whole", **options).path == whole.path
    finished("gan", "fashion-10k", tmp_path / "cut", **{**options, "total_kimg": 0.1})
    described = json.loads((tmp_path / "cut" / "run.json").read_text())
    (tmp_path / "cut" / "run.json").write_text(json.dumps({**described, "state": "stopped"}))
    config = json.loads((tmp_path / "cut" / "config.json").read_text())
    config["train"]["total_kimg"] = 0.3
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config))
    assert finished("gan", "fashion-10k", tmp_path / "cut", **options).metrics[-1]["kimg"] == pytest.approx(0.3)


def test_bad_input_is_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for flags, said in (
        (["--recipe", "dcgann"], "dcgan"),
        (["--kimg", "0"], "--total-kimg"),
        (["--speed"], "recipes.json"),
    ):
        code, _, err = call(capsys, "--out", str(tmp_path), "--runs", str(tmp_path), *flags)
        assert code == 2 and said in err and "Traceback" not in err, err


def test_every_recipe_has_a_plan_that_its_config_takes_and_a_page() -> None:
    for name, module in RECIPES.items():
        assert name in presets.PLANS
        options = {
            k: v
            for k, v in presets.keywords(find(name), presets.plan(name).options).items()
            if k not in ("total_kimg", "flip", "precision")
        }
        parts = {k: options.pop(k) for k in [f.name for f in dataclasses.fields(Stabilise)] if k in options}
        module.Config(**options)
        assert not Stabilise(**parts).idle()
        assert "\nAbout: " in (module.__doc__ or ""), f"{name}: five sentences on what it is"
