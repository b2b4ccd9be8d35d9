"""The perceptual term: over any feature net, with gradients, and no part of the model that it trains."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import ganloom
from ganloom.core.errors import BadInput
from ganloom.gan import Batch, kind_of_inputs
from ganloom.metrics.extractors import by_name
from ganloom.metrics.extractors.nets import RandomNet, SmallNet
from ganloom.nn.perceptual import Perceptual, moved

TRANSLATORS = [n for n, module in ganloom.RECIPES.items() if kind_of_inputs(module.MODEL) in ("pairs", "domains")]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["random", "fashion"])
def test_a_distance_is_one(name: str, channels: int) -> None:
    net = Perceptual(name)
    x = torch.rand(2, channels, 32, 32) * 2 - 1
    y = (x + 0.3 * torch.randn_like(x)).clamp(-1, 1).requires_grad_()
    near = net.distance(y, x)
    far = net.distance((x + torch.randn_like(x)).clamp(-1, 1), x)
    assert float(net.distance(x, x)) == 0 < float(near.detach()) < float(far) < 4
    near.backward()
    assert float(y.grad.abs().sum()) > 0 and not any(p.requires_grad for p in net.net.parameters())
    assert float(net.content(x, x)) == 0 < float(net.content(y, x).detach())


def test_images_are_moved_in_the_same_way() -> None:
    x = torch.rand(3, 2, 40, 24)
    sizes = set()
    for seed in range(12):
        torch.default_generator.manual_seed(seed)
        a, b = moved(x, x * 0.5)
        assert torch.allclose(a * 0.5, b, atol=1e-6) and 30 <= a.shape[2] <= 54 and 18 <= a.shape[3] <= 33
        assert abs(float(a.mean() - x.mean())) < 0.02, "nothing is cut off"
        sizes.add(tuple(a.shape[2:]))
        torch.default_generator.manual_seed(seed)
        assert torch.equal(moved(x)[0], a)
    assert len(sizes) > 6


def test_maps_are_those_within_the_net() -> None:
    """By hooks on any net: the last map of each resolution; the features themselves where a net has none."""
    net = SmallNet()
    found = Perceptual.__new__(Perceptual)
    found.net, found.channels, found.range, found.size = net.eval(), 1, (-1.0, 1.0), 28
    x = torch.rand(2, 1, 28, 28) * 2 - 1
    maps = found.maps(x)
    assert [m.shape[1:] for m in maps] == [(24, 28, 28), (48, 14, 14), (96, 7, 7)]
    assert torch.equal(maps[0], net.norms[0](net.convs[0](x)))
    assert not [m for m in net.modules() if m._forward_hooks]
    found.net = lambda x: x.mean((2, 3))
    assert [m.shape for m in found.maps(x)] == [(2, 1, 1, 1)] and float(found.content(x, x)) == 0


def test_random_maps_are_what_its_features_average() -> None:
    net, x = RandomNet(), torch.rand(1, 3, 64, 64)
    maps = net.maps(x)
    assert [tuple(m.shape[1:]) for m in maps] == [(16, s, s) for s in (64, 32, 16, 8)]
    pooled = torch.cat([torch.nn.functional.adaptive_avg_pool2d(m, 2).flatten(1) for m in maps], 1)
    assert torch.equal(pooled, net(x)) and torch.equal(by_name.get("random").net(x), pooled)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_every_translator_takes_it(name: str) -> None:
    module = ganloom.RECIPES[name]
    given = {"shape": (3, 32, 32), "width": 8, "d_width": 8, "blocks": 1, "batch_size": 2}
    plain, told = (model_of(module, {**given, "perceptual": weight}) for weight in (0.0, 2.5))
    told.load_state_dict(plain.state_dict())
    batch = pairs_of(plain)
    a, b = losses(plain, batch), losses(told, batch)
    assert set(b) - set(a) == {"perceptual"} and set(a) <= set(b)
    grad = torch.autograd.grad(b["perceptual"], list(told.G.parameters()), allow_unused=True)
    assert any(g is not None and float(g.abs().sum()) > 0 for g in grad)
    assert set(told.state_dict()) == set(plain.state_dict())
    copy.deepcopy(told)


def model_of(module: object, given: dict) -> nn.Module:
    torch.manual_seed(0)
    return module.MODEL(module.Config(**given))


def pairs_of(model: nn.Module) -> Batch:
    torch.manual_seed(1)
    a, b = (torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(2))
    return Batch(b, a, None) if model.paired else Batch(b, None, a)


def losses(model: nn.Module, batch: Batch) -> dict:
    torch.manual_seed(2)
    return model.g_loss(batch)


def test_size_of_the_images_that_the_network_gets() -> None:
    x = torch.rand(2, 3, 24, 24) * 2 - 1
    own, given = Perceptual("random").maps(x), Perceptual("random:size=48").maps(x)
    assert own[0].shape[2:] == (24, 24) and given[0].shape[2:] == (48, 48)
    small = Perceptual("random").maps(x[:, :, :4, :9])
    assert small[0].shape[2:] == (16, 16) and all(bool(part.isfinite().all()) for part in small)


def test_bad_settings_are_said(tmp_path: Path) -> None:
    pix2pix = ganloom.RECIPES["pix2pix"]
    with pytest.raises(BadInput, match="--perceptual must be a finite number of at least 0, got -1"):
        pix2pix.Config(perceptual=-1.0)
    for net in ("task", "inception"):
        with pytest.raises(BadInput, match=f"the network {net} cannot be used .* use random"):
            Perceptual(net)
    with pytest.raises(BadInput, match="unknown extractor 'rndom'"):
        Perceptual("rndom")
    with pytest.raises(BadInput, match="unknown extractor 'rndom'"):  # before there is a folder
        ganloom.train(
            "cut", "unpaired-fashion", tmp_path / "run", perceptual=1.0, perceptual_net="rndom", total_kimg=0.1
        )
    assert not (tmp_path / "run").exists()


def test_a_run_with_it_resumes_and_translates(tmp_path: Path) -> None:
    small = {"width": 4, "d_width": 4, "blocks": 1, "batch_size": 4, "total_kimg": 0.02, "judge": 0, "perceptual": 1.0}
    run = ganloom.train("cyclegan", "unpaired-fashion", tmp_path / "c", **small)
    rows = (run.path / "metrics.jsonl").read_text()
    assert '"G/perceptual"' in rows
    assert ganloom.resume(run.path, total_kimg=0.03).load().translate(torch.zeros(1, 3, 28, 28)).shape == (1, 3, 28, 28)
    with pytest.raises(BadInput, match="no such file|not found|does not exist"):
        ganloom.train("cyclegan", "unpaired-fashion", tmp_path / "d", **{**small, "perceptual_net": "none.pt2"})
