"""Base class of adversarial recipes with built-in ADA: StyleGAN2 and R3GAN."""

from typing import Any

from torch import Tensor

from ganloom.augment.ada import Ada
from ganloom.gan import Phase
from ganloom.recipes.base.adversarial import Adversarial, as_arguments
from ganloom.scoring import Critic


class Augmented(Adversarial):
    """Adversarial training in which D's inputs are augmented by ``ada``; None: no augmentation."""

    ada: Ada | None

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.ada = None

    def augment_for_d(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) as D sees them: augmented if ``ada`` is set."""
        return x if self.ada is None else self.ada(x)

    def augmented_critic(self, c: Tensor | None) -> Critic:
        """D as a function of the batch, augmented as in its loss, for penalties."""
        critic = self.critic(*as_arguments(c))
        return Critic(lambda x: critic(self.augment_for_d(x)), self.trace)

    def note_reals(self, logits: Tensor) -> None:
        if self.ada is not None:
            self.ada.note(logits)

    def after_update(self, phase: Phase) -> None:
        """Update the strength of the augmentation."""
        super().after_update(phase)
        if self.ada is not None:
            self.set_strength(self.ada)

    def set_strength(self, ada: Ada) -> None:
        """Move p by r_t once per update, with ``ada_target`` and ``ada_kimg`` of the config."""
        ada.move(self.cfg.ada_target, self.cfg.ada_kimg)
