"""Base class of most recipes: D and G are updated in turns, each with its own term of the same loss."""

import torch
from torch import Tensor

from ganloom.gan import GAN, Batch, Phase, Terms
from ganloom.losses import Loss
from ganloom.scoring import Generated, Scores


class Adversarial(GAN):
    """Adversarial training after algorithm 1 of Goodfellow et al. 2014, arXiv:1406.2661, on logits.

    D: x, c from the data; G(z, c) with new z and c; D minimises ``loss.d(D(x, c), D(G(z, c), c))``.
    G: new z, c; G minimises ``loss.g(., D(G(z, c), c))``.

    A recipe sets ``loss``, adds terms to the results of ``d_loss`` and ``g_loss``, and overrides what differs. Config fields
    that are used if present: ``n_critic`` (updates of D per update of G) and ``g_batch`` (fakes in a step of G, as a multiple
    of the batch size).
    """

    loss: Loss

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss, repeat=getattr(self.cfg, "n_critic", 1)), Phase("G", self.g_loss)]

    def augment_for_d(self, x: Tensor) -> Tensor:
        """Return images as D sees them, real or fake; override to augment them."""
        return x

    def note_reals(self, logits: Tensor) -> None:
        """Called with D's logits on reals in D's loss; override to accumulate them."""

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """Return labels for n fakes, drawn evenly over the classes; override to use the batch's labels."""
        return self.c(n)

    def fakes(self, n: int, batch: Batch) -> tuple[Generated, Tensor | None]:
        """Return n samples G(z, c) and their labels c (None for a model without labels)."""
        c = self.labels(n, batch)
        return self.generated(self.z(n), *as_arguments(c)), c

    def scores(self, x: Tensor | Generated, c: Tensor | None) -> Scores:
        """Return D's scores of a batch with labels c, augmented as the recipe does; override for a D with other inputs."""
        return self.discriminate(self.augmented(x), *as_arguments(c))

    def augmented(self, x: Tensor | Generated) -> Tensor | Generated:
        """Apply ``augment_for_d`` to a batch; if it changes nothing, fakes keep how they were generated."""
        batch = x.x if isinstance(x, Generated) else x
        output = self.augment_for_d(batch)
        return x if output is batch else output

    def d_terms(self, batch: Batch, fake: Generated, c: Tensor | None) -> Terms:
        """Return D's adversarial terms of the batch and these fakes."""
        real_scores = self.scores(batch.x, batch.c if c is not None else None)
        fake_scores = self.scores(fake, c)  # two passes: BatchNorm computes statistics of reals and fakes separately
        self.note_reals(real_scores.first)
        return self.d_adversarial(self.loss, real_scores, fake_scores)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        return self.d_terms(batch, fake, c)

    def g_loss(self, batch: Batch) -> Terms:
        fake, c = self.fakes(len(batch.x) * getattr(self.cfg, "g_batch", 1), batch)
        labels = batch.c if c is not None else None
        real = None
        if self.loss.needs_real_in_g:
            with torch.no_grad():  # the logits on reals do not depend on G
                real = self.scores(batch.x, labels)
        return self.g_adversarial(self.loss, self.scores(fake, c), real, reals=(batch.x, *as_arguments(labels)))


def as_arguments(c: Tensor | None) -> tuple[Tensor, ...]:
    """Return the condition as a tuple of arguments; empty for None."""
    return () if c is None else (c,)
