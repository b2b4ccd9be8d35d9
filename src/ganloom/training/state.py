"""The state of a run as tensors and numbers: what a checkpoint holds, and how it is loaded again."""

from typing import Any

from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.training import optimizers

Tensors = dict[str, dict[str, Tensor]]
"""Tensors by file ("gan", "ema", "optim") and name."""


def tensors_of(trainer: Any) -> Tensors:
    """All tensors of a run: the model, its EMA, and the state of the active optimizers."""
    opt = {
        f"{place}.{name}": tensor
        for place, optimizer in enumerate(trainer.optimizers.values())
        for name, tensor in optimizers.state_tensors(optimizer).items()
    }
    return {"gan": trainer.gan.state_dict(), "ema": trainer.average(), "optim": opt}


def numbers_of(trainer: Any) -> dict[str, Any]:
    """All numbers of a run that are not tensors."""
    return {
        "nimg": trainer.nimg,
        "step": trainer.step,
        "draws": trainer.draws,
        "averaged_at": trainer.averages.updated_at,
        "ema_pending": trainer.averages.weight(trainer.nimg),
        "seconds": trainer.seconds,
        "rollbacks": trainer.rollbacks,
        "lr_factor": trainer.lr_factor,
        "stats": trainer.stats.state(),
    }


def load(trainer: Any, tensors: Tensors, numbers: dict[str, Any]) -> None:
    """Continue exactly where ``tensors`` and ``numbers`` were taken.

    Raises:
        BadInput: If they do not fit the model.
    """
    load_strict(trainer.gan, tensors["gan"], "the model")
    trainer.averages.load(tensors["ema"])
    trainer.step, trainer.draws = int(numbers["step"]), int(numbers["draws"])
    trainer.seconds = float(numbers["seconds"])
    trainer.averages.updated_at = int(numbers["averaged_at"])
    trainer.rollbacks, trainer.lr_factor = int(numbers["rollbacks"]), float(numbers["lr_factor"])
    trainer.windows.reset()
    trainer.set_clock(int(numbers["nimg"]))
    for place, optimizer in enumerate(trainer.optimizers.values()):
        prefix = f"{place}."
        own = {name[len(prefix) :]: t for name, t in tensors["optim"].items() if name.startswith(prefix)}
        optimizers.load_state_tensors(optimizer, own)
    trainer.stats.restore({name: (float(total), float(w)) for name, (total, w) in numbers["stats"].items()})
    trainer.guard.clear()


def load_strict(module: nn.Module, values: dict[str, Tensor], what: str) -> None:
    """Load weights into a module; every name and shape must fit.

    Args:
        module: The module to load into.
        values: Tensors by name.
        what: What ``module`` is, for the error message.

    Raises:
        BadInput: If a name is missing or unknown, or a shape differs.
    """
    try:
        module.load_state_dict(values, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise BadInput(f"the weights do not fit {what}: {detail}") from error
