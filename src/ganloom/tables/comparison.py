"""The comparison of methods of ``--method auto``, kept in the folder of the table, so that it continues after a stop."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.core.names import command_line, word_of
from ganloom.tables.choose import Score
from ganloom.tables.column import Column
from ganloom.tables.folder import COMPARISON, read_json, write_json
from ganloom.tables.schema import Frame

RUNS = "comparing"
"""The folder of the networks that are trained for the comparison."""
KIND = "ganloom table comparison"


class Comparison:
    """The scores of the methods that are finished.

    Args:
        folder: The folder of the table; None: nothing is kept.
        arguments: The arguments of ``Table``, as JSON values, and "data": the path of the file, or None.
        columns: The columns that are learned.
        frame: The rows.

    Attributes:
        scores: Score by method.
        refused: Why a method cannot learn the table, by method.

    Raises:
        BadInput: The folder holds the comparison of another table, or one with other arguments.
    """

    def __init__(self, folder: Path | None, arguments: dict[str, Any], columns: list[Column], frame: Frame) -> None:
        self.folder, self.scores, self.refused = folder, dict[str, Score](), dict[str, str]()
        self._described = {"kind": KIND, "arguments": arguments, "digest": _digest(arguments, columns, frame)}
        if folder is None:
            return
        if (folder / COMPARISON).is_file():
            found = read_json(folder / COMPARISON)
            if found.get("digest") != self._described["digest"]:
                raise BadInput(
                    f"{folder} holds a stopped comparison of another table, or with other settings. Continue that one with "
                    f"`{command_line(['ganloom', 'resume', word_of(folder)])}`, or choose another --out"
                )
            try:
                self.scores = {name: Score(**values) for name, values in found["scores"].items()}
                self.refused = dict(found["refused"])
            except (KeyError, TypeError, AttributeError):
                raise BadInput(f"{folder / COMPARISON} is damaged. Remove {folder}, and fit the table again") from None
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._write()

    def keep(self, name: str, result: Score | str) -> None:
        """Keep the score of a method, or why it cannot learn the table."""
        if isinstance(result, Score):
            self.scores[name] = result
        else:
            self.refused[name] = result
        self._write()

    def run_of(self, name: str) -> Path | None:
        """The run folder of a network that is compared; None: nothing is kept."""
        return None if self.folder is None else self.folder / RUNS / name

    def _write(self) -> None:
        if self.folder is not None:
            scores = {name: asdict(score) for name, score in self.scores.items()}
            write_json(self.folder / COMPARISON, self._described | {"scores": scores, "refused": self.refused})


def remove(folder: Path) -> None:
    """Remove what a comparison kept, after its table is written."""
    shutil.rmtree(folder / RUNS, ignore_errors=True)
    (folder / COMPARISON).unlink(missing_ok=True)


def arguments_of(folder: Path) -> dict[str, Any]:
    """Return the arguments of a stopped comparison.

    Raises:
        BadInput: It was made from a frame in memory, or its file is damaged.
    """
    found = read_json(folder / COMPARISON)
    arguments = found.get("arguments")
    if found.get("kind") != KIND or not isinstance(arguments, dict):
        raise BadInput(f"{folder / COMPARISON} is damaged. Remove {folder}, and fit the table again")
    if arguments.get("data") is None:
        raise BadInput(
            f"the table of {folder} was in memory: run the same Table(..., out=...).fit(data) again, which continues"
        )
    return dict(arguments)


def _digest(arguments: dict[str, Any], columns: list[Column], frame: Frame) -> str:
    """A digest of everything that decides the scores; where the file is does not."""
    settings = {name: value for name, value in arguments.items() if name not in ("data", "device")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for column in columns:
        values = np.ascontiguousarray(frame[column.name])
        digest.update(
            f"{column.name}\0{column.kind}\0{column.values}\0{values.dtype}\0".encode("utf-8", "surrogatepass")
        )
        digest.update(values.tobytes())
    return digest.hexdigest()[:32]
