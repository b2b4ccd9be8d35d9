"""What happens after an update with NaN or infinite values: stop, skip the update, or roll back to the last checkpoint."""

from typing import Any

from ganloom.core import randomness
from ganloom.training.nan_guard import NonFinite, autopsy

MOST_SKIPS = 20
"""Number of consecutive skipped updates after which the policy "skip" ends the run."""


class NanPolicy:
    """Finds out which update was refused, and applies ``TrainConfig.nan_policy``.

    Args:
        policy: "stop", "skip" or "rollback".
        max_rollbacks: Largest number of rollbacks before the run stops.
    """

    def __init__(self, policy: str, max_rollbacks: int) -> None:
        self.policy, self.max_rollbacks = policy, max_rollbacks
        self._batches: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        self._skips, self._skipped_at = 0, -2

    def note(self, step: int, index: int, repeat: int, draw: int, first: int, n: int) -> None:
        """Remember which batch an update used: draw number, first image, number of images."""
        self._batches[step, index, repeat] = (draw, first, n)

    def check(self, trainer: Any) -> bool:
        """Whether the run went back to a checkpoint because an update was refused since the last call.

        Raises:
            NonFinite: If the policy is to stop, or skips or rollbacks are used up.
        """
        place = trainer.guard.read()
        batches, self._batches = self._batches, {}
        if place is None:
            return False
        step, index, _ = place
        draw, first, n = batches[place]
        cause = _cause(trainer, place, draw, first)
        net = trainer.phases[index].net
        where = f"step {step}, kimg {first / 1000:g}, phase {net}, images {first} to {first + n - 1}"
        message = f"{cause} ({where} of the order)"
        trainer.guard.clear()
        if self.policy == "skip":
            self._skips = self._skips + 1 if step <= self._skipped_at + 1 else 1
            self._skipped_at = step
            if self._skips < MOST_SKIPS:
                trainer.event("nan", f"{message}: update skipped")
                return False
            message = f"{message}, the {MOST_SKIPS}th update in a row to be skipped"
        if self.policy == "rollback" and trainer.rollbacks < self.max_rollbacks:
            rollbacks, factor = trainer.rollbacks + 1, trainer.lr_factor / 2
            if trainer.storage.restore(trainer):
                trainer.rollbacks, trainer.lr_factor = rollbacks, factor
                trainer.event("nan", f"{message}: back to kimg {trainer.nimg / 1000:g}, learning rates x {factor:g}")
                return True
        advice = "try a lower learning rate or --precision float32"
        advice += ", or --nan-policy rollback" if self.policy == "stop" else ""
        raise NonFinite(f"{message}: training stopped, and nothing bad was saved; {advice}")


def _cause(trainer: Any, place: tuple[int, int, int], draw: int, position: int) -> str:
    """Repeat the refused update's loss on its own batch and random numbers, and name the first bad tensor."""
    step, index, repeat = place
    phase = trainer.phases[index]
    rng = randomness.Rng(trainer.cfg.seed, draw, position, trainer.processes.rank, trainer.processes.world)
    batch = trainer.gan.draw(trainer.data, rng)
    for parameter in trainer.windows.parameters[index]:
        parameter.requires_grad_(True)
    randomness.seed_all(randomness.key(trainer.cfg.seed, step, index, repeat))
    try:
        return autopsy(trainer.gan, lambda part: trainer.gan.loss_terms(phase, part), batch)
    finally:
        for parameter in trainer.windows.parameters[index]:
            parameter.requires_grad_(False)
