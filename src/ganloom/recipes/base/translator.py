"""Base class of image-to-image recipes: their data, the shared pass through G, and ``translate``."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom import sampling
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.core.randomness import key
from ganloom.gan import GAN, Phase, Rng, Terms, net_names
from ganloom.imaging.samples import Samples
from ganloom.losses import Loss
from ganloom.networks import tiling
from ganloom.networks.translators import pad_to_multiple, through
from ganloom.nn.layers import crop
from ganloom.nn.perceptual import Perceptual
from ganloom.scoring import Scores


@dataclass(frozen=True)
class TranslatorConfig:
    """Config fields of every image-to-image recipe."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Shape of target images (domain B): channels, height, width."""
    in_channels: int = 3
    """Channels of input images (domain A)."""
    width: int = 64
    """Channels of G's first layer."""
    d_width: int = 64
    """Channels of D's first layer."""
    layers: int = 3
    """Downsamplings of D, 0 to 6: 3 judges patches of 70 x 70 pixels, 0 single pixels."""
    jitter: float = 286 / 256
    """Factor by which images are enlarged before a random crop, 1 to 4; 1: no crop."""
    batch_size: int = 1
    """Pairs per batch, or images of each domain per batch."""
    ema_kimg: float = 0.5
    """Half-life of the EMA of G, in thousands of images (not in the papers)."""
    perceptual: float = 0.0
    """Weight of a distance in a frozen network's features, to the target or, without pairs, to the input; 0: off."""
    perceptual_net: str = "random"
    """Feature network: random, fashion, effnet (an extra), or a file .pt2 or .pt, as for ``evaluate --features``."""

    def __post_init__(self) -> None:
        if not 0 <= self.layers <= 6:
            raise BadInput(f"--layers must be in 0..6, got {self.layers}")
        if not 1 <= self.jitter <= 4:
            raise BadInput(f"--jitter must be in 1..4, got {self.jitter}")
        if not 0 <= self.perceptual < float("inf"):
            raise BadInput(f"--perceptual must be a finite number of at least 0, got {self.perceptual}")


class _SharedPass:
    """A batch and what G made of it, with its graph; dropped when G is updated, and empty in a copy."""

    def __init__(self) -> None:
        self.set(None, None)

    def set(self, batch: Any, outputs: Any) -> None:
        self.batch, self.outputs = batch, outputs

    def __reduce__(self) -> tuple[type["_SharedPass"], tuple[()]]:
        return _SharedPass, ()


