"""Start a training from the weights of another run: fine-tuning, and FreezeD (see ``freeze_d``).

The networks, the EMA of G and their running statistics are loaded from the other run. The optimizers, the clock and the model's
other state (strength of an augmentation, mean path length) start from zero. Every tensor must fit. Classes are matched by name,
and each keeps its weights; those of new classes are initialized, and so are the tensors that ``fresh`` names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ganloom import recipes
from ganloom.core import class_names, config, json_files
from ganloom.core.class_names import Match
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.gan import GAN
from ganloom.runs import checkpoint, saved_weights
from ganloom.runs.class_weights import ClassWeights, class_axes
from ganloom.runs.folder import Folder
from ganloom.runs.freeze_d import frozen_layers, owner
from ganloom.stabilisers.config import Stabilise
from ganloom.training.ema import with_pending

Tensors = Mapping[str, Tensor]
OWN = ("n_classes",)
"""Settings that come from the data, not from the other run."""


@dataclass(frozen=True)
class Source:
    """The networks of another run or of a model/ folder.

    Attributes:
        path: The folder.
        described: The content of its config.json.
        tensors: Weights by name.
        averages: EMA weights by name; for a model/ folder the same as ``tensors``.
        kimg: Its training length, None if unknown.
        checkpoint: Name of the checkpoint, None for a model/ folder.
    """

    path: Path
    described: dict[str, Any]
    tensors: dict[str, Tensor]
    averages: dict[str, Tensor]
    kimg: float | None
    checkpoint: str | None

    @property
    def name(self) -> str:
        """The folder and its training length, as text."""
        at = "" if self.kimg is None else f" at {self.kimg:g} kimg"
        return f"{self.path}{at}"


@dataclass(frozen=True)
class WarmStart:
    """The result of ``load_weights``.

    Attributes:
        record: Entry for config.json.
        averages: EMA weights to start with, by name.
        text: One line for people.
    """

    record: dict[str, Any]
    averages: dict[str, Tensor]
    text: str


def read(path: str | Path, which: str = "latest") -> Source:
    """Read the weights of a run, or of a model/ folder (trained or imported), which holds only EMA weights.

    Args:
        path: The folder.
        which: Checkpoint of a run: "latest", "best" or a name.

    Returns:
        The weights.

    Raises:
        BadInput: If the folder is neither, or cannot be read.
    """
    folder = Folder(as_path(path))
    if not folder.path.is_dir() or not (folder.path / "config.json").is_file():
        raise BadInput(
            f"--init {path} is neither a run nor a model/ folder. Give one of them, or a folder that `ganloom import` wrote"
        )
    described = folder.read("config.json")
    if folder.checkpoints.is_dir():
        found = checkpoint.load(folder.checkpoints, which, only=lambda part: part != "optim")
        nimg = found.nimg
        return Source(
            folder.path,
            described,
            found.tensors["gan"],
            with_pending(found.tensors, found.state),
            nimg / 1000,
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
    """Return the settings of the other run as defaults.

    Args:
        source: The other run.
        recipe: The recipe to train.

    Returns:
        Its config and stabilisers, without those that come from the data. Empty if the recipe differs.

    Raises:
        BadInput: If the settings in its config.json cannot be used.
    """
    if not isinstance(recipe, str) or recipe.lower().replace("_", "-") != source.described.get("recipe"):
        return {}
    settings = {**source.described.get("stabilise", {}), **source.described.get("config", {})}
    module = recipes.find(recipe)
    with json_files.blaming(source.path / "config.json", "settings that cannot be used"):
        cfg = config.from_dict(module.Config, source.described["config"])
        config.check_counts(cfg)
        saved_weights.check_size(lambda: module.MODEL(cfg), source.path)
        config.from_dict(Stabilise, source.described.get("stabilise", {}), "stabilise")
    left_out = {*OWN, "type", *config.removed_fields(module.Config)}
    return {name: value for name, value in settings.items() if name not in left_out}


def load_weights(
    gan: GAN,
    source: Source,
    data: Any,
    *,
    freeze_d: int = 0,
    fresh: Sequence[str] = (),
    build: Callable[[int], GAN] | None = None,
) -> WarmStart:
    """Load the weights of another run into a model.

    Args:
        gan: The new model.
        source: The other run.
        data: The new data; needed to freeze layers.
        freeze_d: Number of first layers of D to freeze.
        fresh: Prefixes of parameter names that keep their new weights.
        build: Builds the same model for a number of classes. It is used to find the tensors that depend on that number;
            without it, they must fit too.

    Returns:
        What was loaded, re-initialized and frozen.

    Raises:
        BadInput: If a tensor does not fit, a prefix matches nothing, or the layers cannot be frozen.
    """
    wanted = _networks(gan, gan.state_dict())
    reset = {name for name in wanted if name.startswith(tuple(fresh))} if fresh else set()
    for prefix in fresh:
        if not any(name.startswith(prefix) for name in wanted):
            raise BadInput(
                f"--fresh {prefix}: no weight of this model starts with this name. An example is {next(iter(wanted))}"
            )
    loaded = {n: t for n, t in _networks(gan, source.tensors).items() if not n.startswith(tuple(fresh) or ("\0",))}
    needed = {name: t for name, t in wanted.items() if name not in reset}
    before, now = (_classes(described) for described in (source.described.get("config", {}), vars(gan.cfg or object)))
    match = _match(gan, source, before, now)
    by_class = None if match is None or build is None else _class_weights(gan, match, before, now, build)
    if by_class is not None:
        carried = _Carried(by_class, wanted)
        loaded, source = carried(loaded), replace(source, averages=carried(source.averages))
    labelled: set[str] = set()
    if build is not None and before != now and by_class is None and _misfits(needed, loaded):
        source_shapes = {n: t for n, t in _networks(gan, build(before).state_dict()).items() if n not in reset}
        if not _misfits(source_shapes, loaded):
            labelled = set(_misfits(needed, loaded)) & set(needed)
            loaded = {n: t for n, t in loaded.items() if n in needed and n not in labelled}
            needed = {n: t for n, t in needed.items() if n not in labelled}
    _check_fit(source, needed, loaded, gan)
    _copy(gan, loaded)
    averages = {name: source.averages[name] for name in loaded if name in source.averages}
    layers = frozen_layers(gan, data, freeze_d)
    gan.frozen = frozenset(name for layer in layers for name in layer)
    new = set(by_class.axes) & set(loaded) if by_class is not None and by_class.new_classes else set()
    initialized = sorted(reset | labelled | new)
    record = {
        "source": str(source.path), "checkpoint": source.checkpoint, "recipe": source.described.get("recipe"),
        "kimg": source.kimg, "fresh": initialized, "freeze_d": freeze_d, "frozen": sorted(gan.frozen),
        **({} if match is None else {"class_map": list(match.numbers)}),
    }  # fmt: skip
    text = _summary(source, loaded, initialized, before, now, labelled, layers)
    text += "" if match is None else f"; {_said(match, by_class)}"
    if hasattr(gan.cfg, "stage_kimg"):
        text += "; it grows from the first level again (a small --stage-kimg starts at full size)"
    return WarmStart(record, averages, text)


def _networks(gan: GAN, tensors: Tensors) -> dict[str, Tensor]:
    """Return the tensors of the children that have parameters; the rest is state that starts from zero."""
    nets = tuple(f"{name}." for name, child in gan.named_children() if any(True for _ in child.parameters()))
    return {name: t for name, t in tensors.items() if name.startswith(nets)}


def _classes(settings: Mapping[str, Any]) -> int:
    count = settings.get("n_classes", 0)
    return count if isinstance(count, int) else 0


def _match(gan: GAN, source: Source, before: int, now: int) -> Match | None:
    """Match the classes of the data with those of the other run; None if the lists are equal, or one side has no classes."""
    if not before or not now:
        return None
    with json_files.blaming(source.path / "config.json", "classes that cannot be used"):
        names, _ = class_names.recorded(source.described, before)
    old, new = class_names.complete(names, before), class_names.complete(gan.class_names, now)
    found = class_names.match(old, new, "that run", "the data")
    return found if found.text else None


def _class_weights(gan: GAN, match: Match, before: int, now: int, build: Callable[[int], GAN]) -> ClassWeights | None:
    """Find the weights of the classes; None if they cannot be told apart from other weights."""
    axes = class_axes(_networks(gan, gan.state_dict()), _networks(gan, build(now + 1).state_dict()), now)
    return None if axes is None else ClassWeights(axes, before, now, match)


class _Carried:
    """Carries tensors over to the new classes; tensors that do not fit are left as they are."""

    def __init__(self, by_class: ClassWeights, own: Tensors) -> None:
        self.by_class, self.own = by_class, own

    def __call__(self, tensors: Tensors) -> dict[str, Tensor]:
        return {
            name: self.by_class.carried(name, t, self.own[name])
            if name in self.own and self.by_class.fits(name, t, self.own[name])
            else t
            for name, t in tensors.items()
        }


def _said(match: Match, by_class: ClassWeights | None) -> str:
    """Return what was done with the classes, in words."""
    if by_class is None:
        return f"{match.text}; their weights cannot be told apart, and are not reordered"
    if not match.any:
        return f"{match.text}; their weights are new"
    return match.text + ("; the weights of the other classes are new" if by_class.new_classes else "")


def _misfits(wanted: Tensors, loaded: Tensors) -> list[str]:
    """Return the names that only one side has, or whose shapes differ."""
    misfits = [n for n, t in wanted.items() if n not in loaded or loaded[n].shape != t.shape]
    return misfits + [n for n in loaded if n not in wanted]


def _check_fit(source: Source, wanted: Tensors, loaded: Tensors, gan: GAN) -> None:
    """Raise BadInput with the names of the tensors that do not fit."""
    misfits = _misfits(wanted, loaded)
    if not misfits:
        return
    for net in dict.fromkeys(name.split(".")[0] for name in wanted):
        if not any(name.startswith(f"{net}.") for name in loaded):
            raise BadInput(
                f"--init {source.path} contains no {net}. Give a run with checkpoints, or --fresh {net} for new weights"
            )
    details = []
    for name in misfits[:3]:
        there, here = (_size(side.get(name)) for side in (loaded, wanted))
        details.append(f"{name} ({there} there, {here} here)")
    more = f" and {len(misfits) - 3} more" if len(misfits) > 3 else ""
    raise BadInput(
        f"--init {source.path} does not fit this {type(gan).__name__}: {', '.join(details)}{more}. Use the settings of that run, "
        f"or --fresh with prefixes of the names to re-initialize"
    )


def _size(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "scalar"


@torch.no_grad()
def _copy(gan: GAN, loaded: Tensors) -> None:
    """Copy the tensors into the model."""
    own = gan.state_dict()
    for name, value in loaded.items():
        own[name].copy_(value)


def _summary(
    source: Source,
    loaded: Tensors,
    initialized: list[str],
    before: int,
    now: int,
    labelled: set[str],
    layers: list[list[str]],
) -> str:
    """Return one line on what was loaded, re-initialized and frozen."""
    nets = list(dict.fromkeys(name.split(".")[0] for name in loaded))
    text = f"weights of {source.name} ({', '.join(nets)})"
    if initialized:
        why = f" because the number of classes changed from {before} to {now}" if labelled else ""
        names = ", ".join(initialized[:4]) + (" ..." if len(initialized) > 4 else "")
        text += f"; {len(initialized)} tensors are re-initialized{why}: {names}"
    if layers:
        first, last = (owner(layer[0]).removeprefix("D.") for layer in (layers[0], layers[-1]))
        several = f"first {len(layers)} layers of D ({first} to {last}) do not"
        text += f"; the {several if len(layers) > 1 else f'first layer of D ({first}) does not'} train"
    return text
