"""Inception score: are samples sharp (one class each) and varied (all classes)?

Salimans et al. 2016, "Improved Techniques for Training GANs" (arXiv:1606.03498): exp E KL(p(y|x) || p(y)). The name is
from the paper. The logits of any classifier can be used, but scores of different classifiers cannot be compared.
"""

import torch

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_rows


def inception_score(logits: Features, splits: int = 10) -> tuple[float, float]:
    """Compute the mean and the standard deviation over parts of the samples.

    The parts are consecutive, as published: shuffle first if the samples are sorted by class. The score does not use real
    data. It cannot detect a model that repeats one image for each class.

    Args:
        logits: (N, K).
        splits: number of parts.

    Returns:
        (mean, standard deviation). The mean is between 1 and K.

    Raises:
        BadInput: NaN or Inf, or fewer rows than parts.
    """
    rows = as_rows(logits, "logits", least=1)
    if not 1 <= splits <= len(rows):
        raise BadInput(f"splits: {splits} parts of {len(rows)} rows; choose 1 to {len(rows)}")
    scores = []
    for part in rows.tensor_split(splits):
        log_p = part.double().log_softmax(1)
        log_marginal = log_p.logsumexp(0) - torch.tensor(len(part), dtype=torch.float64).log()
        scores.append((log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp())
    result = torch.stack(scores)
    return result.mean().item(), result.std(correction=0).item()
