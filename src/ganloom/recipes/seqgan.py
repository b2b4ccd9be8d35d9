"""SeqGAN. "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", Yu et al. 2017, arXiv:1609.05473.

G is an LSTM with 32 units, D a CNN over the text with highway layer; both are pretrained (maximum likelihood; D on G's texts).
Reward of token t: the mean of D over N = 16 texts that a rollout policy completes from x_1 ... x_t; for the last token, D(x)
G minimises -sum_t log p(x_t | x_1 ... x_(t-1)) Q_t, where Q_t is the reward                                     (eq. 2, 4, 7)
The rollout policy follows G: after each update of G, 0.8 of its weights stay and 0.2 come from G
D minimises -E[log D(x)] - E[log(1 - D(G))], 5 times 3 epochs for each update of G                              (alg. 1, sec. 4)

About: SeqGAN is the first text GAN that trains G although a text has no gradient: D's verdict is the reward of reinforcement
learning, and rollouts say which token earned it. Use it to see how it works, and `mle` to generate texts: later work (Caccia et
al. 2020, arXiv:1811.02549) found that it is not better than maximum likelihood with a temperature below 1, and `ganloom bench
text` measures the same: G's texts become more probable and less varied. Watch reward (about D of a drawn text) and the likelihood
of held-out texts, which falls. It was published in 2017.

Departures from the paper: each update of D gets new texts of G, not three epochs over the same ones; the optimizer of D starts
again when its pretraining ends. With --baseline, the mean reward at each position is subtracted, which lowers the variance.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Batch, Phase, Terms
from ganloom.networks import sequence
from ganloom.nn.kept_weights import Weights
from ganloom.recipes.base import text_adversarial
from ganloom.recipes.base.text_adversarial import AdversarialText
from ganloom.texts.vocabulary import PAD

TITLE = "Text GAN by policy gradient with Monte-Carlo rollouts"
PAPER = "Yu et al. 2017, arXiv:1609.05473"
DATA = "texts, through `ganloom text train`"
KIMG = 32900.0  # default length of a run, thousands of texts: 120 and 150 epochs of 10,000, then 200 updates of G


@dataclass(frozen=True)
class Config(text_adversarial.Config):
    """The hyperparameters of the paper and of the authors' code, with 5 times 3 epochs of D for each update of G."""

    rollouts: int = 16
    """Completions of each beginning."""
    rollout_share: float = 0.2
    """Share of G's weights that the rollout policy takes over after each update."""
    baseline: bool = False
    """Subtract the mean reward of the batch at each position."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rollout_share <= 1:
            raise BadInput(f"--rollout-share must be above 0 and at most 1, got {self.rollout_share}")


class SeqGAN(AdversarialText):
    """Policy gradient with rollouts: generator G, discriminator D, and the delayed weights of the rollout policy."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.rollout = Weights(self.G)

    def policy(self, batch: Batch) -> Terms:
        """The policy gradient: the log likelihood of drawn texts, weighted by their rewards."""
        x, c = self.drawn(len(batch.x))
        rewards = self.rewards(x, c)
        weight = rewards - rewards.mean(0) if self.cfg.baseline else rewards
        loss = -(self.log_p(x, c) * weight * (x != PAD)).sum()
        return {"adv": loss, "reward": rewards[:, -1].mean()}

    @torch.no_grad()
    def rewards(self, x: Tensor, c: Tensor | None) -> Tensor:
        """The reward of each token (n, L): D of texts that begin with the tokens up to it."""
        n, length = x.shape
        many = self.cfg.rollouts
        again = None if c is None else c.repeat_interleave(many)
        found = []
        with self.rollout.in_use(self.G):
            before = sequence.states(self.G, x, c)
            for t in range(1, length):
                state = tuple(part.repeat_interleave(many, 0) for part in before[t])
                whole = sequence.draw(
                    self.G, self.z(n * many), again, prefix=x[:, :t].repeat_interleave(many, 0), state=state
                )
                found.append(self.probability(whole, again).view(n, many).mean(1))
        found.append(self.probability(x, c))
        return torch.stack(found, 1)

    def after_update(self, phase: Phase) -> None:
        super().after_update(phase)
        if "G" in phase.net.split():
            adversarial = phase.loss == self.policy
            self.rollout.move(self.G, self.cfg.rollout_share if adversarial else 1.0)


MODEL = SeqGAN
