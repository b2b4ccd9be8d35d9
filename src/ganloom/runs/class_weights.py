"""Carry the weights of classes over to another list of classes: each class keeps its own weights, whatever its number.

A tensor depends on the classes if its shape differs between models of n and n + 1 classes. Along that axis the last n entries
belong to the classes, in their order: an axis of exactly n entries is a table of the classes, a longer one also takes other
inputs, which come first. All networks of ganloom concatenate labels that way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ganloom.core.class_names import Match

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class ClassWeights:
    """Which entries of which tensors belong to which class.

    Attributes:
        axes: The axis of the classes of each tensor that depends on them.
        before: Number of classes of the other run.
        now: Number of classes of the new model.
        match: For each new class its number in the other run, -1 for a class that it does not have.
    """

    axes: Mapping[str, int]
    before: int
    now: int
    match: Match

    def carried(self, name: str, old: Tensor, new: Tensor) -> Tensor:
        """Return the tensor of the new model: matched classes and other inputs from ``old``, new classes from ``new``."""
        axis = self.axes.get(name)
        if axis is None:
            return old
        others = old.shape[axis] - self.before
        result = new.detach().clone().to(old.dtype)
        result.narrow(axis, 0, others).copy_(old.narrow(axis, 0, others))
        for number, source in enumerate(self.match.numbers):
            if source >= 0:
                result.select(axis, others + number).copy_(old.select(axis, others + source))
        return result

    def fits(self, name: str, old: Tensor, new: Tensor) -> bool:
        """Whether ``old`` has the shape of ``new``, but for the number of classes."""
        axis = self.axes.get(name)
        if axis is None or old.dim() != new.dim():
            return old.shape == new.shape
        expected = list(new.shape)
        expected[axis] += self.before - self.now
        return list(old.shape) == expected

    @property
    def new_classes(self) -> bool:
        """Whether a class is not in the other run, so that its weights are new."""
        return any(source < 0 for source in self.match.numbers)


def class_axes(smaller: Tensors, larger: Tensors, classes: int) -> dict[str, int] | None:
    """Find the axis of the classes in the tensors that depend on them.

    Args:
        smaller: Tensors of a model with ``classes`` classes.
        larger: Tensors of the same model with one class more.
        classes: Number of classes.

    Returns:
        Name -> axis. None if a tensor depends on the number of classes in another way.
    """
    if smaller.keys() != larger.keys():
        return None
    axes = {}
    for name, tensor in smaller.items():
        a, b = tensor.shape, larger[name].shape
        if a == b:
            continue
        changed = [i for i in range(len(a)) if len(a) == len(b) and a[i] != b[i]]
        if len(changed) != 1 or b[changed[0]] != a[changed[0]] + 1 or a[changed[0]] < classes:
            return None
        axes[name] = changed[0]
    return axes
