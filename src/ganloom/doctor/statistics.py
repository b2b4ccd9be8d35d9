"""Statistics of samples, labels, logits, images and weights that the rules read: plain functions of tensors.

None of them trains anything, and a few hundred samples are enough. Shapes: n or m samples, d features, K classes.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SAME = 0.01
"""Two samples are copies if their distance is below this quantile of the nearest-neighbour distances among reals."""
NEIGHBOURS = 5
"""Nearest neighbours that vote for the class of a sample."""
BINS = 32
"""Bins of a histogram of logits."""


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute Euclidean distances between two sets of features.

    The distances come from one matrix product, so two equal rows have a distance of about 1e-7, not 0.

    Args:
        x: Features (n, d).
        y: Features (m, d).

    Returns:
        Distances (n, m), float64.
    """
    x, y = x.double(), y.double()
    centre = y.mean(0)  # features near the origin lose no digits when they are squared
    return torch.cdist(x - centre, y - centre, compute_mode="use_mm_for_euclid_dist")


def diversity(fake: Tensor, real: Tensor) -> float:
    """Divide the mean distance between two fakes by that between two reals.

    The ratio is 1 for a perfect model. It is the LPIPS diversity of BicycleGAN (Zhu et al. 2017, arXiv:1711.11586,
    sec. 4) with the features of another network.

    Args:
        fake: Features of generated samples (n, d).
        real: Features of real samples (m, d).

    Returns:
        The ratio, at least 0; NaN if all reals are equal.
    """
    real_distance = _mean_distance(distances(real, real))
    return _mean_distance(distances(fake, fake)) / real_distance if real_distance > 0 else math.nan


def _mean_distance(d: Tensor) -> float:
    """Average a distance matrix over its pairs of different samples."""
    n = len(d)
    return d.sum().item() / (n * (n - 1)) if n > 1 else math.nan


def diversity_within(fake: Tensor, c: Tensor, real: Tensor, labels: Tensor) -> float:
    """Average ``diversity`` over the classes.

    Args:
        fake: Features of generated samples (n, d).
        c: Their classes (n,).
        real: Features of real samples (m, d).
        labels: Their classes (m,).

    Returns:
        The mean over the classes with at least two fakes and two reals; NaN if there are none.
    """
    ratios = []
    for k in torch.unique(c).tolist():
        a, b = fake[c == k], real[labels == k]
        if len(a) > 1 and len(b) > 1 and not math.isnan(ratio := diversity(a, b)):
            ratios.append(ratio)
    return sum(ratios) / len(ratios) if ratios else math.nan


def duplicates(fake: Tensor, real: Tensor) -> tuple[float, float]:
    """Count near-copies among the fakes and estimate how many different samples G can generate.

    The birthday test (Arora & Zhang 2017, arXiv:1706.08224): n samples from a support of size N contain about
    n^2 / 2N pairs of copies.

    Args:
        fake: Features of generated samples (n, d).
        real: Features of real samples (m, d); they set the distance below which two samples are copies.

    Returns:
        (share of fakes that have a copy among the fakes, estimated size of the support). The size is infinite if
        there is no pair of copies.
    """
    nearest_real = distances(real, real).fill_diagonal_(math.inf).min(1).values
    threshold = torch.quantile(nearest_real, SAME).item()
    d = distances(fake, fake).fill_diagonal_(math.inf)
    pairs = int((d <= threshold).sum()) // 2
    n = len(fake)
    return (d.min(1).values <= threshold).double().mean().item(), n * (n - 1) / 2 / pairs if pairs else math.inf


