"""Settings of the training length, precision and safety that all recipes share."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganloom.core.errors import BadInput

ENDLESS = 1e9
"""Length in kimg of a run that ends for another reason, such as its time."""


@dataclass(frozen=True)
class TrainConfig:
    """Training settings that every recipe shares. The paper's own numbers are in the recipe's config."""

    total_kimg: float | None = None
    """Length of the run, in thousands of real images. None: the recipe's own length."""
    minutes: float | None = None
    """Stop after this many minutes of training, without the time for images and measurements. Without --total-kimg, schedules are
    stretched to the images that fit into the time. None: no limit."""
    kimg_per_tick: float = 4.0
    """Thousands of images between two rows of statistics."""
    kimg_per_checkpoint: float = 40.0
    """Thousands of images between two checkpoints."""
    seed: int = 0
    """Seed of all random numbers."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: str = "auto"
    """float32, bf16 (inside the networks only), or auto: bf16 if a short test finds it faster on this machine."""
    micro_batch: int | None = None
    """Samples per backward pass; gradients are accumulated over the batch. None: the whole batch at once."""
    nan_policy: str = "stop"
    """On a NaN or infinity: stop, skip (drop the update) or rollback (last checkpoint, learning rates halved)."""
    max_rollbacks: int = 3
    """Largest number of rollbacks before the run stops."""
    keep: int = 3
    """Number of checkpoints to keep, in addition to the best one."""
    grid: int = 64
    """Number of samples in each image grid."""
    judge: int = 1000
    """Number of samples that each checkpoint is measured on, to keep the best one. 0: do not measure."""
    doctor: bool = True
    """Check the training at ticks and report problems; see docs/doctor.md."""
    heal: int = 0
    """How many times a failing run may go back to its last healthy checkpoint and change one setting."""
    stop_on_plateau: float | None = None
    """Stop if the best checkpoint has not improved for this many thousand images."""

    def __post_init__(self) -> None:
        for name in ("total_kimg", "kimg_per_tick", "kimg_per_checkpoint", "stop_on_plateau", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"--{name.replace('_', '-')} must be above 0, got {value}")
        minimum = {"micro_batch": 1, "keep": 1, "grid": 1, "judge": 0, "max_rollbacks": 0, "heal": 0}
        for name, smallest in minimum.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise BadInput(f"--{name.replace('_', '-')} must be at least {smallest}, got {value}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"--seed must be in 0..2^63 - 1, got {self.seed}")
        _one_of("precision", self.precision, ("auto", "float32", "bf16"))
        _one_of("nan-policy", self.nan_policy, ("stop", "skip", "rollback"))


def _one_of(flag: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise BadInput(f'--{flag} must be one of {", ".join(allowed)}, got "{value}"')
