"""How each recipe is cut down so that small images train in minutes on a CPU: `--small`, and the doc pages' commands."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from ganloom.nn.layers import plan_sizes

DATA = "fashion-10k"
ENDLESS = 1e9
"""Thousands of images of a run that something else than its length ends: plans keep their own course in it."""
DOUBLINGS = 2
"""Of the grids of images of 28 px, for which the plans are made."""


@dataclass(frozen=True)
class Plan:
    """Flags of ``ganloom train``, and a sentence on what they change. A dot leads into an optimizer: "g_opt.lr"."""

    options: dict[str, Any]
    why: str
    data: str = DATA
    larger: Mapping[str, Callable[[Any, int], Any]] = field(default_factory=dict)
    """Settings that larger images change: from the plan's own and the doublings beyond ``DOUBLINGS``."""


_NARROW = "Narrowed from the paper's {} channels to {} so that it trains in minutes"

_UNPAIRED = Plan(
    {
        "width": 16,
        "d_width": 16,
        "blocks": 3,
        "batch_size": 4,
        "jitter": 1.0,
        "g_opt.schedule": ((6.0, 1.0), (12.0, 0.0)),
        "d_opt.schedule": ((6.0, 1.0), (12.0, 0.0)),
        "total_kimg": 12.0,
    },
    "A quarter of its width, 3 blocks, batches of 4, no enlarging: 3,000 steps, the rate falling over the second half of "
    "them. It needs two domains.",
    "unpaired-fashion",
)

