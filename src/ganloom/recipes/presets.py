"""Reduced settings with which each recipe trains on small images in minutes on a CPU: `--small`, and the docs' commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from ganloom.core.names import command_line
from ganloom.nn.layers import plan_sizes
from ganloom.training.config import ENDLESS as ENDLESS

DATA = "fashion-10k"
SIDE = 64
"""With `--small`, images that have no common size, or are larger than 128 px, get at most this side."""
DOUBLINGS = 2
"""Upsamplings from the base grid to images of 28 px, for which the plans are made."""
PACED = ("decay_kimg", "stage_kimg", "pixel_kimg", "gan_kimg", "coarse_kimg")
"""Fields of a recipe's config that are durations of a part of the run, in thousands of images."""

BENCHMARKS = {
    "recipes": "gallery.md", "restore": "restoration.md", "inpaint": "inpainting.md", "anomaly": "anomaly.md",
    "captions": "captions.md", "volumes": "3d.md",
}  # fmt: skip
"""`ganloom bench NAME` -> the page in docs/ with its figures."""


@dataclass(frozen=True)
class Plan:
    """Options of ``ganloom train`` and a sentence about what they change. A dot selects a field of an optimizer:
    "g_opt.lr".
    """

    options: dict[str, Any]
    why: str
    data: str = DATA
    larger: Mapping[str, Callable[[Any, int], Any]] = field(default_factory=dict)
    """Settings that change for larger images, as functions of the plan's value and the upsamplings beyond ``DOUBLINGS``."""
    benchmark: str = "recipes"
    """The benchmark that measures the recipe: a key of ``BENCHMARKS``."""


def _falling(since: float, end: float) -> dict[str, Any]:
    """Return schedules: both learning rates are constant until ``since`` kimg and fall to 0 at ``end``.

    With growing networks the kimg count from the first step at full size.
    """
    knots = ((since, 1.0), (end, 0.0))
    return {"g_opt.schedule": knots, "d_opt.schedule": knots}


def _half_falling(total: float) -> dict[str, Any]:
    """Return schedules and the length: both learning rates fall to 0 over the second half of ``total`` kimg."""
    return {**_falling(total / 2, total), "total_kimg": total}


def _rates(g: float, d: float) -> dict[str, Any]:
    """Return the learning rates of G and D."""
    return {"g_opt.lr": g, "d_opt.lr": d}


_WITHOUT_MOMENTUM: dict[str, Any] = {"g_opt.betas": (0.0, 0.99), "d_opt.betas": (0.0, 0.99)}
"""Adam without momentum and with a short memory. With DCGAN's (0.5, 0.999) a short run reaches about half of the coverage."""

_UNPAIRED = Plan(
    {
        "width": 16,
        "d_width": 16,
        "blocks": 3,
        "batch_size": 4,
        "jitter": 1.0,
        **_half_falling(12.0),
    },
    "A quarter of the width, 3 blocks, batches of 4, no enlarging of images: 3,000 steps, with a learning rate that falls over "
    "the second half. Needs two domains.",
    "unpaired-fashion",
)

_COMPACT: dict[str, Any] = {
    "net": "compact", "width": 32, "blocks": 8, "base": "bicubic", "d_width": 8, "pattern": 0.5, "pixel_opt.lr": 1e-3,
    "ema_kimg": 1.0,
}  # fmt: skip

