"""What a run writes of its beginning, config.json and run.json, and its model and data made again of that."""

import dataclasses
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from ganloom import data as datasets
from ganloom import recipes
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.runs import warm_start
from ganloom.runs.folder import Folder, versions
from ganloom.runs.healing import Build, own_class
from ganloom.runs.setup import Made, build
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig

FORMAT = 1


def describe(folder: Folder, made: Made, cfg: TrainConfig, begun: warm_start.Begun | None = None) -> None:
    """Write config.json and run.json: all that ``resume`` and the report need."""
    name, module, gan, data = made.name, made.module, made.gan, made.data
    source = data.source
    if source.get("source") is None:  # arrays of this process: the run keeps its own copy
        data.save(folder.path / "data.npz")
        if data.split_off is not None:
            data.split_off.save(folder.path / "held.npz")
        source = {"source": "data.npz", "in_run": True, "flip": data.flip}
    plain = config.to_dict(gan.cfg) if dataclasses.is_dataclass(gan.cfg) else {}
    folder.write(
        "config.json",
        {
            "format": FORMAT,
            "recipe": name,
            "config": plain,
            "defaults": config.to_dict(module.Config()) if module is not None else {},
            **({"stabilise": config.to_dict(made.parts)} if made.parts.on() else {}),
            **({"init": begun.record} if begun is not None else {}),
            "train": config.to_dict(cfg),
            "data": {"name": data.name, "source": source, "fingerprint": data.fingerprint, "size": len(data)},
            "classes": list(data.classes) if data.classes else None,
        },
    )
    folder.write(
        "run.json",
        {
            "state": "starting",
            "command": ["ganloom", *sys.argv[1:]] if sys.argv[0].endswith("ganloom") else [name],
            "versions": versions(),
            "device": cfg.device,
            "precision": cfg.precision,
            "created": time.time(),
            "data": {"name": data.name, "fingerprint": data.fingerprint, "size": len(data)},
        },
    )
    if data.bad_files:
        lines = "".join(f"{_csv(path)},{_csv(reason)}\n" for path, reason in data.bad_files)
        (folder.path / "bad_files.csv").write_text("path,reason\n" + lines, encoding="utf-8")
        print(
            f"{len(data.bad_files)} files could not be read and are left out: {folder.path / 'bad_files.csv'}",
            file=sys.stderr,
        )


def _csv(text: str) -> str:
    return '"' + str(text).replace('"', '""') + '"'


def reopen(folder: Folder, described: dict[str, Any]) -> tuple[GAN, Any, TrainConfig]:
    """A fresh model, the open data and the settings of a run."""
    cfg = config.from_dict(TrainConfig, described["train"], "train")
    gan = composed(gan_of(described, cfg.seed, folder.path), described, cfg.seed)
    return gan, reopen_data(described, None, folder.path), cfg


def gan_of(described: dict[str, Any], seed: int, path: Path) -> GAN:
    name = described.get("recipe", "")
    if name not in recipes.LISTED:
        raise BadInput(f'{path} was made by "{name}", a class of your own: pass gan= with a fresh model of it')
    module = recipes.LISTED[name]
    return build(module, config.from_dict(module.Config, described["config"]), seed)


def composed(gan: GAN, described: dict[str, Any], seed: int) -> GAN:
    """The model with the stabilisers and the frozen layers that its run was begun with."""
    gan = compose(gan, config.from_dict(Stabilise, described.get("stabilise", {}), "stabilise"), seed)
    gan.frozen = frozenset(described.get("init", {}).get("frozen", ()))
    return gan


def anew(module: ModuleType | None, gan: GAN, cfg: TrainConfig) -> Build | None:
    """How a run that heals makes its model again from config.json: by its module, or by the user's own class."""
    if not cfg.heal:
        return None
    if module is None:
        make = own_class(gan, cfg.seed)
    else:
        make = lambda d: build(module, config.from_dict(module.Config, d["config"]), cfg.seed)  # noqa: E731
    return lambda described: composed(make(described), described, cfg.seed)


def reopen_data(described: dict[str, Any], data: Any, run: Path) -> Any:
    kept = described["data"]
    if data is not None:
        source = kept["source"]
        told = {k: source[k] for k in ("inputs", "direction", "label_maps", "in_channels") if k in source}
        opened = datasets.open(
            data,
            shape=tuple(described["config"]["shape"]),
            fit=source.get("fit") or "crop",
            flip=bool(source.get("flip")),
            **told,
        )
    else:
        source = dict(kept["source"])
        if source.pop("in_run", False):
            source["source"] = str(run / source["source"])
        opened = datasets.reopen(source)
    if opened.fingerprint != kept["fingerprint"]:
        raise BadInput(
            f"the data {kept['name']} changed since this run began (fingerprint {opened.fingerprint[:12]} instead of "
            f"{kept['fingerprint'][:12]}): put the old images back, or train anew"
        )
    return opened


def held_out(data: Any, run: Path) -> Any:
    """What training never draws: a held-out share, or the other half of data that were split; None where there is none."""
    if data.split_off is not None:
        return data.split_off
    kept = run / "held.npz"
    return datasets.open(str(kept)) if kept.exists() else datasets.other_half(data)
