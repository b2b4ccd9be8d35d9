"""No command is silent: the printer of progress, and that every command that computes uses it."""

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from PIL import Image

import ganloom
from ganloom.report.progress import Progress, part_of, stage
from ganloom.training.callbacks import legend

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), np.uint8)
QUICK: dict[str, Any] = {"judge": 0, "doctor": False, "grid": 4, "width": 4, "batch_size": 8, "total_kimg": 0.03}


FIRST, EVERY = Progress.FIRST, Progress.EVERY
"""As they are for users; other tests are more patient."""


@pytest.fixture(autouse=True)
def _as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "FIRST", FIRST)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def printer() -> Any:
    """A printer with a clock of its own; the test calls it in place of its thread."""
    clock, out = Clock(), io.StringIO()
    progress = Progress(out, clock=clock)
    progress._thread = threading.current_thread()
    yield progress, clock, out
    progress.stop()


def test_first_line_within_ten_seconds_and_then_every_thirty(printer: Any) -> None:
    progress, clock, out = printer
    said: list[float] = []
    progress("decoding images", 0, 400)
    for second in range(1, 121):
        clock.now += 1
        before = out.getvalue().count("\n")
        progress("decoding images", 2 * second, 400)
        if out.getvalue().count("\n") > before:
            said.append(second)
    assert (
        FIRST <= 10
        and EVERY <= 30
        and said[0] <= 10
        and all(b - a <= 30 for a, b in zip(said, said[1:], strict=False))
        and len(said) < 10
    )
    first = out.getvalue().splitlines()[0]
    assert first == f"decoding images: {2 * said[0]} of 400, about 3 m 12 s left ({said[0]} s so far)"


def test_a_long_operation_without_calls_is_not_silent(printer: Any) -> None:
    progress, clock, out = printer
    progress("the first training step")
    for _ in range(60):
        clock.now += 1
        progress.beat()  # what the thread does
    lines = out.getvalue().splitlines()
    assert len(lines) >= 2 and all(line.startswith("the first training step (") for line in lines)


def test_the_thread_prints_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "FIRST", 0.05)
    out = io.StringIO()
    with Progress(out) as progress:
        progress("waiting")
        until = time.monotonic() + 5
        while not out.getvalue() and time.monotonic() < until:
            time.sleep(0.02)
    assert out.getvalue().startswith("waiting")
    out.truncate(0)
    progress("later")
    progress.beat()
    assert not out.getvalue().strip("\0"), "nothing is printed after the end"


def test_other_lines_count_and_a_stage_starts_its_own_estimate(printer: Any) -> None:
    progress, clock, out = printer
    progress("training", 500, 1000)  # resumed in the middle
    clock.now += 7
    progress.say("kimg 4")
    clock.now += 15
    progress("training", 600, 1000)
    assert out.getvalue() == "kimg 4\n"
    clock.now += 6
    progress("training", 600, 1000)
    assert "training: 600 of 1,000, about 1 m 22 s left" in out.getvalue()
    progress.prefix = "[1/2] "
    progress("measuring")
    assert progress.text() == "[1/2] measuring"


def test_a_closed_stream_does_not_stop_the_thread_of_the_command() -> None:
    out = io.StringIO()
    with Progress(out) as progress:
        progress("x")
        out.close()
        time.sleep(0.3)


def test_parts_without_a_printer() -> None:
    heard: list[Any] = []
    part = part_of(lambda *state: heard.append(state), "reading")
    assert part is not None and part_of(None, "reading") is None
    part(3, 4)
    stage(None, "nothing")
    assert heard == [("reading", 0, 0), ("reading", 3, 4)]


# ------------------------------------------------------------------------------------------------------ every command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a run, and a run of an image-to-image recipe."""
    root = tmp_path_factory.mktemp("progress")
    np.savez(root / "a.npz", images=IMAGES, labels=np.arange(60) % 2)
    for side in ("trainA", "trainB"):
        (root / "ab" / side).mkdir(parents=True)
        for i in range(30):
            Image.fromarray(IMAGES[i, :, :, 0]).save(root / "ab" / side / f"{side}{i}.png")
    ganloom.train("stylegan2", str(root / "a.npz"), root / "styled", small=True, **{**QUICK, "width": 32})
    small = {"judge": 0, "doctor": False, "grid": 4, "batch_size": 2, "width": 4, "d_width": 4, "blocks": 1}
    ganloom.train("cyclegan", str(root / "ab"), root / "pairs", total_kimg=0.004, **small)
    return root


TINY = "--width 4 --batch-size 8 --total-kimg 0.03 --judge 0 --grid 4"
COMMANDS = {
    "train": f"train dcgan A --out NEW {TINY} --json",
    "resume": "resume STYLED --total-kimg 0.04 --json",
    "sample": "sample STYLED --n 70 --out NEW --json",
    "evaluate": "evaluate STYLED --n 24 --features random --json",
    "translate": "translate PAIRS AB/trainA NEW --json",
    "plan": "plan dcgan A --width 4 --batch-size 8 --steps 1 --seconds 1 --json",
    "data check": "data check A --json",
    "doctor": "doctor STYLED --probe --json",
    "latent walk": "latent walk STYLED --frames 5 --out NEW.gif --json",
    "latent mix": "latent mix STYLED --out NEW.png --json",
    "latent directions": "latent directions STYLED --out NEW.png --json",
    "augment preview": "augment preview A --out NEW.png --n 1 --p 0.2 --json",
    "compare": "compare --budget 0.2s A vae --out NEW --n 24 --k 2 --features random --json",
    "doctor sensitivity": "doctor sensitivity gan A --total-kimg 0.02 --batch-size 8 --out NEW --json",
    "recipes": "recipes --json",
    "bench modes": "bench modes --data ring --cure plain --seeds 1 --steps 3 --json",
}


