"""Questions to a model that trains: what it draws, its fakes as D sees them, D's logits, dead channels.

A model need not allow each of them: its z may be no tensor, its D may ask for more than images. Then the answer is None and
``Refused`` keeps why. Nothing of the model is changed by an answer: see ``apart``.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ganloom.doctor import statistics as st
from ganloom.scoring import joined

T = TypeVar("T")
REFUSALS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError)
"""How code says that it was not made for a question (BadInput is a ValueError). All else is a fault and goes on its way."""


class Refused(dict[str, str]):
    """Looks that a model does not allow, and why; the first reason stays."""

    def note(self, look: str, why: str) -> None:
        """Keep a reason, in one line."""
        self.setdefault(look, " ".join(why.split())[:200])

    def unless(self, look: str, ask: Callable[[], T]) -> T | None:
        """The answer of ``ask``, or None where the model refuses it. Memory that runs out is no refusal."""
        try:
            return ask()
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            self.note(look, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            return None


def latents(gan: Any, n: int, refused: Refused) -> Tensor | None:
    """n latents as float64 (n, d) on the CPU; None of a model that has none, or whose latents are no numbers."""
    z = refused.unless("z()", lambda: gan.z(n))
    if z is None:
        return None
    if not isinstance(z, Tensor) or not z.is_floating_point() or len(z) != n:
        refused.note("z()", f"it answers with {_said(z)} where {n} latents were asked for")
        return None
    return z.flatten(1).cpu().double() if z.numel() else None


def classes(gan: Any, n: int, refused: Refused) -> Tensor | None:
    """n drawn classes (n,); None of a model that draws conditions of another kind, or none."""
    if gan.conditions_on == "images":
        return None
    c = refused.unless("c()", lambda: gan.c(n))
    plain = isinstance(c, Tensor) and c.dim() == 1 and not c.is_floating_point()
    return c.cpu().long() if plain and c is not None else None


def fakes(gan: Any, n: int, c: Tensor | None, batch: int, refused: Refused) -> Tensor | None:
    """What D is trained on: G in the mode in which it trains, in whole batches, for a batch of one has no statistics."""
    found = []
    for start in range(0, n // batch * batch or n, batch):
        rows = slice(start, min(n, start + batch))
        made = refused.unless("fakes as D sees them", partial(_fake, gan, rows, c))
        if made is None:
            return None
        if not isinstance(made, Tensor):
            refused.note("fakes as D sees them", f"sample() answers with {_said(made)}")
            return None
        found.append(made)
    x = torch.cat(found).float()
    return x if bool(x.isfinite().all()) else None


def _fake(gan: Any, rows: slice, c: Tensor | None) -> Any:
    return gan.sample(gan.z(rows.stop - rows.start), None if c is None else c[rows].to(gan.device))


def logits(gan: Any, x: Tensor, c: Tensor | None, batch: int, refused: Refused) -> Tensor | None:
    """D's logits (N,) as float64 on the CPU, in its training mode; None of a D that answers otherwise."""
    found = []
    x = x.to(gan.device)
    told = c is not None and gan.labels_to_d
    for start in range(0, len(x) // batch * batch or len(x), batch):  # whole batches, as D is used to
        rows = slice(start, start + batch)
        args = (c[rows].to(gan.device),) if told and c is not None else ()
        one = refused.unless("D's logits", partial(_judged, gan, x[rows], args))
        if one is None:
            return None
        if not isinstance(one, Tensor) or len(one) != len(x[rows]) or (one.dim() > 2 and one.numel() > 4096):
            refused.note("D's logits", f"D answers with {_said(one)} to {len(x[rows])} samples")
            return None
        found.append(one.reshape(len(one), -1).float().mean(1).cpu().double())
    return torch.cat(found)


def _judged(gan: Any, x: Tensor, args: tuple[Tensor, ...]) -> Any:
    return joined(gan.logits_of(gan.D(x, *args)))


def _said(answer: Any) -> str:
    return f"a tensor {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__


def pull(loss: Any, real: Tensor, fake: Tensor) -> float:
    """Mean size of the loss's slope at a fake's logit: what is left of G's gradient (Arjovsky & Bottou 2017, theorem 2.4)."""
    n = min(len(real), len(fake))
    with torch.enable_grad():
        logits = fake[:n].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(loss.g(real[:n], logits), logits)
    return slope.abs().sum().item()


LAYERS = (nn.ReLU, nn.LeakyReLU, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose channels may be dead."""


@contextlib.contextmanager
def watched(net: Any) -> Iterator[list[float]]:
    """The share of dead channels of each layer in here, by the first batch that passes; a layer that is given the same for all
    samples (the noise level of a diffusion step, the blank page of a PixelCNN) says nothing of its channels."""
    found: dict[nn.Module, float] = {}
    shares: list[float] = []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        if module not in found and isinstance(out, Tensor) and out.dim() in (2, 4) and min(out.shape[:2]) >= 8:
            told = args[0] if args and isinstance(args[0], Tensor) else out
            if bool((told != told[:1]).any()):
                found[module] = st.dead(out)

    modules = net.modules() if isinstance(net, nn.Module) else ()
    handles = [m.register_forward_hook(hook) for m in modules if isinstance(m, LAYERS)]
    try:
        yield shares
    finally:
        shares += found.values()
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def apart(*models: nn.Module) -> Iterator[None]:
    """Modes, buffers and random states are afterwards what they were."""
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
            for buffer, kept in buffers:
                buffer.copy_(kept)
