"""Read a run folder for its report. Files may be missing, incomplete or damaged."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.report.number_format import number

GRID_BYTES = 30_000_000
"""Most bytes of sample grids in a page."""
BAD_FILES_READ = 200
TEXT_FILES = 8
"""Most files of sample texts in a page."""


@dataclass(frozen=True)
class Grid:
    """One sample grid: the number of real images shown before it, and the bytes of its PNG."""

    nimg: int
    png: bytes

    @property
    def kimg(self) -> float:
        """Thousands of real images shown to D before this grid."""
        return self.nimg / 1000


@dataclass(frozen=True)
class Folder:
    """The content of a run folder. Missing or damaged files are empty values."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    doctor: dict[str, Any] = field(default_factory=dict)
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    bad_count: int = 0
    grids: list[Grid] = field(default_factory=list)
    grids_found: int = 0
    reals: bytes | None = None
    row_names: list[str] = field(default_factory=list)
    """The name of each row of the sample grids; empty without classes."""
    texts: list[tuple[int, list[str]]] = field(default_factory=list)
    """(number of real texts shown before, texts of the model), of a run that learns texts; some of all files."""
    real_texts: list[str] = field(default_factory=list)
    anomaly: dict[str, Any] = field(default_factory=dict)
    """The fitted anomaly detector; empty for other runs."""
    anomaly_result: dict[str, Any] = field(default_factory=dict)
    anomaly_pictures: dict[str, bytes] = field(default_factory=dict)
    """"highest" and "lowest": PNG of the samples with the highest and the lowest scores."""
    damaged: list[str] = field(default_factory=list)
    """Names of files of the run that are damaged, so that the page lacks what they hold."""

    @property
    def unit(self) -> str:
        """What a row of the data is, in the plural; "images" where config.json names nothing else."""
        return str(self.part("data").get("unit", "images"))

    def part(self, *keys: str) -> dict[str, Any]:
        """Return a dictionary inside config.json, or an empty one."""
        value: Any = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}


def read(path: Path, grid_bytes: int = GRID_BYTES) -> Folder:
    """Read everything that a report shows.

    Args:
        path: The run folder.
        grid_bytes: Most bytes of sample grids. If there are more, evenly spaced ones are read, always the newest.

    Returns:
        The content of the folder.
    """
    files = _numbered(path / "samples")
    chosen = _within(files, grid_bytes)
    damaged: list[str] = []
    bad, bad_count = _bad_files(path / "bad_files.csv")
    return Folder(
        path=path,
        config=_object(path / "config.json", damaged),
        run=_object(path / "run.json", damaged),
        rows=_rows(path / "metrics.jsonl", damaged),
        events=_lines(path / "events.jsonl", damaged),
        measured=_object(path / "metrics.json", damaged),
        doctor=_object(path / "doctor.json", damaged),
        damaged=damaged,
        bad_files=bad,
        bad_count=bad_count,
        grids=[Grid(nimg, png) for nimg, file in chosen if (png := _bytes(file)) is not None],
        grids_found=len(files),
        reals=_bytes(path / "samples" / "reals.png"),
        row_names=_names(path / "samples" / "rows.json", damaged),
        texts=[(nimg, _text(file).splitlines()) for nimg, file in _spaced(_numbered(path / "samples", ".txt"))],
        real_texts=_text(path / "samples" / "reals.txt").splitlines(),
        anomaly=_object(path / "anomaly" / "detector.json", damaged),
        anomaly_result=_object(path / "anomaly" / "evaluation.json", damaged),
        anomaly_pictures={
            name: png for name in ("highest", "lowest") if (png := _bytes(path / "anomaly" / f"{name}.png")) is not None
        },
    )


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except OSError:
        return None


def _text(path: Path) -> str:
    return (_bytes(path) or b"").decode("utf-8", errors="replace")


def _object(path: Path, damaged: list[str]) -> dict[str, Any]:
    """Return the object of a JSON file; {} without one, or if the file is damaged, which is noted."""
    if not path.exists():
        return {}
    try:
        return json_files.read(path)
    except BadInput:
        damaged.append(path.name)
        return {}


def _names(path: Path, damaged: list[str]) -> list[str]:
    """Return a JSON list of texts; empty if there is none, or if the file is damaged, which is noted."""
    try:
        return json_files.read_list(path, str)
    except BadInput:
        damaged.append(path.name)
        return []


def _lines(path: Path, damaged: list[str]) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file. Damaged lines are skipped and noted, except the last, which a kill leaves."""
    try:
        lines = json_files.read_lines(path)
    except BadInput:
        lines = [json_files.Line("", None)] * 2
    if any(line.value is None for line in lines[:-1]):
        damaged.append(path.name)
    return [line.value for line in lines if line.value is not None]


def _rows(path: Path, damaged: list[str]) -> list[dict[str, Any]]:
    """Return the statistics in order of time. Of rows that a resumed run wrote again, the last one counts."""
    rows: list[dict[str, Any]] = []
    for row in _lines(path, damaged):
        clock = number(row.get("kimg"))
        clock = number(row.get("nimg")) / 1000 if math.isnan(clock) else clock
        if math.isnan(clock):
            continue
        row["kimg"] = clock
        while rows and rows[-1]["kimg"] >= clock:
            rows.pop()
        rows.append(row)
    return rows


def _bad_files(path: Path) -> tuple[list[tuple[str, str]], int]:
    """Return the first (path, reason) pairs of bad_files.csv, and the number of all."""
    lines = csv.reader(_text(path).replace("\0", "").splitlines())
    try:
        entries = [(row[0], row[1] if len(row) > 1 else "") for row in lines if row]
    except csv.Error:
        return [], 0
    entries = entries[1:] if entries and entries[0][0].strip().lower() == "path" else entries
    return list(islice(entries, BAD_FILES_READ)), len(entries)


def _spaced(files: Sequence[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """Return at most ``TEXT_FILES`` evenly spaced files, with the first and the last."""
    last, count = len(files) - 1, min(len(files), TEXT_FILES)
    return [files[i] for i in sorted({round(i * last / max(1, count - 1)) for i in range(count)})]


def _numbered(samples: Path, ending: str = ".png") -> list[tuple[int, Path]]:
    """Return the files whose name is a number, in the order of the numbers."""
    try:
        images = [p for p in samples.iterdir() if p.suffix == ending and p.stem.isascii() and p.stem.isdigit()]
    except OSError:
        return []
    return sorted((int(p.stem), p) for p in images)


def _within(files: Sequence[tuple[int, Path]], limit: int) -> list[tuple[int, Path]]:
    """Return as many evenly spaced files as fit into ``limit`` bytes, with the first and the last if two fit."""
    sizes = []
    for _, file in files:
        try:
            sizes.append(file.stat().st_size)
        except OSError:
            sizes.append(0)
    for count in range(len(files), 1, -1):
        chosen = sorted({round(i * (len(files) - 1) / (count - 1)) for i in range(count)})
        if sum(sizes[i] for i in chosen) <= limit:
            return [files[i] for i in chosen]
    return list(files[-1:])
