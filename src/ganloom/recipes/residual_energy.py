"""Residual energy. "Residual Energy-Based Models for Text Generation", Deng et al. 2020, arXiv:2004.11714.

p(x) = p_G(x) exp(E(x)) / Z, where G is a language model that is trained first and then fixed                          (eq. 1)
D minimises -E[log sigmoid(E(x))] - E[log sigmoid(-E(G))]: noise contrastive estimation with the noise G               (eq. 2)
Sampling: draw K texts from G, keep one with the probability exp(E) / sum exp(E)                                      (alg. 1)
log Z = log E_G[exp(E)], from drawn texts; so held-out texts have a likelihood                                       (sec. 3.3)

About: The discriminator is not an opponent but a correction of the language model: what D finds out about G's texts changes their
probabilities. It is the one method here that improves quality and likelihood at once, where the language model is weak: narrow,
or trained on little. Its price is K texts drawn for each that is kept. Use it if `mle` is too small for your texts. Watch
validation_bce: at ln 2 = 0.693, D knows nothing, and sampling changes nothing. It was published in 2020.

Departures from the paper: G is an LSTM or a small transformer and D a CNN, not a fine-tuned BERT; in
training, a share of the tokens is hidden from D; of the running mean of D's weights, those with the lowest loss on held-out texts
are kept.
"""

import contextlib
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganloom.core.randomness import key
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import minimax
from ganloom.networks import sequence
from ganloom.nn.kept_weights import Weights, evaluating
from ganloom.recipes.base import text_adversarial
from ganloom.recipes.base.text_adversarial import AdversarialText
from ganloom.texts.vocabulary import PAD

TITLE = "Language model corrected by a discriminator: residual energy with resampling"
PAPER = "Deng et al. 2020, arXiv:2004.11714"
DATA = "texts, through `ganloom text train`"
KIMG = 1800.0  # default length of a run, thousands of texts


@dataclass(frozen=True)
class Config(text_adversarial.PretrainedConfig):
    """G of SeqGAN and a discriminator of similar size; the pretraining of G is the longest part."""

    REMOVED: ClassVar = ("d_l2", "d_updates", "d_pretrain_kimg")
    """Former fields without an effect."""

    candidates: int = 16
    """K, the texts that are drawn for each that is kept."""
    filters: tuple[tuple[int, int], ...] = ((2, 64), (3, 64), (4, 64), (5, 64))
    """(width, channels) of D's convolutions."""
    d_embedding: int = 32
    """Length of a token's vector in D."""
    d_dropout: float = 0.5
    """Rate of dropout in D."""
    d_mask: float = 0.15
    """Share of the tokens that are hidden from D in training, real and drawn ones, against overfitting."""
    d_decay: float = 0.99
    """Share of the mean of D's weights that stays at each update of D; samples are drawn with the mean."""
    d_opt: Adam = Adam(1e-3, betas=(0.9, 0.999), weight_decay=1e-4)
    """Optimizer of D."""