PLANS: dict[str, Plan] = {
    "default": Plan({"total_kimg": 60.0}, "The recipe as it stands, for a little more than half of its own length."),
    "gan": Plan({"total_kimg": 500.0}, "The recipe as it stands."),
    "cnn-gan": Plan(
        {"width": 32, "batch_size": 32, "total_kimg": 150.0},
        "Half the tutorial's width, and batches of 32 instead of 256, which gives eight times the steps for the same images.",
    ),
    "dcgan": Plan({"width": 32, "batch_size": 64, "total_kimg": 240.0}, "Half of its width and of its batch."),
    "cgan": Plan({"width": 32, "batch_size": 32, "total_kimg": 250.0}, "Half of its width, and batches of 32."),
    "acgan": Plan(
        {"width": 32, "d_width": 8, "batch_size": 25, "total_kimg": 110.0},
        "G a third as wide, D half as wide, a quarter of the batch, and 4,400 steps of each where the paper takes 50,000.",
    ),
    "infogan": Plan({"width": 32, "batch_size": 64, "total_kimg": 160.0}, "Half of its width and of its batch."),
    "lsgan": Plan(
        {"width": 16, "batch_size": 32, "total_kimg": 300.0},
        "The paper's network a quarter as wide, half of its batch; at 28 px it has two doublings of four.",
    ),
    "wgan": Plan(
        {
            "width": 32, "warm_steps": 0, "batch_size": 32, "g_opt.lr": 2e-4, "d_opt.lr": 2e-4, "total_kimg": 600.0,
        },
        "Half of its width and batch, no warm-up (25 steps of it alone show 80,000 images), and four times the learning "
        "rate: G moves once for each 160 images, 3,750 times in all.",
    ),
    "wgan-gp": Plan(
        {"body": "dcgan", "width": 32, "batch_size": 32, "total_kimg": 320.0},
        "DCGAN's networks at half width instead of the residual ones; G moves once for each 160 images, 2,000 times in all.",
    ),
    "dragan": Plan({"width": 32, "batch_size": 32, "total_kimg": 150.0}, "Half of its width and of its batch."),
    "relativistic": Plan({"width": 32, "total_kimg": 160.0}, "Half of its width."),
    "unrolled": Plan(
        {"body": "dense", "g_widths": (256, 512), "d_widths": (512, 256), "steps": 3, "batch_size": 64, "g_opt.lr": 1e-3,
         "total_kimg": 150.0},
        "Dense networks and G's rate of 1e-3, as in the authors' notebook for points, and 3 steps ahead instead of 5. With "
        "convolutions of 16 channels D wins within 10 kimg, with the look ahead and without it.",
    ),
    "began": Plan({"width": 16, "total_kimg": 48.0}, "A quarter of its width, and a small part of its images."),
    "ebgan": Plan(
        {"width": 32, "d_width": 32, "batch_size": 32, "total_kimg": 100.0},
        "G a quarter and D half as wide, and a quarter of the batch, which gives more steps for the same images.",
    ),
    "sngan": Plan(
        {"width": 32, "batch_size": 16, "n_critic": 1, "total_kimg": 72.0},
        "An eighth of its width (D 16), a quarter of its batch, one update of D for one of G instead of 5: 4,500 steps of G, of "
        "the paper's 50,000.",
    ),
    "sagan": Plan(
        {"width": 8, "batch_size": 16, "total_kimg": 48.0},
        "An eighth of its width and a sixteenth of its batch: 3,000 steps, of the paper's million.",
    ),
    "progan": Plan(
        {"width": 16, "batch_size": 32, "stage_kimg": 16.0, "total_kimg": 120.0},
        "16 channels instead of 512, stages of 16 kimg instead of 600, so that all three sizes are reached.",
    ),
    "biggan": Plan(
        {
            "width": 8, "batch_size": 32, "n_critic": 1, "z_dim": 40, "c_dim": 32, "ema_kimg": 2.0, "g_opt.lr": 2e-4,
            "total_kimg": 60.0,
        },
        "A twelfth of its width, batches of 32 instead of 2,048, one update of D for one of G, G's learning rate for such "
        "batches: a demonstration that it runs, far from what it is for.",
    ),
    "fastgan": Plan(
        {"width": 4, "batch_size": 8, "total_kimg": 32.0},
        "Its widths count from a grid of 128, so 4 still means 64 channels at 28 px; 4,000 steps.",
    ),
    "projected-gan": Plan(
        {"width": 8, "d_width": 16, "side": 64, "batch_size": 16, "ema_kimg": 2.0, "total_kimg": 20.0},
        "A sixteenth of G's width, a quarter of the projections', images enlarged to 64 px instead of 224, batches of 16: "
        "1,250 steps. It needs the extra (pip install ganloom[effnet]).",
    ),
    "stylegan": Plan(
        {"z_dim": 64, "width": 32, "layers": 4, "batch_size": 16, "stage_kimg": 8.0, "total_kimg": 44.0},
        "32 channels instead of 512, half of the mapping network, stages of 8 kimg instead of 600.",
    ),
    "stylegan2": Plan(
        {
            "z_dim": 64, "base": 256, "width": 64, "batch_size": 16, "path_length": 0.0, "mixing": 0.0, "gamma": 0.05,
            "ema_kimg": 5.0, "d_layers": 1, "group_maps": 32, "alike": True, "tanh": True, "dense_base": True,
            "g_opt.lr": 5e-3, "d_opt.lr": 8e-3, "g_opt.schedule": ((120.0, 1.0), (230.0, 0.1)),
            "d_opt.schedule": ((120.0, 1.0), (230.0, 0.1)), "total_kimg": 230.0,
        },
        "64 channels on the base grid and, with each doubling, half of them to 16 on the last instead of 512, latents of 64 "
        "numbers, no path length penalty, no mixed styles, five times the gamma of the rule, which is for images of many more "
        "pixels, twice and three times its rates; tanh for the flat grounds, w moves each place of the base grid, and D sees "
        "the spread of four images of one label in 32 maps.",
        larger={"base": lambda base, more: base << more},
    ),
    "r3gan": Plan(
        {
            "width": 64, "full": 0, "blocks": 1, "dense_base": True, "batch_size": 32, "gamma": 0.3, "gamma_end": 0.3, "lazy": 16,
            "tanh": True, "lr": 4e-3, "decay_kimg": 230.0, "ema_kimg": 5.0, "stddev": 4, "stddev_maps": 32, "stddev_alike": True,
            "total_kimg": 230.0,
        },
        "64 channels on the base grid and, with each doubling, half of them to 16 on the last instead of 768, one block a grid "
        "instead of two, batches of 32 instead of 512 at twenty times the rate, penalties each 16th step, tanh for the flat "
        "grounds; and, which the paper does without, z moves each place of the base grid, and D's last layer sees the spread of "
        "four images of one label in 32 numbers.",
        larger={"full": lambda full, more: full + more},
    ),
    "pix2pix": Plan(
        {
            "width": 32, "d_width": 32, "batch_size": 16, "jitter": 1.0, "flip": True, "ema_kimg": 2.0,
            "g_opt.schedule": ((24.0, 1.0), (48.0, 0.0)), "d_opt.schedule": ((24.0, 1.0), (48.0, 0.0)), "total_kimg": 48.0,
        },
        "Half of its width at 64 px, batches of 16, mirrored and not enlarged, a rate that falls to 0 over the second half, as "
        "in the authors' later code: 3,000 steps. It needs pairs; these are drawn from a font (apt install "
        "fonts-noto-color-emoji).",
        "edges-to-emoji",
    ),
    "cyclegan": _UNPAIRED,
    "unit": _UNPAIRED,
    "cut": replace(
        _UNPAIRED,
        options={**_UNPAIRED.options, "head": 64, "patches": 64, "antialias": False},
        why="A quarter of its width and of its heads, 64 places instead of 256, no filters, 3 blocks, batches of 4: 3,000 steps. "
        "It needs two domains.",
    ),
}  # fmt: skip


