"""Faults of the networks: outputs, widths, initial weights, norms."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.bench.doctor.fault import Fault, Kind, Patch


class Followed(nn.Module):
    """A network whose output goes through a function.

    Args:
        net: The network.
        after: The function.
    """

    def __init__(self, net: nn.Module, after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.after = net, after

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Call the network, then the function."""
        return self.after(self.net(*inputs, **options))


def built(change: Callable[[Any], None]) -> Patch:
    """Return a patch of the constructor: ``change(model)`` runs after it."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        init: Any = kind.__init__

        def constructor(self: Any, cfg: Any) -> None:
            init(self, cfg)
            change(self)

        return {"__init__": constructor}

    return patch


def _after_g(after: Callable[[Tensor], Tensor]) -> Patch:
    def change(gan: Any) -> None:
        gan.G = Followed(gan.G, after)

    return built(change)


def _after_d(after: Callable[[Tensor], Tensor]) -> Patch:
    def change(gan: Any) -> None:
        gan.D = Followed(gan.D, after)

    return built(change)


def _layers(net: nn.Module, *kinds: type[nn.Module]) -> list[Any]:
    return [module for module in net.modules() if isinstance(module, kinds)]


@torch.no_grad()
def _zeros(gan: Any) -> None:
    for p in gan.G.parameters():
        p.zero_()


@torch.no_grad()
def _large_d(gan: Any) -> None:
    for layer in _layers(gan.D, nn.Conv2d, nn.Linear):
        layer.weight.mul_(8.0)


@torch.no_grad()
def _deaf_first_layer(gan: Any) -> None:
    """Most channels of D's first layer never react: a ReLU behind a bias of -20."""
    first = _layers(gan.D, nn.Conv2d)[0]
    first.bias = nn.Parameter(torch.zeros(first.out_channels)) if first.bias is None else first.bias
    first.weight[1:] = 0
    first.bias[1:] = 0


def _norm_that_lags(gan: Any) -> None:
    for layer in _layers(gan, nn.BatchNorm2d):
        layer.momentum = 1e-5


def _dropout(gan: Any) -> None:
    gan.D = nn.Sequential(nn.Dropout(0.95), gan.D) if not getattr(gan.cfg, "n_classes", 0) else Dropped(gan.D)


class Dropped(nn.Module):
    """A discriminator with labels behind a dropout of nearly all pixels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.drop = net, nn.Dropout(0.95)

    def forward(self, x: Tensor, *inputs: Any) -> Any:
        """Drop pixels, then call the network."""
        return self.net(self.drop(x), *inputs)


def _narrow(cfg: Any) -> dict[str, Any]:
    return {"width": 1}


def _fault(name: str, what: str, named: tuple[str, ...], **more: Any) -> Fault:
    return Fault(name, what, named, family="networks", **more)


SAMPLES = "sample range"
FAULTS: tuple[Fault, ...] = (
    _fault("G without tanh", "G ends in a linear layer", (SAMPLES,),
           patch=_after_g(lambda x: torch.atanh(x.clamp(-0.9999, 0.9999)))),
    _fault("G in 0 to 1", "G's output is scaled to [0, 1]", (SAMPLES,), patch=_after_g(lambda x: (x + 1) / 2)),
    _fault("G at half contrast", "G's output covers [-0.4, 0.4]", (SAMPLES,), patch=_after_g(lambda x: 0.4 * x)),
    _fault("D in a sigmoid", "D ends in a sigmoid, and the loss expects logits", ("bounded logits", "vanishing gradients"),
           patch=_after_d(lambda x: 1.0 * torch.sigmoid(x))),
    _fault("D in a small tanh", "D's logits are limited to [-0.01, 0.01]", ("bounded logits", "G learning rate", "D too weak"),
           patch=_after_d(lambda x: 0.01 * torch.tanh(x))),
    _fault("D squared", "D's logits are squared, so none is negative", ("bounded logits",), patch=_after_d(torch.square)),
    _fault("networks of width 1", "both networks have one channel", ("network too small",), settings=_narrow),
    _fault("z of one number", "G gets one random number", ("z too small",), settings=lambda cfg: {"z_dim": 1}),
    _fault("norm that lags", "BatchNorm's running statistics hardly move", ("norm statistics",), patch=built(_norm_that_lags)),
    _fault("G of zeros", "all weights of G start at 0", ("G not updated", "dead channels"), patch=built(_zeros)),
    _fault("D too large", "the weights of D start 8 times as large", ("initial weights", "loss scale"), patch=built(_large_d)),
    _fault("deaf first layer", "one channel of D's first layer works", ("dead channels",), patch=built(_deaf_first_layer)),
    _fault("dropout at D's input", "D sees 5 % of the pixels",
           ("D is noisy", "D too weak", "inputs differ"), patch=built(_dropout)),
)  # fmt: skip
