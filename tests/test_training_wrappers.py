"""Checkpoints as training loops save them: prefixes, wrappers, several networks, averages; the right network is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from made_weights import made
from torch import Tensor, nn

from ganloom import weights
from ganloom.weights.training_wrappers import bare, candidates

FIGURES = np.load(Path(__file__).parent / "figures" / "weights.npz")
SN = "mimicry-sngan-32-G"
OTHER = {"main.0.weight": torch.zeros(3, 3), "main.0.bias": torch.zeros(3)}


def state_of(case: str) -> dict[str, Tensor]:
    shapes = json.loads(FIGURES[f"{case}/shapes"].tobytes())
    return made({name: tuple(shape) for name, shape in shapes.items()})


def prefixed(state: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {"".join(prefixes) + name: t for name, t in state.items()}


def equal(path: Path, state: dict[str, Tensor]) -> bool:
    expected = weights.build(weights.find(state)).state_dict()
    found = weights.read(path).state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[n], expected[n]) for n in expected)


def wrapped(g: dict[str, Tensor]) -> dict[str, Any]:
    d = dict(OTHER)
    optimizer = {"state": {0: {"exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    ddp, average = prefixed(g, "module."), {"n_averaged": torch.tensor(7), **prefixed(g, "module.")}
    return {
        "DataParallel": ddp,
        "compiled": prefixed(g, "_orig_mod."),
        "compiled, then DDP": prefixed(g, "module.", "_orig_mod."),
        "DDP, then compiled": prefixed(g, "_orig_mod.", "module."),
        "AveragedModel": average,
        "AveragedModel of a compiled DDP": {
            "n_averaged": torch.tensor(3), **prefixed(g, "module.", "module.", "_orig_mod."),
        },
        "Lightning": {
            "epoch": 3, "global_step": 10, "pytorch-lightning_version": "2.0", "callbacks": {"x": {"y": torch.zeros(2)}},
            "optimizer_states": [optimizer], "hyper_parameters": {"lr": 1e-4},
            "state_dict": prefixed(g, "generator.") | prefixed(d, "discriminator."),
        },
        "Lightning, G and D": {"state_dict": prefixed(g, "G.") | prefixed(d, "D.")},
        "Lightning, netG compiled": {"state_dict": prefixed(g, "netG.", "_orig_mod.") | prefixed(d, "netD.")},
        "Lightning, model.G": {"state_dict": prefixed(g, "model.", "G.") | prefixed(d, "model.", "D.")},
        "netG and netD": {"netD": d, "netG": g, "optG": optimizer, "epoch": 1},
        "G_state_dict": {"D_state_dict": d, "G_state_dict": ddp, "fixed_noise": torch.zeros(64, 100)},
        "generator_state_dict": {"discriminator_state_dict": d, "generator_state_dict": g},
        "gen": {"disc": d, "gen": g},
        "state_dict in a model": {"model": {"state_dict": ddp}},
        "params": {"params": g},
        "modelG": {"modelG_state_dict": g, "optimizerG_state_dict": optimizer},
        "ema_pytorch": {
            "initted": torch.tensor(True), "step": torch.tensor(5), **prefixed(OTHER, "online_model."),
            **prefixed(g, "ema_model."),
        },
    }  # fmt: skip


@pytest.mark.parametrize("name", wrapped({"x": torch.zeros(1)}))
def test_what_training_loops_add_is_taken_off(name: str, tmp_path: Path) -> None:
    g = state_of(SN)
    torch.save(wrapped(g)[name], tmp_path / "g.pth")
    assert equal(tmp_path / "g.pth", g)


@pytest.mark.parametrize("names", ["params params_ema", "netG netG_ema", "model model_ema", "generator g_ema",
                                   "state_dict ema_state_dict", "G EMA", "g averaged"])  # fmt: skip
@pytest.mark.parametrize("flat", [False, True])
def test_of_two_candidates_the_average_is_read_and_said(
    names: str, flat: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    g, (plain, average) = state_of(SN), names.split()
    trained = {n: t + 1 if t.is_floating_point() else t for n, t in g.items()}
    tables: dict[str, Any] = {plain: trained, average: g}
    if flat:
        tables = {"state_dict": prefixed(trained, f"{plain}.") | prefixed(g, f"{average}.")}
    torch.save(tables, tmp_path / "g.pth")
    assert equal(tmp_path / "g.pth", g)
    err = capsys.readouterr().err
    assert f"{average} is read" in err and plain in err and err.count("\n") == 1


def test_an_average_without_buffers_takes_those_of_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    g = state_of(SN)
    buffers = {n for n in g if "running" in n or "tracked" in n}
    trained = {n: t if n in buffers else t + 1 for n, t in g.items()}
    torch.save({"netG": trained, "ema": {n: t for n, t in g.items() if n not in buffers}}, tmp_path / "g.pth")
    assert buffers and equal(tmp_path / "g.pth", g)
    assert f"with {len(buffers)} tensors of netG that it lacks" in capsys.readouterr().err


def test_safetensors_are_unwrapped_by_the_same_code(tmp_path: Path) -> None:
    g = state_of("biggan-32-plain-G")
    table = prefixed(g, "generator.", "module.") | prefixed(OTHER, "discriminator.")
    safetensors.torch.save_file({n: t.contiguous() for n, t in table.items()}, tmp_path / "g.safetensors")
    assert equal(tmp_path / "g.safetensors", g)


def test_one_file_with_both_networks_gives_the_discriminator_too(tmp_path: Path) -> None:
    g, d = state_of("biggan-32-plain-G"), state_of("biggan-32-plain-D")
    torch.save(g, tmp_path / "g.pth")
    torch.save(d, tmp_path / "d.pth")
    torch.save({"netG": prefixed(g, "module."), "netD": prefixed(d, "_orig_mod.")}, tmp_path / "both.pth")
    expected = weights.read(tmp_path / "g.pth", tmp_path / "d.pth").state_dict()
    found = weights.read(tmp_path / "both.pth", tmp_path / "both.pth").state_dict()
    assert all(torch.equal(found[n], expected[n]) for n in expected)


def test_prefixes_as_torch_writes_them() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    compiled: Any = torch.compile(net, backend="eager")
    names = net.state_dict().keys()
    average = torch.optim.swa_utils.AveragedModel(nn.DataParallel(compiled))
    assert bare(average.state_dict()).keys() == names
    assert bare(compiled.state_dict()).keys() == names
    inner = nn.Sequential()
    inner.add_module("G", compiled)
    assert bare(inner.state_dict()).keys() == {f"G.{name}" for name in names}


def test_a_table_that_holds_itself_or_thousands_ends() -> None:
    loop: dict[str, Any] = {"w": torch.zeros(1)}
    loop |= {f"g{i}": loop for i in range(50)}
    many = {f"net_{'g' * i}.weight": torch.zeros(1) for i in range(300)} | {"module." * 500 + "x": torch.zeros(1)}
    assert len(candidates(loop)) < 200 and len(candidates(many)) < 200
