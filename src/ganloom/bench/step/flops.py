"""Floating-point operations counted as torch runs them, through ``backward`` and double backward alike.

torch's own counter keeps track of modules with hooks that fail on a step with ``autograd.grad`` inside; counting needs
none of that. A multiplication and an addition are two operations, whatever the precision; only products of matrices and
convolutions count, as everywhere in the literature.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Formula = Callable[[Any, Any, Any], int]
"""(args, kwargs, out) of an operator -> operations."""

_HEAVY = ("conv", "mm", "matmul", "linear", "mv", "einsum", "attention", "gru", "lstm", "rnn")
"""An operator with one of these in its name does products: uncounted, it is reported."""
_LIGHT = ("comm", "convert", "norm", "linear1d")
"""Names that hold such a word by chance."""


def _convolution(x: Sequence[int], w: Sequence[int], out: Sequence[int], transposed: bool) -> int:
    """Each tap of the kernel meets each place of the smaller grid once; right for groups and strides too."""
    places = x[2:] if transposed else out[2:]
    return 2 * x[0] * math.prod(places) * math.prod(w)


def _conv(args: Any, kwargs: Any, out: Any) -> int:
    return _convolution(args[0].shape, args[1].shape, out.shape, bool(args[6]))


def _conv_backward(args: Any, kwargs: Any, out: Any) -> int:
    grad, x, w, transposed, mask = args[0], args[1], args[2], args[7], args[10]
    # The gradients of input and weight take as many products as the way forward, each.
    return _convolution(x.shape, w.shape, grad.shape, transposed) * (int(mask[0]) + int(mask[1]))


def _plain_conv(args: Any, kwargs: Any, out: Any) -> int:
    return _convolution(args[0].shape, args[1].shape, out.shape, False)


def _linear(args: Any, kwargs: Any, out: Any) -> int:
    return 2 * int(args[0].numel()) * int(args[1].shape[0])


def _twice(place: int) -> Formula:
    """Two operations for each entry of one argument."""
    return lambda args, kwargs, out: 2 * int(args[place].numel())


def _registered(formula: Callable[..., int]) -> Formula:
    return lambda args, kwargs, out: int(formula(*args, **kwargs, out_val=out))


def _formulas() -> dict[Any, Formula]:
    found = {packet: _registered(formula) for packet, formula in flop_registry.items()}
    own: Mapping[str, Formula] = {
        "convolution": _conv,
        "_convolution": _conv,
        "convolution_overrideable": _conv,
        "convolution_backward": _conv_backward,  # the registry's counts the weights of a grouped one g times
        "mkldnn_convolution": _plain_conv,
        "mkldnn_linear": _linear,
        "linear": _linear,
        "mv": _twice(0),
        "addmv": _twice(1),
        "dot": _twice(0),
    }
    aten = torch.ops.aten
    return found | {getattr(aten, name): formula for name, formula in own.items() if hasattr(aten, name)}


class FlopCounter(TorchDispatchMode):
    """Counts inside ``with FlopCounter() as counter``: ``total``, ``by_op`` (name -> operations), ``uncounted`` names."""

    def __init__(self) -> None:
        super().__init__()
        self.by_op: Counter[str] = Counter()
        self.uncounted: set[str] = set()
        self._formulas = _formulas()

    @property
    def total(self) -> int:
        """All operations so far."""
        return sum(self.by_op.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and add what it costs; one that torch only composes of others is taken apart first."""
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
    """What one call of ``run`` costs."""
    counter = FlopCounter()
    with counter:
        run()
    return counter
