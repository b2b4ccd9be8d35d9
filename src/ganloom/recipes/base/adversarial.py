"""Base class of most recipes: D and G are updated in turns, each with its side of one loss."""

import torch
from torch import Tensor

from ganloom.gan import GAN, Batch, Phase, Terms
from ganloom.losses import Loss


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

    def seen(self, x: Tensor) -> Tensor:
        """Return images as D sees them, real or fake; override to augment them."""
        return x

    def note_reals(self, logits: Tensor) -> None:
        """Called with D's logits on reals in D's loss; override to accumulate them."""

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """Return labels for n fakes, drawn evenly over the classes; override to use the batch's labels."""
        return self.c(n)

    def fakes(self, n: int, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return n samples G(z, c) and their labels c (None for a model without labels)."""
        c = self.labels(n, batch)
        return self.G(self.z(n), *given(c)), c

    def judged(self, batch: Batch, fake: Tensor, c: Tensor | None) -> Terms:
        """Return D's loss on the batch and these fakes, and D's mean logits on both."""
        return self.judged_with_logits(batch, fake, c)[0]

    def judged_with_logits(self, batch: Batch, fake: Tensor, c: Tensor | None) -> tuple[Terms, tuple[Tensor, Tensor]]:
        """Return ``judged`` and D's logits on reals and on fakes."""
        real_logits = self.D(self.seen(batch.x), *given(batch.c if c is not None else None))
        fake_logits = self.D(self.seen(fake), *given(c))  # two passes, so that BatchNorm does not mix reals and fakes
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
            with torch.no_grad():  # the logits on reals do not depend on G
                real_logits = self.D(self.seen(batch.x), *given(batch.c if c is not None else None))
        return {"adv": self.loss.g(real_logits, self.D(self.seen(fake), *given(c)))}


def given(c: Tensor | None) -> tuple[Tensor, ...]:
    """Return the condition as a tuple of arguments; empty for None."""
    return () if c is None else (c,)
