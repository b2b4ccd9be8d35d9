"""Turn another project's table of weights into ganloom's, name by name. Every name must be used."""

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


class Network(NamedTuple):
    """The result of a reader: the recipe's name, the fields of its Config that the file decides, and ganloom's tensors."""

    recipe: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]


Found = Network  # the earlier name


def as_network(make: Callable[[], Network], known: str, where: str) -> Network:
    """Call ``make`` and turn any error into a BadInput of one line that names the file.

    Args:
        make: Reads a network from names and shapes.
        known: The layout that ``make`` reads, for the message.
        where: The name of the file.
    """
    try:
        return make()
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    except Exception as error:  # shapes, counts and settings that no network has can raise anything
        message = " ".join(str(error).split())[:200]
        raise BadInput(f"{where}: names of {known}, but not such a network ({message})") from error


def same(x: Tensor) -> Tensor:
    """Return the weight unchanged."""
    return x


class Reading:
    """Copy tensors from ``state`` to ``out`` under ganloom's names, and record which ones were used.

    Args:
        state: The tensors of the file by name.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.used: set[str] = set()
        self.out: dict[str, Tensor] = {}

    def take(self, name: str) -> Tensor:
        """Return a tensor of the file as float32 and mark it as used. Raises BadInput where it is missing."""
        if name not in self.state:
            raise BadInput(f"the file has no {name}: it is incomplete, or from another version of its project")
        self.used.add(name)
        value = self.state[name]
        if value.is_floating_point():
            return value.float()
        if not name.endswith("num_batches_tracked"):
            raise BadInput(f"{name} holds integers, which no weight does")
        return value

    def has(self, name: str) -> bool:
        """Return whether the file has a layer of that name."""
        return any(key.startswith(f"{name}.") for key in self.state)

    def drop(self, *names: str) -> None:
        """Mark tensors as used that can be computed from the others. Missing ones are ignored."""
        self.used |= {name for name in names if name in self.state}

    def drop_statistics(self, name: str) -> None:
        """Drop the statistics that old versions of torch saved for an InstanceNorm and did not use in training."""
        self.drop(*(f"{name}.{part}" for part in ("running_mean", "running_var", "num_batches_tracked")))

    def copy(self, name: str, to: str, change: Change = same) -> None:
        """Copy one tensor, after ``change``."""
        self.out[to] = change(self.take(name)).contiguous()

    def layer(self, name: str, to: str, change: Change = same, *, rows: Change = same, turned: bool = False) -> None:
        """Copy a layer's weight and bias, and the vector of its spectral norm in any project's format.

        Args:
            name: The layer's name in the file.
            to: Its name in ganloom.
            change: Reorders the inputs of the weight.
            rows: Reorders the outputs of the weight, the bias and the vector.
            turned: The weight is an embedding, and ganloom's is its transpose.
        """
        change = torch.t if turned else change
        bias, plain = f"{name}.bias", f"{to}.weight"
        if bias in self.state:
            self.copy(bias, f"{to}.bias", rows)
        weight, sigma, u, iterates = self._weight(name)
        ours = change(rows(weight)).contiguous()
        if sigma is None or u is None:
            self.out[plain] = ours
            return
        if turned:  # for the transpose, the other singular vector is half an iteration away
            start = first_vector(ours, sigma, ours.flatten(1) @ u, name)
        else:
            start = rows(u) if iterates else first_vector(ours, sigma, rows(u), name)
        self.out[f"{to}.parametrizations.weight.original"] = ours
        self.out[f"{to}.parametrizations.weight.0.u"] = start.contiguous()

    def _weight(self, name: str) -> tuple[Tensor, Tensor | None, Tensor | None, bool]:
        """Return (weight, sigma or None, u or None, whether sigma is one iteration from u as in ganloom)."""
        if f"{name}.weight_orig" in self.state:  # torch.nn.utils.spectral_norm
            weight, u, v = (self.take(f"{name}.weight{end}") for end in ("_orig", "_u", "_v"))
            self.drop(f"{name}.weight")
            return weight, _sigma(weight, u, v), u, False
        if f"{name}.parametrizations.weight.original" in self.state:  # torch.nn.utils.parametrizations
            at = f"{name}.parametrizations.weight"
            weight, u, v = (self.take(f"{at}.{end}") for end in ("original", "0._u", "0._v"))
            return weight, _sigma(weight, u, v), u, False
        weight = self.take(f"{name}.weight")
        for vector, value in (("u0", "sv0"), ("sn_u", "sn_sigma")):  # BigGAN-PyTorch, mimicry
            if f"{name}.{vector}" in self.state:
                u = self.take(f"{name}.{vector}").flatten()
                self.drop(f"{name}.{value}")
                return weight, sigma_by_iteration(weight, u), u, True
        return weight, None, None, False

    def norm(self, name: str, to: str) -> None:
        """Copy the statistics of a BatchNorm, and its gain and bias if it has them."""
        mean, variance = f"{name}.running_mean", f"{name}.running_var"
        self.copy(mean, f"{to}.running_mean")
        self.copy(variance, f"{to}.running_var")
        count = f"{name}.num_batches_tracked"
        self.out[f"{to}.num_batches_tracked"] = self.take(count) if count in self.state else torch.tensor(0)
        if f"{name}.weight" in self.state:
            self.copy(f"{name}.weight", f"{to}.weight")
            self.copy(f"{name}.bias", f"{to}.bias")

    def done(self, project: str) -> dict[str, Tensor]:
        """Return ganloom's table. Raises BadInput that names the tensors of the file that were not used."""
        left = sorted(self.state.keys() - self.used)
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            raise BadInput(
                f"this {project} network has parts that ganloom does not have: {', '.join(left[:3])}{more}; "
                "it cannot be imported without changing its outputs"
            )
        return self.out


