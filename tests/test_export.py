"""ONNX of every generator: free batch, labels and truncation as inputs, equal to torch; faults in one line."""

import json
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput, MissingExtra
from ganloom.export import onnx
from ganloom.nn.norms import StandingBatchNorm
from ganloom.recipes import biggan

with onnx._quiet():
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")


DENSE = ("stylegan2", "r3gan")


@pytest.mark.parametrize(
    ("recipe", "more"),
    [(recipe, {}) for recipe in ganloom.RECIPES] + [(name, {"dense_base": True, "tanh": True}) for name in DENSE],
)
def test_every_generator(recipe: str, more: dict[str, Any], tmp_path: Path) -> None:
    gan = testing.build(recipe, (3, 28, 28), **more)
    if recipe in ("prgan", "gan3d"):
        with pytest.raises(BadInput, match="ganloom mesh"):
            onnx.to_onnx(gan, tmp_path / "g.onnx")
        return
    coded = recipe in ("infogan", "eg3d")
    made = onnx.to_onnx(gan, tmp_path / "g.onnx")
    assert made.difference <= 1e-4 and made.bytes == (tmp_path / "g.onnx").stat().st_size
    captioned = gan.conditions_on == "captions"
    labelled = bool(getattr(gan.cfg, "n_classes", 0)) or captioned
    if gan.conditions_on == "images":
        assert made.inputs == {"c": ["n", *gan.input_shape()]}
        return
    assert list(made.inputs) == ["z"] + ["code"] * coded + ["c"] * labelled + ["truncation"]
    session = runtime.InferenceSession(str(tmp_path / "g.onnx"))
    feed = {"z": torch.randn(5, *made.inputs["z"][1:]).numpy()}
    feed |= {"c": gan.code_example(5).numpy() if captioned else np.array([0, 1, 2, 1, 0])} if labelled else {}
    feed |= {"truncation": np.array(1, np.float32)}
    feed |= {"code": gan.z(5)[:, -gan.cfg.code_dim :].numpy()} if coded else {}
    (x,) = session.run(None, feed)
    assert x.shape == (5, 3, 28, 28) and np.abs(x).max() <= 1


def test_the_file_names_its_classes(tmp_path: Path) -> None:
    gan = testing.build("cgan", n_classes=3)
    gan.class_names = ("207", "281", "Dragonfly")
    onnx.to_onnx(gan, tmp_path / "m.onnx", check=False)
    entries = runtime.InferenceSession(str(tmp_path / "m.onnx")).get_modelmeta().custom_metadata_map
    assert json.loads(entries["classes"]) == ["207", "281", "Dragonfly"]


def test_truncation_and_labels_count(tmp_path: Path) -> None:
    gan = testing.build("stylegan2", (1, 16, 16))
    with torch.no_grad():
        gan.G.mapping.w_mean.normal_()
    onnx.to_onnx(gan, tmp_path / "g.onnx")
    session = runtime.InferenceSession(str(tmp_path / "g.onnx"))
    z = torch.randn(2, 6)
    for psi in (1.0, 0.5, 0.0):
        for c in ([0, 1], [2, 2]):
            (x,) = session.run(None, {"z": z.numpy(), "c": np.array(c), "truncation": np.array(psi, np.float32)})
            expected = gan.generate(z=z, c=c, truncation=psi).numpy()
            np.testing.assert_allclose(x, expected, atol=1e-5)


@pytest.mark.parametrize("more", [{}, {"deep": True, "multiples": (), "hub": 5}])
def test_truncation_of_biggan_is_by_quantiles(more: dict[str, Any], tmp_path: Path) -> None:
    gan = testing.build("biggan", (3, 32, 32), z_dim=20, **more)
    for norm in gan.modules():
        if isinstance(norm, StandingBatchNorm):
            norm.means.normal_()
            norm.variances.uniform_(0.5, 2)
    made = onnx.to_onnx(gan, tmp_path / "g.onnx")
    assert made.inputs["truncation"] == []
    session, z = runtime.InferenceSession(str(tmp_path / "g.onnx")), torch.randn(3, 20) * 1.5
    seen = []
    for psi in (0.0, 0.05, 0.33, 0.5, 0.98, 0.999, 1.0):
        feed = {"z": z.numpy(), "c": np.array([0, 1, 2]), "truncation": np.array(psi, np.float32)}
        (x,) = session.run(None, feed)
        np.testing.assert_allclose(x, gan.generate(z=z, c=[0, 1, 2], truncation=psi).numpy(), atol=2e-5)
        seen.append(x)
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(seen, seen[1:], strict=False))


def test_inverse_erf() -> None:
    x = torch.cat([torch.linspace(-0.9999, 0.9999, 4001), 1 - torch.logspace(-4, -6.5, 50)])
    torch.testing.assert_close(biggan.inverse_erf(x), torch.erfinv(x.double()).float(), rtol=2e-6, atol=1e-7)


def test_codes_of_infogan_are_an_input(tmp_path: Path) -> None:
    gan = testing.build("infogan", (1, 28, 28))
    onnx.to_onnx(gan, tmp_path / "g.onnx")
    session, z = runtime.InferenceSession(str(tmp_path / "g.onnx")), gan.z(4)
    for category, psi in ((0, 1.0), (2, 0.4)):
        coded = gan.coded(z, category, (0.5,))
        feed = {name: t.numpy() for name, t in onnx.split(gan, coded).items()} | {
            "truncation": np.array(psi, np.float32)
        }
        (x,) = session.run(None, feed)
        np.testing.assert_allclose(x, gan.generate(z=coded, truncation=psi).numpy(), atol=1e-5)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    run = ganloom.train("gan", images, tmp_path / "run", total_kimg=0.1, judge=0, g_widths=(16,), d_widths=(16,))

    def call(*argv: str) -> tuple[int, str, str]:
        return commands.call(capsys, "export", run.path, *argv)

    code, out, _ = call("--format", "onnx")
    assert not code and "largest difference from torch" in out and (run.path / "model.onnx").exists()
    code, _, err = call("--format", "onnx")
    assert code == 2 and err.count("\n") == 1 and "already exists" in err
    code, out, _ = call("--out", str(tmp_path / "x.onnx"), "--json")
    assert not code and json.loads(out)["difference"] <= 1e-4


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = testing.build("gan", (1, 16, 16))
    monkeypatch.setattr(onnx, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(onnx.Differs, match="nothing was written"):
        onnx.to_onnx(gan, tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"onnx is not installed: pip install \"ganloom\[onnx\]\""):
        onnx.to_onnx(testing.build("gan"), tmp_path / "g.onnx")
