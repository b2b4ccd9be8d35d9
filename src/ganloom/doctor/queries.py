"""Read latents, samples, logits and dead channels from a model in training.

A model may not support every query: its z may not be a tensor, its D may need more than images. The result is then None, and
``Refused`` keeps the reason. Queries leave the model unchanged; see ``apart``.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ganloom.doctor import statistics as st
from ganloom.scoring import joined

T = TypeVar("T")
REFUSALS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError)
"""Exceptions that mean "not supported" (BadInput is a ValueError). All others are errors and propagate."""


class Refused(dict[str, str]):
    """Queries that a model does not support, with the reason. The first reason is kept."""

    def note(self, look: str, why: str) -> None:
        """Record a reason, shortened to one line of 200 characters."""
        self.setdefault(look, " ".join(why.split())[:200])

    def unless(self, look: str, ask: Callable[[], T]) -> T | None:
        """Return ``ask()``, or None and record the reason if the model does not support it. Out of memory propagates."""
        try:
            return ask()
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            self.note(look, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            return None


def latents(gan: Any, n: int, refused: Refused) -> Tensor | None:
    """Draw n latents as float64 (n, d) on the CPU. None if the model has none, or if z() returns no float tensor."""
    z = refused.unless("z()", lambda: gan.z(n))
    if z is None:
        return None
    if not isinstance(z, Tensor) or not z.is_floating_point() or len(z) != n:
        refused.note("z()", f"returned {_described(z)}, expected a float tensor with {n} rows")
        return None
    return z.flatten(1).cpu().double() if z.numel() else None


def classes(gan: Any, n: int, refused: Refused) -> Tensor | None:
    """Draw n class labels (n,), int64. None if the model has no conditions or conditions of another kind."""
    if gan.conditions_on != "labels":
        return None
    c = refused.unless("c()", lambda: gan.c(n))
    plain = isinstance(c, Tensor) and c.dim() == 1 and not c.is_floating_point()
    return c.cpu().long() if plain and c is not None else None


def fakes(gan: Any, n: int, c: Tensor | None, batch: int, refused: Refused) -> Tensor | None:
    """Generate fakes as in training: G in training mode, whole batches (a batch of one has no batch statistics)."""
    batches = []
    for start in range(0, n // batch * batch or n, batch):
        rows = slice(start, min(n, start + batch))
        fake = refused.unless("fakes as D sees them", partial(_fake, gan, rows, c))
        if fake is None:
            return None
        if not isinstance(fake, Tensor):
            refused.note("fakes as D sees them", f"sample() returned {_described(fake)}, expected a tensor")
            return None
        batches.append(fake)
    x = torch.cat(batches).float()
    return x if bool(x.isfinite().all()) else None


def _fake(gan: Any, rows: slice, c: Tensor | None) -> Any:
    return gan.sample(gan.z(rows.stop - rows.start), None if c is None else c[rows].to(gan.device))


def noise(gan: Any, n: int, c: Tensor | None, refused: Refused) -> dict[str, float]:
    """Measure how far two outputs of G in training mode for the same latents differ, relative to those for other latents.

    Args:
        gan: The model.
        n: Number of latents.
        c: At least n labels, or None.
        refused: Receives the reason if the model does not support it.

    Returns:
        {"G_noise": ratio}: 0 if G's output is a function of z and c, 1 if it does not depend on z. Empty if it is unknown.
    """

    def twice() -> tuple[Any, Any]:
        z, labels = gan.z(n), None if c is None else c[:n].to(gan.device)
        return gan.sample(z, labels), gan.sample(z, labels)

    both = refused.unless("noise of G", twice)
    ratio = _unexplained(both, n)
    return {} if math.isnan(ratio) else {"G_noise": ratio}


def d_noise(gan: Any, x: Tensor, c: Tensor | None, batch: int, refused: Refused) -> dict[str, float]:
    """Measure how far two of D's logits in training mode for the same image differ, relative to those for other images.

    Args:
        gan: The model.
        x: Images (N, C, H, W).
        c: Labels (N,), or None.
        batch: Images at once.
        refused: Receives the reason if the model does not support it.

    Returns:
        {"D_noise": ratio}: 0 if D is a function of the image, 1 if its logits do not depend on the image. Empty if unknown.
    """
    ratio = _unexplained((logits(gan, x, c, batch, refused), logits(gan, x, c, batch, refused)), len(x))
    return {} if math.isnan(ratio) else {"D_noise": ratio}


def _unexplained(both: tuple[Any, Any] | None, n: int) -> float:
    """Return the root mean square difference of two outputs (n, ...), relative to that of the outputs for other inputs."""
    if both is None or not all(isinstance(x, Tensor) and len(x) == n > 1 for x in both):
        return math.nan
    a, b = (x.float() for x in both)
    other = float((a - b.roll(1, 0)).square().mean().sqrt())
    return float((a - b).square().mean().sqrt()) / other if other > 0 else math.nan


def logits(gan: Any, x: Tensor, c: Tensor | None, batch: int, refused: Refused) -> Tensor | None:
    """Return D's logits in training mode, (N,) float64 on the CPU. None if D returns anything else."""
    batches = []
    x = x.to(gan.device)
    for start in range(0, len(x) // batch * batch or len(x), batch):  # whole batches, as in training
        rows = slice(start, start + batch)
        own = None if c is None else c[rows].to(gan.device)
        part = refused.unless("D's logits", partial(_d_logits, gan, x[rows], own))
        if part is None:
            return None
        if not isinstance(part, Tensor) or len(part) != len(x[rows]) or (part.dim() > 2 and part.numel() > 4096):
            refused.note(
                "D's logits",
                f"D returned {_described(part)} for {len(x[rows])} samples, expected one row of logits per sample",
            )
            return None
        batches.append(part.reshape(len(part), -1).float().mean(1).cpu().double())
    return torch.cat(batches)


def _d_logits(gan: Any, x: Tensor, c: Tensor | None) -> Any:
    return joined(gan.logits_of(gan.D(x, *gan.d_inputs(c))))


def _described(answer: Any) -> str:
    return f"a tensor {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__


def pull(loss: Any, real: Tensor, fake: Tensor) -> float:
    """Return the mean absolute gradient of G's loss at the logits of fakes (Arjovsky & Bottou 2017, theorem 2.4)."""
    n = min(len(real), len(fake))
    with torch.enable_grad():
        logits = fake[:n].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(loss.g(real[:n], logits), logits)
    return slope.abs().sum().item()


LAYERS = (nn.ReLU, nn.LeakyReLU, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers that are checked for dead channels."""


@contextlib.contextmanager
def watched(net: Any) -> Iterator[list[float]]:
    """Collect each layer's share of dead channels, from the first batch whose samples differ at the layer's input.

    An input that is the same for all samples (the noise level of a diffusion step, the empty image of a PixelCNN) says
    nothing about dead channels.
    """
    dead: dict[nn.Module, float] = {}
    shares: list[float] = []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        if module not in dead and isinstance(out, Tensor) and out.dim() in (2, 4) and min(out.shape[:2]) >= 8:
            inputs = args[0] if args and isinstance(args[0], Tensor) else out
            if bool((inputs != inputs[:1]).any()):
                dead[module] = st.dead(out)

    modules = net.modules() if isinstance(net, nn.Module) else ()
    handles = [m.register_forward_hook(hook) for m in modules if isinstance(m, LAYERS)]
    try:
        yield shares
    finally:
        shares += dead.values()
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def apart(*models: nn.Module) -> Iterator[None]:
    """Restore train/eval modes, buffers and random states on exit."""
    modes = [(m, m.training) for model in models for m in model.modules()]
    buffers = [(b, b.clone()) for model in models for b in model.buffers()]
    device = next((p.device for p in models[0].parameters()), torch.device("cpu"))
    cuda = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for buffer, value in buffers:
                buffer.copy_(value)
