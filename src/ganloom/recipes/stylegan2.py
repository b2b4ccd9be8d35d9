"""StyleGAN2. "Analyzing and Improving the Image Quality of StyleGAN", Karras et al. 2019, arXiv:1912.04958.

D minimises E[softplus(-D(x))] + E[softplus(D(G(z)))] + gamma / 2 E[|grad D(x)|^2], the last term every 16th step with gain 16
G minimises E[softplus(-D(G(z)))] + 2 E[(|J_w^T y| - a)^2], y normal / sqrt(pixels), the last term every 4th step
with gain 4 on half a batch; a is the running mean of |J_w^T y|                                          (sec. 3.2, app. B)

w = mapping(z), one w per layer; with probability 0.9 the layers from a random one on get the w of another latent (style
mixing). Samples come from the EMA of G; ``truncation`` pulls w towards its mean (that of the class), with ``cutoff`` in the
first layers only; ``noise`` is const, random or none. ``preset`` fills the fields that are not set: auto follows the rule of
StyleGAN2-ADA's code by image size, cifar is its configuration for small labelled images (arXiv:2006.06676, app. D).

About: StyleGAN2 is the standard generator for images of one kind. A mapping network turns the latent into styles, which
scale the feature maps of each convolution, and noise adds what is random. A skip generator and a residual discriminator
replace progressive growing, R1 keeps D smooth, and path length regularisation makes equal steps in w equal changes of the
image. Use it for faces, objects and scenes of one kind if you have a GPU and days of time, and for everything that needs a
good latent space: truncation, mixing, projection, directions. Watch gamma, to which results are most sensitive (try four
times more and less). Watch also for a D that is certain about the reals long before it is certain about the fakes; with
few images this is overfitting: use augmentation. It was published in 2019 and is still the reference for models of one
domain, because it samples fast and its latent space is smooth.

Departures from the paper: the layer at which styles mix is drawn for each sample, not once per batch; in a step D is updated
before G, and the mean of w once per update; fakes take the labels of the batch; samples are clipped to [-1, 1]; image sides
that are not powers of two have a base grid other than 4 x 4, and are cropped where an upsampling exceeds them. ``tanh``,
``dense_base`` and ``alike`` are neither in the paper nor in its code, and are off by default.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.augment.ada import BGC, Ada, check_parts
from ganloom.core.config import check_at_least_one, check_classes
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks import stylegan2
from ganloom.recipes.base.adversarial import as_arguments
from ganloom.recipes.base.style_based import Styled
from ganloom.scoring import Generated

TITLE = "StyleGAN2"
PAPER = "Karras et al. 2019, arXiv:1912.04958"
DATA = "FFHQ"
KIMG = 25000.0  # default length of a run, thousands of images

OPT = Adam(2.5e-3, betas=(0.0, 0.99))

PRESETS: dict[str, dict[str, Any]] = {
    "auto": {"layers": 2},
    "stylegan2": {"layers": 8, "batch_size": 32, "group": 4, "base": 32768, "lr": 2e-3, "gamma": 10.0, "ema_kimg": 10.0},
    "paper256": {"layers": 8, "batch_size": 64, "group": 8, "base": 16384, "gamma": 1.0, "ema_kimg": 20.0},
    "paper512": {"layers": 8, "batch_size": 64, "group": 8, "base": 32768, "gamma": 0.5, "ema_kimg": 20.0},
    "paper1024": {"layers": 8, "batch_size": 32, "group": 4, "base": 32768, "lr": 2e-3, "gamma": 2.0, "ema_kimg": 10.0},
    "cifar": {
        "layers": 2, "batch_size": 64, "group": 32, "base": 32768, "gamma": 0.01, "ema_kimg": 500.0, "mixing": 0.0,
        "path_length": 0.0, "residual": False,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """StyleGAN2-ADA's hyperparameters (arXiv:2006.06676, app. C and D); ``preset`` fills fields that are None."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    preset: Literal["auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar"] = "auto"
    """Source of the fields that are None."""
    z_dim: int = 512
    """Length of the latent vector."""
    w_dim: int | None = None
    """Length of w; None: as of the latent vector."""
    layers: int | None = None
    """Layers of the mapping network (auto: 2; the paper: 8)."""
    width: int = 512
    """Largest number of channels of a grid."""
    base: int | None = None
    """Channels of a grid times its side, up to ``width`` (auto: 16384, from 512 px on 32768; config F: 32768)."""
    d_base: int | None = None
    """The same for D; None: as in G."""
    d_width: int | None = None
    """Largest number of channels in D; None: as in G."""
    residual: bool | None = None
    """Use a residual D (sec. 4.1) instead of a plain one, as for CIFAR-10 ("orig")."""
    group: int | None = None
    """Samples per group of the minibatch standard deviation; 0: the whole batch."""
    group_maps: int = 1
    """Maps of the minibatch standard deviation, each over its own share of the channels."""
    alike: bool = False
    """Let each such group share a label (labelled data only), so that D sees how varied each class is."""
    d_layers: int = 8
    """Layers of D's mapping network for labels."""
    clamp: float | None = None
    """Bound on the outputs of convolutions (256 in the authors' float16 code); None: unbounded."""
    tanh: bool = False
    """Apply tanh to G's images, as in earlier GANs; helps with flat black or white backgrounds, which an unbounded G
    would have to match exactly.
    """
    dense_base: bool = False
    """Let w also shift each position of G's base grid, as in a G with a traditional input; the samples of a narrow G vary more.
    In the paper w only scales the channels of a learned grid.
    """
    mixing: float | None = None
    """Probability of style mixing, 0 to 1."""
    centre: Literal["class", "all"] = "class"
    """Point that truncation pulls w towards: the mean of each class, or of all (as in the authors' code and imported
    models).
    """
    gamma: float | None = None
    """Weight of the R1 penalty (auto: 0.0002 x pixels / batch)."""
    lazy_d: int = 16
    """Steps between two penalties of D."""
    path_length: float | None = None
    """Weight of the path length penalty; 0: off."""
    lazy_g: int = 4
    """Steps between two penalties of G."""
    augment: Literal["none", "ada"] = "none"
    """Augmentation of D's inputs: none, or ada, as strong as needed to keep D from overfitting (arXiv:2006.06676)."""
    ada_parts: tuple[str, ...] = BGC
    """Parts of ADA's pipeline, or single transformations: blit (flip, quarter, shift), geometry (scale, rotate, stretch, slide),
    colour (brightness, contrast, invert, hue, saturation), filter, noise, cutout.
    """
    ada_target: float = 0.6
    """Mean sign of D's logits on reals that ADA keeps, -1 to 1 (arXiv:2006.06676, sec. 3.1)."""
    ada_kimg: float = 500.0
    """Thousands of images in which ADA's strength can go from 0 to 1 (100 for fine-tuning)."""
    ada_p: float = 0.0
    """ADA's strength at the start, 0 to 1."""
    batch_size: int | None = None
    """Real images per batch (auto: 4096 / side, at most 32)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (auto: 10 x batch / 32)."""
    g_opt: Adam = OPT
    """Optimizer of G; if not set, the learning rate is 0.002 at 1024 px and in presets that say so."""
    d_opt: Adam = OPT
    """Optimizer of D; if not set, as for G."""

    def __post_init__(self) -> None:
        check_classes(self)
        check_at_least_one(self, "layers", "base", "d_base", "lazy_d", "lazy_g", "w_dim", "group_maps")
        for name in ("gamma", "path_length", "group", "d_layers"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BadInput(f"--{name.replace('_', '-')} must not be negative, got {value}")
        if self.mixing is not None and not 0 <= self.mixing <= 1:
            raise BadInput(f"--mixing (a probability) must be in 0..1, got {self.mixing}")
        check_parts(self.ada_parts)
        if not -1 <= self.ada_target <= 1:
            raise BadInput(f"--ada-target (a mean sign) must be in -1..1, got {self.ada_target}")
        if not self.ada_kimg > 0:
            raise BadInput(f"--ada-kimg must be above 0, got {self.ada_kimg}")
        if not 0 <= self.ada_p <= 1:
            raise BadInput(f"--ada-p (a strength) must be in 0..1, got {self.ada_p}")
        if self.clamp is not None and self.clamp <= 0:
            raise BadInput(f"--clamp must be above 0 or none, got {self.clamp}")


def with_defaults(cfg: Config) -> Config:
    """Return the config with every None filled by the preset or by the rule "auto"."""
    preset = PRESETS[cfg.preset]
    side = max(int(math.sqrt(cfg.shape[1] * cfg.shape[2])), 1)
    batch = cfg.batch_size or preset.get("batch_size") or max(1, min(4096 // side, 32))
    rule: dict[str, Any] = {
        "w_dim": cfg.z_dim, "base": 32768 if side >= 512 else 16384, "residual": True, "group": min(batch, 4), "mixing": 0.9,
        "gamma": 2e-4 * cfg.shape[1] * cfg.shape[2] / batch, "path_length": 2.0, "ema_kimg": batch * 10 / 32,
        "d_width": cfg.width,
    } | preset | {"batch_size": batch}  # fmt: skip
    rate = rule.pop("lr", 2e-3 if cfg.preset == "auto" and side >= 1024 else OPT.lr)
    defaults = {name: value for name, value in rule.items() if getattr(cfg, name) is None}
    defaults["d_base"] = cfg.d_base or cfg.base or rule["base"]
    for name in ("g_opt", "d_opt"):
        if getattr(cfg, name) == OPT:
            defaults[name] = dataclasses.replace(OPT, lr=rate)
    return dataclasses.replace(cfg, **defaults)


class StyleGAN2(Styled):
    """StyleGAN2."""

    splits_by = None  # minibatch standard deviation in D
    loss = nonsaturating
    pl_mean: Tensor
    pl_sums: Tensor

    def __init__(self, cfg: Config) -> None:
        cfg = with_defaults(cfg)
        super().__init__(cfg)
        last = stylegan2.channels_of(0, cfg.d_base or 32768, cfg.d_width or cfg.width)
        if last % cfg.group_maps:
            raise BadInput(
                f"--group-maps must divide {last}, the number of channels of D's last grid, got {cfg.group_maps}"
            )
        self.G = stylegan2.Generator(
            cfg.shape, cfg.z_dim, cfg.w_dim or cfg.z_dim, n_classes=cfg.n_classes, layers=cfg.layers or 8,
            base=cfg.base or 32768, most=cfg.width, clamp=cfg.clamp, tanh=cfg.tanh, dense_base=cfg.dense_base,
        )  # fmt: skip
        self.D = stylegan2.Discriminator(
            cfg.shape, n_classes=cfg.n_classes, base=cfg.d_base or 32768, most=cfg.d_width or cfg.width,
            group=cfg.group or 0, maps=cfg.group_maps, residual=bool(cfg.residual), clamp=cfg.clamp, layers=cfg.d_layers,
        )  # fmt: skip
        if cfg.augment == "ada":
            self.ada = Ada(dict.fromkeys(cfg.ada_parts, 1.0), cfg.ada_p)
        self.register_buffer("pl_mean", torch.zeros(()))
        self.register_buffer("pl_sums", torch.zeros(2))  # sum and count of the lengths

    def phases(self) -> list[Phase]:
        """Return each network's update, followed by its regularisation."""
        cfg = self.cfg
        g_reg = [Phase("G", self.g_reg, lazy=cfg.lazy_g)] if cfg.path_length else []
        d_reg = [Phase("D", self.d_reg, lazy=cfg.lazy_d)] if cfg.gamma else []
        return [Phase("D", self.d_loss), *d_reg, Phase("G", self.g_loss), *g_reg]

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw one batch; with ``alike`` the samples of a minibatch group share a label."""
        if not (
            self.cfg.alike and self.cfg.n_classes
        ):  # without labels only the reals of a group would be alike, and D would see it
            return super().draw(data, rng)
        group = math.lcm(self.cfg.group or self.cfg.batch_size, self.label_group)
        batch: NamedTuple = data.draw(self.cfg.batch_size, rng, alike=group)
        return batch

    def fakes(self, n: int, batch: Batch) -> tuple[Generated, Tensor | None]:
        c = self.labels(n, batch)
        return self.generated(self.z(n), *as_arguments(c), mixed=self.mixed(n, self.G.synthesis.n_layers)), c

    def d_terms(self, batch: Batch, fake: Generated, c: Tensor | None) -> Terms:
        terms = super().d_terms(batch, fake, c)
        return terms if self.ada is None else terms | {"ada_p": self.ada.p.clone()}

    def d_reg(self, batch: Batch) -> Terms:
        c = self.labels(len(batch.x), batch)
        return {"r1": self.cfg.gamma * penalties.r1(self.augmented_critic(c), batch.x)}

    def g_reg(self, batch: Batch) -> Terms:
        n = max(len(batch.x) // 2, 1)
        z, c, mixed = self.z(n), self.labels(n, batch), self.mixed(n, self.G.synthesis.n_layers)
        ws = self.G.ws(z, c) if mixed is None else self.G.mixed_ws(z, c, mixed)
        x = self.G.synthesis(ws, "random")
        y = self.randn(n, *x.shape[1:]) / math.sqrt(x.shape[2] * x.shape[3])
        (slopes,) = torch.autograd.grad((x * y).sum(), ws, create_graph=True)
        lengths = slopes.flatten(1).norm(dim=1) / math.sqrt(ws.shape[1])
        with torch.no_grad():
            self.pl_sums.add_(torch.stack([lengths.sum(), torch.full_like(self.pl_mean, n)]))
        mean = torch.lerp(self.pl_mean.clone(), lengths.mean(), 0.01)
        return {
            "path_length": self.cfg.path_length * (lengths - mean).square().mean(),
            "length": lengths.detach().mean(),
        }

    def after_update(self, phase: Phase) -> None:
        """Update the running means of w and of the path lengths."""
        super().after_update(phase)
        total, n = self.pl_sums
        self.pl_mean.lerp_(total / n.clamp_min(1), 0.01 * (n > 0))
        self.pl_sums.zero_()


MODEL = StyleGAN2
