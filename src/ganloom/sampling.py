"""Generate samples from seeds and labels, without changing the state of the model."""

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.core import class_names, randomness
from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.core.randomness import key


@dataclass(frozen=True)
class SampleOptions:
    """Which options of ``generate`` a model's ``sample`` takes itself.

    Args:
        truncation: ``sample`` takes ``truncation``. Otherwise ``generate`` multiplies the latents by it.
        noise: ``sample`` takes ``noise``: "const", "random" or "none".
        cutoff: ``sample`` takes ``cutoff``, the number of layers that truncation works on.
        standing: ``generate`` takes ``standing``, the number of batches for standing statistics of BatchNorm.
        progress: ``sample`` takes ``progress``, which it calls after each of its steps.
    """

    truncation: bool = False
    noise: bool = False
    cutoff: bool = False
    standing: bool = False
    progress: bool = False


def generate(
    gan: Any,
    n: int,
    seed: int,
    c: Any,
    z: Tensor | None,
    truncation: float,
    batch: int,
    precision: str,
    options: dict[str, Any],
    each: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Draw samples; see ``GAN.generate``. ``options``: keywords of the model's ``sample``."""
    c = as_numbers(gan, c)
    n = len(z) if z is not None else n
    n = len(c) if n == 1 and z is None and isinstance(c, Tensor) and c.dim() else n
    n = len(c) if gan.conditions_on == "images" and isinstance(c, Tensor) else n
    if n < 1:
        raise BadInput(f"the number of samples must be at least 1, got {n}")
    if precision not in ("float32", "bf16"):
        raise BadInput(f'precision must be float32 or bf16, got "{precision}"')
    if gan.sample_options.truncation:
        options, truncation = options | {"truncation": truncation}, 1.0
    half = torch.autocast(gan.device.type, torch.bfloat16)  # around everything: sampling computes no loss
    with unchanged(gan), half if precision == "bf16" else full_precision():
        zs, cs = latents(gan, n, seed, z, c)
        parts = []
        for start in range(0, n, batch):
            rows = slice(start, start + batch)
            randomness.seed_all(key(seed, "noise", start))
            parts.append(gan.sample(zs[rows] * truncation, None if cs is None else cs[rows], **options).float())
            if each is not None:
                each(min(start + batch, n), n)
    return torch.cat(parts)


def generate_each(
    gan: Any,
    n: int,
    seeds: Sequence[int],
    c: Any,
    truncation: float,
    precision: str,
    options: dict[str, Any],
    each: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Draw one sample from each seed, exactly as ``generate`` does for a single one; see ``GAN.generate``.

    Raises:
        BadInput: The seeds are not whole numbers, or ``n`` is not their number.
    """
    try:
        whole = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise BadInput(f"seeds must be whole numbers, such as [3, 7, 11], got {seeds!r}") from None
    if not whole or n not in (1, len(whole)):
        raise BadInput(f"seeds has {len(whole)} entries for {n} samples: leave n out, and give at least one seed")
    c = as_numbers(gan, c)
    conditions = None if c is None else gan.conditions(len(whole), c)
    parts = []
    for i, seed in enumerate(whole):
        own = None if conditions is None else conditions[i : i + 1]
        parts.append(generate(gan, 1, seed, own, None, truncation, 1, precision, options))
        if each is not None:
            each(i + 1, len(whole))
    return torch.cat(parts)


def check_seeds(seed: int | None, z: Tensor | None) -> None:
    """Raise BadInput if ``seeds`` is given together with what it replaces."""
    if seed is not None or z is not None:
        raise BadInput(f"seeds and {'z' if seed is None else 'seed'} both say where the latents come from: give one")


def as_numbers(gan: Any, c: Any) -> Any:
    """Convert classes given by name or number to a tensor: () for one class, (k,) for a list. Other conditions are unchanged.

    Raises:
        BadInput: The model has no such class, or no classes.
    """
    if not class_names.is_named(c):
        return c
    classes = int(getattr(gan.cfg, "n_classes", 0) or 0)
    if not classes:
        raise BadInput("c was given, but this model was trained without labels: leave it out")
    chosen = torch.tensor(class_names.numbers(c, class_names.complete(gan.class_names, classes)))
    return chosen[0] if len(chosen) == 1 else chosen


def latents(gan: Any, n: int, seed: int, z: Tensor | None, c: Any) -> tuple[Tensor, Tensor | None]:
    """Latents and conditions of n samples, each drawn from its own seed where it is not given."""
    zs, cs = [], []
    if z is None or c is None:
        for i in range(n):
            torch.default_generator.manual_seed(int(seed) + i)
            zs.append(gan.z(1) if z is None else z[i : i + 1])
            cs.append(gan.c(1) if c is None else None)
    rows = torch.cat(zs).to(gan.device) if z is None else z.to(gan.device, torch.float32)
    if c is None:
        return rows, None if cs[0] is None else torch.cat([x for x in cs if x is not None])
    return rows, gan.conditions(n, c)


def labels(gan: Any, n: int, c: Any) -> Tensor:
    """Labels (n,) on the model's device.

    Raises:
        BadInput: If the number of labels or a label does not fit.
    """
    classes = int(getattr(gan.cfg, "n_classes", 0) or 0)
    given = torch.as_tensor(as_numbers(gan, c), device=gan.device)
    given = given.expand(n) if given.dim() == 0 else given
    if len(given) != n:
        raise BadInput(f"c has {len(given)} entries for {n} samples: give one class, or one per sample")
    if not given.is_floating_point():
        if not classes:
            raise BadInput("c was given, but this model was trained without labels: leave it out")
        if bool((given < 0).any()) or bool((given >= classes).any()):
            raise BadInput(f"c must be in 0..{classes - 1}, got {int(given.min())}..{int(given.max())}")
    return given


@contextlib.contextmanager
def unchanged(gan: Any) -> Iterator[None]:
    """Inside, the model is in eval mode and draws on the CPU; afterwards modes, buffers and random state are as before."""
    modes = [(m, m.training) for m in gan.modules()]
    buffers = [(b, b.clone()) for b in gan.buffers()]
    cuda = [gan.device.index or 0] if gan.device.type == "cuda" else []
    draw_on, gan._draw_on = gan._draw_on, "cpu"
    shard = randomness.shard()
    randomness.set_shard(0, 1)
    with torch.random.fork_rng(devices=cuda):
        try:
            gan.eval()
            yield
        finally:
            gan._draw_on = draw_on
            randomness.set_shard(*shard)
            for module, mode in modes:
                module.training = mode
            for buffer, value in buffers:
                buffer.copy_(value)