def coverage(fake: Tensor, real: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Compute precision and coverage (Naeem et al. 2020, arXiv:2002.09797).

    The ball of a real sample reaches to its k-th nearest real sample.

    Args:
        fake: Features of generated samples (n, d).
        real: Features of real samples (m, d).
        k: Neighbours that set the radius of a ball.

    Returns:
        (share of fakes inside the ball of some real, share of reals whose ball contains a fake), both in [0, 1].
        NaN if there are not more than k reals.
    """
    if len(real) <= k:
        return math.nan, math.nan
    radii = distances(real, real).fill_diagonal_(math.inf).topk(k, largest=False).values[:, -1]
    inside = distances(fake, real) < radii
    return inside.any(1).double().mean().item(), inside.any(0).double().mean().item()


# ---------------------------------------------------------------------------------------------------------------- classes


def vote(x: Tensor, real: Tensor, labels: Tensor, classes: int, *, itself: bool = False) -> Tensor:
    """Predict the class of each row of ``x`` from its nearest real samples.

    Args:
        x: Features (n, d).
        real: Features of labelled samples (m, d).
        labels: Their classes (m,), int64.
        classes: Number of classes K.
        itself: Whether ``x`` is ``real``; a row then does not vote for itself.

    Returns:
        Classes (n,), int64.
    """
    d = distances(x, real)
    if itself:
        d.fill_diagonal_(math.inf)
    nearest = d.topk(min(NEIGHBOURS, len(real) - itself), largest=False).indices
    votes = torch.zeros(len(x), classes, dtype=torch.float64)
    # Nearer samples weigh slightly more, which breaks ties.
    weights = 1 + 1e-3 * torch.arange(nearest.shape[1], 0, -1, dtype=torch.float64)
    votes.scatter_add_(1, labels[nearest], weights.expand(len(x), -1).contiguous())
    return votes.argmax(1)


def shares(c: Tensor, classes: int) -> Tensor:
    """Return the share (K,) of each class in the labels ``c`` (n,), float64."""
    counts = torch.bincount(c.long(), minlength=classes).double()
    return counts / counts.sum().clamp_min(1)


def agreement(predicted: Tensor, target: Tensor) -> float:
    """Return the share of samples whose predicted class (n,) is the target class (n,)."""
    return (predicted == target).double().mean().item()


# ----------------------------------------------------------------------------------------------------------------- logits


def accuracy(real: Tensor, fake: Tensor) -> float:
    """Compute D's balanced accuracy, (P(real > t) + P(fake < t)) / 2.

    The threshold t is the middle between the two means, because the logits of some losses (Wasserstein) have no natural
    zero. The side with the larger mean counts as real, so energies, which are low for reals, work too.

    Args:
        real: Logits of real samples (n,).
        fake: Logits of generated samples (m,).

    Returns:
        A value in [0, 1]; 0.5 for guessing.
    """
    t = (real.mean() + fake.mean()) / 2
    sign = 1 if real.mean() >= fake.mean() else -1
    return 0.5 * ((sign * (real - t) > 0).double().mean() + (sign * (fake - t) < 0).double().mean()).item()


def ordered(real: Tensor, fake: Tensor) -> float:
    """Compute the probability that D's logit of a real sample is above that of a generated one (AUC).

    Args:
        real: Logits of real samples (n,).
        fake: Logits of generated samples (m,).

    Returns:
        1 if D is always right, 0.5 if it guesses, 0 if it calls reals fake.
    """
    above = (real[:, None] > fake[None, :]).double() + 0.5 * (real[:, None] == fake[None, :]).double()
    return above.mean().item()


def overlap(real: Tensor, fake: Tensor) -> float:
    """Compute the overlap of the histograms of real and fake logits.

    No overlap is the case of disjoint supports (Arjovsky & Bottou 2017, arXiv:1701.04862, theorem 2.1).

    Args:
        real: Logits of real samples (n,).
        fake: Logits of generated samples (m,).

    Returns:
        1 for equal histograms, 0 for disjoint ones, NaN if a logit is not finite.
    """
    both = torch.cat([real, fake]).double()
    low, high = both.min().item(), both.max().item()
    if not math.isfinite(low + high) or high <= low:
        return math.nan if not math.isfinite(low + high) else 1.0
    a, b = (torch.histc(x.double(), BINS, low, high) / len(x) for x in (real, fake))
    return torch.minimum(a, b).sum().item()


def memorised(train: Tensor, held: Tensor, fake: Tensor) -> float:
    """Measure the overfitting of D, (E D(train) - E D(held out)) / (E D(train) - E D(fake)).

    Karras et al. 2020 (arXiv:2006.06676), eq. 1.

    Args:
        train: Logits of training images (n,).
        held: Logits of held-out real images (m,).
        fake: Logits of generated images (k,).

    Returns:
        0 if D does not overfit, 1 if it takes held-out images for fakes, NaN if it does not separate training images
        from fakes.
    """
    t, v, g = (x.double().mean().item() for x in (train, held, fake))
    spread = torch.cat([train, fake]).double().std().item()
    return (t - v) / (t - g) if abs(t - g) > 0.1 * spread and spread > 0 else math.nan


# --------------------------------------------------------------------------------------------------------------- images


def spectrum(x: Tensor) -> float:
    """Compute the share of spectral power at a period of two pixels, along rows or columns.

    Checkerboards and stripes of strided upsampling have this period (Odena et al. 2016,
    distill.pub/2016/deconv-checkerboard).

    Args:
        x: Images (N, C, H, W).

    Returns:
        A share in [0, 1] of the power without the mean; NaN for constant images.
    """
    h, w = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    power = torch.fft.fft2(x[..., :h, :w].float()).abs().square().mean((0, 1))
    power[0, 0] = 0
    total = power.sum()
    edge = power[h // 2].sum() + power[:, w // 2].sum() - power[h // 2, w // 2]
    return (edge / total).item() if total > 0 else math.nan


def constant_channels(x: Tensor) -> list[int]:
    """Return the indices of the channels of (N, C, ...) that have the same value everywhere."""
    rows = x.transpose(0, 1).flatten(1)
    return torch.nonzero(rows.amax(1) - rows.amin(1) < 1e-6).flatten().tolist()


def repeated(x: Tensor) -> float:
    """Return the share of rows of (N, ...) that are exact copies of another row; one row of each group is not counted."""
    return 1 - len(torch.unique(x.flatten(1), dim=0)) / len(x)


def dead(x: Tensor) -> float:
    """Return the share of channels of a layer's output (N, C, ...) that are constant over all samples and positions."""
    rows = x.detach().transpose(0, 1).flatten(1).float()
    spread = rows.std(1)
    return (spread <= 1e-5 * spread.max().clamp_min(1e-12)).float().mean().item()


# ---------------------------------------------------------------------------------------------------------------- weights


def rms(values: Sequence[Tensor]) -> float:
    """Return the root mean square over all values of the tensors; NaN if there are none."""
    n = sum(v.numel() for v in values)
    return math.sqrt(sum(float(v.float().square().sum()) for v in values) / n) if n else math.nan


def stride(optimizer: torch.optim.Optimizer, weights: set[int], grad_norm: float = math.nan) -> float:
    """Compute the size of the last step relative to the weights, rms(step) / rms(weights).

    The step is computed from the optimizer's state. Adam: lr m / (sqrt(v) + eps) with bias correction. RMSprop: lr per
    value. SGD: lr times the gradient.

    Args:
        optimizer: An Adam, RMSprop or SGD optimizer.
        weights: ``id`` of the tensors to count (weight matrices, without biases and norms).
        grad_norm: Norm of the last gradient over all parameters; only SGD needs it.

    Returns:
        The ratio; about 1e-3 is usual. NaN if it is unknown.
    """
    steps = sizes = 0.0
    for group in optimizer.param_groups:
        for p in group["params"]:
            if id(p) not in weights:
                continue
            step = _squared_step(optimizer, group, p, grad_norm)
            if step is None:
                continue
            steps += step
            sizes += float(p.detach().float().square().sum())
    return math.sqrt(steps / sizes) if sizes > 0 else math.nan


def _squared_step(optimizer: torch.optim.Optimizer, group: dict[str, Any], p: Tensor, grad_norm: float) -> float | None:
    """Return the sum of squares of the last step of one tensor, None if it is unknown."""
    lr, state = float(group["lr"]), dict(optimizer.state.get(p, {}))
    if "exp_avg" in state:
        t = float(state["step"])
        b1, b2 = (float(beta) for beta in group["betas"])
        m, v = state["exp_avg"].float() / (1 - b1**t), state["exp_avg_sq"].float() / (1 - b2**t)
        squares: Tensor = (m / (v.sqrt() + float(group["eps"]))).square().sum()
        return lr * lr * float(squares)
    if "square_avg" in state:
        return lr * lr * p.numel()
    if isinstance(optimizer, torch.optim.SGD) and not math.isnan(grad_norm):
        total: int = sum(q.numel() for g in optimizer.param_groups for q in g["params"])
        return lr * lr * grad_norm * grad_norm * p.numel() / max(total, 1)
    return None
