"""The standard Inception features from a weight file of the user. Nothing is downloaded."""

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.metrics.extractors.extractor import Extractor
from ganloom.metrics.extractors.inception_net import SIDE, FIDInception
from ganloom.metrics.extractors.resize import RESIZERS
from ganloom.metrics.extractors.task import cache_folder
from ganloom.metrics.extractors.torchscript import read_tensors

KNOWN = {
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": "pytorch-fid and torch-fidelity",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4": "NVIDIA's TorchScript",
}
"""SHA-256 of the files whose features are the standard ones."""
FILES = (
    "pt_inception-2015-12-05-6726825d.pth",
    "weights-inception-2015-12-05-6726825d.pth",
    "inception-2015-12-05.pt",
)
"""Usual names of these files."""

_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_CHAINS = {
    "5": ("branch1x1", "branch5x5_#", "branch3x3dbl_#"),
    "6a": ("branch3x3", "branch3x3dbl_#"),
    "6": ("branch1x1", "branch7x7_#", "branch7x7dbl_#"),
    "7a": ("branch3x3_#", "branch7x7x3_#"),
}  # fmt: skip
_SPREAD = {
    "conv": "branch1x1", "tower_conv": "branch3x3_1", "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b", "tower_1_conv": "branch3x3dbl_1", "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a", "tower_1_mixed_conv_1": "branch3x3dbl_3b", "tower_2_conv": "branch_pool",
}  # fmt: skip


def inception(
    weights: str | Path | None = None, *, resizer: str = "legacy", device: str | torch.device = "cpu", batch: int = 32
) -> Extractor:
    """Get the features of FID: 2048 features and 1008 logits (without bias, as for the Inception score).

    Images are rounded to 8 bits first, as if they had been saved. A file with an unknown SHA-256 is used, but its numbers
    are named ``fd_inception_<digest>``, not ``fid``.

    Args:
        weights: a file in pytorch-fid's layout (.pth) or NVIDIA's TorchScript (.pt), of which only the tensors are read;
            or its folder. None: ``$GANLOOM_INCEPTION``, then the usual folders (`folders`).
        resizer: "legacy" (TensorFlow 1, the published numbers), "clean" (Clean-FID) or "halfpixel" (pytorch-fid).
        device: of the net.
        batch: images at a time.

    Returns:
        The extractor.

    Raises:
        BadInput: no such file, another network in it, or an unknown resizer.
    """
    if resizer not in RESIZERS:
        raise BadInput(f"resizer: {resizer!r}{did_you_mean(resizer, RESIZERS)}; one of {', '.join(RESIZERS)}")
    path = find(weights)
    digest = file_sha256(path)
    with torch.random.fork_rng(devices=[]):
        net = FIDInception()
    _fill(net, path)
    known = digest in KNOWN
    name = "inception" + ("" if resizer == "legacy" else resizer) + ("" if known else f"_{digest[:8]}")
    origin = f"weights of {KNOWN[digest]}" if known else "weights of unknown SHA-256: not the published FID"
    note = f"2048 features of Inception-v3 ({origin}), {resizer} resizing"
    wrapped = _Prepared(net, resizer)
    return Extractor(
        wrapped, name=name, value_range=(0, 255), batch=batch, device=device, note=note, resizer=resizer, standard=known
    )


class _Prepared(nn.Module):
    """Rounding, resizing, scaling and the network, for (N, 3, H, W) in 0..255."""

    def __init__(self, net: FIDInception, resizer: str) -> None:
        super().__init__()
        self.net, self.resizer = net, resizer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        output: tuple[Tensor, Tensor] = self.net(self._scaled(x))
        return output

    def spatial_map(self, x: Tensor) -> Tensor:
        """Compute the map that sFID uses."""
        return self.net.spatial_map(self._scaled(x))

    def _scaled(self, x: Tensor) -> Tensor:
        x = RESIZERS[self.resizer](x.round().clamp(0, 255), SIDE)
        return x / 127.5 - 1 if self.resizer == "halfpixel" else (x - 128) / 128


def folders() -> list[Path]:
    """The folders that are searched for a weight file: the caches of ganloom and torch hub, and clean-fid's folder."""
    hub = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    torch_home = Path(hub) if hub else (Path(cache) if cache else Path.home() / ".cache") / "torch"
    return [cache_folder(), torch_home / "hub" / "checkpoints", Path("/tmp")]


