"""What D and G were called with inside one loss, for terms that need the logits or the images of those calls."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ganloom.core.errors import BadInput

TWO = (
    "--instance-noise, --diff-augment, --adaptive, --pack, --bcr, --zcr and --feature-matching change the image that D sees, "
    "and D of this recipe sees a second one beside it: leave them out"
)


@dataclass
class Call:
    """One call of D: what it was given before any change, the other arguments, and its logits."""

    x: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    logits: Tensor

    def second_image(self) -> bool:
        """Whether D sees another image beside x, which a change of x alone would leave behind."""
        return any(isinstance(v, Tensor) and v.dim() == self.x.dim() for v in (*self.args, *self.kwargs.values()))

    def alone(self) -> "Call":
        """Itself, where x is the only image that D sees."""
        if self.second_image():
            raise BadInput(TWO)
        return self


class Seen:
    """What D and G were called with in one loss."""

    def __init__(self) -> None:
        self.inputs: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
        self.calls: list[Call] = []
        self.made: list[Call] = []
        self.head: nn.Module | None = None
        self.features: Tensor | None = None

    def call_of(self, logits: Tensor) -> Call:
        """The call of D whose output went into the loss."""
        for call in self.calls:
            if same(call.logits, logits):
                return call
        raise BadInput(
            "--cr, --bcr, --zcr, --lecam, --penalty and --feature-matching need a loss that is given D's output as it is, "
            "and this recipe changes it on the way: leave them out"
        )

    def note_made(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """G's latents and fakes."""
        if args and isinstance(output, Tensor):
            self.made.append(Call(args[0], args[1:], kwargs, output))

    def note_features(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """The last layer of D through which G's gradient comes is D's head (a label's own layer is not)."""
        if args and isinstance(args[0], Tensor) and args[0].requires_grad:
            self.head, self.features = module, args[0]


def same(a: Tensor, b: Tensor) -> bool:
    """Whether b is a itself, detached or in another shape."""
    return a is b or (a.data_ptr() == b.data_ptr() and a.numel() == b.numel() and a.device == b.device)


def logits_of(output: Any) -> Tensor:
    """D's logits, whatever else it returns."""
    found = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    logits: Tensor = output[0] if found is None else found
    return logits


@contextlib.contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, what the layer is given is collected in the list."""
    found: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, args: found.append(args[0]))
    try:
        yield found
    finally:
        handle.remove()
