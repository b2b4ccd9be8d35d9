"""The plain adversarial game, which most recipes share: D and G in turns, each down its own side of one loss."""

import torch
from torch import Tensor

from ganloom.gan import GAN, Batch, Phase, Terms
from ganloom.losses import Loss
from ganloom.scoring import Generated, Scores


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

    def fakes(self, n: int, batch: Batch) -> tuple[Generated, Tensor | None]:
        """G(z, c) of n samples, and c; G(z) and None of a model without labels."""
        c = self.labels(n, batch)
        return self.generated(self.z(n), *given(c)), c

    def scores(self, x: Tensor | Generated, c: Tensor | None) -> Scores:
        """D's scores of a batch with labels c, augmented as the recipe does; override for a D with other inputs."""
        return self.discriminate(self.augmented(x), *given(c))

    def augmented(self, x: Tensor | Generated) -> Tensor | Generated:
        """``seen`` of a batch; fakes that it does not change keep how they were generated."""
        batch = x.x if isinstance(x, Generated) else x
        changed = self.seen(batch)
        return x if changed is batch else changed

    def judged(self, batch: Batch, fake: Generated, c: Tensor | None) -> Terms:
        """D's adversarial terms of the batch against these fakes."""
        real_scores = self.scores(batch.x, batch.c if c is not None else None)
        fake_scores = self.scores(fake, c)  # two passes: BatchNorm computes statistics of reals and fakes separately
        self.note_reals(real_scores.first)
        return self.d_adversarial(self.loss, real_scores, fake_scores)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        return self.judged(batch, fake, c)

    def g_loss(self, batch: Batch) -> Terms:
        fake, c = self.fakes(len(batch.x) * getattr(self.cfg, "g_batch", 1), batch)
        labels = batch.c if c is not None else None
        real = None
        if self.loss.needs_real_in_g:
            with torch.no_grad():  # D is held, so the reals' logits carry no gradient to G
                real = self.scores(batch.x, labels)
        return self.g_adversarial(self.loss, self.scores(fake, c), real, reals=(batch.x, *given(labels)))


def given(c: Tensor | None) -> tuple[Tensor, ...]:
    """A condition as an argument, or none."""
    return () if c is None else (c,)
