"""Drawing samples from a model: latents by seed, checked labels, and a model left as it was."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.core import randomness
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
    n = len(z) if z is not None else n
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
    given = torch.as_tensor(c, device=gan.device)
    given = given.expand(n) if given.dim() == 0 else given
    if len(given) != n:
        raise BadInput(f"c has {len(given)} entries for {n} samples: give one label, or one per sample")
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
