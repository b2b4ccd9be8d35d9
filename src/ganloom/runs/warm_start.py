"""Training that starts from another run's weights: fine-tuning, and FreezeD (Mo et al. 2020, arXiv:2002.10964).

The networks, the average of G and their own running statistics come from the other run; optimizers, clock, and what the
model keeps beside its networks (the strength of an augmentation, the mean of path lengths) begin anew. Every tensor must
fit. Those whose shape the number of classes decides begin anew where that number changed, and so does what ``fresh`` names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.lint.inspect_model import Case, look
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder
from ganloom.training.config import TrainConfig
from ganloom.training.ema import with_pending

Tensors = Mapping[str, Tensor]
OWN = ("n_classes",)
"""Settings that the data decide, also where another run's weights are the start."""


@dataclass(frozen=True)
class Source:
    """Another run's networks, or those of a model/ folder."""

    path: Path
    described: dict[str, Any]
    tensors: dict[str, Tensor]
    averages: dict[str, Tensor]
    kimg: float | None
    checkpoint: str | None

    @property
    def name(self) -> str:
        """The run, its checkpoint and its clock, in words."""
        at = "" if self.kimg is None else f" at {self.kimg:g} kimg"
        return f"{self.path}{at}"


@dataclass(frozen=True)
class Begun:
    """What ``begin`` did: the record for config.json, the averages to begin with, and one line for people."""

    record: dict[str, Any]
    averages: dict[str, Tensor]
    text: str


def read(path: str | Path, which: str = "latest") -> Source:
    """The weights of a run's checkpoint, or of a model/ folder (trained or imported), which has averages alone."""
    folder = Folder(Path(path))
    if not folder.path.is_dir() or not (folder.path / "config.json").is_file():
        raise BadInput(
            f"--init {path} is no run and no model/ folder: give one, or the folder that `ganloom import` wrote"
        )
    described = folder.read("config.json")
    if folder.checkpoints.is_dir():
        found = checkpoint.load(folder.checkpoints, which, only=lambda part: part != "optim")
        kimg = found.state["nimg"] / 1000
        return Source(
            folder.path,
            described,
            found.tensors["gan"],
            with_pending(found.tensors, found.state),
            kimg,
            found.path.name,
        )
    file = folder.path / "G.safetensors"
    try:
        tensors = safetensors.torch.load_file(file)
    except Exception as error:
        raise BadInput(f"--init {path}: {file} cannot be read ({type(error).__name__})") from error
    kimg = described.get("kimg")
    return Source(folder.path, described, tensors, tensors, None if kimg is None else float(kimg), None)


def inherited(source: Source, recipe: Any) -> dict[str, Any]:
    """The settings that the other run had, where it is of the same recipe: what nobody says is as it was there."""
    if not isinstance(recipe, str) or recipe.lower().replace("_", "-") != source.described.get("recipe"):
        return {}
    settings = {**source.described.get("stabilise", {}), **source.described.get("config", {})}
    return {name: value for name, value in settings.items() if name not in (*OWN, "type")}


def begin(
    gan: GAN,
    source: Source,
    data: Any,
    *,
    freeze_d: int = 0,
    fresh: Sequence[str] = (),
    build: Callable[[int], GAN] | None = None,
) -> Begun:
    """Put the other run's weights into ``gan``, and freeze the first ``freeze_d`` layers of D.

    ``fresh``: beginnings of names of what keeps its new weights. ``build``: the same model for so many classes, by which
    what labels decide is found.
    """
    wanted = _networks(gan, gan.state_dict())
    anew = {name for name in wanted if name.startswith(tuple(fresh))} if fresh else set()
    for beginning in fresh:
        if not any(name.startswith(beginning) for name in wanted):
            raise BadInput(
                f"--fresh {beginning}: no weight of this model is named so; names are such as {next(iter(wanted))}"
            )
    given = {n: t for n, t in _networks(gan, source.tensors).items() if not n.startswith(tuple(fresh) or ("\0",))}
    needed = {name: t for name, t in wanted.items() if name not in anew}
    before, now = (_classes(described) for described in (source.described.get("config", {}), vars(gan.cfg or object)))
    labelled: set[str] = set()
    if build is not None and before != now and _misfits(needed, given):
        needed_there = {n: t for n, t in _networks(gan, build(before).state_dict()).items() if n not in anew}
        if not _misfits(needed_there, given):
            labelled = set(_misfits(needed, given)) & set(needed)
            given = {n: t for n, t in given.items() if n in needed and n not in labelled}
            needed = {n: t for n, t in needed.items() if n not in labelled}
    _refuse(source, needed, given, gan)
    _load(gan, given)
    averages = {name: source.averages[name] for name in given if name in source.averages}
    layers = frozen_layers(gan, data, freeze_d)
    gan.frozen = frozenset(name for layer in layers for name in layer)
    began = sorted(anew | labelled)
    record = {
        "source": str(source.path), "checkpoint": source.checkpoint, "recipe": source.described.get("recipe"),
        "kimg": source.kimg, "fresh": began, "freeze_d": freeze_d, "frozen": sorted(gan.frozen),
    }  # fmt: skip
    text = _said(source, given, began, before, now, labelled, layers)
    if hasattr(gan.cfg, "stage_kimg"):
        text += "; it grows anew from the first level: a small --stage-kimg begins at full size"
    return Begun(record, averages, text)


