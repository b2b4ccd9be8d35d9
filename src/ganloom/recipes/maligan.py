"""MaliGAN. "Maximum-Likelihood Augmented Discrete Generative Adversarial Networks", Che et al. 2017, arXiv:1702.07983.

The best D gives p_real / p_G = D / (1 - D), so drawn texts with weights r = D / (1 - D) stand for real ones         (sec. 3.1)
G minimises -sum_i (r_i / sum_j r_j - b) log p(x_i); the weights are normalised in a group of texts                    (eq. 6)
Mixed training: the first N tokens are those of a real text, with the likelihood loss; G completes it m times, and the m texts
are a group; N falls from L to 0 in the course of the training                                                 (alg. 2, sec. 3.3)
b rises from 0 to 1 / m; D minimises -E[log D(x)] - E[log(1 - D(G))]

About: MaliGAN replaces the reward of SeqGAN by an estimate of the likelihood of real texts, which is bounded and needs no
rollouts, and it begins near maximum likelihood. Use it to compare ways to train G on tokens; to generate texts, use `mle`
(Caccia et al. 2020, arXiv:1811.02549). Watch given (the number of real tokens) and weight (the largest weight of a group): near
1, one text decides the update. It was published in 2017.

Departures from the paper: G and D are those of SeqGAN; b is given as a share of 1 / m; N falls linearly with the time.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.gan import Adam, Batch, Terms
from ganloom.networks import sequence
from ganloom.nn.kept_weights import evaluating
from ganloom.recipes.base import text_adversarial
from ganloom.recipes.base.text_adversarial import AdversarialText
from ganloom.texts.vocabulary import PAD

TITLE = "Text GAN by importance weights, mixed with maximum likelihood"
PAPER = "Che et al. 2017, arXiv:1702.07983"
DATA = "texts, through `ganloom text train`"
KIMG = 3200.0  # default length of a run, thousands of texts


@dataclass(frozen=True)
class Config(text_adversarial.Config):
    """The paper's hyperparameters where it gives them; G and D of SeqGAN."""

    completions: int = 5
    """Texts in a group: the completions of one beginning."""
    mixed_kimg: float = 1000.0
    """Time in which the number of real tokens falls from the length to 0, in thousands of texts."""
    pretrain_kimg: float = 1200.0
    """Length of the pretraining of G, in thousands of texts."""
    d_pretrain_kimg: float = 300.0
    """Length of the pretraining of D, in thousands of texts."""
    d_updates: int = 5
    """Updates of D for each update of G."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-3, betas=(0.9, 0.999))
    """Optimizer of D."""


class MaliGAN(AdversarialText):
    """Importance weights of completions, mixed with maximum likelihood: generator G, discriminator D."""

    splits_by = None  # groups of completions

    @property
    def advance(self) -> float:
        """How far the mixed training is, in [0, 1]."""
        return self.adversarial_share(self.cfg.mixed_kimg)

    def policy(self, batch: Batch) -> Terms:
        """The likelihood of the given tokens, and that of completions by their weights."""
        given = round((1 - self.advance) * (self.cfg.length - 1))
        m = self.cfg.completions
        real = batch.x[: max(1, len(batch.x) // m)]
        c = None if batch.c is None else batch.c[: len(real)]
        again = None if c is None else c.repeat_interleave(m)
        with torch.no_grad():
            prefix = real[:, :given].repeat_interleave(m, 0) if given else None
            x = sequence.draw(self.G, self.z(len(real) * m), again, prefix=prefix)
            weights = self.weights(x, again)
        found = self.log_p(x, again) * (x != PAD)
        loss = -(weights.flatten()[:, None] * found[:, given:]).sum() / len(real)
        if given:
            own = self.log_p(real, c)[:, :given]
            loss = loss - own.sum() / len(real)
        return {"adv": loss, "given": loss.new_tensor(float(given)), "weight": weights.amax(1).mean()}

    def weights(self, x: Tensor, c: Tensor | None) -> Tensor:
        """The weights of groups of completions (groups, m), with the baseline subtracted."""
        m = self.cfg.completions
        with torch.no_grad(), evaluating(self.D):
            logits = self.discriminate(x, c).flat.view(-1, m)  # log(D / (1 - D))
        found: Tensor = F.softmax(logits, 1) - self.advance / m
        return found


MODEL = MaliGAN
