"""Nothing of the user's is overwritten, and no half-written file is left: the helper, and every command that writes."""

import ast
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from commands import call
from PIL import Image

from ganloom import testing
from ganloom.core import config, output_files
from ganloom.core.errors import BadInput
from ganloom.data.own_folders import MARKER
from ganloom.imaging import grid, png16

SOURCE = Path(output_files.__file__).parent.parent
MINE = b"the user's own words"


def test_a_new_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.png"
    with pytest.raises(RuntimeError), output_files.written(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert not list(path.parent.iterdir())
    output_files.write_new(path, b"whole")
    output_files.write_new(path, b"whole")  # equal content: nothing is lost
    assert path.read_bytes() == b"whole" and [p.name for p in path.parent.iterdir()] == ["x.png"]


@pytest.mark.parametrize("kind", ["file", "empty file", "link", "broken link", "appears during the work"])
def test_an_existing_file_stays(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "x.png", tmp_path / "other"
    other.write_bytes(MINE)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "broken link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind in ("file", "empty file"):
        path.write_bytes(MINE if kind == "file" else b"")
    if kind != "appears during the work":
        with pytest.raises(BadInput, match="already exists.*--overwrite"):
            output_files.new_file(path)
    with pytest.raises(BadInput, match="already exists"), output_files.written(path) as temporary:
        temporary.write_bytes(b"new")
        if kind == "appears during the work":
            path.write_bytes(MINE)
    assert other.read_bytes() == MINE and not (tmp_path / "nowhere").exists()
    assert path.is_symlink() or path.read_bytes() in (MINE, b"")
    output_files.write_new(output_files.new_file(path, overwrite=True), b"new", overwrite=True)
    assert path.read_bytes() == b"new" and other.read_bytes() == MINE  # a link is replaced, not followed
    assert not list(tmp_path.glob(".tmp-*"))


def test_temporary_files_take_no_name_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(["aa", "aa", "bb", "cc"])
    monkeypatch.setattr(output_files.secrets, "token_hex", lambda n: next(tokens))
    for name in ("x.png.tmp", ".x.png.tmp", ".tmp-x.png-aa.png", f".x.png.{os.getpid()}.tmp"):
        (tmp_path / name).write_bytes(MINE)
    output_files.write_new(tmp_path / "x.png", b"1")
    output_files.write_new(tmp_path / "y.png", b"2")
    assert sum(p.read_bytes() == MINE for p in tmp_path.iterdir()) == 4 and len(list(tmp_path.iterdir())) == 6


def test_a_file_is_written_again_only_if_ganloom_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    output_files.rewrite(path, b"1")
    output_files.rewrite(path, b"2")
    assert path.read_bytes() == b"2"
    path.write_bytes(MINE)
    with pytest.raises(BadInput, match="was not written by ganloom, or was changed since"):
        output_files.rewrite(path, b"3")
    assert path.read_bytes() == MINE
    output_files.rewrite(path, b"3", overwrite=True)
    (tmp_path / output_files.RECORD).write_bytes(b"[[damaged")
    with pytest.raises(BadInput):
        output_files.may_rewrite(path)
    assert output_files.may_rewrite(path, ours=lambda content: content == b"3") == path


def test_a_folder_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_bytes(MINE)
    for name in ("full", "full/a"):
        with pytest.raises(BadInput, match="--overwrite|is a file"):
            output_files.new_folder(tmp_path / name)
    assert output_files.new_folder(tmp_path / "full", overwrite=True) and output_files.new_folder(tmp_path / "new")


def test_without_hard_links_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    output_files.write_new(tmp_path / "a", b"1")
    with pytest.raises(BadInput):
        output_files.write_new(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1" and not list(tmp_path.glob(".tmp-*"))


def test_images_do_not_replace_files(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(MINE)
    with pytest.raises(BadInput):
        grid.save_png(np.zeros((2, 2), np.uint8), tmp_path / "x.png")
    with pytest.raises(BadInput):
        png16.write16(np.zeros((2, 2, 1), np.uint16), tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes() == MINE and len(list(tmp_path.iterdir())) == 1


WRITERS = {
    "write_text",
    "write_bytes",
    "savez",
    "savez_compressed",
    "save_file",
    "tofile",
    "copyfile",
    "copytree",
    "rename",
}
OWN = {
    "core/output_files.py", "runs/checkpoint.py", "data/cache.py", "data/store.py", "data/private_copy.py",
    "networks/tiling.py", "weights/tensorflow.py", "metrics/reference.py", "metrics/extractors/task.py", "apps/install_check.py",
}  # fmt: skip
"""The helper, checkpoints, caches, folders that are temporary, and one that renames tensors."""
INSIDE = {
    "imaging/png16.py",
    "data/npz_writer.py",
    "tables/writing.py",
    "apps/augment_data.py",
    "apps/augment_files.py",
}
"""They write into the helper's temporary file."""


def writes(node: ast.Call) -> bool:
    """Whether a call writes a file."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    words = [arg.value for arg in node.args[-2:] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    on_os = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "os"
    return name in WRITERS or (name == "open" and bool({"w", "wb", "a", "ab", "x", "xb", "w+b"} & set(words))) or (
        on_os and name in ("replace", "link")
    )  # fmt: skip


def test_no_other_module_writes_files() -> None:
    """Each place that writes a file is listed here or goes through ``core.output_files``."""
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    suspects = re.compile("open\\(|os\\.(replace|link)|" + "|".join(WRITERS))
    trees = {path: ast.parse(text) for path, text in texts.items() if suspects.search(text)}
    found = {
        path for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.Call) and writes(node)
    }
    # append rows to a file of their own, or what a training process prints; open the null device
    others = {"bench/doctor/suite.py", "bench/processes.py", "core/streams.py"}
    assert found - OWN - INSIDE - others == set()


# ------------------------------------------------------------------------------------------------------- the commands


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        Image.fromarray(np.full((16, 16, 3), 40 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def test_preview_stays_unless_overwrite(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "preview.png"
    target.write_bytes(MINE)
    code, _, err = call(capsys, "data", "check", str(photos), "--preview", str(target))
    assert code == 2 and "--overwrite" in err and err.count("\n") == 1 and target.read_bytes() == MINE
    code, _, _ = call(capsys, "data", "check", str(photos), "--preview", str(target), "--overwrite")
    assert code == 0 and target.read_bytes() != MINE
    for wrong in (str(photos), str(tmp_path / "x.jpg")):
        code, _, err = call(capsys, "data", "check", str(photos), "--preview", wrong)
        assert code == 2 and err.count("\n") == 1


def test_augment_preview_checks_both_sheets(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s-leak.png").write_bytes(MINE)
    code, _, err = call(capsys, "augment", "preview", str(photos), "--out", str(tmp_path / "s.png"), "--n", "1")
    assert code == 2 and "s-leak.png already exists" in err
    assert (tmp_path / "s-leak.png").read_bytes() == MINE and not (tmp_path / "s.png").exists()


def model(folder: Path, recipe: str) -> Path:
    """A model folder of small networks without training."""
    gan = testing.build(recipe, (3, 16, 16))
    folder.mkdir()
    described = {"format": 1, "recipe": recipe, "config": config.to_dict(gan.cfg), "kimg": 1.0}
    (folder / "config.json").write_text(json.dumps(described))
    safetensors.torch.save_file({k: v.contiguous() for k, v in gan.state_dict().items()}, folder / "G.safetensors")
    return folder


def test_translate_keeps_inputs_and_files(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = model(tmp_path / "m", "pix2pix")
    (photos / "Compare.jpg").write_bytes((photos / "0.png").read_bytes())
    before = {p.name: p.read_bytes() for p in photos.iterdir()}
    out = tmp_path / "out"
    code, said, _ = call(capsys, "translate", run, photos, out, "--compare", "--json")
    told = json.loads(said)
    assert code == 0 and len(told["files"]) == 7 and len(set(told["files"])) == 7
    assert Path(told["sheet"]).name == "compare-2.png" and told["sheet"] not in told["files"]
    with Image.open(out / "Compare.png") as image:
        assert image.size == (16, 16), "the result of the user's Compare.jpg, not the sheet"
    results = {p.name: p.read_bytes() for p in out.iterdir()}
    for arguments in (
        [photos, photos], [photos, photos, "--overwrite"], [photos, out], [photos, photos / "0.png"],
        [photos / "0.png", photos], [photos / "0.png", photos / "0.png", "--overwrite"], [photos / "0.png", out],
        [photos / "0.png", photos / "1.png"], [photos / "0.png", tmp_path / "0.jpg"],
    ):  # fmt: skip
        code, _, err = call(capsys, "translate", run, *arguments)
        assert code == 2 and err.count("\n") == 1, (arguments, err)
    (tmp_path / "one.compare.png").write_bytes(MINE)
    code, _, err = call(capsys, "translate", run, photos / "0.png", tmp_path / "one.png", "--compare")
    assert code == 2 and "one.compare.png already exists" in err and not (tmp_path / "one.png").exists()
    assert (tmp_path / "one.compare.png").read_bytes() == MINE
    assert before == {p.name: p.read_bytes() for p in photos.iterdir()}
    assert results == {p.name: p.read_bytes() for p in out.iterdir()}
    code, _, _ = call(capsys, "translate", run, photos / "0.png", out / "0.png", "--compare", "--overwrite")
    assert code == 0 and (out / "0.compare.png").exists() and not list(out.glob(".tmp-*"))


def test_translate_marks_only_folders_of_its_own(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out, own = model(tmp_path / "m", "pix2pix"), tmp_path / "out", tmp_path / "album"
    own.mkdir()
    (own / "mine.png").write_bytes((photos / "0.png").read_bytes())
    assert call(capsys, "translate", run, photos, out)[0] == 0
    assert call(capsys, "translate", run, photos, own, "--overwrite")[0] == 0
    assert (out / MARKER).exists() and not (own / MARKER).exists(), "the user's images in it are data"
    marked = (out / MARKER).read_bytes()
    (out / MARKER).write_bytes(MINE)
    assert call(capsys, "translate", run, photos, out, "--overwrite")[0] == 0
    assert (out / MARKER).read_bytes() == MINE != marked
    (photos / "deep").mkdir()
    inside = photos / "deep" / "0.png"
    inside.write_bytes((photos / "0.png").read_bytes())
    code, _, err = call(capsys, "translate", run, photos, inside.parent, "--overwrite")
    assert code == 2 and f"{inside} is one of the inputs" in err
    assert inside.read_bytes() == (photos / "0.png").read_bytes()


def test_samples_of_the_default_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = model(tmp_path / "m", "dcgan")
    assert call(capsys, "sample", run, "--n", 2)[0] == 0
    assert call(capsys, "sample", run, "--n", 2)[0] == 0, "the same command writes the same bytes"
    (folder,) = (run / "generated").iterdir()
    (folder / "seed000001.png").write_bytes(MINE)
    code, _, err = call(capsys, "sample", run, "--n", 2)
    assert code == 2 and "seed000001.png already exists" in err and (folder / "seed000001.png").read_bytes() == MINE
    code, _, err = call(capsys, "sample", run, "--n", 2, "--out", folder)
    assert code == 2 and "is not an empty folder" in err
    assert call(capsys, "sample", run, "--n", 2, "--out", folder, "--overwrite")[0] == 0
    assert (folder / "seed000001.png").read_bytes() != MINE


@pytest.mark.parametrize("command", ["export --format onnx", "export --format web", "latent walk --space z --frames 5"])
def test_outputs_in_the_run_stay(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = model(tmp_path / "m", "dcgan")
    (run / "web").mkdir()
    for name in ("model.onnx", "walk.gif", "web/index.html"):
        (run / name).write_bytes(MINE)
    first, *flags = command.split()
    words = [first, run, *flags] if first == "export" else [first, flags[0], run, *flags[1:]]
    code, _, err = call(capsys, *words)
    assert code == 2 and "--overwrite" in err and err.count("\n") == 1
    assert all((run / name).read_bytes() == MINE for name in ("model.onnx", "walk.gif", "web/index.html"))
