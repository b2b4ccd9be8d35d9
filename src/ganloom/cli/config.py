"""ganloom config RUN"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from ganloom.cli import config_file
from ganloom.cli.flags import Positional
from ganloom.cli.parse import parse
from ganloom.core.names import as_path
from ganloom.runs import file_types
from ganloom.runs.folder import Folder


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Print the settings of a run as TOML. `ganloom train --config FILE` reads them and trains the same run again."""

    run: Annotated[str, Positional("RUN")]
    """The run folder."""
    json: bool = False
    """Print JSON instead."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, print the settings."""
    args = parse(Arguments, argv, "config")
    folder = Folder(as_path(args.run))
    folder.require()
    described = folder.read("config.json")
    file_types.require_run(described, folder.path)
    settings = config_file.settings_of_run(described, folder.path / "config.json")
    print(json.dumps(settings, indent=1) if args.json else "\n".join(_toml(settings)))


def _toml(settings: Mapping[str, Any]) -> Iterator[str]:
    """The settings as lines of TOML. It has no null: "None" is what the command line takes for it."""
    tables = {name: value for name, value in settings.items() if isinstance(value, dict)}
    for name, value in settings.items():
        if name not in tables:
            yield f"{name} = {_value(value)}"
    for name, table in tables.items():
        yield f"\n[{name}]"
        for key, value in table.items():
            if key != "type":
                yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if value is None:
        return '"None"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)  # numbers, true, false, and text, whose escapes are those of TOML
