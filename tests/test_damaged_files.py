"""Damaged files of ours: whatever a JSON file of a run or of the cache holds, a command gives a result or one line."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damage import damaged, damaged_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ganloom import report
from ganloom.cli import main

TINY = "--width 4 --batch-size 8 --kimg-per-tick 0.04 --kimg-per-checkpoint 0.04 --judge 0 --grid 4".split()
QUICK = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), database=None)
THOROUGH = settings(QUICK, max_examples=int(os.environ.get("DAMAGE_EXAMPLES", "150")))


def say(*argv: object) -> tuple[int, str]:
    """(exit code, stderr) of `ganloom ARGV`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(list(map(str, argv)))
    return int(left.value.code or 0), err.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two measured runs on the same class folders with a dataset.json, and a cache of their own."""
    base = tmp_path_factory.mktemp("damage")
    rng, labels = np.random.default_rng(0), []
    for i in range(40):
        file = base / "photos" / f"{i % 2:05d}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file)
        labels.append([file.relative_to(base / "photos").as_posix(), i % 2])
    (base / "photos" / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLOOM_CACHE", str(base / "cache"))
        # Images that are held out make an event, so that there is a file of events.
        shape = ["--shape", 3, 16, 16, "--total-kimg", 0.08, "--held-out", 0.1]
        assert say("train", "cgan", base / "photos", "--out", base / "a", *shape, *TINY)[0] == 0
        assert say("evaluate", base / "a", *MEASURE)[0] == 0
        shutil.copytree(base / "a", base / "b")
        yield base


MEASURE = ["--n", 16, "--features", "random", "--no-intervals", "--k", 2]
COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "sample": lambda base, tmp: ["sample", base / "a", "--n", 2, "--out", tmp / "s", "--c", "all"],
    "sample model": lambda base, tmp: ["sample", base / "a" / "model", "--n", 2, "--out", tmp / "s"],
    "resume": lambda base, tmp: ["resume", base / "a", "--total-kimg", 0.09],
    "evaluate": lambda base, tmp: ["evaluate", base / "a", *MEASURE],
    "doctor": lambda base, tmp: ["doctor", base / "a"],
    "probe": lambda base, tmp: ["doctor", base / "a", "--probe"],
    "compare": lambda base, tmp: ["compare", base / "a", base / "b"],
    "init": lambda base, tmp: [
        "train", "cgan", base / "photos", "--init", base / "a", "--out", tmp / "r", "--shape", 3, 16, 16, "--total-kimg", 0.01,
        "--no-doctor", "--judge", 0, "--grid", 4,
    ],
    "init model": lambda base, tmp: [
        "train", base / "photos", "--init", base / "a" / "model", "--fresh", "D", "--out", tmp / "r", "--total-kimg", 0.01,
        "--no-doctor", "--judge", 0, "--grid", 4, "--shape", 3, 16, 16,
    ],
    "data": lambda base, tmp: ["data", "check", base / "photos"],
    "open": lambda base, tmp: ["plan", base / "photos", "cgan", "--shape", 3, 16, 16, "--steps", 1],
}  # fmt: skip
"""Commands by name: functions of the folder with the runs and a new folder."""
READERS = {
    "a/config.json": ("sample", "resume", "evaluate", "doctor", "probe", "init"),
    "a/run.json": ("resume", "doctor"),
    "a/doctor.json": ("resume", "doctor"),
    "a/metrics.jsonl": ("resume", "doctor"),
    "a/events.jsonl": ("resume",),
    "a/metrics.json": ("compare",),
    "a/model/config.json": ("sample model", "init model"),
    "a/checkpoints/NEWEST/MANIFEST.json": ("sample", "resume"),
    "a/checkpoints/NEWEST/state.json": ("sample", "resume", "init"),
    "photos/dataset.json": ("data",),
    "cache/META": ("open", "evaluate"),
}
"""JSON file -> the commands that read it."""


def file_of(base: Path, name: str) -> Path:
    """The path of a key of ``READERS``."""
    if name == "cache/META":
        return next((base / "cache" / "stores").glob("*/meta.json"))
    return base / name.replace("NEWEST", "kimg-000000.080")


def check_reader(base: Path, name: str, command: str, content: bytes) -> int:
    """Put ``content`` in the place of a file and run a command that reads it: it gives a result or one line. Return its code."""
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        copy = Path(temporary) / "copy"
        shutil.copytree(base, copy)
        file_of(copy, name).write_bytes(content)
        patch.setenv("GANLOOM_CACHE", str(copy / "cache"))
        code, err = say(*COMMANDS[command](copy, Path(temporary)))
        shown = (name, command, content[:2000], code, err)
        diverged = "not saved; the last checkpoint is still valid" in err  # by a legal, but senseless setting
        assert code in ((0, 1, 2) if command in ("doctor", "probe") or diverged else (0, 2)), shown
        assert "Traceback" not in err and "ganloom; --debug" not in err and "switched off" not in err, shown
        faults = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(faults) == (code == 2 or diverged), shown
        report.write(copy / "a")
    return code


def one(place: Path, name: str, limits: settings) -> None:
    """Damage a file again and again; each time one of its readers must cope."""
    content = file_of(place, name).read_bytes()
    strategy = damaged_lines if name.endswith("jsonl") else damaged

    @limits
    @given(strategy(content), st.sampled_from(READERS[name]))
    def run(changed: bytes, command: str) -> None:
        check_reader(place, name, command, changed)

    run()


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_give_a_result_or_one_line(place: Path, name: str) -> None:
    one(place, name, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files(place: Path, name: str) -> None:
    one(place, name, THOROUGH)
