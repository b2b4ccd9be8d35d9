"""Adversarial losses on input embeddings, for any PyTorch model: FGM, VAT, FreeLB and SMART.

Each function returns a loss that is added to the usual one. ``model`` is anything that maps embeddings (N, L, d) to logits
(N, classes): a part of your network, or ``lambda e: bert(inputs_embeds=e, attention_mask=mask).logits``.

    adversary = fgm(network.head, F.cross_entropy)
    embedded = network.embedding(tokens)
    loss = F.cross_entropy(network.head(embedded), labels) + adversary(embedded, labels)

The size of a perturbation is relative: ``size`` times the norm of the whole text's embeddings without the padding, so it means
the same for every model and length. Padding is not perturbed if its embeddings are zero, or if ``mask`` is given.
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class Adversary(Protocol):
    """An adversarial loss."""

    def __call__(self, embedded: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the loss at perturbed embeddings.

        Args:
            embedded: (N, L, d) embeddings, with their graph.
            target: (N,) class numbers; VAT and SMART do not use them.
            mask: (N, L), 1 for tokens and 0 for padding. None: where the embedding is not zero.

        Returns:
            A scalar with gradients for the model and the embeddings.
        """
        ...


def fgm(model: Model, loss: Loss = F.cross_entropy, *, size: float = 0.3) -> Adversary:
    """Build the loss at one step along the gradient (adversarial training, Miyato et al. 2017, arXiv:1605.07725).

    Args:
        model: Embeddings to logits.
        loss: (logits, target) to a scalar.
        size: Norm of the perturbation over that of the text's embeddings.
    """

    def adversary(embedded: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        inside = inside_of(embedded, mask)
        radius = radius_of(embedded * inside, size)
        start = embedded.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(model(start), target), start)
        return loss(model(embedded + radius * _unit(gradient * inside)), target)

    return adversary


def vat(model: Model, *, size: float = 0.3, probe: float = 0.03) -> Adversary:
    """Build virtual adversarial training (Miyato et al. 2018, arXiv:1704.03976, one power iteration): no labels are needed.

    Args:
        model: Embeddings to logits.
        size: Norm of the perturbation over that of the text's embeddings.
        probe: Relative norm of the random step at which the direction is found (xi in the paper).
    """

    def adversary(embedded: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        inside = inside_of(embedded, mask)
        with torch.no_grad():
            clean = model(embedded)
        start = _unit(torch.randn_like(embedded) * inside) * radius_of(embedded * inside, probe)
        start = start.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(divergence(clean, model(embedded.detach() + start)), start)
        return divergence(clean, model(embedded + radius_of(embedded * inside, size) * _unit(gradient * inside)))

    return adversary


def smart(model: Model, *, size: float = 0.3, probe: float = 0.03) -> Adversary:
    """Build the smoothness loss of SMART (Jiang et al. 2020, arXiv:1911.03437): symmetric divergence at a perturbation.

    Departure: one step of the given size instead of a step of 1e-3 inside a ball; the proximal term, which keeps a fine-tuned
    model near its last weights, is left out.

    Args:
        model: Embeddings to logits.
        size: Norm of the perturbation over that of the text's embeddings.
        probe: Relative norm of the random step at which the direction is found.
    """

    def adversary(embedded: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        inside, clean = inside_of(embedded, mask), model(embedded)
        start = _unit(torch.randn_like(embedded) * inside) * radius_of(embedded * inside, probe)
        start = start.detach().requires_grad_()
        near, fixed = model(embedded.detach() + start), clean.detach()
        (gradient,) = torch.autograd.grad(divergence(fixed, near) + divergence(near, fixed), start)
        far = model(embedded + radius_of(embedded * inside, size) * _unit(gradient * inside))
        return divergence(clean, far) + divergence(far, clean)

    return adversary


def freelb(model: Model, loss: Loss = F.cross_entropy, *, size: float = 0.3, steps: int = 3) -> Adversary:
    """Build FreeLB (Zhu et al. 2020, arXiv:1909.11764): the mean loss along ascent steps, with one dropout mask for all.

    Args:
        model: Embeddings to logits.
        loss: (logits, target) to a scalar.
        size: Largest norm of the perturbation over that of the text's embeddings. It begins at 0.3 of it, at random.
        steps: Ascent steps; each needs the memory of a forward pass.
    """

    def adversary(embedded: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        inside = inside_of(embedded, mask)
        radius = radius_of(embedded * inside, size)
        shift = 0.3 * radius * _unit(torch.randn_like(embedded) * inside)
        total, dropout = embedded.new_zeros(()), torch.get_rng_state()
        for _ in range(steps):
            torch.set_rng_state(dropout)  # the same dropout mask at each step (on the CPU)
            shift = shift.detach().requires_grad_()
            value = loss(model(embedded + shift), target)
            total = total + value / steps
            (gradient,) = torch.autograd.grad(value, shift, retain_graph=True)
            shift = project(shift + radius * _unit(gradient * inside) * 1.5 / steps, radius)
        return total

    return adversary


def divergence(of: Tensor, to: Tensor) -> Tensor:
    """KL(softmax(of) | softmax(to)), the mean over the batch."""
    value: Tensor = F.kl_div(to.log_softmax(1), of.log_softmax(1), reduction="batchmean", log_target=True)
    return value


def project(shift: Tensor, radius: Tensor) -> Tensor:
    """Scale perturbations (N, L, d) down to norms of at most ``radius`` (N, 1, 1)."""
    inside: Tensor = shift * (radius / (norms(shift) + 1e-12)).clamp(max=1)
    return inside


def norms(values: Tensor) -> Tensor:
    """The norm of each text's values (N, L, d), as (N, 1, 1)."""
    found: Tensor = values.flatten(1).norm(dim=1)[:, None, None]
    return found


def radius_of(embedded: Tensor, size: float) -> Tensor:
    """``size`` times the norm of each text's embeddings, (N, 1, 1)."""
    return size * norms(embedded.detach())


def inside_of(embedded: Tensor, mask: Tensor | None = None) -> Tensor:
    """1 for tokens and 0 for padding, (N, L, 1): by the mask (N, L), or where the embedding is not zero."""
    found = (embedded.detach() != 0).any(2) if mask is None else mask
    return found.to(embedded.dtype)[..., None]


def _unit(values: Tensor) -> Tensor:
    return values / (norms(values) + 1e-12)
