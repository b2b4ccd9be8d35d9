"""The base of every recipe that makes pictures from pictures: where its inputs come from, and ``translate``."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom import randomness
from ganloom.errors import BadInput
from ganloom.gan import GAN, Rng
from ganloom.networks.translate import reflect_to, through
from ganloom.precision import full_precision
from ganloom.randomness import key
from ganloom.tiles import tiled, tiles_of


class Translator(GAN):
    """A model whose c is a picture (N, C, H, W) in [-1, 1]: there is no latent, and ``generate`` asks for c.

    A subclass says in ``paired`` whether it learns from pairs (batch.c belongs to batch.x) or from two domains (batch.y is
    of domain A, batch.x of B), and in ``direct`` or ``back`` which network leads where.
    """

    conditions_on = "pictures"
    paired = False

    def direct(self, x: Tensor) -> Tensor:
        """Inputs (N, C, H, W), of a size that the network takes, to the target domain."""
        out: Tensor = through(self.G, x)
        return out

    def back(self, x: Tensor) -> Tensor:
        """Targets to the input domain, for models that learn both ways."""
        raise BadInput(f"{type(self).__name__} translates one way only: leave out reverse")

    # ---- what GAN asks
    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raises BadInput where the data hold no inputs, or no pairs though the recipe needs them."""
        if getattr(data, "inputs", None) is None:
            where = "folders A/ and B/ of equal names, pictures A|B side by side, or edges-to-emoji"
            apart = "trainA/ and trainB/, two folders A,B, or unpaired-fashion"
            raise BadInput(
                f"{data.name} has no inputs beside its pictures: this recipe makes pictures from pictures; give "
                f"{where if cls.paired else apart}"
            )
        if cls.paired and not data.paired:
            raise BadInput(
                f"{data.name} holds two domains without pairs, and this recipe learns from pairs: give A/ and B/ of equal "
                "names, or train cyclegan"
            )

    def inputs(self, data: Any, rows: Any) -> Tensor | None:
        """The inputs of rows of a data set; of domains that are apart, those of the same numbers."""
        self.check_data(data)
        found: Tensor = data.inputs.get(data.picks(rows) % len(data.inputs))
        return found

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """A batch, its pictures enlarged by ``cfg.jitter`` and cut at a random place; pairs at the same one."""
        self.check_data(data)
        source = data if self.paired else data.unpaired()
        batch: NamedTuple = self._jittered(source.draw(self.cfg.batch_size, rng), rng)
        return batch

    def _jittered(self, batch: Any, rng: Rng) -> Any:
        larger = float(getattr(self.cfg, "jitter", 1.0))
        h, w = batch.x.shape[2:]
        height, width = round(h * larger), round(w * larger)
        if (height, width) == (h, w):
            return batch
        world = getattr(rng, "world", 1)
        places = torch.rand(len(batch.x) * world, 2, 2, generator=rng)[getattr(rng, "rank", 0) :: world]
        rooms = torch.tensor([height - h + 1, width - w + 1])
        corners = (places * rooms).long().tolist()

        def cut(x: Tensor | None, which: int) -> Tensor | None:
            if x is None:
                return None
            big = F.interpolate(x, (height, width), mode="bicubic", align_corners=False).clamp_(-1, 1)
            parts = [one[:, top : top + h, left : left + w] for one, (top, left) in
                     zip(big, (c[which] for c in corners), strict=True)]  # fmt: skip
            return torch.stack(parts)

        return batch._replace(x=cut(batch.x, 0), c=cut(batch.c, 0), y=cut(batch.y, 1))

    def z(self, n: int) -> Tensor:
        """No numbers: (n, 0)."""
        return torch.zeros(n, 0, device=self.device)

    def c(self, n: int) -> Tensor | None:
        """Inputs cannot be drawn from nothing."""
        raise BadInput("this model makes pictures from pictures: give them as c=, or call translate(x)")

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Inputs c (N, C, H, W) to the target domain, the size kept."""
        assert c is not None
        return self.direct(c)

    def _conditions(self, n: int, c: Any) -> Tensor:
        x = torch.as_tensor(c, device=self.device).float()
        channels = int(self.cfg.in_channels)
        if x.dim() != 4 or x.shape[1] != channels or not len(x):
            raise BadInput(f"inputs are pictures (N, {channels}, H, W) in [-1, 1], got shape {tuple(x.shape)}")
        if len(x) != n:
            raise BadInput(f"c has {len(x)} pictures for {n} samples: give one a sample")
        return x

    # ---- what a user calls
    @torch.no_grad()
    def translate(
        self,
        x: Tensor,
        *,
        stochastic: bool = False,
        reverse: bool = False,
        seed: int = 0,
        batch: int = 8,
        memory: float | None = None,
    ) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1], of any height and width, to the other domain; float32, the same size.

        Deterministic: eval mode, averaged statistics, no dropout. ``stochastic``: as the paper of pix2pix draws its
        figures, with dropout on (by ``seed``) and BatchNorm on the statistics of each picture by itself. ``reverse``: from
        the target domain to the inputs'. ``memory``: MiB of features beyond which a picture goes through in tiles (equal to
        the whole but for rounding, save that a U-Net sees farther than a tile); None: always whole. Modes, buffers
        and random state are left as they were found.
        """
        channels = int(self.cfg.shape[0] if reverse else self.cfg.in_channels)
        if x.dim() != 4 or x.shape[1] != channels or not x.numel():
            raise BadInput(f"translate takes pictures (N, {channels}, H, W) in [-1, 1], got shape {tuple(x.shape)}")
        with self._as_found(), full_precision():
            if stochastic:
                for module in self.modules():
                    if isinstance(module, nn.Dropout | nn.BatchNorm2d):
                        module.train()
                batch = 1
            parts = []
            for start in range(0, len(x), batch):
                randomness.seed_all(key(seed, "translate", start))
                part = x[start : start + batch].to(self.device, torch.float32)
                net = self.back if reverse else self.direct
                parts.append(net(part).float() if memory is None else self._in_tiles(net, part, memory))
        return torch.cat(parts)

    def _in_tiles(self, net: Callable[[Tensor], Tensor], x: Tensor, memory: float) -> Tensor:
        """Each picture whole where its features fit into ``memory`` MiB, else in tiles that fit."""
        nets = [m for m in self.G.modules() if hasattr(m, "multiple")]
        multiple = max((int(m.multiple) for m in nets), default=1)
        reach = max((int(m.reach) for m in nets), default=64)
        pixels = memory * 2**20 / max((int(m.bytes_per_pixel) for m in nets), default=2**11)
        h, w = x.shape[2:]
        if h * w * len(x) <= pixels:
            return net(x).float()
        height, width = (-(-n // multiple) * multiple for n in (h, w))
        grown = reflect_to(x, height, width)  # whole, so that tiles lie on the grid that the untiled pass has
        tiles = tiles_of(height, width, int(pixels**0.5), reach, multiple)
        made = torch.cat([tiled(net, self, one[None], tiles, lambda n: None) for one in grown])
        top, left = (height - h) // 2, (width - w) // 2
        return made[:, :, top : top + h, left : left + w]
