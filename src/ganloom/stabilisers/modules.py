"""Modules that stabilisers add to a model: more inputs of D's last layer, spectral norm, PacGAN's D, historical averaging."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase, net_names
from ganloom.nn.layers import MinibatchStddev
from ganloom.nn.norms import Spectral, spectral_norm
from ganloom.stabilisers.config import squared_distance


class Spread(nn.Module):
    """Mean standard deviation of features over groups of samples, see ``MinibatchStddev``.

    Args:
        group: Number of samples per group.
        maps: Number of means, each over its own share of the features.
    """

    def __init__(self, group: int, maps: int = 1) -> None:
        super().__init__()
        self.stddev = MinibatchStddev(group, maps)

    def forward(self, h: Tensor) -> Tensor:
        """Return the mean standard deviations: (N, F) -> (N, maps)."""
        joined: Tensor = self.stddev(h[:, :, None, None])
        return joined[:, -self.stddev.maps :, 0, 0]


class Widened(nn.Module):
    """D's last layer with more inputs, last(h) + extra(o(h)), which is one linear layer of h and o(h).

    Args:
        last: D's last layer.
        near: Modules (N, F) -> (N, n) that compute o(h).
        numbers: Sum of their n.
    """

    def __init__(self, last: nn.Linear, near: list[nn.Module], numbers: int) -> None:
        super().__init__()
        self.near, self.last = nn.ModuleList(near), last
        self.extra = nn.Linear(numbers, last.out_features, bias=False)
        if _is_spectral(last):
            spectral_norm(self.extra)

    def forward(self, h: Tensor) -> Tensor:
        """Return the logits: (N, F) -> (N, outputs)."""
        extra = self.extra(torch.cat([part(h) for part in self.near], 1))
        out: Tensor = self.last(h) + extra  # called last, because feature matching uses the input of the last layer
        return out


def last_linear(gan: GAN, flag: str) -> tuple[str, nn.Linear]:
    """Find the linear layer that gives D's logits.

    Args:
        gan: The model.
        flag: The flag that needs the layer, for the error message.

    Returns:
        (name of the layer in D, the layer).

    Raises:
        BadInput: If D has no such layer, or several.
    """
    named = [(name, m) for name, m in gan.D.named_modules() if isinstance(m, nn.Linear)]
    last = [(name, m) for name, m in named if name.split(".")[-1] == "out" or m.out_features == 1]
    if len(last) != 1:
        number = str(len(last)) if last else "none"
        raise BadInput(f"{flag} needs a linear layer that gives D's logits, but D has {number}. Omit {flag}")
    return last[0]


def head_input(network: nn.Module, call: Callable[[], Any]) -> tuple[Any, Tensor]:
    """Call a discriminator and keep the input (N, ...) of its last layer.

    The network names its last layer in the attribute ``head``; without one it is called "out".

    Args:
        network: The discriminator.
        call: Calls the discriminator once.

    Returns:
        What the call returned, and the input of the last layer.

    Raises:
        BadInput: If the network has no such layer.
    """
    name = str(getattr(network, "head", "out"))
    try:
        head = network.get_submodule(name)
    except AttributeError:
        raise BadInput(
            f"--feature-matching needs D's last layer, but {type(network).__name__} has no layer {name}. Omit --feature-matching"
        ) from None
    inputs: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    try:
        output = call()
    finally:
        handle.remove()
    return output, inputs[0]


def widen(gan: GAN, place: str, wide: Widened) -> None:
    """Replace the layer ``place`` of D by the widened one."""
    parent, _, name = place.rpartition(".")
    setattr(gan.D.get_submodule(parent), name, wide)


def normalise(gan: GAN, nets: str) -> None:
    """Add spectral norm to every layer with weights that does not have it yet.

    Args:
        gan: The model.
        nets: "D", "G" or "both".

    Raises:
        BadInput: If a network has no such layer, or a weight is 0.
    """
    for net in ("G", "D") if nets == "both" else (nets,):
        layers = list(_without_norm(getattr(gan, net)))
        if not layers:
            raise BadInput(f"--spectral-norm {nets}: no layer of {net} is left to normalise. Omit it")
        for name, layer in layers:
            if not bool(layer.weight.any()):
                raise BadInput(
                    f"--spectral-norm {nets} divides each weight by its norm, but the weights of {net}.{name} start at 0. "
                    "Omit it"
                )
        for _, layer in layers:
            spectral_norm(layer)


_WITH_WEIGHTS = nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d, nn.Linear, nn.Embedding


def _without_norm(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield (name, layer) of the layers with weights that have no spectral norm."""
    for name, m in network.named_modules():
        if isinstance(m, _WITH_WEIGHTS) and not _is_spectral(m):
            yield name, m


def _is_spectral(layer: nn.Module) -> bool:
    return any(isinstance(m, Spectral) for m in layer.modules())


def packed_d(gan: GAN, pack: int) -> nn.Module:
    """Build D of the same recipe for images with ``pack`` times the channels.

    Raises:
        BadInput: If the recipe cannot have packs.
    """
    if gan.conditions_on == "images":
        raise BadInput(
            "--pack joins several images to one input, but D of an image-to-image recipe judges single images. Omit --pack"
        )
    if gan.conditions_on == "captions":
        raise BadInput("--pack joins several images to one input, but a caption belongs to a single image. Omit --pack")
    if getattr(gan.cfg, "n_classes", 0):
        raise BadInput(
            "--pack joins several images to one input, but a label belongs to a single image. Add --n-classes 0"
        )
    shape = getattr(gan.cfg, "shape", None)
    if not dataclasses.is_dataclass(gan.cfg) or not shape:
        raise BadInput("--pack builds a D with more input channels, which needs a model config with the field shape")
    wider: Any = dataclasses.replace(gan.cfg, shape=(pack * shape[0], *shape[1:]))  # type: ignore[type-var]
    try:
        critic: nn.Module = type(gan)(wider).D
    except TypeError:
        raise BadInput(
            f"--pack must rebuild the model as {type(gan).__name__}(cfg), but its constructor needs other arguments. Omit --pack"
        ) from None
    return critic


class History(nn.Module):
    """The mean of each parameter over its updates, theta_bar(t) = 1 / t sum of theta(i), stored as buffers."""

    times: Tensor

    def __init__(self, gan: GAN) -> None:
        super().__init__()
        self.order = {name: i for i, (name, _) in enumerate(gan.named_parameters())}
        for name, parameter in gan.named_parameters():
            self.register_buffer(name.replace(".", "/"), parameter.detach().clone())
        self.register_buffer("times", torch.ones(len(self.order)))

    def _trained(self, gan: GAN, phase: Phase) -> list[tuple[str, nn.Parameter]]:
        """Return (name, parameter) of what the phase trains."""
        nets = [net + "." for net in net_names(phase)]
        return [(n, p) for n, p in gan.named_parameters() if any(n.startswith(net) for net in nets)]

    def away(self, gan: GAN, phase: Phase) -> Tensor:
        """Return |theta - theta_bar|^2 over the parameters that the phase trains."""
        trained = self._trained(gan, phase)
        return squared_distance([p for _, p in trained], [self.get_buffer(n.replace(".", "/")) for n, _ in trained])

    @torch.no_grad()
    def move(self, gan: GAN, phase: Phase) -> None:
        """Add the new weights of the phase's networks to the means."""
        for name, parameter in self._trained(gan, phase):
            index = self.order[name]
            self.times[index] += 1
            self.get_buffer(name.replace(".", "/")).lerp_(parameter, 1 / self.times[index])
