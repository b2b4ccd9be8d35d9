"""A feature net from a file of the user: DINOv2, CLIP or any other, as a torch.export program or TorchScript.

Both formats hold the program and the weights, so no code of the net's project is needed:
``torch.export.save(torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("n")},)), "net.pt2")``.
"""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.metrics.extractors.extractor import Extractor

NORMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Means and standard deviations of RGB in [0, 1] that published nets were trained with. DINOv2 uses ImageNet's."""
_ENDS = (".pt", ".pt2", ".ts", ".torchscript")
_KEYS = ("size", "range", "norm", "name", "channels", "batch")


def is_file_spec(text: str) -> bool:
    """Whether ``text`` names the file of a net."""
    return text.split(":")[0].lower().endswith(_ENDS) or "/" in text


def open_exported(spec: str, *, device: str | torch.device = "cpu") -> Extractor:
    """Open a net from its file. It runs code from the file: use only files that you trust.

    The options after the file are ``size`` (required: images are resized to it, antialiased bilinear), ``norm``
    (imagenet or clip) or ``range=LOW..HIGH`` (the values that the net expects, default 0..1), ``channels`` (1 or 3),
    ``batch`` (images at a time, for programs with a fixed batch) and ``name``. The net returns features (n, d), maps
    (n, d, h, w), a pair (features, logits), or tokens (n, t, d), of which the first is used.

    Args:
        spec: such as ``FILE:size=224:norm=imagenet:name=dinov2``.
        device: of the net.

    Returns:
        The extractor.

    Raises:
        BadInput: no such file, no program in it, or an unusable option.
    """
    parts = re.split(rf":(?=(?:{'|'.join(_KEYS)})=)|:(?=\w+=)", spec)
    path, options = as_path(parts[0]), dict(part.split("=", 1) for part in parts[1:])
    for key in options:
        if key not in _KEYS:
            raise BadInput(
                f"features {spec}: unknown option {key!r}{did_you_mean(key, _KEYS)}; known: {', '.join(_KEYS)}"
            )
    if not path.is_file():
        raise BadInput(f"features {path}: no such file; give a TorchScript (.pt) or torch.export (.pt2) program")
    size, channels, batch = (_whole_number(options, key, spec) for key in ("size", "channels", "batch"))
    if size is None:
        raise BadInput(
            f"features {path}: the input size of the net is missing. Add it, such as {path}:size=224:norm=imagenet"
        )
    norm, low, high = options.get("norm"), 0.0, 1.0
    if norm and norm not in NORMS:
        raise BadInput(f"features {spec}: norm={norm}{did_you_mean(norm, NORMS)}; one of {', '.join(NORMS)}")
    if "range" in options:
        ends = re.fullmatch(r"(-?[\d.]+)\.\.(-?[\d.]+)", options["range"])
        if not ends or norm:
            raise BadInput(
                f"features {spec}: write range=LOW..HIGH, such as 0..1 or -1..1, and do not give norm as well"
            )
        low, high = float(ends[1]), float(ends[2])
    net = _Program(_load(path), NORMS[norm] if norm else None)
    name = "".join(ch for ch in options.get("name", path.stem).lower() if ch.isalnum()) or "file"
    note = f"features of {path.name} at {size} px, {f'normalised as {norm}' if norm else f'values {low:g} to {high:g}'}"
    return Extractor(
        net, name=f"{name}{size}px", size=size, channels=channels or 3, value_range=(low, high), batch=batch or 32,
        device=device, note=note,
    )  # fmt: skip


def _whole_number(options: dict[str, str], key: str, spec: str) -> int | None:
    """An option as a number above 0; None if it is absent."""
    if key in options and not (options[key].isdigit() and int(options[key]) > 0):
        raise BadInput(f"features {spec}: {key}={options[key]} is not a whole number above 0")
    return int(options[key]) if key in options else None


class _Program(nn.Module):
    """The normalisation, the loaded program, and the choice of the first token."""

    def __init__(self, program: Any, norm: tuple[tuple[float, ...], tuple[float, ...]] | None) -> None:
        super().__init__()
        self.program = program
        mean, sd = norm or ((0.0,), (1.0,))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("sd", torch.tensor(sd)[:, None, None])

    def forward(self, x: Tensor) -> Any:
        out = self.program((x - self.get_buffer("mean")) / self.get_buffer("sd"))
        return out[:, 0] if isinstance(out, Tensor) and out.ndim == 3 else out


def _load(path: Path) -> Any:
    """The program as a module, or `BadInput`."""
    try:
        with zipfile.ZipFile(path) as archive:
            script = any("/code/" in name and "/data.pkl" not in name for name in archive.namelist())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, but many nets are published in it
            if script and path.suffix.lower() != ".pt2":
                return torch.jit.load(path, map_location="cpu").eval()
            return torch.export.load(path).module()
    except Exception as error:  # whatever the two readers raise
        raise BadInput(f"features {path}: not a TorchScript or torch.export program ({type(error).__name__})") from None
