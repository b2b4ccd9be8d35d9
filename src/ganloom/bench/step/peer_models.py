"""The networks of PyTorch-GAN's scripts as a GAN for the Trainer: the same layers, batch size, losses and order of updates.

Only the way of computing differs: upsampling and 3x3 convolution are one transposed 4x4 convolution; channels_last, and bf16
if it is faster; logits and softplus instead of a sigmoid and its logarithm; fused Adam; D is frozen in G's phase, and G has no
graph in the critic's phase; without BatchNorm, real and fake images go through D in one batch.
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
    """The arguments of a script."""

    shape: tuple[int, int, int]
    batch_size: int = 64
    z_dim: int = Z_DIM
    g_opt: Adam = Adam(LR, betas=BETAS)
    d_opt: Adam = Adam(LR, betas=BETAS)


class PeerShaped(GAN):
    """The networks of a script as a GAN.

    Args:
        name: A key of ``PEERS``.
        seed: Seed of the weights.
    """

    splits_by = None
    fakes: Tensor

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
        self.fakes = fake.detach()
        return {"adv": nonsaturating.g(None, self.D(fake))}

    def d_loss(self, batch: Batch) -> Terms:
        """D's loss on the fakes of G's phase, as in the scripts; only for whole batches."""
        return {"adv": nonsaturating.d(*self._both(batch.x, self.fakes)) / 2}

    def critic_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.G(self.z(len(batch.x)))
        # The penalty has its own pass: in a common pass, second derivatives would include the other rows.
        gp = GP_WEIGHT * penalties.wgan_gp(self.D, batch.x, fake)
        return {"adv": wasserstein.d(*self._both(batch.x, fake)), "gp": gp}

    def critic_g_loss(self, batch: Batch) -> Terms:
        return {"adv": wasserstein.g(None, self.D(self.G(self.z(len(batch.x)))))}

    def _both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and fake images: in two passes with BatchNorm, else in one."""
        if self.peer.conv:
            return self.D(real), self.D(fake)
        logits: Tensor = self.D(torch.cat([real, fake]))
        return logits[: len(real)], logits[len(real) :]


class Ready:
    """Data without cost: prepared batches.

    Args:
        shape: Shape of an image.
        n: Batch size.
        device: The device.
    """

    def __init__(self, shape: tuple[int, ...], n: int, device: str) -> None:
        self.batches = [Batch(x) for x in ready_batches(shape, n, device)]
        self.count = 0

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """Return the next batch."""
        self.count += 1
        return self.batches[self.count % len(self.batches)]


def _network(net: nn.Sequential, conv: bool) -> nn.Sequential:
    """Mark a network for the Trainer: bf16, and channels_last for convolutions (see networks/)."""
    net.channels_last, net.bf16 = conv, True  # type: ignore[assignment]
    return net