SAYS = {
    "train": "training (images): ", "resume": "training (images): ", "sample": "generating samples: 64 of 70",
    "evaluate": "generated: ", "translate": "translating images: 29 of 30", "plan": "measuring training steps",
    "data check": "looking for duplicates", "doctor": "examining ", "latent walk": "generating 5 frames",
    "latent mix": "generating the mixtures", "latent directions": "searching directions", "augment preview": "drawing the sheets",
    "compare": "[1/1] vae, seed 0: training (seconds): ", "doctor sensitivity": "training (images): ",
    "bench modes": "steps of training: ", "recipes": "counting parameters: ",
}  # fmt: skip
"""What each command says on stderr: what it does, and how far it is where that is known."""
SLOW = ("doctor sensitivity", "compare")
"""Commands that train several models."""


@pytest.mark.parametrize("command", [pytest.param(c, marks=pytest.mark.slow if c in SLOW else ()) for c in COMMANDS])
def test_every_command_says_what_it_does_and_keeps_stdout_pure(
    command: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "FIRST", 0.0)
    monkeypatch.setattr(Progress, "EVERY", 0.0)
    names = {"A": "a.npz", "AB/trainA": "ab/trainA", "STYLED": "styled", "PAIRS": "pairs"}
    words = [
        str(place / names[word]) if word in names else word.replace("NEW", str(tmp_path / "new"))
        for word in COMMANDS[command].split()
    ]
    code, out, err = call(capsys, *words)
    assert code in (0, 1), err  # the doctor may find something
    assert all(isinstance(json.loads(line), dict) for line in out.splitlines()) and out
    assert any(SAYS[command] in line for line in err.splitlines()), err
    assert "Traceback" not in err


# ------------------------------------------------------------------------------------------------------------- legend


class Fake:
    def __init__(self, shape: tuple[int, ...], device: str = "cpu", conditions: str = "labels") -> None:
        import types

        import torch

        self.data = types.SimpleNamespace(shape=shape)
        self.device, self.gan = torch.device(device), types.SimpleNamespace(conditions_on=conditions)
        self.total_nimg, self.ends_by_images = 100_000.0, True


def test_photographs_on_a_cpu_get_one_sentence() -> None:
    said = legend.photographs(Fake((3, 64, 64)), 20.0)
    assert "13 h 53 m or more at this speed (20 img/s on a CPU)" in said and "this run ends at 100 kimg" in said
    for other in (
        Fake((1, 64, 64)),
        Fake((3, 32, 32)),
        Fake((3, 64, 64), "cuda"),
        Fake((2,)),
        Fake((3, 64, 64), conditions="images"),
    ):
        assert not legend.photographs(other, 20.0)


def test_chance_is_called_that() -> None:
    assert "at chance" in legend.at_chance({"doctor/D_accuracy": 0.52})
    assert "always right" in legend.at_chance({"doctor/D_accuracy": 1.0})
    assert not legend.at_chance({"doctor/D_accuracy": 0.8}) and not legend.at_chance({})


def test_the_legend_names_what_the_row_has() -> None:
    assert "D" not in legend.line({"kimg": 1, "G/loss": 1.0}).replace("legend", "")
    assert "G = loss;" in legend.line({"G/loss": 1.0, "G/grad_norm": 2.0}) and "|G| = gradient norm" not in legend.line(
        {}
    )
    assert "doctor" in legend.line({"doctor": "green"})


def test_the_distance_is_explained_with_real_against_real(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = np.random.default_rng(1).integers(0, 256, (240, 16, 16, 1), np.uint8)
    np.savez(tmp_path / "b.npz", images=many)
    flags = "--width 4 --batch-size 8 --judge 120 --no-doctor --grid 4 --total-kimg 0.02".split()
    code, _, err = call(capsys, "train", "dcgan", tmp_path / "b.npz", "--out", tmp_path / "r", *flags)
    (line,) = [line for line in err.splitlines() if "real against real" in line]
    assert code == 0 and "distance of 120 samples from 120 real ones" in line and "random" in line, err
    assert sum(line.startswith("legend: kimg") for line in err.splitlines()) == 1


def test_rows_of_classes_have_names(tmp_path: Path) -> None:
    root = tmp_path / "classes"
    for kind in ("cats", "dögs & <b>"):
        (root / kind).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(IMAGES[i, :, :, 0]).save(root / kind / f"{i}.png")
    run = ganloom.train("cgan", str(root), tmp_path / "r", **QUICK)
    assert json.loads((run.path / "samples" / "rows.json").read_text(encoding="utf-8"))[0] == "cats"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Classes of the rows, from the top: cats, dögs &amp; &lt;b&gt;" in page