def find(weights: str | Path | None = None) -> Path:
    """Find the weight file.

    Args:
        weights: the file or its folder. None: ``$GANLOOM_INCEPTION``, then `folders`.

    Returns:
        An existing file.

    Raises:
        BadInput: no such file. The message names file and folder.
    """
    chosen = weights or os.environ.get("GANLOOM_INCEPTION")
    if chosen:
        path = as_path(chosen)
        if path.is_dir():
            inside = [path / name for name in FILES if (path / name).is_file()]
            if not inside:
                raise BadInput(f"--weights {path}: the folder has none of {', '.join(FILES)}; give the file itself")
            path = inside[0]
        if not path.is_file():
            raise BadInput(f"--weights {path}: no such file; give {FILES[0]} (pytorch-fid) or {FILES[2]} (NVIDIA)")
        return path
    for folder in folders():
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
    raise BadInput(
        f"Inception weights are missing: put {FILES[0]} (pytorch-fid's) or {FILES[2]} (NVIDIA's) into {cache_folder()}, or"
        " give --weights FILE. Nothing is downloaded. Without them use --features effnet, fashion, task or random"
    )


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(net: FIDInception, path: Path) -> None:
    """Copy the weights of the file into ``net``. Every tensor must exist and have the right shape."""
    tensors = _read(path)
    expected = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    if any(".tower" in key for key in tensors):
        tensors = _from_towers(tensors, expected)
    absent = [key for key in expected if key not in tensors]
    wrong = [key for key in expected if key in tensors and tensors[key].shape != expected[key].shape]
    if absent or wrong:
        reason = f"{absent[0]} is missing" if absent else f"{wrong[0]} has shape {tuple(tensors[wrong[0]].shape)}"
        raise BadInput(f"{path} is not FID's Inception ({reason}); give {FILES[0]} or {FILES[2]}")
    net.load_state_dict({key: tensors[key].float() for key in expected}, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file in either layout, by name."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                return read_tensors(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError, KeyError, IndexError) as error:
        raise BadInput(f"{path}: cannot be read as weights ({type(error).__name__}); get the file again") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadInput(f"{path} does not hold a dict of tensors; give {FILES[0]} or {FILES[2]}")
    return state


def _from_towers(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename NVIDIA's keys (TensorFlow's towers). Their batch norms have no scale, which is 1."""
    modules = {f"layers.{_numbered('conv', i)}": name for i, name in enumerate(_STEM)}
    for i, block in enumerate(_MIXED):
        old, new = f"layers.{_numbered('mixed', i)}", f"Mixed_{block}"
        modules |= {f"{old}.{a}": f"{new}.{b}" for a, b in _block_names(block).items()}
    result = {f"fc.{leaf}": tensors[f"output.{leaf}"] for leaf in ("weight", "bias") if f"output.{leaf}" in tensors}
    for old, new in modules.items():
        leaves = {key[len(old) + 1 :]: value for key, value in tensors.items() if key.startswith(old + ".")}
        for leaf, value in leaves.items():
            kind = "conv.weight" if value.ndim == 4 else _norm_kind(leaf)
            if kind and f"{new}.{kind}" in expected:
                result[f"{new}.{kind}"] = value
        result.setdefault(f"{new}.bn.weight", torch.ones_like(expected[f"{new}.bn.weight"]))
    return result


def _block_names(block: str) -> dict[str, str]:
    """Convolutions of a block: TensorFlow's name -> the name here. Tower i is chain i; the last tower is the pool."""
    if block in ("7b", "7c"):
        return dict(_SPREAD)
    names: dict[str, str] = {}
    tower = 0
    for chain in _CHAINS.get(block) or _CHAINS[block[0]]:
        if "#" not in chain:
            names["conv"] = chain
            continue
        longest = {"branch5x5_#": 2, "branch3x3_#": 2, "branch7x7_#": 3, "branch3x3dbl_#": 3, "branch7x7x3_#": 4}
        for i in range(longest.get(chain, 5)):
            names[f"{_numbered('tower', tower)}.{_numbered('conv', i)}"] = chain.replace("#", str(i + 1))
        tower += 1
    if block not in ("6a", "7a"):
        names[f"{_numbered('tower', tower)}.conv"] = "branch_pool"
    return names


def _numbered(word: str, i: int) -> str:
    """TensorFlow's numbering: conv, conv_1, conv_2."""
    return f"{word}_{i}" if i else word


def _norm_kind(leaf: str) -> str | None:
    """The part of a batch norm that a name of PyTorch or TensorFlow means."""
    kinds = {"mean": "bn.running_mean", "var": "bn.running_var", "bias": "bn.bias", "beta": "bn.bias"}
    kinds |= {"weight": "bn.weight", "gamma": "bn.weight"}
    return next((kind for word, kind in kinds.items() if word in leaf), None)