def _networks(gan: GAN, tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of the children that have weights: the rest counts and begins anew."""
    nets = tuple(f"{name}." for name, child in gan.named_children() if any(True for _ in child.parameters()))
    return {name: t for name, t in tensors.items() if name.startswith(nets)}


def _classes(settings: Mapping[str, Any]) -> int:
    return int(settings.get("n_classes", 0) or 0)


def _misfits(wanted: Tensors, given: Tensors) -> list[str]:
    """Names that only one side has, or that have two shapes."""
    wrong = [n for n, t in wanted.items() if n not in given or given[n].shape != t.shape]
    return wrong + [n for n in given if n not in wanted]


def _refuse(source: Source, wanted: Tensors, given: Tensors, gan: GAN) -> None:
    """BadInput that names what does not fit."""
    wrong = _misfits(wanted, given)
    if not wrong:
        return
    for net in dict.fromkeys(name.split(".")[0] for name in wanted):
        if not any(name.startswith(f"{net}.") for name in given):
            raise BadInput(
                f"--init {source.path} holds no {net}: give a run with its checkpoints, or --fresh {net} for a new one"
            )
    told = []
    for name in wrong[:3]:
        there, here = (_size(side.get(name)) for side in (given, wanted))
        told.append(f"{name} ({there} there, {here} here)")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    raise BadInput(
        f"--init {source.path} does not fit this {type(gan).__name__}: {', '.join(told)}{more}; give the settings of that run, "
        f"or --fresh with the beginnings of the names that shall begin anew"
    )


def _size(tensor: Tensor | None) -> str:
    return "none" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"


@torch.no_grad()
def _load(gan: GAN, given: Tensors) -> None:
    own = gan.state_dict()
    for name, value in given.items():
        own[name].copy_(value)


def _said(
    source: Source, given: Tensors, began: list[str], before: int, now: int, labelled: set[str], layers: list[list[str]]
) -> str:
    nets = list(dict.fromkeys(name.split(".")[0] for name in given))
    text = f"weights of {source.name} ({', '.join(nets)})"
    if began:
        why = f", as {before} classes became {now}" if labelled else ""
        text += f"; {len(began)} tensors begin anew{why}: {', '.join(began[:4])}{' ...' if len(began) > 4 else ''}"
    if layers:
        first, last = (_owner(layer[0]).removeprefix("D.") for layer in (layers[0], layers[-1]))
        some = f"first {len(layers)} layers of D ({first} to {last}) do not"
        text += f"; the {some if len(layers) > 1 else f'first layer of D ({first}) does not'} train"
    return text


# ------------------------------------------------------------------------------------------------------------- FreezeD


def frozen_layers(gan: GAN, data: Any, n: int) -> list[list[str]]:
    """The names of the parameters of D's first n layers, a list a layer."""
    if n < 0:
        raise BadInput(f"--freeze-d counts layers of D from its image on and must not be negative, got {n}")
    if n == 0:
        return []
    layers = d_layers(gan, data)
    if n >= len(layers):
        raise BadInput(f"--freeze-d {n}: D of this recipe has {len(layers)} layers, and at least one must train")
    return layers[:n]


def d_layers(gan: GAN, data: Any) -> list[list[str]]:
    """D's parameters by layer, in the order in which an image meets them.

    A layer begins with a weight of two dimensions or more (a convolution, a linear map); norms and gains belong to the
    layer before them.
    """
    critic = getattr(gan, "D", None)
    if not isinstance(critic, nn.Module):
        raise BadInput("--freeze-d needs a model with a network D: leave it out")
    owned: dict[str, list[str]] = {}
    for name, _ in critic.named_parameters():
        owned.setdefault(_owner(name), []).append(name)
    met: dict[str, None] = {}
    handles = [critic.get_submodule(o).register_forward_hook(lambda *_, o=o: met.setdefault(o)) for o in owned]
    try:
        look(Case(gan, gan.phases(), TrainConfig()), data)
    finally:
        for handle in handles:
            handle.remove()
    shapes = {name: p.dim() for name, p in critic.named_parameters()}
    layers: list[list[str]] = []
    for owner in met:
        if not layers or any(shapes[name] > 1 for name in owned[owner]):
            layers.append([])
        layers[-1] += [f"D.{name}" for name in owned[owner]]
    if not layers:
        raise BadInput("--freeze-d: D of this model could not be watched at work: leave it out")
    return layers


def _owner(name: str) -> str:
    """The module that a parameter belongs to; a parametrised weight to the layer that it is the weight of."""
    return name.split(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
