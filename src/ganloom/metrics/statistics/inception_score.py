"""Inception score: are samples sharp (one class each) and varied (all classes)?

Salimans et al. 2016, "Improved Techniques for Training GANs" (arXiv:1606.03498): exp E KL(p(y|x) || p(y)). The name is
the paper's; any classifier's logits will do, and scores of different classifiers cannot be compared.
"""

import torch

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_rows


def inception_score(logits: Features, splits: int = 10) -> tuple[float, float]:
    """Mean and standard deviation over ``splits`` consecutive parts of (N, K) ``logits``; between 1 and K.

    As published the parts are taken in order: shuffle first if the samples are sorted by class. It never looks at real
    data and cannot see a model that repeats one image a class. Raises `BadInput` on NaN, Inf, or fewer rows than
    splits.
    """
    rows = as_rows(logits, "logits", least=1)
    if not 1 <= splits <= len(rows):
        raise BadInput(f"splits: {splits} parts of {len(rows)} rows; choose from 1 to {len(rows)}")
    scores = []
    for part in rows.tensor_split(splits):
        log_p = part.double().log_softmax(1)
        log_marginal = log_p.logsumexp(0) - torch.tensor(len(part), dtype=torch.float64).log()
        scores.append((log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp())
    result = torch.stack(scores)
    return result.mean().item(), result.std(correction=0).item()
