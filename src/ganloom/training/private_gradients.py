"""Differentially private gradients: DP-SGD, "Deep Learning with Differential Privacy", Abadi et al. 2016, arXiv:1607.00133.

Each row is in a batch with probability q, independently of all others (Poisson sampling). Its gradient g_i is scaled to a length
of at most C, and noise is added to the sum:

    g = (sum_i g_i min(1, C / |g_i|) + N(0, (sigma C)^2)) / B

With or without one row, the sum differs by at most C, so that one step is a subsampled Gaussian mechanism with noise multiplier
sigma and sampling rate q: accountants such as that of Opacus compute (epsilon, delta) for it. B, the expected size of a batch, is
a constant. A recipe that uses this computes one loss for each row, and no row may have an effect on the loss of another one: no
BatchNorm over real rows, no packs of rows.

All random numbers must be secret: they follow from the seed of the run.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.gan import GAN

Parameters = dict[str, Tensor]
AT_ONCE = 64
"""Rows whose gradients are computed at the same time: each has the size of all parameters."""


class PoissonBatch(NamedTuple):
    """Rows that were drawn independently of each other, so that their number is random.

    Attributes:
        clock: (B,) zeros, B the expected number of rows. The Trainer counts them, so that the number of steps depends on no row.
        x: The rows (n, d).
        u: A uniform number in [0, 1) for each row, (n,).
    """

    clock: Tensor
    x: Tensor
    u: Tensor


def check_settings(noise: float, clip: float, steps: int) -> None:
    """Raise BadInput unless the settings of DP-SGD are in range."""
    if not 0 <= noise or not 0 < clip or steps < 0:
        raise BadInput("--dp-noise and --dp-steps must be at least 0, and --dp-clip above 0")


def sampling_rate(rows: int, size: int) -> float:
    """The probability that a row is in a batch of the expected size."""
    return min(1.0, size / rows)


def draw(data: Any, size: int, rng: Rng) -> PoissonBatch:
    """Draw a batch in which each row is with probability ``sampling_rate``.

    Args:
        data: The data set.
        size: Expected number of rows.
        rng: Source of random numbers.
    """
    if rng.world > 1:
        raise BadInput("differential privacy works in one process only")
    u = torch.rand(2, len(data), generator=rng, dtype=torch.float64)
    rows = torch.nonzero(u[0] < sampling_rate(len(data), size)).flatten()
    return PoissonBatch(torch.zeros(size, device=data.device), data.get(rows), u[1, rows].to(data.device))


def check_step(gan: GAN, batch: PoissonBatch) -> None:
    """Raise BadInput unless the next private step of a model is what its stated privacy assumes.

    Args:
        gan: The model, with ``private_steps``, the number of its private steps so far.
        batch: The batch.
    """
    done, most = int(gan.get_buffer("private_steps")), int(gan.cfg.dp_steps)
    if gan.stabilisers is not None:
        raise BadInput("stabilisers cannot be used with differential privacy: leave them out, or --dp-noise")
    if len(batch.clock) != gan.cfg.batch_size and gan.trace is None:  # the lint computes losses of a few rows
        raise BadInput("--micro-batch cannot be used with differential privacy: the noise is for the whole batch")
    if most and done >= most:
        raise BadInput(
            f"the {most} steps of differentially private training are done; more would weaken the stated privacy"
        )


def parameters_of(**networks: nn.Module) -> dict[str, Parameters]:
    """The parameters of networks by name, without their place in the graph."""
    return {key: {name: p.detach() for name, p in net.named_parameters()} for key, net in networks.items()}


def noisy_gradients(
    loss: Callable[..., Tensor],
    parameters: dict[str, Parameters],
    inputs: tuple[Tensor, ...],
    *,
    clip: float,
    noise: float,
    size: int,
) -> dict[str, Parameters]:
    """Return the noisy mean of the clipped gradients of rows.

    Args:
        loss: Called with (parameters, *inputs of one row); returns a scalar.
        parameters: By network and name.
        inputs: Each (n, ...); n may be 0.
        clip: Longest gradient of a row, over all parameters together.
        noise: Standard deviation of the noise, in units of ``clip``.
        size: The expected number of rows, by which the sum is divided.

    Returns:
        Gradients, by network and name.
    """
    sums = clipped_sums(loss, parameters, inputs, clip)
    return {
        key: {name: (total + noise * clip * torch.randn_like(total)) / size for name, total in own.items()}
        for key, own in sums.items()
    }


def clipped_sums(
    loss: Callable[..., Tensor], parameters: dict[str, Parameters], inputs: tuple[Tensor, ...], clip: float
) -> dict[str, Parameters]:
    """Return the sums of the gradients of rows, each scaled to a length of at most ``clip``; see ``noisy_gradients``."""
    sums = {key: {name: torch.zeros_like(p) for name, p in own.items()} for key, own in parameters.items()}
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, *(0 for _ in inputs)), randomness="different")
    for start in range(0, len(inputs[0]), AT_ONCE):
        found = each(parameters, *(part[start : start + AT_ONCE] for part in inputs))
        flat = [grads.flatten(1) for own in found.values() for grads in own.values()]
        # In double precision, so that rounding does not make a gradient longer than the bound.
        length = torch.stack([grads.double().square().sum(1) for grads in flat]).sum(0).sqrt()
        known = length.isfinite()  # a row without a finite gradient has none
        factor = torch.where(known, (clip / length.clamp_min(1e-30)).clamp_max(1.0), 0.0).float()
        for key, own in found.items():
            for name, grads in own.items():
                finite = torch.where(known.view(-1, *[1] * (grads.dim() - 1)), grads, 0.0)
                sums[key][name] += torch.einsum("n,n...->...", factor, finite)
    return sums


def with_gradients(networks: dict[str, nn.Module], gradients: dict[str, Parameters]) -> Tensor:
    """Return a scalar whose gradient by the parameters of the networks is the given one; its value means nothing.

    Args:
        networks: The networks by name.
        gradients: By network and name of the parameter.
    """
    terms = [(p * gradients[key][name]).sum() for key, net in networks.items() for name, p in net.named_parameters()]
    return torch.stack(terms).sum()