PLANS: dict[str, Plan] = {
    "default": Plan(
        {"width": 24, **_half_falling(180.0)},
        "Nearly twice the default length; the learning rates are constant for the first half and fall to 0 over the second. "
        "Images of 64 px get half of the width, and larger images a third: D sees more images in the same time.",
        larger={"width": lambda width, more: max(width >> max(more - 1, 0), width // 3)},
    ),
    "gan": Plan(
        {"g_widths": (128, 256, 512), **_rates(1e-3, 3e-3), **_WITHOUT_MOMENTUM, "total_kimg": 1200.0},
        "G half as wide, Adam without momentum, five times the learning rate for G and fifteen times for D, because a slow D "
        "lets the samples of a class become equal. The rates stay constant: if they fall, D memorises the images.",
    ),
    "cnn-gan": Plan(
        {
            "width": 16, "smallest": 3, "dropout": 0.1, "batch_size": 32, **_rates(1e-3, 3e-3), **_WITHOUT_MOMENTUM,
            **_half_falling(500.0),
        },
        "A quarter of the tutorial's width, a third level in both networks, a third of the dropout in D, because more lets the "
        "samples become equal in a short run, batches of 32 instead of 256, Adam without momentum, ten and thirty times the "
        "tutorial's learning rates for G and D, which fall to 0 over the second half.",
    ),
    "dcgan": Plan(
        {
            "width": 32, "smallest": 3, "batch_size": 32, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_half_falling(200.0),
        },
        "Half of the width, grids from 4 px on as in the paper (at this size they would begin at 7 px), a quarter "
        "of the batch size, Adam without momentum, five times the learning rates, which fall to 0 over the second half.",
    ),
    "cgan": Plan(
        {
            "width": 32, "smallest": 3, "batch_size": 32, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_half_falling(200.0),
        },
        "Half of the width, grids from 4 px on instead of 7 px, batches of 32, Adam without momentum, five times the "
        "learning rates, which fall to 0 over the second half.",
    ),
    "acgan": Plan(
        {
            "width": 32, "d_width": 8, "smallest": 3, "dropout": 0.0, "batch_size": 32, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM,
            **_half_falling(180.0),
        },
        "G a third and D half as wide, G's grids from 4 px on instead of 7 px, a third of the batch size, no dropout, "
        "because in a short run it makes the samples of a class equal, Adam without momentum, five times the learning "
        "rates, which fall to 0 over the second half.",
    ),
    "infogan": Plan(
        {
            "width": 32, "batch_size": 32, "info_weight": 0.3, "continuous_weight": 0.1, "d_opt.lr": 2e-3, **_WITHOUT_MOMENTUM,
            **_half_falling(200.0),
        },
        "Half of the width, a quarter of the batch size, 0.3 and 0.1 as weights of the codes, which at 1 make samples with "
        "the same code equal, Adam without momentum, ten times the learning rate for D; both learning rates fall to 0 over "
        "the second half.",
    ),
    "lsgan": Plan(
        {
            "body": "dcgan", "z_dim": 100, "width": 32, "smallest": 3, "batch_size": 32, **_rates(1e-3, 1e-3),
            **_WITHOUT_MOMENTUM, **_half_falling(250.0),
        },
        "DCGAN's networks at half width instead of those of figure 3, which take four times as long here, with "
        "grids from 4 px on; half of the batch size, Adam without momentum, five times the learning rates, which fall "
        "to 0 over the second half.",
    ),
    "wgan": Plan(
        {
            "width": 32, "smallest": 3, "clip": 0.1, "warm_steps": 0, "n_critic": 1, "batch_size": 32, **_rates(1e-3, 2e-3),
            **_half_falling(600.0),
        },
        "Half of the width and batch size, grids from 4 px on instead of 7 px, no warm-up (its 25 steps alone show 80,000 "
        "images), weights up to 0.1 instead of 0.01, with which D is too flat, one update of D per update of G instead of 5, and "
        "twenty and forty times the learning rates, which fall to 0 over the second half: 18,800 updates of G.",
    ),
    "wgan-gp": Plan(
        {
            "body": "dcgan", "width": 32, "smallest": 3, "batch_size": 16, "g_batch": 1, "n_critic": 1, **_rates(1e-3, 2e-3),
            **_WITHOUT_MOMENTUM, **_half_falling(200.0),
        },
        "DCGAN's networks at half width instead of the residual ones, with grids from 4 px on; one update of D per "
        "update of G, at twice G's learning rate, instead of 5; batches of 16: 12,500 updates of G. beta2 of 0.99; both "
        "learning rates fall to 0 over the second half.",
    ),
    "dragan": Plan(
        {
            "width": 32, "smallest": 3, "d_norm": True, "batch_size": 32, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM,
            **_half_falling(200.0),
        },
        "Half of the width and of the batch size, grids from 4 px on instead of 7 px, BatchNorm in D, without which it reaches "
        "less than half of the coverage, Adam without momentum, five times the learning rates, which fall to 0 over the second "
        "half.",
    ),
    "relativistic": Plan(
        {"width": 32, "smallest": 3, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_half_falling(200.0)},
        "Half of the width, grids from 4 px on instead of 7 px, Adam without momentum, five times the learning rates, "
        "which fall to 0 over the second half.",
    ),
    "unrolled": Plan(
        {
            "body": "conv", "width": 16, "smallest": 3, "z_dim": 64, "steps": 2, "inner_lr": 1e-3, "batch_size": 32,
            **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_half_falling(180.0),
        },
        "16 channels instead of 64, grids from 4 px on instead of 7 px, 2 steps ahead instead of 5 at a tenth of the inner "
        "learning rate, because larger steps of a D with BatchNorm leave G no useful gradient, a quarter of the batch size, "
        "Adam without momentum, ten times the learning rates, which fall to 0 over the second half.",
    ),
    "began": Plan(
        {
            "body": "dcgan", "width": 32, "smallest": 3, "gamma": 1.0, "k_rate": 0.1, "batch_size": 32, **_rates(1e-3, 1e-3),
            **_half_falling(300.0),
        },
        "DCGAN's generator and EBGAN's autoencoder at half width, which have BatchNorm, instead of the paper's networks, which "
        "learn only blurred shapes in this time. Grids from 4 px on, twice the batch size. k moves a hundred times as fast: in "
        "so few steps it would stay near 0, where the best fake is an empty image. gamma is 1 for variety and because a smaller "
        "one prefers dark images here. Ten times the learning rates, which fall to 0 over the second half. Ten minutes.",
    ),
    "ebgan": Plan(
        {"width": 32, "d_width": 32, "smallest": 3, "batch_size": 32, **_rates(1e-3, 1e-3), **_half_falling(220.0)},
        "G a quarter and D half as wide, G's grids from 4 px on instead of 7 px, a quarter of the batch size, and "
        "five times the learning rates, which fall to 0 over the second half.",
    ),
    "sngan": Plan(
        {
            "n_classes": 0, "pyramid": True, "width": 12, "smallest": 3, "batch_size": 16, "n_critic": 1, **_rates(1e-3, 2e-3),
            **_WITHOUT_MOMENTUM, **_half_falling(120.0),
        },
        "Without labels, as in the paper's models for CIFAR-10 and STL-10: with labels the samples of a class become equal in a "
        "short run. Channels doubled towards the base, 12 next to the image, and the blocks of the paper's networks for 32 px "
        "(28 px would have one less in each), a quarter of the batch size, one update of D per update of G instead of 5, five "
        "and ten times the learning rates for G and D, which fall to 0 over the second half: 7,500 updates of G instead of "
        "50,000.",
    ),
    "sagan": Plan(
        {
            "n_classes": 0, "width": 12, "smallest": 3, "attention": 8, "d_gain": 2.0, "batch_size": 32, **_rates(2e-3, 2e-3),
            **_WITHOUT_MOMENTUM, **_half_falling(300.0),
        },
        "Without labels: with them the samples of a class become equal in a short run. 12 channels next to the image, doubled "
        "towards the base, attention at 8 px (a quarter of the side, as in the paper), an eighth of the batch size. D's layers "
        "have a largest singular value of 2 instead of 1, with which so small a D is too flat. beta2 of 0.99, twenty and five "
        "times the learning rates, which fall to 0 over the second half: 9,400 steps instead of a million. Twenty minutes.",
    ),
    "progan": Plan(
        {
            "z_dim": 128, "width": 48, "full": 0, "batch_size": 16, "most_batch": 16, "stage_kimg": 2.0, "tanh": True,
            **_rates(1e-2, 1e-2), **_falling(116.0, 232.0), "total_kimg": 240.0,
        },
        "48 channels on the base grid, halved with each doubling to 12 on the last, and latents of length 128, instead of 512; "
        "stages of 2 kimg instead of 600, batches of 16 on all grids (128 on the coarse ones left a hundred steps to a stage), "
        "tanh for flat backgrounds, and ten times the learning rates, which fall to 0 over the last 116 kimg: with equalised "
        "layers, the paper's move a weight by a thousandth of its size per step. Twenty minutes.",
        larger={"full": lambda full, more: full + more},
    ),
    "biggan": Plan(
        {
            "width": 8, "d_width": 24, "smallest": 3, "attention": 16, "batch_size": 16, "n_critic": 1, "z_dim": 40,
            "c_dim": 32, "ema_kimg": 5.0, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_half_falling(70.0),
        },
        "G a twelfth and D a quarter as wide: D for 32 px has the same width on all grids, and with 8 channels it is too weak "
        "(coverage 0.53 after 100 kimg instead of 0.74 after 50). The blocks of the paper's networks for 32 px with "
        "attention at 16 px, batches of 16 instead of 2,048, one update of D per update of G, beta2 of 0.99, and learning rates "
        "of 1e-3, which fall to 0 over the second half. Twenty minutes.",
    ),
    "fastgan": Plan(
        {
            "z_dim": 64, "width": 4, "d_width": 12, "batch_size": 16, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM,
            **_half_falling(150.0),
        },
        "G's width is that of its 128 px grid, so 4 still means 64 channels on the base grid; D's is 12, since at this size its "
        "last grid has 8 times as many (at 4 it is too weak for G). A quarter of the latents, batches of 16, Adam without "
        "momentum, five times the learning rates, which fall to 0 over the second half: 9,400 steps. Twenty-five minutes.",
    ),
    "projected-gan": Plan(
        {"width": 8, "d_width": 16, "side": 64, "batch_size": 16, "ema_kimg": 2.0, "total_kimg": 20.0},
        "A sixteenth of G's width, a quarter of the projections' width, images enlarged to 64 px instead of 224, batches of 16: "
        "1,250 steps. Needs an extra (pip install ganloom[effnet]).",
    ),
    "stylegan": Plan(
        {
            "z_dim": 64, "width": 32, "layers": 4, "batch_size": 16, "stage_kimg": 4.0, "gamma": 0.3, "tanh": True,
            **_rates(4e-3, 4e-3), **_falling(50.0, 100.0), "total_kimg": 108.0,
        },
        "32 channels instead of 512, half of the mapping layers, stages of 4 kimg instead of 600, a gamma for small images (the "
        "paper's 10 is for 256 px and more), tanh for flat backgrounds, four times the learning rates, which fall to 0 over "
        "the last 50 kimg. A quarter of an hour.",
    ),
    "stylegan2": Plan(
        {
            "z_dim": 64, "base": 256, "width": 64, "batch_size": 16, "path_length": 0.0, "mixing": 0.0, "gamma": 0.05,
            "ema_kimg": 5.0, "d_layers": 1, "group_maps": 32, "alike": True, "tanh": True, "dense_base": True,
            **_rates(5e-3, 8e-3), "g_opt.schedule": ((80.0, 1.0), (160.0, 0.1)), "d_opt.schedule": ((80.0, 1.0), (160.0, 0.1)),
            "total_kimg": 160.0,
        },
        "64 channels on the base grid, halved with each doubling to 16 on the last, instead of 512; latents of length 64, no "
        "path length penalty, no style mixing; five times the gamma of the auto rule, which is for larger images; two and three "
        "times its learning rates; tanh for flat backgrounds, w shifts each position of the base grid, and D sees the standard "
        "deviation of four images of one label in 32 maps.",
        larger={"base": lambda base, more: base << more},
    ),
    "r3gan": Plan(
        {
            "width": 64, "full": 0, "blocks": 1, "dense_base": True, "batch_size": 32, "gamma": 0.3, "gamma_end": 0.3, "lazy": 16,
            "tanh": True, "lr": 4e-3, "decay_kimg": 160.0, "ema_kimg": 5.0, "stddev": 4, "stddev_maps": 32, "stddev_alike": True,
            "total_kimg": 160.0,
        },
        "64 channels on the base grid, halved with each doubling to 16 on the last, instead of 768; one block per grid instead "
        "of two, batches of 32 instead of 512 at twenty times the learning rate, penalties every 16th step, tanh for flat "
        "backgrounds. Not in the paper: z determines each position of the base grid separately, and D's last layer sees the "
        "standard deviation of four images of one label in 32 numbers.",
        larger={"full": lambda full, more: full + more},
    ),
    "pix2pix": Plan(
        {
            "width": 32, "d_width": 32, "batch_size": 16, "jitter": 1.0, "flip": True, "ema_kimg": 2.0,
            "g_opt.schedule": ((24.0, 1.0), (48.0, 0.0)), "d_opt.schedule": ((24.0, 1.0), (48.0, 0.0)), "total_kimg": 48.0,
        },
        "Half of the width at 64 px, batches of 16, images mirrored but not enlarged, a learning rate that falls to 0 over "
        "the second half as in the authors' later code: 3,000 steps. Needs pairs; these come from a font (apt install "
        "fonts-noto-color-emoji).",
        "edges-to-emoji",
    ),
    "cyclegan": _UNPAIRED,
    "unit": _UNPAIRED,
    "cut": replace(
        _UNPAIRED,
        options={**_UNPAIRED.options, "head": 64, "patches": 64, "antialias": False},
        why="A quarter of the width and of the heads, 64 positions instead of 256, no filters, 3 blocks, batches of 4: 3,000 "
        "steps. Needs two domains.",
    ),
    "srgan": Plan(
        {**_COMPACT, "pixel_kimg": 16.0, "total_kimg": 24.0},
        "A compact network of 32 channels and 8 convolutions on a bicubic base instead of SRResNet, a D an eighth as wide, and "
        "1,000 steps of the pixel stage before 500 of the adversarial one.",
        benchmark="restore",
    ),
    "esrgan": Plan(
        {**_COMPACT, "pixel_kimg": 16.0, "total_kimg": 24.0},
        "The compact network of srgan's plan instead of RRDBNet, a D an eighth as wide, and 1,500 steps.",
        benchmark="restore",
    ),
    "real-esrgan": Plan(
        {**_COMPACT, "pixel_kimg": 16.0, "total_kimg": 24.0},
        "The compact network of srgan's plan instead of RRDBNet, a D an eighth as wide, and 1,500 steps.",
        benchmark="restore",
    ),
    "lama": Plan(
        {
            "net": "gated", "width": 24, "d_width": 16, "blocks": 4, "batch_size": 16, "fill": "biharmonic", "l1_known": 0.0,
            "l1_missing": 4.0, "adversarial": 0.0, "matching_weight": 0.0, "perceptual": 4.0, "normalised": True,
            "ema_kimg": 2.0, "g_opt.lr": 1.5e-3, "g_opt.betas": (0.9, 0.99), "g_opt.schedule": ((14.4, 1.0), (48.0, 0.03)),
            "total_kimg": 48.0,
        },
        "A small network of gated convolutions instead of the Fourier ones (--net gated), which learns more in the same time. It "
        "corrects a smooth fill (--fill biharmonic), by L1 in the hole and by the features of a random network, without a "
        "discriminator: 3,000 steps.",
        benchmark="inpaint",
    ),
    "context-encoder": Plan(
        {"width": 32, "d_width": 32, "bottleneck": 500, "batch_size": 32, "ema_kimg": 2.0, "total_kimg": 80.0},
        "Half of the width, an eighth of the bottleneck and half of the batch size: 2,500 steps.",
        benchmark="inpaint",
    ),
    "f-anogan": Plan(
        {
            "z_dim": 64, "width": 32, "multiple": 2, "n_critic": 2, "bound": 2.5, "batch_size": 32, "gan_kimg": 40.0,
            **_rates(5e-4, 5e-4), **_WITHOUT_MOMENTUM, "e_opt.lr": 1e-3, **_falling(0.0, 40.0),
            "e_opt.schedule": ((0.0, 1.0), (50.0, 0.02)), "total_kimg": 90.0,
        },
        "Half of the width and of the latents, half of the batch size, two updates of D per update of G instead of 5, five times "
        "the learning rates, and twenty times for E, whose latents are bounded; all fall: 625 steps of G and 1,560 of E.",
        benchmark="anomaly",
    ),
    "ganomaly": Plan(
        {
            "z_dim": 64, "width": 32, "multiple": 2, "batch_size": 32, **_rates(1e-3, 5e-4), **_falling(0.0, 36.0),
            "total_kimg": 36.0,
        },
        "Half of the width and of the batch size, half and a quarter of the learning rates, which fall to 0: 1,130 steps.",
        benchmark="anomaly",
    ),
    "anogan": Plan(
        {
            "z_dim": 64, "width": 32, "multiple": 2, "batch_size": 32, "steps": 100, "search_lr": 0.05, **_rates(1e-3, 1e-3),
            **_falling(0.0, 36.0), "total_kimg": 36.0,
        },
        "Half of the width and of the batch size, 100 steps of the search instead of 500 at five times the learning rate, five "
        "times the learning rates of training, which fall to 0: 1,130 steps.",
        benchmark="anomaly",
    ),
    "ss-gan": Plan(
        {
            "z_dim": 64, "width": 32, "multiple": 2, "batch_size": 32, "loss": "nonsaturating", "g_weight": 0.0, "gamma": 0.3,
            "ema_kimg": 2.0, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, **_falling(0.0, 36.0), "total_kimg": 36.0,
        },
        "Half of the width and of the batch size, no rotation loss of G, R1, five times the learning rates, which fall to 0: "
        "1,130 steps.",
        benchmark="anomaly",
    ),
    "gan-cls": Plan(
        {
            "z_dim": 32, "width": 32, "text_dim": 64, "near": 0.5, "batch_size": 32, "ema_kimg": 11.0, **_rates(4e-4, 4e-4),
            "total_kimg": 160.0,
        },
        "Half of the width, latents of length 32, captions mapped to 64 numbers, half of the mismatched captions differ in few "
        "words, half of the batch size at twice the learning rates: 5,000 steps. Needs captions.",
        "shapes:8000,varied,seen",
        benchmark="captions",
    ),
    "df-gan": Plan(
        {
            "z_dim": 32, "width": 16, "most": 4, "hidden": 64, "neutral": False, "text_at_base": True, "text_dim": 64,
            "joint": 128, "gate": 1.0, "gain": 0.7, "near": 0.5, "contrast_weight": 0.5, "gp_weight": 0.5, "lazy": 4,
            "batch_size": 32, "ema_kimg": 11.0, **_rates(4e-4, 8e-4), "total_kimg": 160.0,
        },
        "16 channels next to the image instead of 32, at most four times as many, latents of length 32, captions mapped to 64 "
        "numbers, D's gates start at 1, the penalty every 4th step at a quarter of its weight, four times the learning rate for "
        "G and twice for D: 5,000 steps. Not in the paper: half of the mismatched captions differ in few words, and a "
        "contrastive term of weight 0.5. Needs captions.",
        "shapes:8000,varied,seen",
        benchmark="captions",
    ),
    "prgan": Plan(
        {
            "z_dim": 64, "width": 24, "d_width": 32, "blur": True, "d_norm": False, "d_stddev": 4, "views": 2, "d_accuracy": 1.0,
            "r1_weight": 1.0, "lazy": 4, "batch_size": 32, "ema_kimg": 11.0, **_rates(3e-4, 3e-4), **_WITHOUT_MOMENTUM,
            "total_kimg": 57.0,
        },
        "A third of the width of G and half of D's, latents of length 64, batches of 32 images of 16 volumes, Adam without "
        "momentum at equal learning rates. Not in the paper: blur after each transposed convolution, R1 every 4th step instead "
        "of BatchNorm in D and of leaving out its updates, and a minibatch standard deviation. Needs silhouettes.",
        "silhouettes",
        benchmark="volumes",
    ),
    "gan3d": Plan(
        {
            "z_dim": 64, "width": 16, "d_width": 16, "d_norm": False, "d_accuracy": 1.0, "r1_weight": 10.0, "lazy": 4,
            "batch_size": 16, "ema_kimg": 5.0, **_rates(1e-3, 1e-3), **_WITHOUT_MOMENTUM, "total_kimg": 24.0,
        },
        "A quarter of the width, latents of length 64, batches of 16 instead of 100, Adam without momentum at equal learning "
        "rates. Not in the paper: R1 every 4th step instead of BatchNorm in D and of leaving out its updates. For volumes of "
        "32^3. Needs voxels.",
        "silhouettes",
        benchmark="volumes",
    ),
    "eg3d": Plan(
        {
            "z_dim": 64, "w_dim": 96, "layers": 2, "plane": 32, "plane_channels": 12, "width": 48, "plane_most": 64,
            "field_width": 32, "ray_points": 14, "d_width": 32, "d_hidden": 128, "lazy": 4, "batch_size": 16, "ema_kimg": 5.5,
            "coarse_kimg": 22.0, **_rates(4e-3, 1e-3), "total_kimg": 36.0,
        },
        "Planes of 32 x 32 with 12 channels from at most 64 channels, a field of 32 units, 14 points along each ray, D half as "
        "wide, R1 every 4th step, half of the batch size, 1.6 times the learning rate of G and half of that of D; the first 60 % "
        "of training render at half the size. For images of 32 px.",
        "primitives3d",
        benchmark="volumes",
    ),
}  # fmt: skip


def plan(name: str) -> Plan:
    """Return the plan of a recipe; a recipe without one is trained with its defaults for 40 kimg."""
    return PLANS.get(name, Plan({"total_kimg": 40.0}, "The default settings, for 40 kimg."))


def command(name: str, options: dict[str, Any], seed: int = 0, data: str | None = None) -> str:
    """Return the command line that trains with these options, on ``data`` or on the plan's data set."""
    words = ["ganloom", "train", name, data or plan(name).data]
    for key, value in {**options, "seed": seed}.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, *(f"{one}" for one in flat(value))]
    return command_line(word.removesuffix(".0") for word in words)


def flat(value: Any) -> list[Any]:
    """Flatten nested tuples, such as the knots of a schedule, into a list of numbers."""
    return [one for part in value for one in flat(part)] if isinstance(value, tuple) else [value]


def small(name: str, module: ModuleType, total_kimg: object = None) -> dict[str, Any]:
    """Return the keyword arguments of ``ganloom.train`` for `--small`.

    Args:
        name: Name of the recipe.
        module: Module of the recipe.
        total_kimg: Length of the run, to which the plan's schedules are stretched; None: the plan's length.
    """
    options = plan(name).options
    if isinstance(total_kimg, int | float) and 0 < total_kimg < ENDLESS and "total_kimg" in options:
        options = {key: _paced(key, value, total_kimg / options["total_kimg"]) for key, value in options.items()}
    return keywords(module, options)


def _paced(key: str, value: Any, times: float) -> Any:
    """Scale a setting to a run ``times`` as long, if it counts thousands of images."""
    if key.endswith(".schedule"):
        return tuple((kimg * times, factor) for kimg, factor in value)
    return value * times if key in ("total_kimg", *PACED) else value


def grown(name: str, cfg: Any) -> dict[str, Any]:
    """Return the settings of ``small`` that change for images larger than those of the plans; empty if there are none."""
    own = plan(name)
    if not own.larger:  # then the data need not be images
        return {}
    more = plan_sizes(*cfg.shape[1:])[2] - DOUBLINGS
    return {key: rule(own.options[key], more) for key, rule in own.larger.items()} if more > 0 else {}


def keywords(module: ModuleType, options: dict[str, Any]) -> dict[str, Any]:
    """Convert options to keyword arguments of ``ganloom.train``."""
    keywords: dict[str, Any] = {}
    for key, value in options.items():
        name, _, inner = key.partition(".")
        if inner:
            keywords[name] = replace(keywords.get(name, getattr(module.Config(), name)), **{inner: value})
        else:
            keywords[name] = value
    return keywords
