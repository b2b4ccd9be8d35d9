"""Files of settings for --config: TOML or JSON, and the config.json of a run."""

import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganloom.cli.flags import FieldPath, Flag
from ganloom.core import config, json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.runs.file_types import RunConfig
from ganloom.training.config import ENDLESS

NOT_SETTINGS = frozenset({"type"})
"""Keys of a run's config.json that are not settings."""
OF_DATA = ("n_classes", "in_channels")
"""Settings that a run takes from its data: they are not used for other data."""
DATA_OPTIONS = ("fit", "flip", "direction", "label_maps")


def read(path: str | Path, flags: Iterable[Flag], *, other_data: bool = False) -> dict[FieldPath, Any]:
    """Read a file of settings.

    Args:
        path: A .toml or .json file, or a run folder.
        flags: What the command accepts.
        other_data: Leave out the settings that a run takes from its data.

    Returns:
        The values by the paths of their fields.

    Raises:
        BadInput: The file cannot be read, or a key or a value cannot be used.
    """
    file = as_path(path)
    file = file / "config.json" if file.is_dir() else file
    content = load(file)
    if "config" in content and "train" in content and "data" in content:
        try:
            json_files.check(content, RunConfig, "")
        except BadInput as error:
            raise BadInput(f"--config {file}: {error}. {json_files.FIX}") from error
        content = settings_of_run(content, file)
    if other_data:
        content = {name: value for name, value in content.items() if name not in (*OF_DATA, "data")}
    known = {flag.path: flag for flag in flags}
    groups = {path[:i] for path in known for i in range(1, len(path))}
    return dict(_values(content, (), known, groups, file))


def load(file: Path) -> dict[str, Any]:
    """Read a TOML or JSON file as a table. The ending decides; without a known ending, JSON begins with a brace.

    Raises:
        BadInput: The file does not exist, cannot be read, or is no table.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"--config {file}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--config {file} cannot be read ({error}): give a TOML or JSON file") from None
    as_json = file.suffix.lower() == ".json" or (file.suffix.lower() != ".toml" and text.lstrip().startswith("{"))
    try:
        content = json_files.parse(text) if as_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also TOMLDecodeError
        kind = "JSON" if as_json else "TOML"
        raise BadInput(f"--config {file} is not valid {kind} ({error})") from None
    if not isinstance(content, dict):
        raise BadInput(f"--config {file} must be a table of settings, such as total_kimg = 100")
    return content


def settings_of_run(described: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the content of a run's config.json as settings of `ganloom train`.

    Args:
        described: The content of config.json, checked (``file_types.RunConfig``).
        file: Its path, for arrays that are kept in the run folder.
    """
    parts = {name: described.get(name) or {} for name in ("config", "train", "data", "stabilise", "init")}
    settings: dict[str, Any] = {
        "recipe": described.get("recipe"),
        **({"small": True} if described.get("small") else {}),
        **parts["config"],
        **parts["train"],
        **parts["stabilise"],
    }
    source = parts["data"].get("source")
    if isinstance(source, dict):
        where = source.get("source")
        if isinstance(where, list):
            where = ",".join(map(str, where))
        elif source.get("in_run"):
            where = str(file.parent / str(where))
        settings["data"] = where
        settings |= {name: source[name] for name in DATA_OPTIONS if name in source}
        settings["held_out"] = _share(parts["data"])
        settings["labels"] = "none" if source.get("labels") is False else None
    init = parts["init"]
    if init:
        settings |= {"init": init.get("source"), "init_checkpoint": init.get("checkpoint")}
        settings |= {"freeze_d": init.get("freeze_d"), "fresh": init.get("fresh")}
    if settings.get("augment") == "ada":  # it turned the other ones off
        settings = {name: v for name, v in settings.items() if name not in ("diff_augment", "adaptive")}
    elif settings.get("augment") == "none":
        del settings["augment"]
    if settings.get("total_kimg") == ENDLESS:  # the run ends at its time
        del settings["total_kimg"]
    return {name: value for name, value in settings.items() if value is not None or name in parts["config"]}


def _share(data: Mapping[str, Any]) -> float | None:
    """The share of the images that a run holds out, from the record of its data."""
    held, size = data.get("held_out"), data.get("size")
    return held / (held + size) if isinstance(held, int) and isinstance(size, int) and held + size > 0 else None


def _values(
    table: Mapping[str, Any], path: FieldPath, known: Mapping[FieldPath, Flag], groups: set[FieldPath], file: Path
) -> Iterable[tuple[FieldPath, Any]]:
    for key, value in table.items():
        part = (*path, *key.replace("-", "_").split("."))
        if part in known:
            yield part, _typed(known[part], value, file, part)
        elif part in groups and isinstance(value, dict):
            yield from _values(value, part, known, groups, file)
        elif part[-1] not in NOT_SETTINGS or len(part) == 1:
            raise BadInput(f'--config {file} has an unknown key "{".".join(part)}"{_near(part, known)}')


def _near(path: FieldPath, known: Mapping[FieldPath, Flag]) -> str:
    names = [".".join(other) for other in known]
    near = difflib.get_close_matches(".".join(path), names, n=1, cutoff=0.5)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _typed(flag: Flag, value: Any, file: Path, path: FieldPath) -> Any:
    """The value with the type of its flag; text is read as on the command line where the type is not text."""
    where = f"--config {file}: {'.'.join(path)}"
    if isinstance(value, str) and not _takes_text(flag.type):
        try:
            return flag.value(value.split() if flag.spelling is None else [value])
        except BadInput as error:
            raise BadInput(f"--config {file}: {error}") from None
    if path == ("shape",) and isinstance(value, int):
        return (value,)
    if path == ("shape",) and isinstance(value, list) and all(type(n) is int for n in value):
        return tuple(value)
    return config.typed(flag.type, value, where)


def _takes_text(kind: Any) -> bool:
    """Whether a type is text, or text or None."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(_takes_text(member) for member in typing.get_args(kind))
    if typing.get_origin(kind) is typing.Literal:
        return True
    return kind is str
