"""The peers' networks as a GAN of ours, run by the Trainer: the same layers, batch, losses and order of updates.

What differs is only how it is computed: doubling and 3x3 convolution are one transposed 4x4 convolution; channels_last,
and bf16 where it pays; logits and softplus in place of a sigmoid and its logarithm; fused Adam; D frozen in G's phase, G
without a graph in the critic's; and where D has no BatchNorm, real and fake pass through it together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom import penalties
from ganloom.bench.step.peers import BETAS, GP_WEIGHT, LR, PEERS, Z_DIM, build, ready_batches
from ganloom.core import randomness
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating, wasserstein


@dataclass(frozen=True)
class Config:
    """A peer's arguments."""

    shape: tuple[int, int, int]
    batch_size: int = 64
    z_dim: int = Z_DIM
    g_opt: Adam = Adam(LR, betas=BETAS)
    d_opt: Adam = Adam(LR, betas=BETAS)


class PeerShaped(GAN):
    """A peer's networks under our contract."""

    splits_by = None
    made: Tensor

    def __init__(self, name: str, seed: int = 0) -> None:
        peer = PEERS[name]
        super().__init__(Config(peer.shape, peer.batch))
        self.peer = peer
        randomness.seed_all(seed)
        self.G, self.D = (_network(build(table, ours=True), peer.conv) for table in (peer.g, peer.d))

    def phases(self) -> list[Phase]:
        if self.peer.critic:
            return [Phase("D", self.critic_loss, repeat=self.peer.n_critic), Phase("G", self.critic_g_loss)]
        return [Phase("G", self.g_loss), Phase("D", self.d_loss)]

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.G(self.z(len(batch.x)))
        self.made = fake.detach()
        return {"adv": nonsaturating.g(None, self.D(fake))}

    def d_loss(self, batch: Batch) -> Terms:
        """On the fakes of G's phase, as the scripts have it: whole batches only."""
        return {"adv": nonsaturating.d(*self._both(batch.x, self.made)) / 2}

    def critic_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.G(self.z(len(batch.x)))
        # The penalty has a pass of its own: in one with the others, second derivatives would run over their rows too.
        gp = GP_WEIGHT * penalties.wgan_gp(self.D, batch.x, fake)
        return {"adv": wasserstein.d(*self._both(batch.x, fake)), "gp": gp}

    def critic_g_loss(self, batch: Batch) -> Terms:
        return {"adv": wasserstein.g(None, self.D(self.G(self.z(len(batch.x)))))}

    def _both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and fake: two passes where BatchNorm sees them apart, else one, which spares half the calls."""
        if self.peer.conv:
            return self.D(real), self.D(fake)
        logits: Tensor = self.D(torch.cat([real, fake]))
        return logits[: len(real)], logits[len(real) :]


class Ready:
    """Data that costs nothing: the batches lie there."""

    def __init__(self, shape: tuple[int, ...], n: int, device: str) -> None:
        self.batches = [Batch(x) for x in ready_batches(shape, n, device)]
        self.drawn = 0

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """The next one."""
        self.drawn += 1
        return self.batches[self.drawn % len(self.batches)]


def _network(net: nn.Sequential, conv: bool) -> nn.Sequential:
    """Tell the Trainer what pays: bf16, and channels_last for convolutions (see networks/)."""
    net.channels_last, net.bf16 = conv, True  # type: ignore[assignment]
    return net