class Translator(GAN):
    """A model whose condition c is an image (N, C, H, W) in [-1, 1]; it has no latent, and ``generate`` needs c.

    ``paired`` of a subclass says whether it learns from pairs (batch.c is the input of target batch.x) or from two domains
    (batch.y is of domain A, batch.x of B). ``way`` returns the network for each direction.
    """

    conditions_on = "images"
    paired = False
    both_ways = False
    """Whether the model can also translate targets back to inputs (``back``)."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self._shared = _SharedPass()
        self._perceptual: Perceptual | None = None  # not a submodule: neither saved nor averaged nor trained

    def way(self, reverse: bool = False) -> nn.Module:
        """Return the network from inputs to targets; ``reverse``: the one back, for models with both directions."""
        if reverse:
            raise BadInput(f"{type(self).__name__} translates in one direction only: do not set reverse")
        net: nn.Module = self.G
        return net

    def direct(self, x: Tensor) -> Tensor:
        """Map inputs (N, C, H, W) of any size to the target domain."""
        return through(self.way(), x)

    def g_outputs(self, batch: Any) -> Any:
        """Return what both phases need of one pass through G over a batch: a tuple that starts with the images for D."""
        raise NotImplementedError(f"{type(self).__name__} must implement g_outputs(batch)")

    def fakes_for_d(self, batch: Any) -> Tensor:
        """Return the images of ``g_outputs`` for D's phase, without a graph, and keep the pass for G's phase.

        In the papers' code, too, one batch of fakes serves both updates of a step.
        """
        parameters = [p for p in self.way().parameters() if not p.requires_grad]
        for parameter in parameters:
            parameter.requires_grad_(True)
        try:
            with torch.enable_grad():
                outputs = self.g_outputs(batch)
        finally:
            for parameter in parameters:
                parameter.requires_grad_(False)
        self._shared.set(batch, outputs)
        images: Tensor = outputs[0]
        return images.detach()

    def outputs_for_g(self, batch: Any) -> Any:
        """Return ``g_outputs`` for G's phase: the stored pass of D's phase, unless the batch differs or G was updated since."""
        shared = self._shared
        outputs = shared.outputs if shared.batch is batch else None
        shared.set(None, None)
        return self.g_outputs(batch) if outputs is None else outputs

    def after_update(self, phase: Phase) -> None:
        """Drop the output stored for G's phase when G was updated: it came from the weights before."""
        super().after_update(phase)
        if any(name.split(".")[0] == "G" for name in net_names(phase)):
            self._shared.set(None, None)

    def back(self, x: Tensor) -> Tensor:
        """Map targets (N, C, H, W) to the input domain, for models with both directions."""
        return through(self.way(reverse=True), x)

    # ---- overrides of GAN
    def input_shape(self) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of an input for an output of ``cfg.shape``."""
        _, height, width = self.cfg.shape
        return int(self.cfg.in_channels), int(height), int(width)

    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raise BadInput if the data have no inputs, or no pairs although the recipe needs them."""
        if getattr(data, "inputs", None) is None:
            paired_data = "folders A/ and B/ with equal file names, images A|B side by side, or edges-to-emoji"
            unpaired_data = "trainA/ and trainB/, two folders A,B, or unpaired-fashion"
            raise BadInput(
                f"{data.name} has no input images, and this recipe translates images. Use "
                f"{paired_data if cls.paired else unpaired_data}."
            )
        if cls.paired and not data.paired:
            raise BadInput(
                f"{data.name} has two domains without pairs, and this recipe learns from pairs. Use folders A/ and B/ with "
                "equal file names, or train cyclegan."
            )

    def make_ready(self, device: torch.device) -> None:
        """Open the network of the perceptual term, if it is used. Raises BadInput with the install command if it is
        missing.
        """
        if getattr(self.cfg, "perceptual", 0.0):
            self._opened(device)

    def inputs(self, data: Any, rows: Any) -> Tensor | None:
        """Return the inputs for rows of a data set; for unpaired domains the inputs at the same positions."""
        self.check_data(data)
        images: Tensor = data.inputs.get(data.picks(rows) % len(data.inputs))
        return images

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw a batch of images, enlarged by ``cfg.jitter`` and cropped at random; a pair is cropped at the same position."""
        self.check_data(data)
        source = data if self.paired else data.unpaired()
        batch: NamedTuple = self._jittered(source.draw(self.cfg.batch_size, rng), rng)
        return batch

    def _jittered(self, batch: Any, rng: Rng) -> Any:
        factor = float(getattr(self.cfg, "jitter", 1.0))
        h, w = batch.x.shape[2:]
        height, width = round(h * factor), round(w * factor)
        if (height, width) == (h, w):
            return batch
        world = getattr(rng, "world", 1)
        positions = torch.rand(len(batch.x) * world, 2, 2, generator=rng)[getattr(rng, "rank", 0) :: world]
        margins = torch.tensor([height - h + 1, width - w + 1])
        corners = (positions * margins).long().tolist()

        def cut(x: Tensor | None, which: int) -> Tensor | None:
            if x is None:
                return None
            big = F.interpolate(x, (height, width), mode="bicubic", align_corners=False).clamp_(-1, 1)
            parts = [one[:, top : top + h, left : left + w] for one, (top, left) in
                     zip(big, (c[which] for c in corners), strict=True)]  # fmt: skip
            return torch.stack(parts)

        return batch._replace(x=cut(batch.x, 0), c=cut(batch.c, 0), y=cut(batch.y, 1))

    def z(self, n: int) -> Tensor:
        """Return latents without numbers, (n, 0)."""
        return torch.zeros(n, 0, device=self.device)

    def c(self, n: int) -> Tensor | None:
        """Raise BadInput: inputs cannot be drawn."""
        raise BadInput("this model translates images: pass them as c=, or call translate(x)")

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map inputs c (N, C, H, W) to the target domain, at the same size."""
        assert c is not None
        return self.direct(c)

    def conditions(self, n: int, c: Any) -> Tensor:
        x = torch.as_tensor(c, device=self.device).float()
        channels = int(self.cfg.in_channels)
        if x.dim() != 4 or x.shape[1] != channels or not len(x):
            raise BadInput(f"inputs must be images (N, {channels}, H, W) in [-1, 1], got shape {tuple(x.shape)}")
        if len(x) != n:
            raise BadInput(f"c has {len(x)} images for {n} samples: pass one image per sample")
        return x

    def d_terms(self, loss: Loss, real: Scores, fake: Scores, side: str = "") -> Terms:
        """Return D's terms, with its loss halved so that it learns more slowly than G; ``side``: the domain of D."""
        return self.d_adversarial(loss, real, fake, weight=0.5, side=side)

    def perceptual_terms(self, *pairs: tuple[Tensor, Tensor]) -> Terms:
        """Return the perceptual term if ``cfg.perceptual`` is set.

        Args:
            pairs: (output, target) or, without pairs, (output, input).
        """
        weight = float(self.cfg.perceptual)
        if not weight:
            return {}
        net = self._opened(pairs[0][0].device)
        distance = net.distance if self.paired else net.content
        return {"perceptual": weight * torch.stack([distance(*pair) for pair in pairs]).sum()}

    def _opened(self, device: torch.device) -> Perceptual:
        if self._perceptual is None or self._perceptual.device != device:
            self._perceptual = Perceptual(self.cfg.perceptual_net, device)
        return self._perceptual

    # ---- for users
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
        """Translate images to the other domain.

        The translation is deterministic: eval mode, running statistics, no dropout. Modes, buffers and random state are restored.

        Args:
            x: Images (N, C, H, W) in [-1, 1], of any height and width.
            stochastic: Use dropout (by ``seed``), and BatchNorm with the statistics of each single image, as in the
                paper of pix2pix.
            reverse: Translate from the target domain to the input domain.
            seed: Seed of the dropout.
            batch: Images per pass.
            memory: MiB of features above which an image is computed in bands of rows. The result is the same except for rounding
                (with ``stochastic`` the random draw differs). None: never in bands.

        Returns:
            Images (N, C, H, W) float32, of the same size.

        Raises:
            BadInput: If x has the wrong shape, or ``reverse`` is not supported.
        """
        channels = int(self.cfg.shape[0] if reverse else self.input_shape()[0])
        if x.dim() != 4 or x.shape[1] != channels or not x.numel():
            raise BadInput(f"translate needs images (N, {channels}, H, W) in [-1, 1], got shape {tuple(x.shape)}")
        with sampling.unchanged(self), full_precision():
            if stochastic:
                for module in self.modules():
                    if isinstance(module, nn.Dropout | nn.BatchNorm2d):
                        module.train()
                batch = 1
            parts = []
            for start in range(0, len(x), batch):
                randomness.seed_all(key(seed, "translate", start))
                part = x[start : start + batch].to(self.device, torch.float32)
                parts.append(self._translate_part(part, reverse, memory).float())
        return Samples.of(torch.cat(parts))

    def _translate_part(self, x: Tensor, reverse: bool, memory: float | None) -> Tensor:
        """Translate whole images if the features fit into ``memory`` MiB, else in bands of rows."""
        net = self.way(reverse)
        padded = pad_to_multiple(x, int(getattr(net, "multiple", 1)))
        needed = padded[:, 0].numel() * int(getattr(net, "bytes_per_pixel", 0)) / 2**20
        if memory is None or needed <= memory or not tiling.supported(net):
            output = net(padded)
        else:
            output = torch.cat([tiling.in_bands(net, one[None], memory * 2**20) for one in padded])
        return crop(output, *x.shape[2:])