def _sigma(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return u^T W v, the value that torch divides by in eval mode."""
    return torch.dot(u.double(), weight.double().flatten(1) @ v.double())


ENDS = ("weight", "weight_orig", "parametrizations.weight.original")
"""Names of a layer's weight: plain, and under torch's two spectral norms."""


def has_weight(state: dict[str, Tensor], layer: str) -> bool:
    """Return whether the file has this layer's weight."""
    return any(f"{layer}.{end}" in state for end in ENDS)


def shape_of(state: dict[str, Tensor], layer: str) -> tuple[int, ...]:
    """Return the shape of a layer's weight. Raises BadInput where it is missing."""
    shapes = [tuple(state[f"{layer}.{end}"].shape) for end in ENDS if f"{layer}.{end}" in state]
    if not shapes:
        raise BadInput(f"the file has no {layer}.weight: it is incomplete, or from another version of its project")
    return shapes[0]


def plan(channels: Sequence[int], known: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return (width, multiples) of a generator's channels.

    Args:
        channels: Channels from the base grid to the image.
        known: The multiples that the recipe uses by default.

    Returns:
        The width, and () where the multiples are the ``known`` ones.
    """
    width = channels[0] // known[0] if len(known) == len(channels) else 0
    if [width * m for m in known] == list(channels):
        return width, ()
    last = channels[-1]
    if any(c % last for c in channels):
        raise BadInput(f"channels {list(channels)} are not multiples of the last: ganloom has no such generator")
    return last, tuple(c // last for c in channels)


def base_size(rows: int, channels: int, name: str) -> int:
    """Return the side of the square grid that the first layer's ``rows`` outputs form."""
    side = math.isqrt(rows // channels)
    if side * side * channels != rows:
        raise BadInput(f"{name} makes {rows} numbers, which is not a square grid of {channels} channels")
    return side


def one_attention(grids: Sequence[int], size: int) -> int:
    """Return the side of the grid with attention, or 0. Raises BadInput where ganloom's networks cannot have it."""
    if len(grids) > 1:
        raise BadInput(f"attention on the grids {list(grids)}: ganloom's networks have it on one grid")
    grid = grids[0] if grids else 0
    base, _, _ = plan_sizes(size, size)
    level = attention_level(size, size, grid)
    if grid and (not level or base << level != grid):
        raise BadInput(f"attention on a {grid} x {grid} grid of {size} px: ganloom has it between base and image only")
    return grid


def count_classes(classes: int) -> int:
    """Return the number of classes. Raises BadInput for one class: ganloom treats it as unconditional."""
    if classes == 1:
        raise BadInput("a conditional network with one class: ganloom's networks have no classes or at least two")
    return classes
