"""A thousand modes: the data, the counter and its floor, the command."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ganloom import data as datasets
from ganloom import metrics
from ganloom.bench import stacked
from ganloom.cli import main


def test_rows_are_three_pictures_of_the_set() -> None:
    rows, grey = datasets.open("stacked:40"), datasets.open("fashion-10k")
    assert rows.shape == (3, 28, 28) and rows.labels is None and rows.n_classes == 0 and rows.factors is not None
    assert grey.labels is not None
    known = {grey.rows[i].tobytes(): int(grey.labels[i]) for i in range(len(grey))}  # type: ignore[attr-defined]
    for channel, name in enumerate(("red", "green", "blue")):
        pictures = rows.rows[..., channel : channel + 1]  # type: ignore[attr-defined]
        assert [known[np.ascontiguousarray(p).tobytes()] for p in pictures] == rows.factors[name].tolist()
    assert datasets.open("stacked:40").fingerprint == rows.fingerprint


def test_the_counter_reads_real_rows_and_sees_collapse() -> None:
    net, rows = metrics.get("fashion"), datasets.open("stacked:3000")
    x, factors = rows.get(slice(None)), rows.factors
    assert factors is not None
    truth = torch.from_numpy(factors["red"] * 100 + factors["green"] * 10 + factors["blue"])
    assert (stacked.modes_of(x, net) == truth).float().mean() > 0.9**3
    modes, kl = stacked.count(x, net)
    assert modes > 900 and kl < 0.25  # 999 / 6,000 by chance alone
    assert stacked.count(x[:1].expand(50, -1, -1, -1), net) == (1, pytest.approx(math.log(1000)))
    half = x[truth < 500]
    assert stacked.count(half, net)[1] > math.log(2)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked, "SAMPLES", 2000)
    words = [
        "bench",
        "modes",
        "--data",
        "stacked",
        "--cure",
        "dcgan",
        "--kimg",
        "0.1",
        "--out",
        str(tmp_path),
        "--json",
    ]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert row["setup"] == "dcgan" and 0 < row["modes"] < 1000 and row["kl"] > row["floor"] > 0
    assert found["counter"]["modes"] > 800 and found["counter"]["accuracy"] > 0.9
    page = (tmp_path / "known-truth.md").read_text()
    assert "| `dcgan`" in page and "PacDCGAN2" in page and (tmp_path / "images" / "stacked-dcgan-0.png").stat().st_size


@pytest.mark.parametrize(
    ("flags", "said"), [(["--cure", "dcgam"], "dcgan"), (["--kimg", "0"], "--kimg"), (["--seeds", "0"], "--seeds")]
)
def test_bad_input_is_a_line(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["bench", "modes", "--data", "stacked", *flags])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_recommended_recipe_makes_all_thousand() -> None:
    counter, (row,) = stacked.measure(("recommended",), seed=1)
    assert row.modes == 1000 and row.kl < counter.kl + 0.06
