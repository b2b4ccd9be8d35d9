"""The networks of DF-GAN (Tao et al. 2022, arXiv:2008.05865): G with text-conditional affine layers, D with a one-way output."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.layers import crop, frame, plan_sizes

SLOPE = 0.2
"""Slope of all LeakyReLUs for negative values."""


class Affine(nn.Module):
    """Scale and shift each channel by two small networks of the condition (sec. 3.4).

    Args:
        channels: Channels of the features.
        c_dim: Length of the condition.
        hidden: Width of the networks.
        neutral: The last layers start at scale 1 and shift 0 for every condition; otherwise only their biases do.
    """

    def __init__(self, channels: int, c_dim: int, hidden: int, neutral: bool) -> None:
        super().__init__()
        self.gain, self.shift = (
            nn.Sequential(nn.Linear(c_dim, hidden), nn.ReLU(), nn.Linear(hidden, channels)) for _ in range(2)
        )
        for network, start in ((self.gain, 1.0), (self.shift, 0.0)):
            last = network[2]
            assert isinstance(last, nn.Linear)
            nn.init.constant_(last.bias, start)
            if neutral:
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map features (N, C, H, W) and conditions (N, c_dim) to features."""
        return self.gain(c)[..., None, None] * x + self.shift(c)[..., None, None]  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """A deep fusion block: affine, LeakyReLU, affine, LeakyReLU (fig. 3)."""

    def __init__(self, channels: int, c_dim: int, hidden: int, neutral: bool) -> None:
        super().__init__()
        self.first, self.second = (Affine(channels, c_dim, hidden, neutral) for _ in range(2))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map features (N, C, H, W) and conditions (N, c_dim) to features."""
        return F.leaky_relu(self.second(F.leaky_relu(self.first(x, c), SLOPE), c), SLOPE)


class UpBlock(nn.Module):
    """Double the size, then two fusion blocks, each before a convolution, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, c_dim: int, hidden: int, neutral: bool) -> None:
        super().__init__()
        self.fuse1 = Fusion(inputs, c_dim, hidden or inputs, neutral)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.fuse2 = Fusion(outputs, c_dim, hidden or outputs, neutral)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, 2 H, 2 W)."""
        x = F.interpolate(x, scale_factor=2.0)
        h = self.conv1(self.fuse1(x, c))
        out: Tensor = self.shortcut(x) + self.conv2(self.fuse2(h, c))
        return out


class Generator(nn.Module):
    """Map z (N, z_dim) and sentence vectors (N, text_dim) to images (N, C, H, W) in [-1, 1].

    Args:
        shape: (C, H, W).
        z_dim: Length of the latent.
        text_dim: Length of a sentence vector.
        c_dim: Length that it is mapped to; 0: used as it is.
        width: Channels next to the image; doubled towards the base, at most ``most`` times.
        most: Largest multiple of the width.
        hidden: Width of the affine layers' networks; 0: the number of channels.
        neutral: See `Affine`.
        text_at_base: Whether the first layer sees the sentence vector beside z.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int,
        text_dim: int,
        c_dim: int,
        width: int,
        most: int,
        hidden: int,
        neutral: bool,
        text_at_base: bool,
    ) -> None:
        super().__init__()
        self.shape = shape
        base_h, base_w, doublings = plan_sizes(*shape[1:])
        channels = [width * min(2**i, most) for i in range(doublings + 1)][::-1]
        self.base = channels[0], base_h, base_w
        self.text = nn.Sequential(nn.Linear(text_dim, c_dim), nn.LeakyReLU(SLOPE)) if c_dim else nn.Identity()
        condition = z_dim + (c_dim or text_dim)
        self.project = nn.Linear(condition if text_at_base else z_dim, channels[0] * base_h * base_w)
        self.text_at_base = text_at_base
        self.blocks = nn.ModuleList(
            [UpBlock(a, b, condition, hidden, neutral) for a, b in zip(channels, channels[1:], strict=False)]
        )
        self.out = nn.Conv2d(channels[-1], shape[0], 3, 1, 1)

    def forward(self, z: Tensor, e: Tensor) -> Tensor:
        """Map latents (N, z_dim) and sentence vectors (N, text_dim) to images (N, C, H, W) in [-1, 1]."""
        c = torch.cat([z, self.text(e)], 1)
        x = (
            self.project(c if self.text_at_base else z)
            .unflatten(1, self.base)
            .contiguous(memory_format=torch.channels_last)
        )
        for block in self.blocks:
            x = block(x, c)
        return crop(self.out(F.leaky_relu(x, SLOPE)), *self.shape[1:]).tanh()


