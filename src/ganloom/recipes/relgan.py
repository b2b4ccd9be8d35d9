"""RelGAN. "RelGAN: Relational Generative Adversarial Networks for Text Generation", Nie et al. 2019, ICLR.

G is a relational memory: one slot, two heads of 256 (Santoro et al. 2018, arXiv:1806.01822)                       (sec. 2.1)
y_t = softmax(beta_t (o_t + g_t)) with Gumbel noise g_t; the next input is the token argmax(o_t + g_t)             (sec. 2.2)
beta = beta_max^(n / N) rises with the step n of N                                                                 (sec. 2.4)
D has 64 embedded representations of a text, each judged by convolutions of 2 to 5 tokens                          (sec. 2.3)
D minimises -E[log sigmoid(D(x) - D(G))], G minimises -E[log sigmoid(D(G) - D(x))]                                    (eq. 4)

About: RelGAN trains G with a gradient through a Gumbel softmax, so it needs no reinforcement learning, and the inverse
temperature trades quality for variety. It was the best of the text GANs that the literature compares in tables of BLEU and
NLL_oracle. Use it to see how a text GAN without rewards works. `mle` with a temperature is the control: measured at equal
likelihood of held-out texts, RelGAN is not better (Caccia et al. 2020, arXiv:1811.02549; `ganloom bench text`). Watch D's
logits: if they move apart, G learns little. It was published in 2019.

Departures from the paper: for texts of different lengths, what follows the end is padding for certain; no dropout in D, unless
--d-dropout is given.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.baselines.text_config import TextConfig
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import relativistic
from ganloom.networks import sequence
from ganloom.networks.relational_memory import RelationalMemory
from ganloom.networks.sequence import SequenceNetwork
from ganloom.networks.text_critics import ManyViews
from ganloom.recipes.base.text_adversarial import AdversarialText

TITLE = "Text GAN with Gumbel softmax, relational memory and a relativistic loss"
PAPER = "Nie et al. 2019, ICLR"
DATA = "texts, through `ganloom text train`"
KIMG = 2460.0  # default length of a run, thousands of texts: 150 epochs of 10,000, then 3,000 updates of G


@dataclass(frozen=True)
class Config(TextConfig):
    """The hyperparameters of the paper and of the authors' code."""

    slots: int = 1
    """Memory slots of G."""
    heads: int = 2
    """Attention heads of G."""
    head_size: int = 256
    """Width of a head."""
    beta_max: float = 100.0
    """The inverse temperature of the Gumbel softmax at the end; larger: more varied samples."""
    anneal_kimg: float = 960.0
    """Time in which it rises from 1, in thousands of texts of the adversarial training: 2,500 updates of G."""
    d_embedding: int = 64
    """Length of a token's vector in D, over all representations."""
    views: int = 64
    """Embedded representations in D; a divisor of `d_embedding`."""
    filters: tuple[tuple[int, int], ...] = ((2, 300), (3, 300), (4, 300), (5, 300))
    """(width, channels) of D's convolutions."""
    d_hidden: int = 100
    """Width of D's last hidden layer."""
    d_dropout: float = 0.0
    """Rate of dropout in D."""
    d_updates: int = 5
    """Updates of D for each update of G."""
    pretrain_kimg: float = 1500.0
    """Length of the pretraining of G, in thousands of texts."""
    pretrain_opt: Adam = Adam(1e-2, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of G in the pretraining."""
    g_opt: Adam = Adam(1e-4, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.999), clip=5.0)
    """Optimizer of D."""

    @property
    def d_pretrain_kimg(self) -> float:
        """D is not pretrained."""
        return 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views < 1 or self.d_embedding % self.views:
            raise BadInput(f"--d-embedding {self.d_embedding} must be a multiple of --views {self.views}")
        if not 1 <= self.beta_max < math.inf or not 0 <= self.anneal_kimg < math.inf:
            raise BadInput("--beta-max must be at least 1 and --anneal-kimg at least 0")


class RelGAN(AdversarialText):
    """Gumbel softmax and a relativistic loss: generator G with relational memory, discriminator D."""

    @staticmethod
    def network(cfg: Any) -> SequenceNetwork:
        """Build the relational memory."""
        return RelationalMemory(
            cfg.vocabulary,
            cfg.length,
            cfg.n_classes,
            cfg.embedding,
            cfg.slots,
            cfg.heads,
            cfg.head_size,
            cfg.fixed_length,
        )

    def discriminator(self, cfg: Any) -> nn.Module:
        """Build D with its many representations."""
        return ManyViews(
            cfg.vocabulary,
            cfg.length,
            cfg.n_classes,
            cfg.d_embedding,
            cfg.views,
            cfg.filters,
            cfg.d_hidden,
            cfg.d_dropout,
        )

    def adversarial(self, start: float) -> list[Phase]:
        """G, then D, from ``start`` kimg on."""
        return [
            Phase("G", self.policy, kimg=(start, math.inf)),
            Phase("D", self.judgement, repeat=self.cfg.d_updates, kimg=(start, math.inf)),
        ]

    @property
    def beta(self) -> float:
        """The present inverse temperature."""
        return float(self.cfg.beta_max ** self.adversarial_share(self.cfg.anneal_kimg))

    def soft(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Draw texts as distributions over the tokens (n, L, V), with a gradient, and their classes."""
        c = self.c(n)
        u = self.rand(n, self.cfg.length, self.cfg.vocabulary)
        gumbel = -(-u.clamp(1e-20).log()).clamp(1e-20).log()
        return sequence.soft_draw(self.G, gumbel, self.beta, c), c

    def judgement(self, batch: Batch) -> Terms:
        """D's relativistic loss."""
        with torch.no_grad():
            fake, c = self.soft(len(batch.x))
        return self.d_adversarial(relativistic, self.discriminate(batch.x, batch.c), self.discriminate(fake, c))

    def policy(self, batch: Batch) -> Terms:
        """G's relativistic loss."""
        fake, c = self.soft(len(batch.x))
        terms = self.g_adversarial(relativistic, self.discriminate(fake, c), self.discriminate(batch.x, batch.c))
        return terms | {"beta": fake.new_tensor(self.beta)}


MODEL = RelGAN
