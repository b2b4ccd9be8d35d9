"""Penalties on the discriminator, as functions of ``(D, real, fake)``.

Each returns an unweighted 0-d tensor, including the factor 1/2 of the paper. The arguments are the same for all of them:

- ``D``: maps samples (N, ...) to logits whose first axis is N. With a condition c, pass ``lambda x: D(x, c)``.
- ``real``, ``fake``: samples (N, ...) of equal shape; they are detached. None is allowed where a default says so.

All gradient penalties use ``grad_norm``. They are computed in float32, also when the networks run in bfloat16, and in float64 for
samples in float64.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.precision import full_precision
from ganloom.scoring import Critic as RecordingCritic

Critic = Callable[[Tensor], Tensor]
"""Maps samples (N, ...) to logits whose first axis is N: a network, or ``GAN.critic()``."""


def _note(D: Critic, name: str) -> None:
    """Record for the lint which penalty uses the critic of a model."""
    if isinstance(D, RecordingCritic) and D.trace is not None:
        D.trace.penalties.append(name)


def grad_norm(f: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Compute the norm of the gradient of the summed output of a function, for each sample.

    Args:
        f: The function.
        *inputs: Its inputs (N, ...); the gradient is taken over all of them.

    Returns:
        Norms (N,), differentiable.
    """
    leaves = [x.detach().to(torch.promote_types(x.dtype, torch.float32)).requires_grad_(True) for x in inputs]
    with full_precision(), torch.enable_grad():
        out = f(*leaves)
        grads = torch.autograd.grad(out.sum(), leaves, create_graph=True)
    # Tensor.norm has gradient 0 at 0 where sqrt(sum of squares) would give NaN.
    flat = [g.flatten(1) for g in grads]
    norm: Tensor = (torch.cat(flat, 1) if len(flat) > 1 else flat[0]).norm(dim=1)
    return norm


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a random point between each real sample and the fake of the same index, uniform on the segment."""
    t = randomness.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    return torch.lerp(real.detach(), fake.detach(), t.to(real.dtype))


def wgan_gp(D: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[(|grad D| - 1)^2] between real and fake samples (Gulrajani et al. 2017, arXiv:1704.00028, eq. 3)."""
    _note(D, "wgan_gp")
    return (grad_norm(D, between(real, fake)) - 1).square().mean()


