"""Maximum mean discrepancy with a Gaussian kernel (CMMD).

Jayasumana et al. 2023, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation" (arXiv:2401.09603): 1000 x the
squared MMD of features of length 1, with k(x, y) = exp(-|x - y|^2 / (2 sd^2)), sd = 10. The paper uses CLIP features (file
``clip.pt2:size=336:norm=clip``). Here any net can be used; its name belongs to the number. The paper's code keeps the diagonal
of both kernel matrices, which adds a bias; here it is left out, so equal distributions have the mean 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import DistanceSpread, half_samples, random_subsets
from ganloom.metrics.statistics.rows import Features, as_pair, chunks
from ganloom.metrics.statistics.value import Value

_SCALE, _HALF = 1000.0, 1000
Kernel = Callable[[Tensor, Tensor], Tensor]


def gaussian_mmd(real: Features, fake: Features, *, bandwidth: float = 10.0, normalise: bool = True) -> float:
    """Compute 1000 x the unbiased squared MMD with a Gaussian kernel.

    Args:
        real: (N, d) features, N >= 2.
        fake: (M, d) features, M >= 2.
        bandwidth: standard deviation of the kernel.
        normalise: scale each feature vector to length 1 first, as the paper does.

    Returns:
        The number; near 0, also below it, for equal distributions.

    Raises:
        BadInput: a bandwidth that is not above 0, NaN or Inf, or different d.
    """
    a, b, kernel = _prepare(real, fake, bandwidth, normalise)
    n, m = len(a), len(b)
    within = sum((_total(x, x, kernel) - len(x)) / (len(x) * (len(x) - 1)) for x in (a, b))
    return _SCALE * float(within - 2 * _total(a, b, kernel) / (n * m))


def gaussian_mmd_interval(real: Features, fake: Features, *, bandwidth: float = 10.0, seed: int = 0) -> Value:
    """Compute `gaussian_mmd` and its 95 % interval over the draw of both sets.

    Args:
        real: (N, d) features, N >= 4.
        fake: (M, d) features, M >= 4.
        bandwidth: standard deviation of the kernel.
        seed: keys the half-samples, of at most 1,000 rows.

    Returns:
        The number and its interval.
    """
    value = gaussian_mmd(real, fake, bandwidth=bandwidth)
    a, b, kernel = _prepare(real, fake, bandwidth, True)
    x, y, share = random_subsets(a, b, _HALF, seed)
    aa, bb, ab = _SCALE * kernel(x, x), _SCALE * kernel(y, y), _SCALE * kernel(x, y)

    def statistic(i: Tensor, j: Tensor) -> dict[str, float]:
        n, m = len(i), len(j)
        within = (aa[i][:, i].sum() - _SCALE * n) / (n * (n - 1)) + (bb[j][:, j].sum() - _SCALE * m) / (m * (m - 1))
        return {"": float(within - 2 * ab[i][:, j].mean())}

    halves = half_samples(statistic, (len(x), len(y)), seed=seed, share=share)
    bias = sum((_SCALE - float(table.mean())) / len(rows) for table, rows in ((aa, a), (bb, b)))
    return Value(value, *DistanceSpread.of(halves, "", bias).interval(value))


def _prepare(real: Features, fake: Features, bandwidth: float, normalise: bool) -> tuple[Tensor, Tensor, Kernel]:
    """Both sets in float64, and the kernel of all pairs of rows."""
    if not bandwidth > 0:
        raise BadInput(f"bandwidth: {bandwidth}; it must be above 0")
    a, b = (x.double() for x in as_pair(real, fake))
    if normalise:
        a, b = (torch.nn.functional.normalize(x) for x in (a, b))

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
        return (squared.clamp(min=0) / (-2 * bandwidth**2)).exp()

    return a, b, kernel


def _total(x: Tensor, y: Tensor, kernel: Kernel) -> float:
    """Sum of the kernel over all pairs, in chunks."""
    return sum(float(kernel(part, y).sum()) for part in chunks(x, len(y)))
