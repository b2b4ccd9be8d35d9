"""StyleGAN2's published layouts: their own code's figures.

``figures/style.npz`` was computed once by the projects' code (stylegan2-ada-pytorch d72cc7d with its reference operations,
rosinality/stylegan2-pytorch bef283a; torch 2.13, CPU, float32): narrow networks with the weights of ``made_style.made`` for
their own names and shapes. Each case has names and shapes, what the modules say of themselves, up to 400 numbers of G's
images at several truncations with constant noise, and D's logits.
"""

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from made_style import made, snapshot, tensorflow_snapshot
from made_weights import inputs

import ganloom
from ganloom import weights
from ganloom.core.errors import BadInput
from ganloom.weights import pickle_reader

FIGURES = np.load(Path(__file__).parent / "figures" / "style.npz")
CASES = sorted({name.split("/")[0] for name in FIGURES.files})


def described(case: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(facts, G's weights, D's weights) of a case."""
    found = json.loads(FIGURES[f"{case}/facts"].tobytes())
    g, d = (made({name: tuple(shape) for name, shape in found[net].items()}) for net in "GD")
    return found["facts"], g, d


def written(case: str, folder: Path) -> Path:
    """A case's file, as its project writes it."""
    facts, g, d = described(case)
    if not case.startswith("rosinality"):
        return snapshot(folder / "network.pkl", g, d, facts, folder / "canary")
    mean = made({"w_avg": (32,)})["w_avg"]
    args = argparse.Namespace(size=32, latent=32)
    torch.save({"g": g, "d": d, "g_ema": g, "latent_avg": mean, "args": args, "ada_aug_p": 0.1}, folder / "ros.pt")
    return folder / "ros.pt"


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_reference_code(case: str, tmp_path: Path) -> None:
    gan = weights.read(written(case, tmp_path))
    cfg = gan.cfg
    n = 4 if case == "ada-256" else 8
    z, c = inputs(n, cfg.z_dim), torch.arange(n) % cfg.n_classes if cfg.n_classes else None
    seen = 0
    for name in FIGURES.files:
        if name.startswith(f"{case}/G "):
            psi, cutoff = name.split(" ")[1:]
            ws = gan.mapping(z, c, float(psi), None if cutoff == "None" else int(cutoff))
            flat = gan.synthesis(ws).flatten()
            ours = flat[:: max(len(flat) // 400, 1)][:400].numpy()
            np.testing.assert_allclose(ours, FIGURES[name], atol=1e-4, rtol=0)
            seen += 1
    assert seen == (2 if case.startswith("ros") else 3)
    logits = gan.D(inputs(n, *cfg.shape).tanh(), c)
    np.testing.assert_allclose(logits.numpy(), FIGURES[f"{case}/D"], atol=1e-3, rtol=0)
    assert float(np.std(FIGURES[f"{case}/D"])) > 1e-3 * (case != "ada-256")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("ada") and case != "ada-32-cifar"])
def test_the_same_networks_of_tensorflow_s_time(case: str, tmp_path: Path) -> None:
    """Their variables, renamed and turned, are those of the PyTorch version."""
    facts, g, d = described(case)
    old = weights.read(tensorflow_snapshot(tmp_path / "tf.pkl", g, d, facts))
    new = weights.read(written(case, tmp_path))
    assert old.cfg == new.cfg
    for name, value in new.state_dict().items():
        torch.testing.assert_close(old.state_dict()[name], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("protocol", [3, 5])
def test_other_protocols(protocol: int, tmp_path: Path) -> None:
    facts, g, d = described("ada-16-clamp")
    read = weights.read(snapshot(tmp_path / "n.pkl", g, d, facts, tmp_path / "canary", protocol)).state_dict()
    for name, value in weights.read(written("ada-16-clamp", tmp_path)).state_dict().items():
        assert torch.equal(value, read[name])


def test_what_a_pickle_says_beside_its_tensors(tmp_path: Path) -> None:
    cfg = weights.read(written("ada-32-cifar", tmp_path)).cfg
    assert (cfg.residual, cfg.group, cfg.clamp, cfg.n_classes, cfg.layers, cfg.shape) == (
        False,
        32,
        256,
        4,
        2,
        (1, 32, 32),
    )
    cfg = weights.read(written("ada-16-clamp", tmp_path)).cfg
    assert (cfg.residual, cfg.group, cfg.clamp, cfg.base, cfg.width) == (True, 0, 1.5, 256, 32)
    cfg = weights.read(written("ada-256", tmp_path)).cfg
    assert (cfg.z_dim, cfg.w_dim, cfg.base, cfg.width, cfg.d_base) == (32, 16, 1024, 16, 1024)


def test_imported_it_samples_and_is_fine_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    code, said, _ = call(capsys, "import", str(written("ada-32-labels", tmp_path)), "--out", str(out))
    assert not code and "stylegan2 of 3x32x32, 3 classes: G and D read" in said
    gan = ganloom.load(out)
    a, b = gan.generate(2, c=1, truncation=0.5), gan.generate(2, c=1, truncation=0.5, noise="none")
    assert a.shape == (2, 3, 32, 32) and not torch.equal(a, b)
    code, said, _ = call(capsys, "sample", str(out), "--n", "4", "--c", "2", "--truncation", "0.7", "--json")
    assert not code and json.loads(said)["files"] == 4


def test_a_state_dict_alone(tmp_path: Path) -> None:
    facts, g, d = described("ada-32-labels")
    torch.save(g, tmp_path / "g.pt")
    torch.save({"state_dict": d}, tmp_path / "d.pt")
    gan = weights.read(tmp_path / "g.pt", tmp_path / "d.pt")
    whole = weights.read(written("ada-32-labels", tmp_path))
    z, c = inputs(2, 64), torch.tensor([0, 2])
    assert torch.equal(gan.G(z, c), whole.G(z, c)) and gan.cfg.clamp is None
    x = inputs(2, 3, 32, 32)
    assert torch.equal(gan.D(x, c), whole.D(x, c))


def test_rosinality_without_a_mean_takes_one(tmp_path: Path) -> None:
    _, g, _ = described("rosinality-32")
    torch.save({"g_ema": g}, tmp_path / "g.pt")
    gan = weights.read(tmp_path / "g.pt")
    many = gan.G.mapping(torch.randn(4096, 32)).mean(0)
    assert float((gan.G.mapping.w_mean - many).abs().max()) < 0.1 < float(many.abs().max())


def test_networks_that_ours_cannot_equal_are_refused_in_one_line(tmp_path: Path) -> None:
    facts, g, d = described("ada-32-labels")

    def refused(change: Callable[[], None], said: str) -> None:
        nonlocal facts, g, d
        facts, g, d = described("ada-32-labels")
        change()
        with pytest.raises(BadInput, match=said) as error:
            weights.read(snapshot(tmp_path / "n.pkl", g, d, facts, tmp_path / "canary"))
        assert "\n" not in str(error.value)

    refused(lambda: g.update({"synthesis.b8.skip.weight": torch.zeros(3, 3, 1, 1)}), "parts that ganloom does not have")
    refused(lambda: g.update({"synthesis.b8.conv1.resample_filter": torch.ones(4, 4) / 16}), "another filter")
    refused(lambda: g.pop("synthesis.b16.torgb.bias"), "conversion|has no synthesis.b16.torgb.bias|do not fit")
    refused(lambda: [g.pop(n) for n in list(g) if n.startswith("synthesis.b8.")], "not 4 and its doublings")
    refused(lambda: g.update({"synthesis.b8.conv1.weight": torch.zeros(5, 24, 3, 3)}), "channels")
    refused(lambda: d.update({n: t[:, :1] for n, t in d.items() if n == "b32.fromrgb.weight"}), "two models: shape")
    (tmp_path / "empty.pkl").write_bytes(pickle.dumps({"G": None}))
    with pytest.raises(BadInput, match="without a network G_ema"):
        weights.read(tmp_path / "empty.pkl")


def test_the_interpreter_agrees_with_python_on_plain_values(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "x" * 300, b"y" * 300], "b": (1, (2,), (3, 4), (5, 6, 7), tuple(range(9))), "c": {},
             "d": [-1, 1 << 20, 1 << 70], 7: "seven"}  # fmt: skip
    value["again"] = value["a"]
    for protocol in (3, 4, 5):
        (tmp_path / "v.pkl").write_bytes(pickle.dumps(value, protocol))
        assert pickle_reader.open_pickle(tmp_path / "v.pkl") == value
    assert pickle_reader.is_pickle(tmp_path / "v.pkl")
    torch.save({"a": torch.zeros(2)}, tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    assert not pickle_reader.is_pickle(tmp_path / "t.pt")
