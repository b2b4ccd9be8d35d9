"""Base class of anomaly detectors: models that learn normal samples only, and score how unusual a new one is."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.gan import GAN

BATCH = 128
"""Samples per pass when scores are computed."""


class OneClass(GAN):
    """A model with anomaly scores. A higher score means more unusual.

    A recipe sets ``score_names`` and implements ``scores_of``; ``features_of`` and ``maps_of`` are those of D.
    """

    supports_points = True
    score_names: tuple[str, ...] = ()
    """Names of the scores that the model gives; the first one is that of the paper."""
    needs_gradients = False
    """Whether ``scores_of`` computes gradients."""

    # ---- what a recipe defines
    def scores_of(self, x: Tensor) -> dict[str, Tensor]:
        """Return the scores (N,) of samples (N, *shape), by their names."""
        raise NotImplementedError(f"{type(self).__name__} must implement scores_of(x)")

    def rebuilt(self, x: Tensor) -> Tensor | None:
        """Return the samples as the model reconstructs them; None if it does not."""
        return None

    def maps_of(self, x: Tensor) -> list[Tensor]:
        """Return D's features at all layers, such as (N, C, H, W)."""
        maps: list[Tensor] = self.D.maps(x)
        return maps

    def features_of(self, x: Tensor) -> Tensor:
        """Return D's features below the logit, (N, F)."""
        return self.maps_of(x)[-1].flatten(1)

    def logits_of(self, output: Any) -> Tensor:
        """Return the logits in what D returns."""
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits

    # ---- for users
    def anomaly_scores(self, x: Tensor, each: Callable[[int, int], None] | None = None) -> dict[str, Tensor]:
        """Score how unusual samples are.

        Args:
            x: Samples (N, *shape), images in [-1, 1].
            each: Called with (samples done, N) after each batch.

        Returns:
            Name -> (N,) float32 on the CPU. The score of a sample does not depend on the others.
        """
        parts: dict[str, list[Tensor]] = {}
        for part in self.in_batches(x, self.scores_of, each):
            for name, values in part.items():
                parts.setdefault(name, []).append(values.float().cpu())
        return {name: torch.cat(values) for name, values in parts.items()}

    def in_batches(
        self, x: Tensor, function: Callable[[Tensor], Any], each: Callable[[int, int], None] | None = None
    ) -> list[Any]:
        """Apply a function of samples in batches of a fixed size, in eval mode.

        The last batch is filled up with zeros, because the last digits of a result may depend on the size of the batch.

        Args:
            x: Samples (N, *shape).
            function: From samples (BATCH, *shape) to a tensor, a dictionary or a list of tensors (BATCH, ...), or None.
            each: Called with (samples done, N) after each batch.

        Returns:
            The results, cut to the samples of the batch.

        Raises:
            BadInput: D sees several samples at once.
        """
        if getattr(self.parts if self.stabilisers is not None else None, "pack", 1) > 1:
            raise BadInput("this model was trained with --pack, so its D does not see single samples: train without it")
        results = []
        with sampling.unchanged(self), full_precision(), torch.set_grad_enabled(self.needs_gradients):
            for start in range(0, len(x), BATCH):
                part = x[start : start + BATCH].to(self.device, torch.float32)
                filled = torch.cat([part, part.new_zeros(BATCH - len(part), *part.shape[1:])])
                results.append(_cut(function(filled), len(part)))
                if each is not None:
                    each(min(start + BATCH, len(x)), len(x))
        return results


def _cut(result: Any, count: int) -> Any:
    if isinstance(result, Tensor):
        return result[:count].detach()
    if isinstance(result, dict):
        return {name: _cut(value, count) for name, value in result.items()}
    if isinstance(result, list | tuple):
        return [_cut(value, count) for value in result]
    return result
