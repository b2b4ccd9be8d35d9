"""Progressive growing by the number of images seen (kimg): the current level, and when each level is trained.

A level is trained for ``stage_kimg``, then the next one is faded in over the same time (Karras et al. 2017,
arXiv:1710.10196, app. A).
"""

import math
from typing import Any, NamedTuple

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Rng
from ganloom.networks.progressive import at_level
from ganloom.nn.layers import plan_sizes

Window = tuple[float, float]


def check_stages(cfg: Any) -> None:
    """Check the fields ``stage_kimg``, ``batch_size``, ``most_batch`` and ``full`` of a config; raise BadInput if they are
    wrong.
    """
    if not cfg.stage_kimg > 0:
        raise BadInput(f"--stage-kimg must be above 0, got {cfg.stage_kimg}")
    if cfg.full < 0:
        raise BadInput(f"--full must not be negative, got {cfg.full}")
    if cfg.most_batch < cfg.batch_size:
        raise BadInput(f"--most-batch must be at least --batch-size {cfg.batch_size}, got {cfg.most_batch}")


class Growing(GAN):
    """A GAN whose networks take a ``level``; its config has ``shape``, ``stage_kimg``, ``batch_size`` and ``most_batch``."""

    first_level = 0
    """Level at which training begins, or the highest level if that is lower."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.top = plan_sizes(*cfg.shape[1:])[2]
        self.first = min(self.first_level, self.top)

    @property
    def level(self) -> float:
        """Current level by the clock; a fraction while a level is faded in."""
        stage: float = self.cfg.stage_kimg
        if self.kimg >= 2 * stage * (self.top - self.first):
            return float(self.top)
        level, into = divmod(self.kimg, 2 * stage)
        return self.first + level + max(into - stage, 0.0) / stage

    def windows(self) -> list[tuple[Window, list[int], int]]:
        """Return the training windows in order.

        Returns:
            (window in kimg, levels whose images are shown in it, newest level) for each window. Each level has a window of
            training, then a window in which the next level is faded in.
        """
        stage, windows = self.cfg.stage_kimg, []
        for level in range(self.first, self.top):
            start = 2 * stage * (level - self.first)
            windows.append(((start, start + stage), [level], level))
            windows.append(((start + stage, start + 2 * stage), [level, level + 1], level + 1))
        return [*windows, ((2 * stage * (self.top - self.first), math.inf), [self.top], self.top)]

    def reals(self, batch: Any) -> Tensor:
        """Return the images of a batch, reduced to the current level."""
        return at_level(batch.x, self.level)

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw one batch; its size doubles with each level that is still to come."""
        to_come = self.top - math.ceil(self.level)
        batch: NamedTuple = data.draw(min(self.cfg.batch_size << to_come, self.cfg.most_batch), rng)
        return batch
