"""Odd names and consoles: any name gives distinct files and one printable line, any console and stream is survived."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import call
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ganloom
from ganloom import data as datasets
from ganloom.core.names import (
    FILE_BYTES,
    RESERVED,
    command_line,
    file_name,
    file_names,
    own_file_name,
    printable,
    shown,
)
from ganloom.runs.folder import next_name
from ganloom.training.callbacks import Callback

ODD = [
    "a/b", "a_b", "A_B", "a b", "a-b", "", ".", "..", "...", "-dash", "con", "CON", "nul.png", "a\nb", "\x1b[2Jred", "🐱",
    "кошка", "\u202eabc", "caf\udce9", "L" * 300, "L" * 301, "é" * 200, "class-3", "a/b-0", "<b>&\"'",
]  # fmt: skip
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell and file system")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=6), st.sampled_from(ODD), st.text("aA/_-.1", max_size=3)), max_size=12))
def test_file_names_are_distinct_and_legal(names: list[str]) -> None:
    files = file_names(names)
    assert len({name.casefold() for name in files}) == len(names)
    for name in files:
        assert (
            name and len(name.encode()) <= FILE_BYTES and not set(name) & set('/\\\0\n:*?"<>|') and name.isprintable()
        )
        assert name[0] not in "-." and name.casefold() not in RESERVED


def test_file_names_of_odd_and_of_plain_names() -> None:
    assert len({name.casefold() for name in file_names(ODD)}) == len(ODD)
    assert file_names(["T-shirt", "Ankle boot", "7"]) == ["T-shirt", "Ankle-boot", "7"]
    assert file_names(["a/b", "a_b", "a b"]) == ["a-b-0", "a_b", "a-b-2"] and file_name("...", "x") == "x"
    assert own_file_name("cT-shirt") == "cT-shirt" and own_file_name("ca b").startswith("ca-b-")
    assert (
        len({own_file_name("L" * n) for n in (90, 91, 300)}) == 3
        and len(own_file_name("é" * 99).encode()) <= FILE_BYTES
    )
    assert len(next_name(Path("runs"), "dcgan", "d" * 250).name) < 100


@given(st.text(max_size=20))
def test_shown_names_are_one_short_line(text: str) -> None:
    line = printable(text)
    assert not {"\n", "\r", "\x1b", "\x9b", "\u2028"} & set(line) and len(shown(text * 20)) <= 40
    assert printable("1\u2009234 é 猫") == "1\u2009234 é 猫" and shown("x" * 300) == "x" * 37 + "..."


@posix
def test_printed_commands_can_be_pasted() -> None:
    words = ["a b", "x", "it's", "caf\udce9", "a\nb\\n", "\x1b[0m'\u202e", "猫", "$HOME"]
    line = command_line(words)
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]] == words and printable(line) == line
    assert command_line(["a b", 3]) == shlex.join(["a b", "3"])


# ------------------------------------------------------------------------------------------------------------- streams


def shell(redirect: str, *args: str, **env: str) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr) of a command with a redirection of a POSIX shell."""
    command = shlex.join([sys.executable, "-m", "ganloom", *args])
    done = subprocess.run(
        ["sh", "-c", f"{command} {redirect}"], capture_output=True, env={**os.environ, **env}, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@posix
@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault(redirect: str) -> None:
    assert shell(redirect, "--help")[0] == 0
    code, out, err = shell(redirect, "unknown")
    assert code == 2 and not out and (b"unknown command" in err) == ("2>" not in redirect)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stream_is_one_line() -> None:
    code, _, err = shell(">/dev/full", "--help")
    assert code == 1 and err.startswith(b"error: cannot write to the standard output") and err.count(b"\n") == 1
    lines = "import sys; from ganloom.core import streams\nwith streams.prepared():\n print(9 * [9], file=sys.stderr)"
    with open("/dev/full", "wb") as full:  # errors that cannot be shown do not stop the work
        assert subprocess.run([sys.executable, "-c", lines], stderr=full, timeout=60).returncode == 0
    assert shell("2>/dev/full", "unknown")[0] == 2 and shell("2>/dev/full", "--version")[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stream_does_not_end_a_training(tmp_path: Path) -> None:
    args = ["train", "gan", "ring", "--out", str(tmp_path / "r"), "--total-kimg", "0.2", "--no-doctor", "--judge", "0"]
    code, out, err = shell("2>/dev/full", *args)
    assert (
        code == 0
        and not err
        and b"next: ganloom sample" in out
        and (tmp_path / "r" / "model" / "G.safetensors").exists()
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_console_without_the_letter_shows_an_escape(encoding: str) -> None:
    code, _, err = shell("", "кошка\udcff", PYTHONIOENCODING=encoding)
    assert code == 2 and b"Traceback" not in err and err.count(b"\n") == 1 and b"\\udcff" in err
    assert ("кошка" if encoding == "utf-8" else "\\u043a").encode() in err


# ------------------------------------------------------------------------------------------------- a training with odd names

FOLDERS = [b"caf\xe9", "кошка".encode(), "🐱".encode(), b"a\nb", b"\x1b[2Jred", b"-dash", b"con", b"A_b", b"a_B", b"a b", b"a-b",
           b"L" * 250, b"<script>x<_script>"]  # fmt: skip


@posix
def test_odd_names_from_check_to_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/od\xff d\xe9"))
    rng = np.random.default_rng(0)
    try:
        for name in FOLDERS:
            (root / os.fsdecode(name)).mkdir(parents=True)
            for i in range(3):
                file = root / os.fsdecode(name) / os.fsdecode(b"p\xfc%d.png" % i)
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
            (root / os.fsdecode(name) / os.fsdecode(b"bad\xff.png")).write_bytes(b"no image")
    except OSError:
        pytest.skip("this file system refuses such names")
    run = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xfe"))
    code, out, err = call(capsys, "data", "check", root)
    assert code == 0 and "caf\\udce9 3" in out and "L" * 37 + "..." in out and "\x1b" not in out, err
    assert "next: ganloom train default $'" in out
    options = (
        "--shape 3 16 16 --width 4 --batch-size 8 --total-kimg 0.1 --kimg-per-tick 0.05 --judge 0 --grid 4".split()
    )
    code, out, err = call(capsys, "train", "cgan", root, "--out", run, *options)
    assert code == 0 and "\x1b" not in out + err and "\\udcff" in err, err
    code, out, err = call(capsys, "sample", run, "--n", 1, "--c", "all", "--out", tmp_path / "s")
    assert code == 0 and len({p.name.casefold() for p in (tmp_path / "s").iterdir()}) == len(FOLDERS) + 1, err
    code, out, err = call(capsys, "sample", run, "--n", 1, "--c", "L" * 250, "--json")
    assert code == 0 and Path(json.loads(out)["grid"]).exists(), err
    for command in (["evaluate", run, "--n", 16, "--k", 2, "--features", "random", "--no-intervals"], ["doctor", run]):
        code, out, err = call(capsys, *command)
        assert code in (0, 1) and "next: ganloom" in out and "\x1b" not in out + err, err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<script>x" not in page and "\x1b" not in page


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    datasets.open(pixels).save("~/set.npz")
    options = {"total_kimg": 0.03, "doctor": False, "judge": 0, "grid": 4, "width": 4, "batch_size": 8}
    run = ganloom.train("dcgan", "~/set.npz", "~/a", console=Callback(), **options)
    assert run.path == tmp_path / "a" and ganloom.load("~/a").kimg > 0
    assert ganloom.resume("~/a", total_kimg=0.05, console=Callback()).path == tmp_path / "a"
    assert call(capsys, "sample", "~/a", "--n", 1, "--out=~/s")[0] == 0 and (tmp_path / "s" / "grid.png").exists()
    assert call(capsys, "data", "check", "~/set.npz")[0] == 0 and datasets.check("~/set.npz").count == 16
    flags = ["--init=~/a", "--out=~/b", "--total-kimg", "0.03", "--no-doctor", "--judge", "0"]
    assert call(capsys, "train", "dcgan", "~/set.npz", *flags)[0] == 0
    assert not (tmp_path / "~").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "s", "set.npz"]
