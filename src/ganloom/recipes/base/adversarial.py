"""The plain adversarial game, which most recipes share: D and G in turns, each down its own side of one loss."""

import torch
from torch import Tensor

from ganloom.gan import GAN, Batch, Phase, Terms
from ganloom.losses import Loss


class Adversarial(GAN):
    """Algorithm 1 of Goodfellow et al. 2014, arXiv:1406.2661, on logits.

    D: x, c from the data; G(z, c) with z and c drawn anew; D descends ``loss.d(D(x, c), D(G(z, c), c))``.
    G: z, c drawn anew; G descends ``loss.g(., D(G(z, c), c))``.

    A recipe sets ``loss``, adds its own terms to what ``d_loss`` and ``g_loss`` return, and overrides what differs. Of its
    config the fields ``n_critic`` (updates of D for one of G) and ``g_batch`` (fakes of G's batch for each of D's) are
    used, where it has them.
    """

    loss: Loss

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss, repeat=getattr(self.cfg, "n_critic", 1)), Phase("G", self.g_loss)]

    def seen(self, x: Tensor) -> Tensor:
        """What D sees of images, real and fake alike; override to augment."""
        return x

    def note_reals(self, logits: Tensor) -> None:
        """Called with D's logits on reals in D's loss; override to add them to sums."""

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """Conditions for n fakes: drawn evenly over the classes; override to take the batch's own."""
        return self.c(n)

    def fakes(self, n: int, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """G(z, c) of n samples, and c; G(z) and None of a model without conditions."""
        c = self.labels(n, batch)
        return self.G(self.z(n), *given(c)), c

    def judged(self, batch: Batch, fake: Tensor, c: Tensor | None) -> Terms:
        """D's loss of the batch against these fakes, and D's mean logits of both."""
        return self.judged_with_logits(batch, fake, c)[0]

    def judged_with_logits(self, batch: Batch, fake: Tensor, c: Tensor | None) -> tuple[Terms, tuple[Tensor, Tensor]]:
        """``judged``, and D's logits of reals and of fakes."""
        real_logits = self.D(self.seen(batch.x), *given(batch.c if c is not None else None))
        fake_logits = self.D(self.seen(fake), *given(c))  # two passes: BatchNorm sees reals and fakes apart
        self.note_reals(real_logits)
        terms = {
            "adv": self.loss.d(real_logits, fake_logits),
            "logits_real": real_logits.detach().mean(),
            "logits_fake": fake_logits.detach().mean(),
        }
        return terms, (real_logits, fake_logits)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        return self.judged(batch, fake, c)

    def g_loss(self, batch: Batch) -> Terms:
        fake, c = self.fakes(len(batch.x) * getattr(self.cfg, "g_batch", 1), batch)
        real_logits = None
        if self.loss.needs_real_in_g:
            with torch.no_grad():  # D is held, so the reals' logits carry no gradient to G
                real_logits = self.D(self.seen(batch.x), *given(batch.c if c is not None else None))
        return {"adv": self.loss.g(real_logits, self.D(self.seen(fake), *given(c)))}


def given(c: Tensor | None) -> tuple[Tensor, ...]:
    """A condition as an argument, or none."""
    return () if c is None else (c,)
