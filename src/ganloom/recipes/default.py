"""The GAN that a newcomer gets without choosing."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom import penalties
from ganloom.gan import GAN, Adam, Batch, Knots, Phase, Terms
from ganloom.layers import DownsampleConv, MinibatchStddev, UpsampleConv, crop, plan_sizes
from ganloom.losses import LOSSES


@dataclass(frozen=True)
class Config:
    shape: tuple[int, int, int] = (3, 64, 64)
    z_dim: int = 64
    width: int = 64
    batch_size: int = 64
    loss: str = "relativistic"
    gamma: float = 0.3
    lazy: int = 4
    r2: bool = True
    blocks: int = 1
    norm: bool = True
    mbstd: bool = True
    g_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    d_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))


def chans(width, doublings):
    return [width * min(2**i, 4) for i in range(doublings + 1)]


class Up(nn.Module):
    def __init__(self, i, o, norm, blocks):
        super().__init__()
        N = (lambda c: nn.BatchNorm2d(c)) if norm else (lambda c: nn.Identity())
        self.up = nn.Sequential(N(i), nn.LeakyReLU(0.2), UpsampleConv(i, o, bias=not norm))
        self.res = nn.ModuleList([nn.Sequential(N(o), nn.LeakyReLU(0.2), nn.Conv2d(o, o, 3, padding=1)) for _ in range(blocks)])

    def forward(self, x):
        x = self.up(x)
        for r in self.res:
            x = x + r(x)
        return x


class G(nn.Module):
    channels_last = True
    bf16 = True

    def __init__(self, cfg):
        super().__init__()
        bh, bw, d = plan_sizes(*cfg.shape[1:])
        cs = chans(cfg.width, d)[::-1]
        self.shape = cfg.shape
        self.base = (cs[0], bh, bw)
        self.project = nn.Linear(cfg.z_dim, cs[0] * bh * bw)
        self.body = nn.Sequential(*[Up(i, o, cfg.norm, cfg.blocks) for i, o in zip(cs, cs[1:], strict=False)])
        self.out = nn.Sequential(nn.BatchNorm2d(cs[-1]) if cfg.norm else nn.Identity(), nn.LeakyReLU(0.2), nn.Conv2d(cs[-1], cfg.shape[0], 3, padding=1))

    def forward(self, z, c=None):
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.out(self.body(x)), *self.shape[1:]).tanh()


class Down(nn.Module):
    def __init__(self, i, o, blocks):
        super().__init__()
        self.res = nn.ModuleList([nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(i, i, 3, padding=1)) for _ in range(blocks)])
        self.down = nn.Sequential(nn.LeakyReLU(0.2), DownsampleConv(i, o))

    def forward(self, x):
        for r in self.res:
            x = x + r(x)
        return self.down(x)


class D(nn.Module):
    channels_last = True
    bf16 = True

    def __init__(self, cfg):
        super().__init__()
        bh, bw, d = plan_sizes(*cfg.shape[1:])
        cs = chans(cfg.width, d)
        self.inp = nn.Conv2d(cfg.shape[0], cs[0], 3, padding=1)
        self.body = nn.Sequential(*[Down(i, o, cfg.blocks) for i, o in zip(cs, cs[1:], strict=False)])
        h, w = cfg.shape[1:]
        for _ in range(d):
            h, w = h // 2, w // 2
        self.mb = MinibatchStddev() if cfg.mbstd else nn.Identity()
        self.end = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(cs[-1] + (1 if cfg.mbstd else 0), cs[-1], 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(cs[-1] * h * w, 1))

    def forward(self, x, c=None):
        return self.end(self.mb(self.body(self.inp(x)))).flatten()


class Default(GAN):
    def __init__(self, cfg):
        super().__init__(cfg)
        self.G, self.D = G(cfg), D(cfg)

    def phases(self):
        p = [Phase("D", self.d_loss), Phase("D", self.d_reg, lazy=self.cfg.lazy), Phase("G", self.g_loss)]
        return p

    def d_loss(self, batch):
        with torch.no_grad():
            fake = self.G(self.z(len(batch.x)))
        real, fake = self.D(batch.x), self.D(fake)
        return {"adv": LOSSES[self.cfg.loss].d(real, fake), "logits_real": real.detach().mean(), "logits_fake": fake.detach().mean()}

    def d_reg(self, batch):
        out = {"r1": self.cfg.gamma * penalties.r1(self.D, batch.x)}
        if self.cfg.r2:
            with torch.no_grad():
                fake = self.G(self.z(len(batch.x)))
            out["r2"] = self.cfg.gamma * penalties.r2(self.D, None, fake)
        return out

    def g_loss(self, batch):
        fake = self.D(self.G(self.z(len(batch.x))))
        with torch.no_grad():
            real = self.D(batch.x) if self.cfg.loss == "relativistic" else None
        return {"adv": LOSSES[self.cfg.loss].g(real, fake)}
