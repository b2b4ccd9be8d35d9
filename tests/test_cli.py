"""The command line: what it prints, what it writes, and one line with the right exit code for every fault."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from PIL import Image

import ganloom
from ganloom.api import prepare
from ganloom.cli import COMMANDS, main
from ganloom.core.errors import BadInput
from ganloom.recipes import presets

RNG = np.random.default_rng(0)
TINY = "--width 4 --batch-size 8 --total-kimg 0.2 --kimg-per-tick 0.1 --judge 0 --grid 4".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of images of mixed sizes and modes."""
    root = tmp_path_factory.mktemp("images")
    for i in range(40):
        w, h = int(RNG.integers(20, 60)), int(RNG.integers(20, 60))
        mode = ("L", "RGB", "RGBA", "RGB")[i % 4]
        bands = len(Image.new(mode, (1, 1)).getbands())
        pixels = RNG.integers(0, 256, (h, w, bands), dtype=np.uint8)
        kind = root / ("cats" if i % 2 else "dogs & co")
        kind.mkdir(exist_ok=True)
        Image.fromarray(pixels.squeeze() if bands == 1 else pixels, mode=None).save(kind / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small class-conditional run."""
    path = tmp_path_factory.mktemp("runs") / "a"
    with pytest.raises(SystemExit) as left:
        main(["train", "cgan", str(folder), "--out", str(path), "--shape", "3", "16", "16", *TINY])
    assert not left.value.code
    return path


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ("trian", 'did you mean "train"'),
        ("train dgcan", 'did you mean "dcgan"'),
        ("train dcgan no/such/folder", "no/such/folder"),
        ("train dcgan fashion-10", 'did you mean "fashion-10k"'),
        ("train dcgan --totl-kimg 3", 'did you mean "--total-kimg"'),
        ("train dcgan --total-kimg three", '--total-kimg cannot be "three"'),
        ("train dcgan --total-kimg 0", "--total-kimg must be above 0"),
        ("train dcgan --shape", "--shape needs 1 to 3 values, got 0"),
        ("train wgan-gp --body mlp", "--body must be one of"),
        ("train dcgan --fit stretch", "--fit must be one of crop, pad, squash"),
        ("train dcgan --g-opt.betas 0.5 1.5", "betas must be in"),
        ("train dcgan --device cuda:99", "--device cuda:99"),
        ("train default --gamma -1", "--gamma must not be negative"),
        ("train default --n-classes -1", "--n-classes must not be negative"),
        ("train dcgan --z-dim -3", "--z-dim must be at least 1"),
        ("train dcgan --width 0", "--width must be at least 1"),
        ("train r3gan --group 0", "--group must be at least 1, got 0"),
        ("train eg3d --plane-most 0", "--plane-most must be at least 1, got 0"),
        ("train gan --g-widths 16 0", "--g-widths must be at least 1"),
        ("train wgan-gp --gp-weight nan", "--gp-weight must be a finite number"),
        ("train dcgan --g-opt.lr nan", "lr must be finite and not negative"),
        ("train dcgan --seed 99999999999999999999", "--seed must be in 0..2^63"),
        ("train dcgan --ema-kimg -1", "--ema-kimg must not be negative"),
        ("train cgan --n-classes 3", "fashion-10k has 10 classes"),
        ("train gan --n-classes 3", "unknown option --n-classes"),
        ("resume no/such/run", "no run at"),
        ("resume", "RUN is missing"),
        ("resume a b", 'unexpected argument "b"'),
        ("train dcgan --out", "--out needs 1 value"),
        ("train dcgan --flip=maybe", '--flip must be one of True, False, got "maybe"'),
        ("train dcgan --g-opt.schedule linear(1)", "linear(START, END, TO)"),
        ("train dcgan --g-opt.schedule cosin(0,9)", 'did you mean "cosine"'),
        ("sample no/such/run", "no run at"),
        ("evaluate no/such/run", "no run at"),
        ("data chek x", 'did you mean "check"'),
        ("data check no/such/folder", "no/such/folder"),
        ("plan no/such/folder", "no/such/folder"),
        ("bench stp", 'did you mean "step"'),
    ],
)
def test_faults_are_one_line(args: str, text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        code, out, err = call(capsys, *args.split())
    assert code == 2 and not out, (code, out)
    assert text in err and err.startswith("error: ") and err.count("\n") == 1, err
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, command, "--help")
    assert code == 0 and "usage: ganloom" in out


def test_help_of_a_recipe_shows_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "train", "wgan-gp", "--help-all")
    assert code == 0 and "--gp-weight" in out and "--g-opt.lr" in out and "--nan-policy" in out
    for title in ("data and run:", "training:", "recipe wgan-gp:", "stabilisers:"):
        assert f"\n{title}\n" in out
    assert "--g-opt.schedule SCHEDULE" in out and "(default: linear(0, 32000))" in " ".join(out.split())


def test_help_shows_what_people_use_first(capsys: pytest.CaptureFixture[str]) -> None:
    for recipe, rate in (("dcgan", "--g-opt.lr"), ("r3gan", "--lr")):
        code, out, _ = call(capsys, "train", recipe, "--help")
        lines = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
        assert code == 0 and {"RECIPE", "DATA", "--out", "--total-kimg", "--small", "--device", rate} <= set(lines)
        assert 12 <= len(lines) <= 18 and max(map(len, out.splitlines())) <= 100, "one line each"
        assert "--help-all" in out.splitlines()[-1] and "--nan-policy" not in out


def test_version_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.match(r"ganloom \d", call(capsys, "--version")[1])
    code, out, _ = call(capsys, "recipes")
    assert code == 0 and "wgan-gp" in out and "arXiv:1704.00028" in out and "next: " in out
    rows = json.loads(call(capsys, "recipes", "--json")[1])["recipes"]
    assert {row["recipe"] for row in rows} >= {"default", "gan", "dcgan", "cgan", "wgan-gp"}


@pytest.mark.parametrize("shape", [(1, 48, 32), (3, 48, 32), (4, 48, 32), None])
def test_any_folder_trains_and_ends_with_a_report(
    shape: tuple[int, ...] | None, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--shape", *map(str, shape)] if shape else []
    code, out, err = call(capsys, "train", "dcgan", str(folder), "--out", str(tmp_path / "r"), *TINY, *extra)
    assert code == 0, err
    assert "report.html" in out and f"next: ganloom sample {tmp_path / 'r'}" in out
    assert (tmp_path / "r" / "report.html").stat().st_size > 5000
    with Image.open(tmp_path / "r" / "samples" / "reals.png") as grid:
        assert len(grid.getbands()) == (shape[0] if shape else 3)
        assert not shape or grid.height > grid.width


@pytest.mark.skipif(os.name == "nt", reason="needs a shell's pipes")
def test_a_reader_that_leaves_is_no_fault() -> None:
    args = [sys.executable, "-m", "ganloom", "train", "default", "--help-all"]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=usual) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = [line for line in process.stderr.read().splitlines() if not line.startswith(b"loading PyTorch")]
        assert (said, process.wait(60)) == ([], 141)


def test_a_folder_alone_is_trained_by_the_default(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "train", str(folder), "--out", str(tmp_path / "r"), *TINY, "--shape", "3", "16", "16")
    assert code == 0, err
    assert json.loads((tmp_path / "r" / "config.json").read_text())["recipe"] == "default"


def test_flags_before_the_recipe(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "r")
    code, _, err = call(capsys, "train", "--out", out, "--shape", "3", "16", "16", *TINY, "dcgan", str(folder))
    assert code == 0, err
    assert json.loads((tmp_path / "r" / "config.json").read_text())["recipe"] == "dcgan"


def test_small_is_the_recipes_cut_down_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--small", "--g-opt.lr", "0.003", "--gamma", "2", "--width", "32", "--total-kimg", "0.05"]
    quick = ["--no-doctor", "--judge", "0"]
    code, _, err = call(capsys, "train", "stylegan2", "fashion-10k", "--out", str(tmp_path / "r"), *args, *quick)
    assert code == 0, err
    described = json.loads((tmp_path / "r" / "config.json").read_text())
    cfg, plan = described["config"], presets.plan("stylegan2").options
    assert cfg["base"] == plan["base"] and cfg["tanh"] is True and cfg["alike"] is True and cfg["path_length"] == 0
    assert cfg["gamma"] == 2 and cfg["width"] == 32 and described["train"]["total_kimg"] == 0.05
    course = [[kimg * 0.05 / plan["total_kimg"], factor] for kimg, factor in plan["g_opt.schedule"]]
    assert cfg["g_opt"]["lr"] == 0.003, "the rest stays small's, on the course of so long a run"
    for optimizer in ("g_opt", "d_opt"):
        np.testing.assert_allclose(cfg[optimizer]["schedule"], course)
    assert ganloom.load(tmp_path / "r").generate(2, seed=0).abs().max() <= 1
    # In Python, and of data without labels, a run that --init begins from goes before it.
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    fields = {"total_kimg": 0.05, "doctor": False, "judge": 0}
    run = ganloom.train("stylegan2", images, tmp_path / "a", small=True, base=128, **fields)
    first = json.loads((run.path / "config.json").read_text())["config"]
    assert first["n_classes"] == 0 and first["d_opt"]["schedule"] == cfg["d_opt"]["schedule"]
    again = ganloom.train("stylegan2", images, tmp_path / "b", small=True, init=run, **fields)
    assert json.loads((again.path / "config.json").read_text())["config"]["base"] == 128
    with pytest.raises(BadInput, match="small"):
        ganloom.train(ganloom.RECIPES["dcgan"].Config(), images, tmp_path / "c", small=True)


@pytest.mark.parametrize("side", [16, 28, 64])
def test_small_keeps_channels_for_the_details_of_larger_images(side: int) -> None:
    images = np.zeros((4, side, side, 3), np.uint8)
    style, _ = prepare("stylegan2", images, small=True)
    assert style.G.synthesis.const.shape[0] == 64 and style.G.synthesis.levels[-1].picture.weight.shape[1] == 16
    plain, _ = prepare("r3gan", images, small=True)
    assert plain.G.project.out_features == 64 * np.prod(plain.G.base[:2]) and plain.G.out.weight.shape[1] == 16
    points, _ = prepare("gan", "ring", small=True)  # data of no height and width have a small form too
    assert points.cfg.shape == (2,)
    own, _ = prepare("r3gan", images, small=True, full=0)
    assert own.cfg.full == 0  # what was said stays


@pytest.mark.parametrize(("side", "width"), [(28, 24), (32, 24), (64, 12), (128, 8), (256, 12)])
def test_small_is_narrower_for_larger_images(side: int, width: int) -> None:
    """256 px are reduced to 64 px first."""
    images = np.zeros((4, side, side, 3), np.uint8)
    model, _ = prepare("default", images, small=True)
    assert model.cfg.width == width
    own, _ = prepare("default", images, small=True, width=20)
    assert own.cfg.width == 20


def test_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["train", "gan", "fashion-10k", "--out", str(tmp_path / "r"), "--json", "--total-kimg", "0.3"]
    code, out, _ = call(capsys, *args, "--kimg-per-tick", "0.1", "--judge", "0")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) >= 3 and lines[-1]["run"] == str(tmp_path / "r") and "D/adv" in lines[0]


def test_resume(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "r")
    call(capsys, "train", "dcgan", str(folder), "--out", run, *TINY, "--shape", "1", "16", "16")
    code, _, err = call(capsys, "resume", run)
    assert code == 2 and "already at" in err
    code, out, _ = call(capsys, "resume", run, "--total-kimg", "0.3")
    assert code == 0 and "0.304 kimg" in out


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_sample_is_seeded_to_the_byte(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def draw(name: str, *args: str) -> dict[str, bytes]:
        code, out, err = call(capsys, "sample", str(run), "--out", str(tmp_path / name), *args)
        assert code == 0 and "wrote" in out, err
        return files_of(tmp_path / name)

    a, b = draw("a", "--n", "5", "--seed", "3"), draw("b", "--n", "5", "--seed", "3")
    assert a == b and set(a) == {"grid.png", *(f"seed{i:06d}.png" for i in range(3, 8))}
    assert draw("c", "--n", "5", "--seed", "4")["seed000004.png"] != b""
    named, counted = draw("d", "--n", "2", "--c", "cats"), draw("e", "--n", "2", "--c", "0")
    assert named == counted and "cats/seed000000.png" in named
    every = draw("f", "--n", "2", "--c", "all")
    assert {Path(k).parent.name for k in every if "/" in k} == {"cats", "dogs---co"} and len(every) == 5


def test_sample_refuses(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for args, text in (
        (["--out", str(tmp_path / "full")], "--overwrite"),
        (["--c", "birds"], "is no class"),
        (["--c", "7"], "is no class"),
        (["--n", "0"], "--n must be"),
        (["--checkpoint", "kimg-999999"], "has no checkpoint"),
    ):
        code, _, err = call(capsys, "sample", str(run), *args)
        assert code == 2 and text in err and err.count("\n") == 1, err


def test_evaluate_prints_the_floor_and_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "r")
    args = ["train", "gan", "fashion-10k", "--out", run, "--total-kimg", "0.3", "--judge", "0"]
    assert call(capsys, *args)[0] == 0
    code, out, err = call(capsys, "evaluate", run, "--n", "300", "--features", "fashion")
    assert code == 0, err
    for word in ("generated", "real (other half)", "noise", "fd_fashion300", "coverage_fashion300", "95 % intervals"):
        assert word in out
    found: dict[str, Any] = json.loads((tmp_path / "r" / "metrics.json").read_text())
    rows = found["rows"]
    fd = {name: row["fd_fashion300"]["value"] for name, row in rows.items()}
    assert fd["real (other half)"] < fd["generated"] and fd["real (other half)"] < fd["noise"]


def test_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "plan", str(folder), "--steps", "2", "--shape", "3", "16", "16")
    assert code == 0, err
    for word in ("40 images", "3x16x16", "img/s", "MiB", "next: ganloom train default", "few"):
        assert word in out, out
    found = json.loads(call(capsys, "plan", str(folder), "--steps", "1", "--json", "--shape", "3", "16", "16")[1])
    assert found["img_per_s"] > 0 and found["classes"] == 2


def test_the_next_command_can_be_copied(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spaced = tmp_path / "my images ü"
    shutil.copytree(folder, spaced)
    flags = ["--shape", "3", "16", "12", "--fit", "pad"]
    for command in (["plan", str(spaced), "gan", "--steps", "1"], ["data", "check", str(spaced)]):
        _, out, _ = call(capsys, *command, *flags)
        (line,) = [line for line in out.splitlines() if line.startswith("next: ")]
        words = shlex.split(line.removeprefix("next: ").split("        ")[0])
        assert words[:2] == ["ganloom", "train"] and words[3] == str(spaced)
        assert "--shape 3 16 12" in " ".join(words) and "--fit pad" in " ".join(words)


def test_a_damaged_config_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "train", "dcgan", str(folder), "--out", str(tmp_path / "r"), *TINY)[0] == 0
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    (tmp_path / "r" / "config.json").write_text(json.dumps(config | {"train": 3}))
    code, _, err = call(capsys, "resume", str(tmp_path / "r"), "--total-kimg", "9")
    assert code == 2 and "config.json is damaged: train must be an object" in err and err.count("\n") == 1, err


def test_bad_files_are_listed_and_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "mixed"
    root.mkdir()
    for i in range(100):
        path = root / f"{i:03d}.png"
        if i % 10:
            Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
        else:
            path.write_bytes([b"", b"no image", b"\x89PNG\r\n\x1a\n"][i // 10 % 3])
    code, _, err = call(capsys, "train", "dcgan", str(root), "--out", str(tmp_path / "r"), *TINY)
    assert code == 0 and "10 files could not be read" in err
    listed = (tmp_path / "r" / "bad_files.csv").read_text().splitlines()[1:]
    assert sorted(re.findall(r"(\d{3})\.png", "\n".join(listed))) == [f"{i:03d}" for i in range(0, 100, 10)]
    code, out, _ = call(capsys, "data", "check", str(root))
    assert code == 0 and "10" in out and "next: ganloom train" in out