def wgan_lp(D: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[max(0, |grad D| - 1)^2] between real and fake samples (Petzka et al. 2017, arXiv:1709.08894)."""
    _note(D, "wgan_lp")
    return F.relu(grad_norm(D, between(real, fake)) - 1).square().mean()


def dragan(D: Critic, real: Tensor, fake: Tensor | None = None, scale: float = 0.5) -> Tensor:
    """Compute E[(|grad D| - 1)^2] around the real samples (Kodali et al. 2017, arXiv:1705.07215).

    Args:
        D: The discriminator.
        real: Real samples.
        fake: Not used.
        scale: Factor of the noise, U(0, 1) x scale x the standard deviation of ``real``.
    """
    _note(D, "dragan")
    near = real + scale * real.std() * randomness.rand(*real.shape, device=real.device)
    return (grad_norm(D, between(real, near)) - 1).square().mean()


def r1(D: Critic, real: Tensor, fake: Tensor | None = None) -> Tensor:
    """Compute E[|grad D(x)|^2] / 2 at real samples (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
    _note(D, "r1")
    return grad_norm(D, real).square().mean() / 2


def r2(D: Critic, real: Tensor | None, fake: Tensor) -> Tensor:
    """Compute E[|grad D(G(z))|^2] / 2 at fake samples (Mescheder et al. 2018, arXiv:1801.04406)."""
    _note(D, "r2")
    return grad_norm(D, fake).square().mean() / 2


def of_pass(name: str, logits: Tensor, x: Tensor) -> Tensor:
    """Compute ``r1`` or ``r2`` from logits that exist already, without another forward pass.

    Args:
        name: "r1" or "r2".
        logits: Logits of ``x``, computed in float32.
        x: Samples: a leaf that requires a gradient.
    """
    (grads,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    penalty: Tensor = grads.flatten(1).norm(dim=1).square().mean() / 2
    return penalty


def zero_centred(D: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[|grad D|^2] / 2 between real and fake samples (Thanh-Tung et al. 2019, arXiv:1902.03984)."""
    _note(D, "zero_centred")
    return grad_norm(D, between(real, fake)).square().mean() / 2


def _weights(D: Critic) -> list[Tensor]:
    """Return the parameters of two or more dimensions."""
    if not isinstance(D, nn.Module):
        raise TypeError("a penalty on weights needs the network itself (nn.Module), not a function")
    return [p for p in D.parameters() if p.dim() > 1]


def weight_clip(D: Critic, real: Tensor | None = None, fake: Tensor | None = None, bound: float = 0.01) -> Tensor:
    """Compute the sum of max(0, |w| - bound)^2 over the weights, a smooth form of ``clip_weights_``."""
    return torch.stack([F.relu(w.abs() - bound).square().sum() for w in _weights(D)]).sum()


@torch.no_grad()
def clip_weights_(D: nn.Module, bound: float = 0.01) -> None:
    """Clip every parameter to [-bound, bound] in place, as in ``after_update`` (Arjovsky et al. 2017, arXiv:1701.07875)."""
    for parameter in D.parameters():
        parameter.clamp_(-bound, bound)


def weight_decay(D: Critic, real: Tensor | None = None, fake: Tensor | None = None) -> Tensor:
    """Compute half the sum of the squared weights, without biases and gains."""
    return torch.stack([w.square().sum() for w in _weights(D)]).sum() / 2


def orthogonal(D: Critic, real: Tensor | None = None, fake: Tensor | None = None) -> Tensor:
    """Compute the sum of |W W^T (1 - I)|^2 over the layers (Brock et al. 2018, arXiv:1809.11096, eq. 3)."""
    total = []
    for w in _weights(D):
        rows = w.flatten(1)
        if len(rows) > rows.shape[1]:  # |W W^T| = |W^T W|: the smaller of the two matrices
            total.append((rows.T @ rows).square().sum() - rows.square().sum(1).square().sum())
            continue
        gram = rows @ rows.T
        total.append((gram - torch.diag(gram.diagonal())).square().sum())
    return torch.stack(total).sum()


def lecam(
    D: Critic, real: Tensor, fake: Tensor, anchor_real: Tensor | float = 0.0, anchor_fake: Tensor | float = 0.0
) -> Tensor:
    """Compute E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2] (Tseng et al. 2021, arXiv:2104.03310).

    Args:
        D: The discriminator.
        real: Real samples.
        fake: Fakes.
        anchor_real: Running mean of D's logits on real samples, a buffer of the recipe.
        anchor_fake: The same on fakes.
    """
    return lecam_of(D(real), D(fake.detach()), anchor_real, anchor_fake)


def lecam_of(
    real_logits: Tensor, fake_logits: Tensor, anchor_real: Tensor | float, anchor_fake: Tensor | float
) -> Tensor:
    """Compute ``lecam`` from logits that exist already."""
    return (real_logits - anchor_fake).square().mean() + (fake_logits - anchor_real).square().mean()


def pulling_away(codes: Tensor) -> Tensor:
    """Compute the mean squared cosine between the codes of different samples (Zhao et al. 2016, arXiv:1609.03126, eq. 4).

    It takes codes instead of D, so it is not in ``PENALTIES``.

    Args:
        codes: Output (N, ...) of an encoder for N fakes.

    Returns:
        0 if all codes are orthogonal, 1 if all are parallel.
    """
    n = len(codes)
    units = F.normalize(codes.flatten(1), dim=1)
    cosines = units @ units.T
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / max(n * (n - 1), 1)


PENALTIES: dict[str, Callable[..., Tensor]] = {
    "wgan_gp": wgan_gp,
    "wgan_lp": wgan_lp,
    "dragan": dragan,
    "r1": r1,
    "r2": r2,
    "zero_centred": zero_centred,
    "weight_clip": weight_clip,
    "weight_decay": weight_decay,
    "orthogonal": orthogonal,
    "lecam": lecam,
}