class DownBlock(nn.Module):
    """Halve the size by a strided and a plain convolution behind a learned gate, beside an averaged shortcut."""

    def __init__(self, inputs: int, outputs: int, gate: float, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.conv1 = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.gate = nn.Parameter(torch.full((1,), gate))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        h = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), SLOPE)), SLOPE)
        out: Tensor = (self.shortcut(F.avg_pool2d(x, 2)) + self.gate * h) * self.gain
        return out


class Discriminator(nn.Module):
    """Map images (N, C, H, W) and sentence vectors (N, text_dim) to logits (N,): one output for image and match together.

    Args:
        shape: (C, H, W).
        text_dim: Length of a sentence vector.
        c_dim: Length that it is mapped to; 0: used as it is.
        width: Channels next to the image; doubled towards the base, at most ``most`` times.
        most: Largest multiple of the width.
        joint: Channels of the convolution that sees image and text.
        gate: First value of the blocks' gates.
        gain: Factor on the output of each block.
        contrast: Length of the vectors in which images and captions are compared; 0: none.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        text_dim: int,
        c_dim: int,
        width: int,
        most: int,
        joint: int,
        gate: float,
        gain: float,
        contrast: int,
    ) -> None:
        super().__init__()
        base_h, base_w, halvings = plan_sizes(*shape[1:])
        channels = [width * min(2**i, most) for i in range(halvings + 1)]
        self.first = nn.Conv2d(shape[0], channels[0], 3, 1, 1)
        self.blocks = nn.ModuleList([DownBlock(a, b, gate, gain) for a, b in zip(channels, channels[1:], strict=False)])
        self.text = nn.Linear(text_dim, c_dim) if c_dim else nn.Identity()
        self.joint = nn.Conv2d(channels[-1] + (c_dim or text_dim), joint, 3, 1, 1, bias=False)
        self.out = nn.Conv2d(joint, 1, (base_h, base_w), bias=False)
        self.image_code = nn.Linear(channels[-1] * base_h * base_w, contrast) if contrast else None
        self.text_code = nn.Linear(text_dim, contrast) if contrast else None

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, channels, base height, base width)."""
        x = self.first(frame(x)[0])
        for block in self.blocks:
            x = block(x)
        return x

    def judge(self, features: Tensor, e: Tensor) -> Tensor:
        """Map features and sentence vectors (N, text_dim) to logits (N,)."""
        maps = self.text(e)[..., None, None].expand(-1, -1, *features.shape[2:])
        logits: Tensor = self.out(F.leaky_relu(self.joint(torch.cat([features, maps], 1)), SLOPE)).flatten()
        return logits

    def similarity(self, features: Tensor, e: Tensor) -> Tensor:
        """Compare images with captions: 10 times the cosine, (images, captions)."""
        assert self.image_code is not None and self.text_code is not None
        images = F.normalize(self.image_code(features.flatten(1)).float(), dim=1)
        texts = F.normalize(self.text_code(e).float(), dim=1)
        return 10 * images @ texts.T

    def forward(
        self, x: Tensor, e: Tensor, *, wrong: Tensor | None = None, compare: bool = False
    ) -> Tensor | list[Tensor]:
        """Map images (N, C, H, W) and sentence vectors (N, text_dim) to logits (N,), or to a list that begins with them.

        Args:
            x: The images.
            e: The sentence vectors.
            wrong: Other sentence vectors (N, text_dim): then the logits with them are returned too.
            compare: Whether the similarities (N, N), and with ``wrong`` another (N, N), are returned too.
        """
        features = self.features(x)
        logits = self.judge(features, e)
        if wrong is None and not compare:
            return logits
        parts = [logits] + ([] if wrong is None else [self.judge(features, wrong)])
        if compare:
            parts += [self.similarity(features, one) for one in (e, wrong) if one is not None]
        return parts
