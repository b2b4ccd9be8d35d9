"""The base of text GANs: maximum likelihood first, then D alone, then D and G by the recipe's own loss."""

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.baselines import mle
from ganloom.baselines.mle import LanguageModel
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import minimax
from ganloom.networks.sequence import log_likelihood
from ganloom.networks.text_critics import TextCNN
from ganloom.nn.kept_weights import evaluating

FILTERS = (
    (1, 100), (2, 200), (3, 200), (4, 200), (5, 200), (6, 100), (7, 100), (8, 100), (9, 100), (10, 100), (15, 160), (20, 160),
)  # fmt: skip
"""(width, channels) of the convolutions of SeqGAN's discriminator, for texts of 20 tokens."""


@dataclass(frozen=True)
class PretrainedConfig(mle.Config):
    """What every recipe with a pretrained G and a discriminator of whole texts has."""

    pretrain_kimg: float = 1200.0
    """Length of the pretraining of G, in thousands of texts."""
    d_embedding: int = 64
    """Length of a token's vector in D."""
    filters: tuple[tuple[int, int], ...] = FILTERS
    """(width, channels) of D's convolutions."""
    d_dropout: float = 0.25
    """Rate of dropout in D."""
    pretrain_opt: Adam = Adam(1e-2, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of G in the pretraining."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.999))
    """Optimizer of D."""


@dataclass(frozen=True)
class Config(PretrainedConfig):
    """What SeqGAN and its successors have: G of SeqGAN, its discriminator, and the lengths of the pretraining."""

    d_pretrain_kimg: float = 1500.0
    """Length of the pretraining of D, in thousands of texts."""
    d_updates: int = 2355
    """Updates of D for each update of G."""
    d_l2: float = 0.2
    """Weight of the squared norm of D's last layer."""


class AdversarialText(LanguageModel):
    """A language model G and a discriminator D of whole texts.

    The windows: until ``pretrain_kimg``, maximum likelihood; then, for ``d_pretrain_kimg``, D alone; then D and G.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.D = self.discriminator(cfg)

    def discriminator(self, cfg: Any) -> torch.nn.Module:
        """Build D."""
        return TextCNN(cfg.vocabulary, cfg.length, cfg.n_classes, cfg.d_embedding, cfg.filters, cfg.d_dropout)

    def phases(self) -> list[Phase]:
        cfg = self.cfg
        begin, start = cfg.pretrain_kimg, cfg.pretrain_kimg + cfg.d_pretrain_kimg
        first = [self.pretraining(begin)] if begin else []
        second = [Phase("D", self.judgement, kimg=(begin, start))] if start > begin else []
        return [*first, *second, *self.adversarial(start)]

    def pretraining(self, until: float = math.inf) -> Phase:
        """The phase that maximises the likelihood, with an optimizer of its own."""
        return Phase("G", self.likelihood, self.cfg.pretrain_opt, kimg=(0.0, until))

    def adversarial(self, start: float) -> list[Phase]:
        """The phases of D and G from ``start`` kimg on."""
        return [
            Phase("D", self.judgement, repeat=self.cfg.d_updates, kimg=(start, math.inf)),
            Phase("G", self.policy, kimg=(start, math.inf)),
        ]

    def adversarial_share(self, kimg: float) -> float:
        """The share, in [0, 1], of the first ``kimg`` of the adversarial training that is over."""
        start: float = self.cfg.pretrain_kimg + self.cfg.d_pretrain_kimg
        return min(max((self.kimg - start) / kimg, 0.0), 1.0) if kimg > 0 else 1.0

    def judgement(self, batch: Batch) -> Terms:
        """D's loss: real texts against drawn ones, and the penalty on D's last layer."""
        fake, c = self.drawn(len(batch.x))
        real = self.discriminate(batch.x, batch.c)
        terms = self.d_adversarial(minimax, real, self.discriminate(fake, c))
        if self.cfg.d_l2:
            out = self.D.out
            terms["l2"] = self.cfg.d_l2 * (out.weight.square().sum() + out.bias.square().sum()) / 2
        return terms

    def policy(self, batch: Batch) -> Terms:
        """G's loss."""
        raise NotImplementedError

    def sampling_weights(self) -> contextlib.AbstractContextManager[None]:
        """Inside, G has the weights that samples are drawn with: after the pretraining, its own."""
        return contextlib.nullcontext() if self.kimg >= self.cfg.pretrain_kimg else super().sampling_weights()

    def log_p(self, x: Tensor, c: Tensor | None) -> Tensor:
        """log p of each token (n, L), with a gradient."""
        return log_likelihood(self.G(x, c), x)

    def probability(self, x: Tensor, c: Tensor | None) -> Tensor:
        """D's probability that a text is real (n,), without dropout."""
        with torch.no_grad(), evaluating(self.D):
            return self.discriminate(x, c).flat.sigmoid()
