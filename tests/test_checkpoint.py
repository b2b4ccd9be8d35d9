"""Checkpoints: whole or absent, every flipped bit found, the previous one used, kills and full disks survived."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganloom.runs import checkpoint
from ganloom.runs.checkpoint import CheckpointError


def tensors(value: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "gan": {"G.weight": torch.full((3, 2), value), "D.n": torch.tensor(5)},
        "optim": {"0.step": torch.tensor(value), "0.x": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)},
    }


def test_round_trip(tmp_path: Path) -> None:
    kept = tensors()
    path = checkpoint.save(tmp_path, "kimg-000002", kept, {"nimg": 2000, "odd": [1, "é"]})
    loaded = checkpoint.load(tmp_path)
    assert loaded.path == path and loaded.state == {"nimg": 2000, "odd": [1, "é"]} and not loaded.skipped
    for part, values in kept.items():
        for name, value in values.items():
            assert torch.equal(loaded.tensors[part][name], value)


def test_names_sort_by_clock(tmp_path: Path) -> None:
    for nimg in (7040, 999_936, 1_000_000, 64, 20_000):
        checkpoint.save(tmp_path, checkpoint.name_of(nimg), tensors(), {})
    assert checkpoint.names(tmp_path)[0] == "kimg-000000.064" and checkpoint.names(tmp_path)[-1] == "kimg-001000"


def test_prune_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    for i in range(6):
        checkpoint.save(tmp_path, checkpoint.name_of(i * 1000), tensors(), {})
    checkpoint.mark_best(tmp_path, checkpoint.name_of(1000))
    checkpoint.prune(tmp_path, 2)
    assert checkpoint.names(tmp_path) == [checkpoint.name_of(n) for n in (1000, 4000, 5000)]


def damage_and_load(folder: Path, file: str, change) -> checkpoint.Loaded:
    path = folder / "kimg-000002" / file
    whole = path.read_bytes()
    try:
        path.write_bytes(change(whole))
        return checkpoint.load(folder)
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    checkpoint.save(folder, "kimg-000001", tensors(1.0), {"nimg": 1000})
    checkpoint.save(folder, "kimg-000002", tensors(2.0), {"nimg": 2000})
    return folder


FILES = ["gan.safetensors", "optim.safetensors", "state.json"]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(two: Path, file: str, where: float, bit: int) -> None:
    def flip(data: bytes) -> bytes:
        at = int(where * len(data))
        return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]

    loaded = damage_and_load(two, file, flip)
    assert loaded.path.name == "kimg-000001" and float(loaded.tensors["gan"]["G.weight"][0, 0]) == 1.0
    assert len(loaded.skipped) == 1 and file in loaded.skipped[0]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from([*FILES, "MANIFEST.json"]), where=st.floats(0, 1, exclude_max=True))
def test_every_truncation_is_found(two: Path, file: str, where: float) -> None:
    loaded = damage_and_load(two, file, lambda data: data[: int(where * len(data))])
    assert loaded.path.name == "kimg-000001" and len(loaded.skipped) == 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_manifest_never_passes_wrong_data(two: Path, where: float, bit: int) -> None:
    """Some flips leave a manifest that says the same (white space); then the data is the right one."""
    at = lambda data: int(where * len(data))
    loaded = damage_and_load(
        two, "MANIFEST.json", lambda d: d[: at(d)] + bytes([d[at(d)] ^ (1 << bit)]) + d[at(d) + 1 :]
    )
    right = {"kimg-000001": 1.0, "kimg-000002": 2.0}[loaded.path.name]
    assert float(loaded.tensors["gan"]["G.weight"][0, 0]) == right


def test_missing_files_and_no_checkpoint(two: Path, tmp_path: Path) -> None:
    path = two / "kimg-000002" / "optim.safetensors"
    hidden = path.rename(path.with_suffix(".hidden"))
    assert "optim.safetensors is missing" in checkpoint.load(two).skipped[0]
    hidden.rename(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.load(tmp_path)
    (tmp_path / "kimg-000001").mkdir()
    with pytest.raises(CheckpointError, match="are incomplete or damaged"):
        checkpoint.load(tmp_path)


def test_a_pointer_is_only_a_name(two: Path, tmp_path: Path) -> None:
    for text in ("../../etc", "kimg-000009", "", "\x00", "kimg-000001/../kimg-000002"):
        (two / "best").write_text(text)
        assert checkpoint.pointer(two, "best") is None
    (two / "best").unlink()


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "kimg-000001", tensors(), {"nimg": 1000})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = {"gan": {"w": torch.zeros(200_000)}}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(CheckpointError, match="earlier checkpoints are untouched"):
            checkpoint.save(tmp_path, "kimg-000002", big, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.load(tmp_path).path.name == "kimg-000001"
    assert not list(tmp_path.glob(".tmp-*"))


WRITER = """
import sys, torch
from pathlib import Path
from ganloom.runs import checkpoint
folder, count = Path(sys.argv[1]), 0
for n in checkpoint.names(folder):
    count = max(count, checkpoint.read(folder / n).state["count"])
checkpoint.sweep(folder)
print("ready", flush=True)
while True:
    count += 1
    w = {"gan": {"w": torch.full((60_000,), float(count))}, "optim": {"m": torch.full((60_000,), float(count))}}
    checkpoint.save(folder, checkpoint.name_of(count * 1000), w, {"count": count})
    checkpoint.prune(folder, 2)
    print(count, flush=True)
"""


def kill_writers(folder: Path, kills: int, seed: int, **env: str) -> None:
    """Start a process that saves without pause, kill it at a random moment, look; again and again."""
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, env={**os.environ, **env}
        )
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().split() if line.isdigit()]
        process.wait()
        process.stdout.close()
        if said or checkpoint.names(folder):
            latest = checkpoint.pointer(folder, "latest")
            if said:
                assert latest is not None
            loaded = checkpoint.load(folder)
            assert not loaded.skipped, loaded.skipped
            count = loaded.state["count"]
            assert not said or count >= said[-1], f"lost {said[-1]} and came back with {count}"
            assert (loaded.tensors["gan"]["w"] == count).all() and (loaded.tensors["optim"]["m"] == count).all()


def test_four_kills_while_saving(tmp_path: Path) -> None:
    kill_writers(tmp_path / "a", 2, 0)
    elsewhere = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    kill_writers(tmp_path / "b", 2, 1, TMPDIR=str(elsewhere))


@pytest.mark.slow
def test_two_hundred_kills_while_saving(tmp_path: Path) -> None:
    kill_writers(tmp_path / "a", 100, 2)
    kill_writers(tmp_path / "b", 100, 3, TMPDIR="/dev/shm")


def test_orphans_are_swept(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "kimg-000001", tensors(), {})
    (tmp_path / ".tmp-kimg-000002-99").mkdir()
    (tmp_path / ".tmp-kimg-000002-99" / "gan.safetensors").write_bytes(b"half")
    (tmp_path / ".tmp-latest-99").write_bytes(b"x")
    assert len(checkpoint.sweep(tmp_path)) == 2 and checkpoint.load(tmp_path).path.name == "kimg-000001"


def test_format_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, "kimg-000001", tensors(), {})
    manifest = json.loads((path / "MANIFEST.json").read_text())
    (path / "MANIFEST.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(CheckpointError, match="newer ganloom"):
        checkpoint.load(tmp_path)
