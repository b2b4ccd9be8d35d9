"""Another project's table of weights turned into ours, name by name, each of which must be used."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.nn.layers import attention_level, plan_sizes
from ganloom.weights.spectral import first_vector, sigma_by_iteration

Shapes = dict[str, tuple[int, ...]]
Change = Callable[[Tensor], Tensor]


class Found(NamedTuple):
    """What a reader made of a file: the recipe's name, the fields of its Config that the file decides, our tensors."""

    recipe: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]


def as_network(make: Callable[[], Found], known: str, where: str) -> Found:
    """What ``make`` reads of names and shapes; whatever it stumbles over as BadInput, one line that names the file."""
    try:
        return make()
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    except Exception as error:  # shapes, counts and settings that no network has, in any combination
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"{where}: names of {known}, but not such a network ({said})") from error


def same(x: Tensor) -> Tensor:
    """A weight as it is."""
    return x


class Reading:
    """Takes tensors out of ``state`` and puts them into ``out`` under our names."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.used: set[str] = set()
        self.out: dict[str, Tensor] = {}

    def take(self, name: str) -> Tensor:
        """A tensor of the file, float32, counted as used; a missing one is an error."""
        if name not in self.state:
            raise BadInput(f"the file has no {name}: it is not whole, or of another version of its project")
        self.used.add(name)
        value = self.state[name]
        if value.is_floating_point():
            return value.float()
        if not name.endswith("num_batches_tracked"):
            raise BadInput(f"{name} is of whole numbers, which no weight is")
        return value

    def has(self, name: str) -> bool:
        """Whether the file has a layer of that name."""
        return any(key.startswith(f"{name}.") for key in self.state)

    def drop(self, *names: str) -> None:
        """Counted as used where they are there: what can be had from the rest."""
        self.used |= {name for name in names if name in self.state}

    def drop_statistics(self, name: str) -> None:
        """What old versions of torch kept for an InstanceNorm, and never used in training."""
        self.drop(*(f"{name}.{part}" for part in ("running_mean", "running_var", "num_batches_tracked")))

    def copy(self, name: str, to: str, change: Change = same) -> None:
        """One tensor."""
        self.out[to] = change(self.take(name)).contiguous()

    def layer(self, name: str, to: str, change: Change = same, *, rows: Change = same, turned: bool = False) -> None:
        """A layer's weight, its bias, and the vectors of its spectral norm in any project's manner.

        ``rows`` reorders the outputs (weight, bias and vector), ``change`` the inputs; ``turned``: an embedding, of which
        ours is the transpose.
        """
        change = torch.t if turned else change
        bias, kept = f"{name}.bias", f"{to}.weight"
        if bias in self.state:
            self.copy(bias, f"{to}.bias", rows)
        weight, sigma, u, iterates = self._weight(name)
        ours = change(rows(weight)).contiguous()
        if sigma is None or u is None:
            self.out[kept] = ours
            return
        if turned:  # ours is the transpose: half an iteration lies between the two vectors
            start = first_vector(ours, sigma, ours.flatten(1) @ u, name)
        else:
            start = rows(u) if iterates else first_vector(ours, sigma, rows(u), name)
        self.out[f"{to}.parametrizations.weight.original"] = ours
        self.out[f"{to}.parametrizations.weight.0.u"] = start.contiguous()

    def _weight(self, name: str) -> tuple[Tensor, Tensor | None, Tensor | None, bool]:
        """(weight, sigma and u or None, whether sigma is one iteration from u as with ours)."""
        if f"{name}.weight_orig" in self.state:  # torch.nn.utils.spectral_norm
            weight, u, v = (self.take(f"{name}.weight{end}") for end in ("_orig", "_u", "_v"))
            self.drop(f"{name}.weight")
            return weight, _sigma(weight, u, v), u, False
        if f"{name}.parametrizations.weight.original" in self.state:  # torch.nn.utils.parametrizations
            at = f"{name}.parametrizations.weight"
            weight, u, v = (self.take(f"{at}.{end}") for end in ("original", "0._u", "0._v"))
            return weight, _sigma(weight, u, v), u, False
        weight = self.take(f"{name}.weight")
        for vector, value in (("u0", "sv0"), ("sn_u", "sn_sigma")):  # BigGAN-PyTorch's, mimicry's own
            if f"{name}.{vector}" in self.state:
                u = self.take(f"{name}.{vector}").flatten()
                self.drop(f"{name}.{value}")
                return weight, sigma_by_iteration(weight, u), u, True
        return weight, None, None, False

    def norm(self, name: str, to: str) -> None:
        """The statistics of a BatchNorm, and its gain and bias where it has them."""
        mean, variance = f"{name}.running_mean", f"{name}.running_var"
        self.copy(mean, f"{to}.running_mean")
        self.copy(variance, f"{to}.running_var")
        count = f"{name}.num_batches_tracked"
        self.out[f"{to}.num_batches_tracked"] = self.take(count) if count in self.state else torch.tensor(0)
        if f"{name}.weight" in self.state:
            self.copy(f"{name}.weight", f"{to}.weight")
            self.copy(f"{name}.bias", f"{to}.bias")

    def done(self, project: str) -> dict[str, Tensor]:
        """Our table; what the file has beyond it is an error that names it."""
        left = sorted(self.state.keys() - self.used)
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            raise BadInput(
                f"this {project} network has parts that ganloom's has not: {', '.join(left[:3])}{more}; "
                "it cannot be imported without changing its outputs"
            )
        return self.out


def _sigma(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """u^T W v, what torch divides by in eval mode."""
    return torch.dot(u.double(), weight.double().flatten(1) @ v.double())


ENDS = ("weight", "weight_orig", "parametrizations.weight.original")
"""What the weight of a layer is called, plain and under torch's two spectral norms."""


