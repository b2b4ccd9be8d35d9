"""Data files that change during a training, full cache disks, orphans in the cache, and a half-filled web runtime."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import cache, private_copy, store
from ganloom.export import npm_files, web

ROWS = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("limit", [2**30, -(2**20)], ids=["in RAM", "mapped copy"])
@pytest.mark.parametrize("change", ["truncate", "overwrite", "delete"])
def test_a_npy_that_changes_later_does_no_harm(
    limit: int, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "MEMORY_LIMIT", limit)
    path = tmp_path / "x.npy"
    np.save(path, ROWS)
    opened = data.open(path)
    mapped = isinstance(private_copy.read_npy(str(path)), np.memmap)
    assert mapped == (limit < 0)
    if change == "truncate":
        os.truncate(path, 200)
    elif change == "overwrite":
        np.save(path, 255 - ROWS)
    else:
        path.unlink()
    assert np.array_equal(opened.uint8(slice(None)), ROWS)  # type: ignore[attr-defined]
    assert not list((tmp_path / "cache").rglob("*.tmp")) or os.name == "nt", "the copy has no name"


@pytest.mark.parametrize("limit", [2**30, -(2**20)], ids=["in RAM", "mapped copy"])
def test_a_npy_that_changes_while_it_is_read_is_refused(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MEMORY_LIMIT", limit)
    np.save(tmp_path / "x.npy", ROWS)
    real = np.lib.format.open_memmap if limit < 0 else np.lib.format.read_array

    def slow(*args: Any, **kwargs: Any) -> Any:
        array = real(*args, **kwargs)
        with open(tmp_path / "x.npy", "ab") as file:
            file.write(b"more")
        return array

    monkeypatch.setattr(np.lib.format, "open_memmap" if limit < 0 else "read_array", slow)
    with pytest.raises(BadInput, match=r"x\.npy was changed while it was read"):
        data.open(tmp_path / "x.npy")


def test_a_truncated_npy_is_refused_in_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    size = (tmp_path / "x.npy").stat().st_size
    for left in (0, 5, 60, 127, 128, 1000, size - 1):
        np.save(tmp_path / "x.npy", ROWS)
        os.truncate(tmp_path / "x.npy", left)
        with pytest.raises(BadInput) as refused:
            data.open(tmp_path / "x.npy")
        assert "\n" not in str(refused.value)


def folder_of(path: Path, n: int = 12) -> Path:
    path.mkdir()
    for i in range(n):
        Image.fromarray(ROWS[i]).save(path / f"{i}.png")
    return path


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("place", ["reserve", "rows", "meta", "commit", "begin"])
def test_a_full_cache_disk_costs_the_cache_only(
    place: str, mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    if mapped:
        monkeypatch.setattr(cache, "MEMORY_LIMIT", 100)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise FULL

    where: dict[str, tuple[Any, str]] = {
        "reserve": (os, "posix_fallocate"), "rows": (np, "save"), "meta": (cache, "write"), "commit": (cache, "commit"),
        "begin": (cache.tempfile, "mkdtemp"),
    }  # fmt: skip
    monkeypatch.setattr(*where[place], full)
    opened = data.open(folder_of(tmp_path / "d"), shape=(3, 8, 8))
    got = sorted(opened.uint8(slice(None)).reshape(12, -1).tolist())  # type: ignore[attr-defined]
    assert got == sorted(ROWS[:12].reshape(12, -1).tolist())


def test_no_space_anywhere_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MEMORY_LIMIT", 100)
    monkeypatch.setattr(store.memory, "available", lambda: 100.0)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise FULL

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BadInput, match="no space for .* set GANLOOM_CACHE"):
        data.open(folder_of(tmp_path / "d"), shape=(3, 8, 8))


def test_orphans_older_than_a_day_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    stores, day_ago = tmp_path / "stores", time.time() - 90_000
    for name in (".0123.abc.tmp", ".0123.abc.tmp.old", ".new.tmp", ".in-use.tmp", "mine.tmp", ".hidden"):
        (stores / name).mkdir(parents=True)
        (stores / name / "rows.npy").write_bytes(b"half")
        if name != ".in-use.tmp":
            os.utime(stores / name / "rows.npy", (day_ago, day_ago))
        os.utime(stores / name, (day_ago, day_ago))
    (stores / ".npy.x.tmp").write_bytes(b"half")
    os.utime(stores / ".npy.x.tmp", (day_ago, day_ago))
    os.utime(stores / ".new.tmp")
    folder = cache.begin("0123")
    assert folder is not None
    assert {p.name for p in stores.iterdir()} == {".new.tmp", ".in-use.tmp", "mine.tmp", ".hidden", folder.name}


def test_a_half_filled_web_runtime_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    parts = {name: name.encode() for name in web.FILES}
    fetched: list[int] = []

    def download(package: Any) -> dict[str, bytes]:
        fetched.append(1)
        return parts

    monkeypatch.setattr(npm_files, "download", download)
    monkeypatch.setattr(npm_files, "_changed", lambda _, got: next((n for n in web.FILES if got[n] != parts[n]), None))
    home = tmp_path / f"{web.RUNTIME}-{web.VERSION}"
    assert web.runtime_files() == parts and web.runtime_files() == parts and len(fetched) == 1
    for damage in range(3):
        victim = home / sorted(parts)[damage]
        if damage:
            victim.write_bytes(b"half")
        else:
            victim.unlink()
        assert web.runtime_files() == parts and len(fetched) == 2 + damage
    for path in home.iterdir():
        path.unlink()
    home.rmdir()
    home.write_text("a file where the folder was")
    assert web.runtime_files() == parts, "a cache that cannot be written costs the cache"


@pytest.mark.slow
def test_a_truncated_npy_cannot_kill_a_training(tmp_path: Path) -> None:
    """The same with a real file above the limit, in another process."""
    code = (
        "import os, sys, numpy as np\n"
        "from ganloom import data\n"
        "from ganloom.data import cache\n"
        "cache.MEMORY_LIMIT = 2**22\n"
        "np.save(sys.argv[1], np.ones((60000, 16, 16, 1), np.uint8))\n"
        "opened = data.open(sys.argv[1])\n"
        "os.truncate(sys.argv[1], 0)\n"
        "print(int(opened.uint8(slice(None)).sum()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.npy")], capture_output=True, text=True)
    assert done.stdout.strip() == str(60000 * 256), done.stderr
