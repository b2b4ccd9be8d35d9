"""LPIPS: figures of the published code at weights that are given by a formula, and files that do not fit."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from test_metrics import one_thread
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.evaluation.lpips_weights import load_lpips
from ganloom.metrics.extractors.lpips import LPIPS, lpips

__all__ = ["one_thread"]

REFERENCE = {
    "alex": ((1.04081118, 0.90716946), (0.96784556, 1.16083705)),
    "vgg": ((0.78657222, 0.82079774), (0.75431043, 0.70115858)),
}
"""Of lpips 0.1.4 with the weights of `weights`, for images 0 and 1, and for images 1 and 3."""


def wave(shape: tuple[int, ...], k: int) -> Tensor:
    """Numbers between -1 and 1 that need no random generator."""
    at = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(at * (0.37 + 0.011 * k) + k).float().reshape(shape)


def weights(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A backbone and linear heads, as two files have them."""
    backbone, heads = {}, {}
    shapes = {key: tuple(value.shape) for key, value in LPIPS(name).features.state_dict().items()}
    for k, (key, shape) in enumerate(shapes.items()):
        w = wave(shape, k)
        backbone[f"features.{key}"] = w * (2 / math.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1 * w
    for i, head in enumerate(LPIPS(name).heads):
        heads[f"lin{i}.model.1.weight"] = wave((1, len(head), 1, 1), i).abs()
    return backbone, heads


def image(k: int) -> Tensor:
    at = torch.arange(2 * 3 * 64 * 64, dtype=torch.float64).reshape(2, 3, 64, 64)
    return torch.sin(at * (0.013 + 0.002 * k) + k).float()


@pytest.mark.parametrize("name", REFERENCE)
def test_lpips_is_that_of_the_published_code(name: str, tmp_path: Path) -> None:
    backbone, heads = weights(name)
    torch.save(backbone | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "net.pth")
    torch.save(heads, tmp_path / "heads.pth")
    net = load_lpips(f"{tmp_path / 'net.pth'},{tmp_path / 'heads.pth'}")
    assert net.name == name
    for (a, b), expected in zip(((0, 1), (1, 3)), REFERENCE[name], strict=True):
        assert lpips(image(a), image(b), net).tolist() == pytest.approx(expected, rel=2e-5)
    assert lpips(image(0), image(0), net).abs().max() == 0
    small = image(0)[:, :1, :20, :20]
    assert lpips(small, small.flip(3), net).min() > 0  # grey images of 20 pixels


def test_weights_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    backbone, heads = weights("alex")
    cases: list[tuple[dict[str, Any], str]] = [
        (backbone, "lin0.model.1.weight is missing"),
        (heads, "features.0.weight is missing"),
        ({**backbone, **heads, "features.0.weight": torch.zeros(8, 3, 3, 3)}, "neither AlexNet nor VGG-16"),
        ({**backbone, **heads, "lin1.model.1.weight": torch.ones(1, 7, 1, 1)}, "lin1.model.1.weight has 7 values"),
        ({**backbone, **heads, "lin1.model.1.weight": -torch.ones(1, 192, 1, 1)}, "is negative"),
        ({k: v for k, v in (backbone | heads).items() if k != "features.8.bias"}, "features.8.bias is missing"),
    ]
    for tensors, message in cases:
        with pytest.raises(BadInput, match=message):
            LPIPS.from_tensors(tensors)
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    with pytest.raises(BadInput, match="cannot be read"):
        load_lpips(tmp_path / "bad.pth")
    with pytest.raises(BadInput, match="BACKBONE,HEADS"):
        load_lpips("a,b,c")
    prefixed = {f"net.slice1.{key[9:]}": value for key, value in backbone.items()} | heads
    assert LPIPS.from_tensors(prefixed).name == "alex"  # a whole LPIPS module