def plan(name: str) -> Plan:
    """The plan of a recipe; one that has none here is trained as it stands for 40 kimg."""
    return PLANS.get(name, Plan({"total_kimg": 40.0}, "The recipe as it stands, for 40 kimg."))


def command(name: str, options: dict[str, Any], seed: int = 0, data: str | None = None) -> str:
    """The command line that trains so, on ``data`` or the plan's own."""
    words = ["ganloom", "train", name, data or plan(name).data]
    for key, value in {**options, "seed": seed}.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, *(f"{one}" for one in flat(value))]
    return shlex.join(word.removesuffix(".0") for word in words)


def flat(value: Any) -> list[Any]:
    """Numbers one after the other, of knots too."""
    return [one for part in value for one in flat(part)] if isinstance(value, tuple) else [value]


def small(name: str, module: ModuleType, total_kimg: object = None) -> dict[str, Any]:
    """Keywords of ``ganloom.train`` for `--small`: those of the recipe's plan, paced for a run of ``total_kimg`` if given."""
    options = plan(name).options
    if isinstance(total_kimg, int | float) and 0 < total_kimg < ENDLESS and "total_kimg" in options:
        options = {key: _paced(key, value, total_kimg / options["total_kimg"]) for key, value in options.items()}
    return keywords(module, options)


def _paced(key: str, value: Any, times: float) -> Any:
    """A setting of a run that is so many times as long: what counts thousands of images on the run's own course."""
    if key.endswith(".schedule"):
        return tuple((kimg * times, factor) for kimg, factor in value)
    return value * times if key in ("total_kimg", "decay_kimg", "stage_kimg") else value


def grown(name: str, cfg: Any) -> dict[str, Any]:
    """Of ``small``, what the images of ``cfg`` change; nothing up to the size that the plans are made for."""
    own = plan(name)
    if not own.larger:  # nor does the data have to be images
        return {}
    more = plan_sizes(*cfg.shape[1:])[2] - DOUBLINGS
    return {key: rule(own.options[key], more) for key, rule in own.larger.items()} if more > 0 else {}


def keywords(module: ModuleType, options: dict[str, Any]) -> dict[str, Any]:
    """The same as keywords of ``ganloom.train``."""
    found: dict[str, Any] = {}
    for key, value in options.items():
        name, _, inner = key.partition(".")
        if inner:
            found[name] = replace(found.get(name, getattr(module.Config(), name)), **{inner: value})
        else:
            found[name] = value
    return found
