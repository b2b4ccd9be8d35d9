"""The settings that every text model has, and the check of their numbers."""

import math
from dataclasses import dataclass
from typing import Any

from ganloom.core.errors import BadInput


@dataclass(frozen=True)
class TextConfig:
    """What every text model has. The vocabulary, the length and the classes come from the texts."""

    vocabulary: int = 5000
    """Number of tokens, with the special ones."""
    length: int = 20
    """Tokens in a text, with the one that ends it."""
    n_classes: int = 0
    """Number of classes; 0: texts without labels."""
    fixed_length: bool = False
    """All texts have `length` tokens and no end."""
    embedding: int = 32
    """Length of a token's vector in G; a transformer has its width instead."""
    check_every: int = 100
    """Updates between two checks on validation texts."""
    batch_size: int = 64
    """Texts per batch."""

    def __post_init__(self) -> None:
        check_sizes(self)


def check_sizes(cfg: Any) -> None:
    """Raise BadInput if a number of a text model's config is out of range."""
    least = {
        "vocabulary": 5, "length": 1, "embedding": 1, "hidden": 1, "layers": 1, "heads": 1, "check_every": 1, "batch_size": 1,
        "rollouts": 1, "d_updates": 1, "slots": 1, "head_size": 1, "views": 1, "completions": 2, "candidates": 2,
    }  # fmt: skip
    for name, smallest in least.items():
        if getattr(cfg, name, smallest) < smallest:
            raise BadInput(f"--{name.replace('_', '-')} must be at least {smallest}, got {getattr(cfg, name)}")
    for name in ("dropout", "d_dropout", "d_mask", "d_decay"):
        if not 0 <= getattr(cfg, name, 0.0) < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be in [0, 1), got {getattr(cfg, name)}")
    for name in ("pretrain_kimg", "d_pretrain_kimg"):
        if not 0 <= getattr(cfg, name, 0.0) < math.inf:
            raise BadInput(f"--{name.replace('_', '-')} must be 0 or more, got {getattr(cfg, name)}")
