"""Write config.json and run.json at the start of a run, and rebuild its model and data from them."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ganloom import data as datasets
from ganloom import recipes
from ganloom.core import class_names, config, json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import printable, resume_command, shown
from ganloom.core.output_files import replace_file
from ganloom.core.terminal import say
from ganloom.gan import GAN
from ganloom.runs import file_types, saved_weights, warm_start
from ganloom.runs.folder import Folder, versions
from ganloom.runs.healing import Build, own_class
from ganloom.runs.training_setup import TrainingSetup, build, check_classes
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig

FORMAT = 1


def describe(folder: Folder, setup: TrainingSetup, cfg: TrainConfig, start: warm_start.WarmStart | None = None) -> None:
    """Write config.json and run.json, which hold all that ``resume`` and the report need.

    Arrays without a file are saved in the run folder. Files that could not be read are listed in bad_files.csv.

    Args:
        folder: The run folder, locked by the caller.
        setup: The model, its recipe and its data.
        cfg: Settings of the training.
        start: The warm start (``--init``), or None.

    Raises:
        BadInput: If the folder holds a run with other settings; nothing is written then.
    """
    name, data = setup.name, setup.data
    described = description(setup, cfg, start)
    _check_same(folder, described)
    folder.begin()
    folder.create()
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
    if data.source.get("source") is None:  # arrays in memory: save a copy in the run folder
        data.save(folder.path / "data.npz")
        if data.split_off is not None:
            data.split_off.save(folder.path / "held.npz")
    folder.write("config.json", described)  # last: a folder with config.json has all that ``resume`` needs
    if data.bad_files:
        lines = "".join(f"{_csv(path)},{_csv(reason)}\n" for path, reason in data.bad_files)
        replace_file(folder.path / "bad_files.csv", ("path,reason\n" + lines).encode(errors="backslashreplace"))
        see = printable(folder.path / "bad_files.csv")
        say(f"{len(data.bad_files)} files could not be read and are skipped; see {see}", sys.stderr)


def description(setup: TrainingSetup, cfg: TrainConfig, start: warm_start.WarmStart | None) -> dict[str, Any]:
    """Return the content of config.json; the arguments are those of ``describe``."""
    module, gan, data = setup.module, setup.gan, setup.data
    source = data.source
    if source.get("source") is None:
        crops = {
            key: source[key] for key in ("inputs", "shape") if source.get("inputs") in ("crops", "captions", "volumes")
        }
        source = {"source": "data.npz", "in_run": True, "flip": data.flip} | crops | _scales_of(source)
    return {
        "format": FORMAT,
        "recipe": setup.name,
        "config": config.to_dict(gan.cfg) if dataclasses.is_dataclass(gan.cfg) else {},
        "defaults": config.to_dict(module.Config()) if module is not None else {},
        **({"small": True} if setup.small else {}),
        **({"stabilise": config.to_dict(setup.parts)} if setup.parts.on() else {}),
        **({"init": start.record} if start is not None else {}),
        "train": config.to_dict(cfg),
        "data": {
            "name": data.name,
            "source": source,
            "fingerprint": data.fingerprint,
            "size": len(data),
            **({} if data.unit == "images" else {"unit": data.unit}),
            **({} if data.split_off is None else {"held_out": len(data.split_off)}),
        },
        "classes": list(data.classes) if data.classes else None,
        **({} if gan.drawn_classes is None else {"classes_drawn": list(gan.drawn_classes)}),
        **({"learned": record} if (record := gan.data_record()) else {}),
    }


def _scales_of(source: dict[str, Any]) -> dict[str, Any]:
    """Return the scales of arrays in memory; in the copy of image-to-image data, domain A holds the inputs."""
    scales = source.get("scales_used")
    if not scales:
        return {}
    if source.get("direction") == "BtoA":
        scales = {"a": scales.get("b", {}), "b": scales.get("a", {})}
    return {"scales_used": scales}


MEASURED = ("device", "precision")
"""Settings of the training that may differ between two starts of one command: "auto" chooses them."""


def _check_same(folder: Folder, described: dict[str, Any]) -> None:
    """Check that a run which ended before its first checkpoint starts again with the same settings."""
    before = folder.read("config.json")
    if not before:
        return
    now, other = (_compared(value) for value in (json.loads(json.dumps(described)), before))
    differing = sorted(name for name in now.keys() | other.keys() if now.get(name) != other.get(name))
    if differing:
        raise BadInput(
            f"{folder.path} holds a run that ended before its first checkpoint, with another {', '.join(differing[:3])}. "
            f"Continue it with `{resume_command(folder.path)}`, or choose another --out"
        )


def _compared(described: dict[str, Any]) -> dict[str, Any]:
    """Return setting -> value of those parts of config.json that make two runs equal.

    The schedules of a run with --minutes depend on the measured speed, which is never the same twice: they are not compared.
    """
    tables = {name: described.get(name) for name in ("config", "stabilise", "train")}
    flat = {
        key: v
        for table in tables.values()
        if isinstance(table, dict)
        for key, v in table.items()
        if key not in MEASURED
    }
    data, init = described.get("data"), described.get("init")
    if flat.get("minutes") is not None:
        flat = {key: _without_schedule(v) for key, v in flat.items() if not key.endswith("_kimg")}
    flat["data"] = data.get("fingerprint") if isinstance(data, dict) else None
    flat["--init"] = init.get("source") if isinstance(init, dict) else None
    return flat | {"recipe": described.get("recipe")}


def _without_schedule(value: Any) -> Any:
    return {key: v for key, v in value.items() if key != "schedule"} if isinstance(value, dict) else value


def _csv(text: str) -> str:
    """Quote a field for CSV."""
    return '"' + str(text).replace('"', '""') + '"'


def reopen(folder: Folder, described: dict[str, Any]) -> tuple[GAN, Any, TrainConfig]:
    """Rebuild a run from its config.json.

    Args:
        folder: The run folder.
        described: The content of config.json.

    Returns:
        (untrained model, data, settings of the training).
    """
    cfg = train_config(described, folder.path)
    gan = composed(gan_of(described, cfg.seed, folder.path), described, cfg.seed, folder.path)
    data = reopen_data(described, None, folder.path)
    check_fit(gan, data, folder.path)
    return gan, data, cfg


def check_fit(gan: GAN, data: Any, path: Path) -> None:
    """Check that the model that config.json describes can be trained on its data.

    Args:
        gan: The model.
        data: The data.
        path: The run folder, for the error message.

    Raises:
        BadInput: If the shapes or the numbers of classes differ.
    """
    with json_files.blaming(path / "config.json", "a model that does not fit its data"):
        shape = getattr(gan.cfg, "shape", None)
        if shape is not None and tuple(shape) != tuple(data.shape):
            raise BadInput(f"config.shape is {list(shape)}, but the data have {list(data.shape)}. {json_files.FIX}")
        gan.check_data(data)
        check_classes(gan.cfg, data)


def train_config(described: dict[str, Any], path: Path) -> TrainConfig:
    """Return the settings of the training in a run's config.json.

    Args:
        described: Its content.
        path: The run folder, for the error message.

    Raises:
        BadInput: If it is not the config.json of a run, or a setting cannot be used.
    """
    file_types.require_run(described, path)
    with json_files.blaming(path / "config.json", "a training that is not possible"):
        return config.from_dict(TrainConfig, described["train"], "train")


def gan_of(described: dict[str, Any], seed: int, path: Path) -> GAN:
    """Build the untrained model of a run, without stabilisers.

    Args:
        described: The content of config.json.
        seed: Seed of the run.
        path: The run folder, for the error message.

    Raises:
        BadInput: If the model is a user's class and not a recipe of ganloom, or its settings cannot be used.
    """
    name = described.get("recipe", "")
    if name not in recipes.LISTED:
        raise BadInput(f'{path} was trained with your class "{name}". Pass a new model of this class as gan=')
    module, file = recipes.LISTED[name], path / "config.json"
    with json_files.blaming(file, "a model that cannot be built"):
        cfg = config.from_dict(module.Config, described["config"])
        config.check_counts(cfg)
        saved_weights.check_size(lambda: module.MODEL(cfg), path)
        return build(module, cfg, seed)


def composed(gan: GAN, described: dict[str, Any], seed: int, path: Path) -> GAN:
    """Add what the config.json of the folder ``path`` lists to a model: its stabilisers, its frozen layers and its classes."""
    with json_files.blaming(path / "config.json", "stabilisers that cannot be used"):
        gan = compose(gan, config.from_dict(Stabilise, described.get("stabilise", {}), "stabilise"), seed)
    gan.frozen = frozenset(described.get("init", {}).get("frozen", ()))
    with json_files.blaming(path / "config.json", "classes that cannot be used"):
        count = int(getattr(gan.cfg, "n_classes", 0) or 0)
        gan.class_names, gan.drawn_classes = class_names.recorded(described, count)
    if "learned" in described:
        with json_files.blaming(path / "config.json", "a record of the training data that cannot be used"):
            gan.restore_data(described["learned"])
    return gan


def rebuilder(module: ModuleType | None, gan: GAN, cfg: TrainConfig, path: Path) -> Build | None:
    """Return the function that rebuilds the model from a changed config.json when a run heals.

    Args:
        module: The recipe's module; None for a user's class.
        gan: The model.
        cfg: Settings of the training.
        path: The run folder, for error messages.

    Returns:
        The function, or None without ``--heal``.

    Raises:
        BadInput: If the model of a user's class cannot be rebuilt from its config.
    """
    if not cfg.heal:
        return None
    if module is None:
        rebuild = own_class(gan, cfg.seed)
    else:
        rebuild = lambda d: build(module, config.from_dict(module.Config, d["config"]), cfg.seed)  # noqa: E731
    return lambda described: composed(rebuild(described), described, cfg.seed, path)


def reopen_data(
    described: dict[str, Any], data: Any, run: Path, progress: Callable[[int, int], None] | None = None
) -> Any:
    """Open the data of a run again.

    Args:
        described: The content of config.json.
        data: The data at a new place, or None to open the source that config.json names.
        run: The run folder.
        progress: Called with (done, total) while images are decoded.

    Raises:
        BadInput: If the data changed since the run began.
    """
    recorded = described["data"]
    if data is not None:
        source = recorded["source"]
        options = {k: source[k] for k in ("inputs", "direction", "label_maps", "in_channels", "labels") if k in source}
        opened = datasets.open(
            data,
            shape=tuple(described["config"]["shape"]),
            fit=source.get("fit") or "crop",
            flip=bool(source.get("flip")),
            keep_empty_classes=source.get("keep_empty_classes", True),
            progress=progress,
            **options,
        )
    else:
        opened = own_data(described, run, progress)
    if opened.fingerprint != recorded["fingerprint"]:
        raise BadInput(
            f"the data {recorded['name']} changed since this run began (fingerprint {opened.fingerprint[:12]} instead of "
            f"{recorded['fingerprint'][:12]}). Restore the original data, or start a new run"
        )
    _say_renamed(described, opened)
    return opened


def own_data(described: dict[str, Any], run: Path, progress: Callable[[int, int], None] | None = None) -> Any:
    """Open the data that a run's config.json names.

    Args:
        described: Its content.
        run: The run folder.
        progress: Called with (done, total) while images are decoded.

    Raises:
        BadInput: If the data cannot be opened.
    """
    file_types.require_run(described, run)
    with json_files.blaming(run / "config.json", "data that cannot be opened"):
        source = dict(described["data"]["source"])
        if source.pop("in_run", False):
            source["source"] = str(run / source["source"])
        return datasets.reopen(source, progress=progress)


def _say_renamed(described: dict[str, Any], data: Any) -> None:
    """Say that the same classes have other names now; the run keeps the names in its config.json."""
    before, now = described.get("classes") or [], data.classes or []
    if before and list(before) != list(now):
        pairs = [f"{shown(a)} is now {shown(b)}" for a, b in zip(before, now, strict=False) if a != b]
        changed = class_names.listing(pairs) if pairs else "the names are gone"
        say(f"classes: the images are the same, but {changed}; the run keeps its names", sys.stderr)


def held_out(data: Any, run: Path) -> Any:
    """Return the held-out data of a run: the share that was split off, or the other half of a split data set. None if there are
    none."""
    if data.split_off is not None:
        return data.split_off
    file = run / "held.npz"
    if not file.exists():
        return datasets.other_half(data)
    inputs = data.source.get("inputs")
    return datasets.open(str(file), inputs=inputs if inputs in ("captions", "volumes") else None)
