"""Images whose modes are counted: the data, the readers and their floors, the command."""

import json
import math
from dataclasses import replace
from pathlib import Path

import commands
import numpy as np
import pytest
import torch

from ganloom import data as datasets
from ganloom.bench.modes import counted_images, shapes_reader, stacked_reader
from ganloom.data import shapes
from ganloom.metrics.shape_attributes import ShapeReader


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    return commands.call(capsys, "bench", "modes", *argv)


def test_stacks_are_three_images_of_the_set() -> None:
    rows, grey = datasets.open("stacked:40"), datasets.open("fashion-10k")
    assert rows.shape == (3, 28, 28) and rows.labels is None and rows.n_classes == 0 and rows.factors is not None
    assert grey.labels is not None
    known = {grey.rows[i].tobytes(): int(grey.labels[i]) for i in range(len(grey))}  # type: ignore[attr-defined]
    for channel, name in enumerate(("red", "green", "blue")):
        images = rows.rows[..., channel : channel + 1]  # type: ignore[attr-defined]
        assert [known[np.ascontiguousarray(p).tobytes()] for p in images] == rows.factors[name].tolist()
    assert datasets.open("stacked:40").fingerprint == rows.fingerprint


def test_the_classifier_reads_stacks_and_sees_collapse() -> None:
    reader = stacked_reader.Classifier()
    x, truth, _ = stacked_reader.known(3000)
    read, clear = reader(x)
    assert (read == truth).float().mean() > 0.75
    modes, kl = counted_images.count(read, 1000)
    assert modes > 900 and kl < 0.25  # 999 / 6,000 by chance alone
    assert counted_images.count(reader(x[:1].expand(50, -1, -1, -1))[0], 1000) == (1, pytest.approx(math.log(1000)))
    assert counted_images.count(reader(x[truth < 500])[0], 1000)[1] > math.log(2)
    assert reader(torch.rand(200, 3, 28, 28) * 2 - 1)[1].mean() < clear.mean()


def test_renderings_read_shapes_and_see_what_is_missing_or_blurred() -> None:
    reader, (x, truth, held_out) = ShapeReader(), shapes_reader.known(2000)
    read, clear = reader(x)
    assert held_out and (read == truth).float().mean() > 0.95
    made = shapes.factors(2000, seed=1)
    assert (
        bool((truth == torch.from_numpy(shapes.combination(made))).all())
        and int(truth.max()) < shapes_reader.MODES == 1296
    )
    red = x[torch.from_numpy(made["colour"] == 0)]
    modes, kl = counted_images.count(reader(red)[0], shapes_reader.MODES)
    assert modes <= 1296 // 8 and kl > math.log(8)
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    floor = clear.quantile(0.01)
    assert (reader(blurred)[1] >= floor).float().mean() < 0.2 < (clear >= floor).float().mean()


@pytest.mark.parametrize(
    "data", [pytest.param("stacked", marks=pytest.mark.slow), pytest.param("shapes", marks=pytest.mark.slow)]
)
def test_the_command(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"stacked": stacked_reader, "shapes": shapes_reader}[data]
    monkeypatch.setattr(module, "TASK", replace(module.TASK, samples=1000))  # type: ignore[attr-defined]
    flags = ("--data", data, "--cure", "dcgan", "--total-kimg", "0.1", "--runs", str(tmp_path / "runs"))
    code, out, _ = call(capsys, *flags, "--out", str(tmp_path), "--json")
    found = json.loads(out)
    (row,) = found["rows"]
    assert code == 0 and row["setup"] == "dcgan" and 0 < row["modes"] < 1000 and row["kl"] > row["floor"] > 0
    assert 500 < found["counter"]["modes"] and found["counter"]["accuracy"] > 0.75 and 0 <= row["quality"] <= 1
    page = (tmp_path / "known-truth.md").read_text()
    assert "| `dcgan`" in page and (tmp_path / "images" / f"{data}-dcgan-0.png").stat().st_size
    assert ("PacDCGAN2" in page) == (data == "stacked")
    monkeypatch.setattr("ganloom.apps.run_cache.train", lambda *a, **k: pytest.fail("it was trained already"))
    code, out, _ = call(capsys, *flags)
    assert code == 0 and "| `dcgan`" in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--cure", "dcgam"], "dcgan"), (["--kimg", "0"], "--total-kimg"), (["--seeds", "0"], "--seeds")],
)
def test_bad_input_is_a_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "--data", "shapes", *flags)
    assert code == 2 and said in err


@pytest.mark.slow
def test_the_recommended_recipe_makes_all_thousand(tmp_path: Path) -> None:
    counter, (row,) = counted_images.measure(stacked_reader.TASK, ("recommended",), seed=1, runs=tmp_path)
    assert row.modes == 1000 and row.kl < counter.kl + 0.06
