"""ONNX of every generator: free batch, labels and truncation as inputs, equal to torch; faults in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ganloom
from ganloom import export, testing
from ganloom.cli import main
from ganloom.errors import BadInput

with export._quiet():
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")


@pytest.mark.parametrize("recipe", list(ganloom.RECIPES))
def test_every_generator(recipe: str, tmp_path: Path) -> None:
    gan = testing.build(recipe, (3, 28, 28))
    made = export.to_onnx(gan, tmp_path / "g.onnx")
    assert made.difference <= 1e-4 and made.bytes == (tmp_path / "g.onnx").stat().st_size
    labelled = bool(getattr(gan.cfg, "n_classes", 0))
    assert list(made.inputs) == ["z"] + ["c"] * labelled + ["truncation"] * bool(export._truncation(gan))
    assert "truncation" in made.inputs or recipe in ("biggan", "infogan")
    session = runtime.InferenceSession(str(tmp_path / "g.onnx"))
    feed = {"z": torch.randn(5, *made.inputs["z"][1:]).numpy()}
    feed |= {"c": np.array([0, 1, 2, 1, 0])} if labelled else {}
    feed |= {"truncation": np.array(1, np.float32)} if "truncation" in made.inputs else {}
    (x,) = session.run(None, feed)
    assert x.shape == (5, 3, 28, 28) and np.abs(x).max() <= 1


def test_truncation_and_labels_count(tmp_path: Path) -> None:
    gan = testing.build("stylegan2", (1, 16, 16))
    with torch.no_grad():
        gan.G.mapping.w_mean.normal_()
    export.to_onnx(gan, tmp_path / "g.onnx")
    session = runtime.InferenceSession(str(tmp_path / "g.onnx"))
    z = torch.randn(2, 6)
    for psi in (1.0, 0.5, 0.0):
        for c in ([0, 1], [2, 2]):
            (x,) = session.run(None, {"z": z.numpy(), "c": np.array(c), "truncation": np.array(psi, np.float32)})
            expected = gan.generate(z=z, c=c, truncation=psi).numpy()
            np.testing.assert_allclose(x, expected, atol=1e-5)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    run = ganloom.train("gan", pictures, tmp_path / "run", total_kimg=0.1, judge=0, g_widths=(16,), d_widths=(16,))

    def call(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["export", str(run.path), *argv])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    code, out, _ = call("--format", "onnx")
    assert not code and "largest difference to torch" in out and (run.path / "model.onnx").exists()
    code, _, err = call("--format", "onnx")
    assert code == 2 and err.count("\n") == 1 and "there already" in err
    code, out, _ = call("--out", str(tmp_path / "x.onnx"), "--json")
    assert not code and json.loads(out)["difference"] <= 1e-4


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = testing.build("gan", (1, 16, 16))
    monkeypatch.setattr(export, "MOST", -1.0)
    with pytest.raises(export.Differs, match="nothing was written"):
        export.to_onnx(gan, tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BadInput, match=r"ganloom\[onnx\]"):
        export.to_onnx(testing.build("gan"), tmp_path / "g.onnx")
