"""An adversarial recipe that has ADA built in, as StyleGAN2 and R3GAN do."""

from typing import Any

from torch import Tensor

from ganloom.augment.ada import Ada
from ganloom.gan import Phase
from ganloom.recipes.base.adversarial import Adversarial, given
from ganloom.scoring import Critic


class Augmented(Adversarial):
    """An adversarial game whose D sees images through ``ada``; None: as they are."""

    ada: Ada | None

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.ada = None

    def seen(self, x: Tensor) -> Tensor:
        """What D sees of images (N, C, H, W)."""
        return x if self.ada is None else self.ada(x)

    def augmented_critic(self, c: Tensor | None) -> Critic:
        """D as a function of the batch, augmented as in its loss, for penalties."""
        plain = self.critic(*given(c))
        return Critic(lambda x: plain(self.seen(x)), self.trace)

    def note_reals(self, logits: Tensor) -> None:
        if self.ada is not None:
            self.ada.note(logits)

    def after_update(self, phase: Phase) -> None:
        """The augmentation's strength."""
        super().after_update(phase)
        if self.ada is not None:
            self.set_strength(self.ada)

    def set_strength(self, ada: Ada) -> None:
        """Once an update: p follows r_t; fields ``ada_target`` and ``ada_kimg`` of the config."""
        ada.move(self.cfg.ada_target, self.cfg.ada_kimg)
