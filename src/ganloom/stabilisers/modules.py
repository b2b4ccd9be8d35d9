"""What stabilisers put into a model: inputs of D's last layer, spectral norms, a D for packs, means of past weights."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase, net_names
from ganloom.nn.layers import MinibatchStddev
from ganloom.nn.norms import Spectral, spectral_norm
from ganloom.stabilisers.config import away


class Spread(nn.Module):
    """The mean standard deviation of features over groups of samples, (N, F) -> (N, maps); see ``MinibatchStddev``."""

    def __init__(self, group: int, maps: int = 1) -> None:
        super().__init__()
        self.stddev = MinibatchStddev(group, maps)

    def forward(self, h: Tensor) -> Tensor:
        """(N, F) -> (N, maps)."""
        joined: Tensor = self.stddev(h[:, :, None, None])
        return joined[:, -self.stddev.maps :, 0, 0]


class Widened(nn.Module):
    """D's last layer with further inputs, last(h) + extra(o(h)): one linear layer over h and o(h) joined.

    ``near``: what o is made of, modules (N, F) -> (N, numbers); ``numbers``: how many in all.
    """

    def __init__(self, last: nn.Linear, near: list[nn.Module], numbers: int) -> None:
        super().__init__()
        self.near, self.last = nn.ModuleList(near), last
        self.extra = nn.Linear(numbers, last.out_features, bias=False)
        if _is_spectral(last):
            spectral_norm(self.extra)

    def forward(self, h: Tensor) -> Tensor:
        """(N, F) -> (N, outputs)."""
        extra = self.extra(torch.cat([part(h) for part in self.near], 1))
        out: Tensor = self.last(h) + extra  # the last layer is called last: feature matching takes its input
        return out


def last_linear(gan: GAN, flag: str) -> tuple[str, nn.Linear]:
    """Name and layer of the linear layer that gives D's logits; BadInput where there is no such one."""
    named = [(name, m) for name, m in gan.D.named_modules() if isinstance(m, nn.Linear)]
    last = [(name, m) for name, m in named if name.split(".")[-1] == "out" or m.out_features == 1]
    if len(last) != 1:
        raise BadInput(f"{flag} stands before a linear layer that gives D's logits, and D has none: leave it out")
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
            f"--feature-matching needs D's last layer, and {type(network).__name__} has no layer {name}: leave it out"
        ) from None
    inputs: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    try:
        output = call()
    finally:
        handle.remove()
    return output, inputs[0]


def widen(gan: GAN, place: str, wide: Widened) -> None:
    """Put the widened layer where the last one was."""
    where, _, name = place.rpartition(".")
    setattr(gan.D.get_submodule(where), name, wide)


def normalise(gan: GAN, nets: str) -> None:
    """Put spectral norm on every weighted layer of D, of G or of both that has none yet."""
    for net in ("G", "D") if nets == "both" else (nets,):
        bare = list(_bare(getattr(gan, net)))
        if not bare:
            raise BadInput(f"--spectral-norm {nets}: no layer of {net} is left to normalise, so leave it out")
        for name, layer in bare:
            if not bool(layer.weight.any()):
                raise BadInput(
                    f"--spectral-norm {nets} divides each weight by its norm, and the weights of {net}.{name} start at 0: "
                    "leave it out"
                )
        for _, layer in bare:
            spectral_norm(layer)


def _bare(network: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, m in network.named_modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding) and not _is_spectral(m):
            yield name, m


def _is_spectral(layer: nn.Module) -> bool:
    return any(isinstance(m, Spectral) for m in layer.modules())


def packed_d(gan: GAN, pack: int) -> nn.Module:
    """D of the same recipe for images of ``pack`` times the channels."""
    if gan.conditions_on == "images":
        raise BadInput(
            "--pack joins several images to one, and D of an image-to-image recipe judges single ones: leave it out"
        )
    if getattr(gan.cfg, "n_classes", 0):
        raise BadInput("--pack joins several images to one, and a label is of one image: add --n-classes 0")
    shape = getattr(gan.cfg, "shape", None)
    if not dataclasses.is_dataclass(gan.cfg) or not shape:
        raise BadInput("--pack makes a D with more channels, for which the model's config must have a shape")
    wider: Any = dataclasses.replace(gan.cfg, shape=(pack * shape[0], *shape[1:]))  # type: ignore[type-var]
    try:
        made: nn.Module = type(gan)(wider).D
    except TypeError:
        raise BadInput(
            f"--pack makes {type(gan).__name__} anew from its config alone, which it does not allow"
        ) from None
    return made


class History(nn.Module):
    """The mean of each parameter over all its updates, theta_bar(t) = 1 / t sum of theta(i), as buffers."""

    times: Tensor

    def __init__(self, gan: GAN) -> None:
        super().__init__()
        self.order = {name: i for i, (name, _) in enumerate(gan.named_parameters())}
        for name, parameter in gan.named_parameters():
            self.register_buffer(name.replace(".", "/"), parameter.detach().clone())
        self.register_buffer("times", torch.ones(len(self.order)))

    def _of(self, gan: GAN, phase: Phase) -> list[tuple[str, nn.Parameter]]:
        nets = [net + "." for net in net_names(phase)]
        return [(n, p) for n, p in gan.named_parameters() if any(n.startswith(net) for net in nets)]

    def away(self, gan: GAN, phase: Phase) -> Tensor:
        """|theta - theta_bar|^2 over what the phase trains."""
        own = self._of(gan, phase)
        return away([p for _, p in own], [self.get_buffer(n.replace(".", "/")) for n, _ in own])

    @torch.no_grad()
    def move(self, gan: GAN, phase: Phase) -> None:
        """Take the new weights into the means."""
        for name, parameter in self._of(gan, phase):
            at = self.order[name]
            self.times[at] += 1
            self.get_buffer(name.replace(".", "/")).lerp_(parameter, 1 / self.times[at])
