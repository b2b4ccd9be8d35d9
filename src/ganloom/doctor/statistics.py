"""The figures that the doctor judges by, as plain functions of tensors: features, logits, images, labels, weights.

None of them trains or needs more than a few hundred samples. d is a distance in feature space, K the number of classes.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SAME = 0.01
"""Two samples are copies when they lie closer than this quantile of the reals' distances to their nearest neighbours."""
NEIGHBOURS = 5
"""Of the vote that gives a sample its class."""
BINS = 32


def distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, m) Euclidean distances of features (n, d) and (m, d), float64; by one product of matrices, copies at about 1e-7."""
    x, y = x.double(), y.double()
    centre = y.mean(0)  # near the data the squares lose no digits
    return torch.cdist(x - centre, y - centre, compute_mode="use_mm_for_euclid_dist")


def diversity(fake: Tensor, real: Tensor) -> float:
    """Mean distance of two fakes over that of two reals, 1 for a perfect model (as the LPIPS diversity of BicycleGAN,
    Zhu et al. 2017, arXiv:1711.11586, sec. 4, in a net's own features)."""
    apart = _mean_pair(distances(real, real))
    return _mean_pair(distances(fake, fake)) / apart if apart > 0 else math.nan


def _mean_pair(d: Tensor) -> float:
    n = len(d)
    return d.sum().item() / (n * (n - 1)) if n > 1 else math.nan


def diversity_within(fake: Tensor, c: Tensor, real: Tensor, labels: Tensor) -> float:
    """``diversity`` among samples of equal class, averaged over the classes that both sides have twice."""
    found = []
    for k in torch.unique(c).tolist():
        a, b = fake[c == k], real[labels == k]
        if len(a) > 1 and len(b) > 1 and not math.isnan(one := diversity(a, b)):
            found.append(one)
    return sum(found) / len(found) if found else math.nan


def duplicates(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """(share of fakes that have a copy among the fakes, how many different ones that many pairs of copies speak for).

    The birthday test (Arora & Zhang 2017, arXiv:1706.08224): n samples of a support of N hold about n^2 / 2N pairs.
    """
    among = distances(real, real).fill_diagonal_(math.inf).min(1).values
    near = torch.quantile(among, SAME).item()
    d = distances(fake, fake).fill_diagonal_(math.inf)
    pairs = int((d <= near).sum()) // 2
    n = len(fake)
    return (d.min(1).values <= near).double().mean().item(), n * (n - 1) / 2 / pairs if pairs else math.inf


def coverage(fake: Tensor, real: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """(precision, coverage) as in Naeem et al. 2020 (arXiv:2002.09797): fakes in some real's ball, reals whose ball holds
    a fake; a ball reaches to the k-th nearest real."""
    if len(real) <= k:
        return math.nan, math.nan
    reach = distances(real, real).fill_diagonal_(math.inf).topk(k, largest=False).values[:, -1]
    inside = distances(fake, real) < reach
    return inside.any(1).double().mean().item(), inside.any(0).double().mean().item()


# ---------------------------------------------------------------------------------------------------------------- classes


def vote(x: Tensor, real: Tensor, labels: Tensor, classes: int, *, itself: bool = False) -> Tensor:
    """The class (n,) of each row of ``x`` by its nearest reals; ``itself``: x is ``real``, and a row has no vote on itself."""
    d = distances(x, real)
    if itself:
        d.fill_diagonal_(math.inf)
    near = d.topk(min(NEIGHBOURS, len(real) - itself), largest=False).indices
    votes = torch.zeros(len(x), classes, dtype=torch.float64)
    # The nearer of two equal parties wins: ranks break ties.
    weights = 1 + 1e-3 * torch.arange(near.shape[1], 0, -1, dtype=torch.float64)
    votes.scatter_add_(1, labels[near], weights.expand(len(x), -1).contiguous())
    return votes.argmax(1)


def shares(c: Tensor, classes: int) -> Tensor:
    """Share (K,) of each class."""
    counts = torch.bincount(c.long(), minlength=classes).double()
    return counts / counts.sum().clamp_min(1)


def agreement(found: Tensor, asked: Tensor) -> float:
    """Share of samples whose class is the one that was asked for."""
    return (found == asked).double().mean().item()


# ----------------------------------------------------------------------------------------------------------------- logits


def accuracy(real: Tensor, fake: Tensor) -> float:
    """How often D is right with the best threshold between the two means' sides: (P(real > t) + P(fake < t)) / 2.

    t is the middle of the means, so that losses whose logits have no zero (Wasserstein) are judged alike.
    """
    t = (real.mean() + fake.mean()) / 2
    sign = 1 if real.mean() >= fake.mean() else -1
    return 0.5 * ((sign * (real - t) > 0).double().mean() + (sign * (fake - t) < 0).double().mean()).item()


def overlap(real: Tensor, fake: Tensor) -> float:
    """Mass that the histograms of both logits share: 1 alike, 0 apart (the disjoint supports of Arjovsky & Bottou 2017,
    arXiv:1701.04862, theorem 2.1)."""
    both = torch.cat([real, fake]).double()
    low, high = both.min().item(), both.max().item()
    if not math.isfinite(low + high) or high <= low:
        return math.nan if not math.isfinite(low + high) else 1.0
    a, b = (torch.histc(x.double(), BINS, low, high) / len(x) for x in (real, fake))
    return torch.minimum(a, b).sum().item()


def memorised(train: Tensor, held: Tensor, fake: Tensor) -> float:
    """(E D(train) - E D(held out)) / (E D(train) - E D(fake)): 0 none, 1 D takes unseen reals for fakes (Karras et al.
    2020, arXiv:2006.06676, eq. 1). NaN where D does not tell train from fake."""
    t, v, g = (x.double().mean().item() for x in (train, held, fake))
    spread = torch.cat([train, fake]).double().std().item()
    return (t - v) / (t - g) if abs(t - g) > 0.1 * spread and spread > 0 else math.nan


# --------------------------------------------------------------------------------------------------------------- images


def spectrum(x: Tensor) -> float:
    """Share of a batch's power (N, C, H, W) at period 2, in rows or columns, of all but the mean: checkerboards and stripes
    of strided upsampling (Odena et al. 2016, distill.pub/2016/deconv-checkerboard)."""
    h, w = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    power = torch.fft.fft2(x[..., :h, :w].float()).abs().square().mean((0, 1))
    power[0, 0] = 0
    total = power.sum()
    edge = power[h // 2].sum() + power[:, w // 2].sum() - power[h // 2, w // 2]
    return (edge / total).item() if total > 0 else math.nan


def constant_channels(x: Tensor) -> list[int]:
    """Channels of (N, C, ...) that hold one number throughout."""
    rows = x.transpose(0, 1).flatten(1)
    return torch.nonzero(rows.amax(1) - rows.amin(1) < 1e-6).flatten().tolist()


def repeated(x: Tensor) -> float:
    """Share of rows of (N, ...) that are equal to an earlier one, value by value."""
    return 1 - len(torch.unique(x.flatten(1), dim=0)) / len(x)


def dead(x: Tensor) -> float:
    """Share of the channels of a layer's output (N, C, ...) that are the same number for all samples and places."""
    rows = x.detach().transpose(0, 1).flatten(1).float()
    spread = rows.std(1)
    return (spread <= 1e-5 * spread.max().clamp_min(1e-12)).float().mean().item()


# ---------------------------------------------------------------------------------------------------------------- weights


def rms(values: Sequence[Tensor]) -> float:
    """Root mean square over all values of some tensors."""
    n = sum(v.numel() for v in values)
    return math.sqrt(sum(float(v.float().square().sum()) for v in values) / n) if n else math.nan


def stride(optimizer: torch.optim.Optimizer, weights: set[int], grad_norm: float = math.nan) -> float:
    """How far one step moves the weights, as a share of their size: rms(step) / rms(weight), from the optimizer's own
    moments; 1e-3 is usual for trained nets. ``weights``: ids of the tensors that count (matrices, not biases and norms).

    Adam: lr m / (sqrt(v) + eps), corrected for the start; RMSprop: lr, its step's size; SGD: lr times the gradient.
    """
    steps = sizes = 0.0
    for group in optimizer.param_groups:
        for p in group["params"]:
            if id(p) not in weights:
                continue
            moved = _moved(optimizer, group, p, grad_norm)
            if moved is None:
                continue
            steps += moved
            sizes += float(p.detach().float().square().sum())
    return math.sqrt(steps / sizes) if sizes > 0 else math.nan


def _moved(optimizer: torch.optim.Optimizer, group: dict[str, Any], p: Tensor, grad_norm: float) -> float | None:
    """The sum of squares of the last step of one tensor."""
    lr, state = float(group["lr"]), dict(optimizer.state.get(p, {}))
    if "exp_avg" in state:
        t = float(state["step"])
        b1, b2 = (float(beta) for beta in group["betas"])
        m, v = state["exp_avg"].float() / (1 - b1**t), state["exp_avg_sq"].float() / (1 - b2**t)
        size: Tensor = (m / (v.sqrt() + float(group["eps"]))).square().sum()
        moved: float = float(size)
        return lr * lr * moved
    if "square_avg" in state:
        return lr * lr * p.numel()
    if isinstance(optimizer, torch.optim.SGD) and not math.isnan(grad_norm):
        total: int = sum(q.numel() for g in optimizer.param_groups for q in g["params"])
        return lr * lr * grad_norm * grad_norm * p.numel() / max(total, 1)
    return None
