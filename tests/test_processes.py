"""Two processes equal one: same global batch, same random numbers, the same weights to rounding."""

import os
import subprocess
import sys
from pathlib import Path

import torch

CODE = """
import sys
import torch
import torch.distributed as dist
from dataclasses import dataclass
from torch import nn
from ganloom import penalties, testing
from ganloom.gan import GAN, Adam, Phase
from ganloom.losses import LOSSES
from ganloom.training.trainer import TrainConfig, Trainer

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)


@dataclass(frozen=True)
class Cfg:
    batch_size: int = 8
    z_dim: int = 4
    g_opt: Adam = Adam(1e-2, betas=(0.5, 0.9))
    d_opt: Adam = Adam(1e-2, betas=(0.5, 0.9))


class Model(GAN):
    def __init__(self):
        super().__init__(Cfg())
        torch.manual_seed(rank)  # ranks start apart: the first one's weights must be given to all
        self.G = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 64))
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 1))
        self.register_buffer("seen", torch.zeros(()))

    def phases(self):
        return [Phase("D", self.d_loss, repeat=2), Phase("G", self.g_loss)]

    def d_loss(self, batch):
        x = batch.x.double().flatten(1)
        fake = self.G(self.z(len(x)).double()).detach()
        self.seen.add_(x.mean())
        gp = penalties.grad_norm(lambda v: self.D(v.double()), penalties.between(x, fake))
        return {"adv": LOSSES["wasserstein"].d(self.D(x), self.D(fake)), "gp": 10 * (gp.double() - 1).square().mean()}

    def g_loss(self, batch):
        return {"adv": LOSSES["wasserstein"].g(None, self.D(self.G(self.z(len(batch.x)).double())))}


run = Trainer(Model(), testing.make_data((1, 8, 8), 30), TrainConfig(), ema_kimg=0.05)
for _ in range(6):
    run.train_step()
torch.save((run.nimg, run.gan.state_dict(), run.ema.state_dict()), f"{folder}/{world}-{rank}.pt")
if world > 1:  # gloo's threads may outlive the interpreter otherwise
    dist.barrier()
    dist.destroy_process_group()
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    for world in (1, 2):
        started = [
            subprocess.Popen([sys.executable, "-c", CODE, str(rank), str(world), str(tmp_path)], env=env)
            for rank in range(world)
        ]
        assert [process.wait(timeout=120) for process in started] == [0] * world
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert one[0] == first[0] == second[0] == 6 * 16
    for part in (1, 2):
        for name, value in one[part].items():
            assert torch.equal(first[part][name], second[part][name]), f"ranks differ in {name}"
            torch.testing.assert_close(first[part][name], value, rtol=1e-6, atol=1e-7)