def has_weight(state: dict[str, Tensor], layer: str) -> bool:
    """Whether the file has this layer's weight."""
    return any(f"{layer}.{end}" in state for end in ENDS)


def shape_of(state: dict[str, Tensor], layer: str) -> tuple[int, ...]:
    """The shape of a layer's weight; a missing one is an error."""
    found = [tuple(state[f"{layer}.{end}"].shape) for end in ENDS if f"{layer}.{end}" in state]
    if not found:
        raise BadInput(f"the file has no {layer}.weight: it is not whole, or of another version of its project")
    return found[0]


def plan(channels: Sequence[int], known: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(width, multiples) of a generator's channels from the base to the image; () where they are the ``known`` ones."""
    width = channels[0] // known[0] if len(known) == len(channels) else 0
    if [width * m for m in known] == list(channels):
        return width, ()
    last = channels[-1]
    if any(c % last for c in channels):
        raise BadInput(f"channels {list(channels)} are no multiples of the last: ganloom has no such generator")
    return last, tuple(c // last for c in channels)


def base_size(rows: int, channels: int, name: str) -> int:
    """The side of the grid that a first layer of ``rows`` outputs makes."""
    side = math.isqrt(rows // channels)
    if side * side * channels != rows:
        raise BadInput(f"{name} makes {rows} numbers, no square grid of {channels} channels")
    return side


def one_attention(grids: Sequence[int], size: int) -> int:
    """The one grid on which attention stands, 0 for none; what our networks cannot have is an error."""
    if len(grids) > 1:
        raise BadInput(f"attention on the grids {list(grids)}: ganloom's networks have it on one")
    grid = grids[0] if grids else 0
    base, _, _ = plan_sizes(size, size)
    level = attention_level(size, size, grid)
    if grid and (not level or base << level != grid):
        raise BadInput(f"attention on a {grid} x {grid} grid of {size} px: ganloom has it between base and image only")
    return grid


def count_classes(classes: int) -> int:
    """The number of classes; one class is none, and a network that has one has a vector that ours lacks."""
    if classes == 1:
        raise BadInput("a conditional network with one class: ganloom's have none or at least two")
    return classes
