"""A run that fell ill goes back to its last healthy checkpoint with one setting changed, a bounded number of times.

The change is written to the run's config.json, so that ``resume`` has it from the folder alone.
"""

from pathlib import Path
from typing import Any

from ganloom import checkpoint
from ganloom.doctor import Finding
from ganloom.folder import Folder
from ganloom.watching import FILE

HEALTHY = "healthy"
"""The file in checkpoints/ that names the last healthy one."""
LOWER = 0.5
"""Both learning rates by this, where the finding's own change has been made already."""


def heal(folder: Folder, finding: Finding) -> str:
    """Change the run's config, remove the checkpoints after the last healthy one, and say what was done."""
    described = folder.read("config.json")
    change, said = dict(finding.change), []
    if all(_value(described, name) == _plain(value) for name, value in change.items()):
        change = {
            f"{net}_opt.lr": LOWER * described["config"][f"{net}_opt"]["lr"]
            for net in "dg"
            if f"{net}_opt" in described["config"]
        }
    for name, value in change.items():
        said.append(f"{name} {_value(described, name)} -> {_plain(value)}")
        _set(described, name, _plain(value))
    name = _go_back(folder.checkpoints)
    folder.write("config.json", described)
    doctor = folder.read(FILE)
    done = {"finding": finding.name, "change": {n: _plain(v) for n, v in change.items()}, "back_to": name}
    folder.write(FILE, doctor | {"heals": [*doctor.get("heals", []), done], "findings": [], "ended": None})
    return f"{finding.name}: back to {name}, {', '.join(said)}"


def _go_back(checkpoints: Path) -> str:
    """Make the last healthy checkpoint the newest."""
    known = checkpoint.names(checkpoints)
    name = checkpoint.pointer(checkpoints, HEALTHY) or known[0]
    checkpoint.replace_file(checkpoints / "latest", name.encode())
    if checkpoint.pointer(checkpoints, "best") in known[known.index(name) + 1 :]:
        (checkpoints / "best").unlink()
    checkpoint.drop_after(checkpoints, name)
    return name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _place(described: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """The table of config.json that holds a setting, and its key there."""
    first, _, rest = name.partition(".")
    if rest:
        return described["config"][first], rest
    if first in described["config"]:
        return described["config"], first
    return described.setdefault("stabilise", {}), first


def _value(described: dict[str, Any], name: str) -> Any:
    table, key = _place(described, name)
    return table.get(key)


def _set(described: dict[str, Any], name: str, value: Any) -> None:
    table, key = _place(described, name)
    table[key] = value
