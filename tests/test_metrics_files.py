"""Measuring a run on other data warns, and does not replace the run's own metrics.json."""

import json
from pathlib import Path

import numpy as np
import pytest

import ganloom
from ganloom.core.errors import BadInput
from ganloom.evaluation.evaluate import evaluate
from ganloom.training.callbacks import Callback

OPTIONS = {"n": 16, "k": 2, "features": "random", "intervals": False, "metrics": ("fd",)}


def images(path: Path, n: int, seed: int, side: int = 16, channels: int = 1) -> Path:
    np.save(path, np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), np.uint8))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    data = images(folder / "a.npy", 64, 0)
    ganloom.train("gan", data=str(data), out=folder / "r", total_kimg=0.05, judge=0, flip=True, console=Callback())
    evaluate(folder / "r", **OPTIONS)
    return folder / "r"


def test_own_data_given_by_path_is_still_its_own(run: Path) -> None:
    """Also if the run flips its images, which evaluation does not."""
    before = json.loads((run / "metrics.json").read_text())["rows"]
    result = evaluate(run, run.parent / "a.npy", **OPTIONS)
    assert result["file"] == "metrics.json" and not any(
        "not on the training data" in line for line in result["warnings"]
    )
    assert json.loads((run / "metrics.json").read_text())["rows"] == before


@pytest.mark.parametrize("kind", ["another name", "the same name", "another shape", "fewer", "array"])
def test_other_data_get_another_file(kind: str, run: Path, tmp_path: Path) -> None:
    own = (run / "metrics.json").read_bytes()
    data = {
        "another name": lambda: images(tmp_path / "b c.npy", 64, 1),
        "the same name": lambda: images(tmp_path / "a.npy", 64, 1),
        "another shape": lambda: images(tmp_path / "a.npy", 64, 0, 24, 3),
        "fewer": lambda: images(tmp_path / "a.npy", 40, 0),
        "array": lambda: np.load(images(tmp_path / "x.npy", 64, 3)),
    }[kind]()
    result = evaluate(run, data, **OPTIONS)
    assert (run / "metrics.json").read_bytes() == own
    assert result["file"] != "metrics.json" and json.loads((run / result["file"]).read_text())["rows"] == result["rows"]
    (line,) = [line for line in result["warnings"] if "not on the training data of this run" in line]
    assert "\n" not in line and result["file"] in line and "metrics.json is not changed" in line
    assert any(line in row for row in result["table"])
    (run / result["file"]).write_text("mine")
    with pytest.raises(BadInput, match="was not written by ganloom"):
        evaluate(run, data, **OPTIONS)
    (run / result["file"]).unlink()
