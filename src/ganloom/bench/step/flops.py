"""Count floating-point operations while torch runs them, also in ``backward`` and double backward.

torch's own counter uses module hooks, which fail in a step with ``autograd.grad``. This counter does not need hooks. A
multiplication and an addition are two operations, in any precision. Only matrix products and convolutions are counted, as is
usual in the literature.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Formula = Callable[[Any, Any, Any], int]
"""(args, kwargs, out) of an operator -> number of operations."""

_HEAVY = ("conv", "mm", "matmul", "linear", "mv", "einsum", "attention", "gru", "lstm", "rnn")
"""Operators with one of these words in their names compute products. If there is no formula, they are reported."""
_LIGHT = ("comm", "convert", "norm", "linear1d")
"""Names that contain such a word but compute no products."""


def _convolution(x: Sequence[int], w: Sequence[int], out: Sequence[int], transposed: bool) -> int:
    """Each kernel entry is used once at each place of the smaller grid; this is also true for groups and strides."""
    places = x[2:] if transposed else out[2:]
    return 2 * x[0] * math.prod(places) * math.prod(w)


def _conv(args: Any, kwargs: Any, out: Any) -> int:
    return _convolution(args[0].shape, args[1].shape, out.shape, bool(args[6]))


def _conv_backward(args: Any, kwargs: Any, out: Any) -> int:
    grad, x, w, transposed, mask = args[0], args[1], args[2], args[7], args[10]
    # The gradient of the input and that of the weight take as many products as the forward pass.
    return _convolution(x.shape, w.shape, grad.shape, transposed) * (int(mask[0]) + int(mask[1]))


def _plain_conv(args: Any, kwargs: Any, out: Any) -> int:
    return _convolution(args[0].shape, args[1].shape, out.shape, False)


def _linear(args: Any, kwargs: Any, out: Any) -> int:
    return 2 * int(args[0].numel()) * int(args[1].shape[0])


def _twice(place: int) -> Formula:
    """Two operations for each entry of the argument at this place."""
    return lambda args, kwargs, out: 2 * int(args[place].numel())


def _registered(formula: Callable[..., int]) -> Formula:
    return lambda args, kwargs, out: int(formula(*args, **kwargs, out_val=out))


def _formulas() -> dict[Any, Formula]:
    formulas = {packet: _registered(formula) for packet, formula in flop_registry.items()}
    own: Mapping[str, Formula] = {
        "convolution": _conv,
        "_convolution": _conv,
        "convolution_overrideable": _conv,
        "convolution_backward": _conv_backward,  # torch's formula counts the weights of a grouped convolution g times
        "mkldnn_convolution": _plain_conv,
        "mkldnn_linear": _linear,
        "linear": _linear,
        "mv": _twice(0),
        "addmv": _twice(1),
        "dot": _twice(0),
    }
    aten = torch.ops.aten
    return formulas | {getattr(aten, name): formula for name, formula in own.items() if hasattr(aten, name)}


class FlopCounter(TorchDispatchMode):
    """Count operations inside ``with FlopCounter() as counter``.

    Attributes:
        by_op: Name of the operator -> number of operations.
        uncounted: Names of operators with products but without a formula.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_op: Counter[str] = Counter()
        self.uncounted: set[str] = set()
        self._formulas = _formulas()

    @property
    def total(self) -> int:
        """Number of all operations so far."""
        return sum(self.by_op.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and add its operations. Composite operators are decomposed first."""
        kwargs = kwargs or {}
        packet = func.overloadpacket
        formula = self._formulas.get(packet)
        name = packet.__name__
        heavy = any(word in name for word in _HEAVY) and not any(word in name for word in _LIGHT)
        if formula is None and heavy:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None:
            self.by_op[name] += formula(args, kwargs, out)
        elif heavy:
            self.uncounted.add(name)
        return out


def count(run: Callable[[], Any]) -> FlopCounter:
    """Count the operations of one call.

    Args:
        run: The function to call.

    Returns:
        The counter.
    """
    counter = FlopCounter()
    with counter:
        run()
    return counter