class ResidualEnergy(AdversarialText):
    """A fixed language model G and a discriminator D as its residual energy."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.mean_d, self.best_d = Weights(self.D), Weights(self.D)
        self._noise: tuple[Tensor, Tensor | None] | None = None

    def phases(self) -> list[Phase]:
        """The pretraining of G, and then D alone: G is fixed."""
        begin = self.cfg.pretrain_kimg
        first = [self.pretraining(begin)] if begin else []
        return [*first, Phase("D", self.judgement, kimg=(begin, math.inf))]

    def discriminator(self, cfg: Any) -> nn.Module:
        """Build D, with smaller embeddings than SeqGAN's."""
        net = super().discriminator(cfg)
        nn.init.normal_(net.get_parameter("embed"), 0.0, 0.3)
        return net

    def judgement(self, batch: Batch) -> Terms:
        """D's loss on texts with hidden tokens, and its lowest loss on held-out texts, of which D sees all."""
        fake, c = self.drawn(len(batch.x))
        real = self.discriminate(self.hidden(batch.x), batch.c)
        terms = self.d_adversarial(minimax, real, self.discriminate(self.hidden(fake), c))
        if self.best_d.kept:
            terms["validation_bce"] = self.best_d.loss.clone() / 2
        return terms

    def hidden(self, x: Tensor) -> Tensor:
        """Rows with a share of their tokens replaced by padding."""
        return x.masked_fill(self.rand(*x.shape) < self.cfg.d_mask, PAD) if self.cfg.d_mask else x

    def after_update(self, phase: Phase) -> None:
        super().after_update(phase)
        if phase.net != "D":
            return
        self.best_d.updates += 1
        updates = int(self.best_d.updates)
        self.mean_d.move(self.D, 1.0 if updates == 1 else 1 - self.cfg.d_decay)
        if self._validation is not None and updates % self.cfg.check_every == 0:
            with self.mean_d.in_use(self.D):
                self.best_d.keep_best(self.D, self.contrast())

    @torch.no_grad()
    def contrast(self) -> float:
        """D's loss on the validation texts and equally many texts of G, which are always the same."""
        x, c = self.validation_texts()
        u = torch.rand(len(x), self.cfg.length, generator=torch.Generator().manual_seed(key("contrast")))
        if self._noise is None:
            with evaluating(self.G):
                self._noise = sequence.draw(self.G, u.to(self.device), c), c
        with evaluating(self.D):
            return float(minimax.d(self.D(x, c), self.D(*self._noise)))

    # ---- sampling and measuring
    def z(self, n: int) -> Tensor:
        """Draw latents (n, K L + 1), uniform in [0, 1): those of the candidates, and the choice."""
        return self.rand(n, self.cfg.candidates * self.cfg.length + 1)

    @property
    def corrects(self) -> bool:
        """Whether D has trained, so that samples are resampled."""
        return bool(self.kimg > self.cfg.pretrain_kimg)

    def d_weights(self) -> contextlib.AbstractContextManager[None]:
        """Inside, D has the weights with the lowest loss on held-out texts; without such texts, the mean ones."""
        return (self.best_d if self.best_d.kept else self.mean_d).in_use(self.D)

    def sample(
        self,
        z: Tensor,
        c: Tensor | None = None,
        temperature: float = 1.0,
        unknown: bool = True,
        truncation: float = 1.0,
    ) -> Tensor:
        """Draw rows (n, L) of tokens, as float: K of G for each, of which one is kept; see the base class."""
        many = self.cfg.candidates if self.corrects else 1
        n, length = len(z), self.cfg.length
        again = None if c is None else c.repeat_interleave(many)
        u = z[:, : many * length].reshape(n * many, length)
        rows = super().sample(u, again, temperature, unknown)
        if many == 1:
            return rows
        with self.d_weights(), evaluating(self.D):
            energies = self.D(rows.long(), again).view(n, many)
        chosen = sequence.choose(energies, z[:, -1])
        return rows.view(n, many, length)[torch.arange(n, device=z.device), chosen]

    @torch.no_grad()
    def log_likelihood(self, x: Tensor, c: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """log p of rows (n,): that of G plus the energy minus log Z. Z is estimated from texts of G, for each class."""
        found = super().log_likelihood(x, c, temperature)
        if not self.corrects:
            return found
        with self.d_weights(), evaluating(self.D), evaluating(self.G):
            parts = [self.D(x[i : i + 500], None if c is None else c[i : i + 500]) for i in range(0, len(x), 500)]
            own = torch.cat(parts)
            if c is None:
                return found + own - self._log_z(None, temperature)
            each = {k: self._log_z(k, temperature) for k in c.unique().tolist()}
        return found + own - torch.tensor([each[k] for k in c.tolist()], device=x.device)

    def _log_z(self, label: int | None, temperature: float) -> float:
        """The logarithm of the mean of exp(E) over texts of G, always from the same random numbers."""
        generator, energies = torch.Generator().manual_seed(key("log Z")), []
        for _ in range(32 if label is None else 8):
            u = torch.rand(500, self.cfg.length, generator=generator).to(self.device)
            c = None if label is None else torch.full((500,), label, device=self.device)
            energies.append(self.D(sequence.draw(self.G, u, c, temperature=temperature), c))
        every = torch.cat(energies)
        return float(every.logsumexp(0)) - math.log(len(every))


MODEL = ResidualEnergy
