"""Meshes, turntables and pages of 3D models: what is in the files, and what is refused."""

import base64
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

import ganloom
from ganloom import testing
from ganloom.apps.mesh import mesh_of
from ganloom.apps.volumetric import object_codes
from ganloom.core.errors import BadInput
from ganloom.export import model_viewer
from ganloom.volumes import mesh_files, meshes, objects, rendering
from ganloom.volumes.meshes import Mesh

pytest.importorskip("skimage")
CHROMIUM = os.environ.get("GANLOOM_CHROMIUM") or shutil.which("chromium")


def ball(side: int = 16, radius: float = 0.6, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """A soft ball, 0.5 on its surface."""
    away = (rendering.grid_points(side) - torch.tensor(centre)).norm(dim=-1)
    return ((radius - away) * 2 + 0.5).clamp(0, 1).numpy()


def test_a_ball_is_a_ball() -> None:
    mesh = meshes.surface(ball(32), 0.5)
    found = meshes.topology(mesh)
    assert found.watertight and found.parts == 1 and found.euler == 2
    assert found.volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.02)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.6).max() < 0.02
    assert (mesh.normals * mesh.vertices).sum(1).min() > 0.5, "normals point outside"


def test_axes_and_padding() -> None:
    mesh = meshes.surface(ball(32, 0.4, (0.5, 0.2, -0.3)), 0.5)
    np.testing.assert_allclose(mesh.vertices.mean(0), [0.5, 0.2, -0.3], atol=0.02)
    cut = meshes.surface(ball(16, 0.5, (1.0, 0.0, 0.0)), 0.5)
    assert meshes.topology(cut).watertight, "closed where the object leaves the volume"
    assert meshes.topology(meshes.surface(np.ones((4, 4, 4), np.float32), 0.5)).watertight


def test_real_objects_and_noise_are_closed() -> None:
    for number, euler in ((0, 2), (1, 2), (2, 0)):  # a mug has a handle
        found = meshes.topology(
            meshes.surface(rendering.voxels(objects.furniture(number).solids, 32).float().numpy(), 0.5)
        )
        assert (found.watertight, found.parts, found.euler) == (True, 1, euler)
    for seed in range(4):
        noise = np.random.default_rng(seed).random((12, 12, 12)).astype(np.float32)
        assert meshes.topology(meshes.surface(noise, 0.5, clean=False)).watertight
        levels = np.random.default_rng(seed).integers(0, 3, (10, 10, 10)).astype(np.float32) / 2
        assert meshes.topology(meshes.surface(levels, 0.5, clean=False)).watertight, "values that equal the level"


def test_cleaning() -> None:
    volume = np.maximum(ball(24, 0.7), 0)
    volume[12, 12, 12] = 0  # a cavity
    volume[1, 1, 1] = 1  # a speck
    assert meshes.topology(meshes.surface(volume, 0.5, clean=False)).parts == 3
    mesh = meshes.surface(volume, 0.5)
    assert meshes.topology(mesh).parts == 1 and mesh.parts_left_out == 1
    two = np.maximum(ball(24, 0.3, (0.5, 0.0, 0.0)), ball(24, 0.3, (-0.5, 0.0, 0.0)))
    found = meshes.topology(meshes.surface(two, 0.5))
    assert found.parts == 2 and found.largest == pytest.approx(0.5, abs=0.01)
    for empty in (np.zeros((8, 8, 8), np.float32), np.full((8, 8, 8), 0.19, np.float32)):
        for clean in (True, False):
            with pytest.raises(BadInput, match="the volume is empty: its largest value"):
                meshes.surface(empty, 0.2, clean=clean)


def test_an_open_mesh_is_not_watertight() -> None:
    mesh = meshes.surface(ball(), 0.5)
    assert not meshes.topology(Mesh(mesh.vertices, mesh.faces[1:], mesh.normals)).watertight
    turned = mesh.faces.copy()
    turned[0] = turned[0, ::-1]
    assert not meshes.topology(Mesh(mesh.vertices, turned, mesh.normals)).watertight


def glb_parts(data: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The JSON and the arrays of a GLB file, read by the rules of the format."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and size % 4 == 0
    described = json.loads(data[20 : 20 + size])
    content_size, kind = struct.unpack_from("<I4s", data, 20 + size)
    content = data[28 + size :]
    assert kind == b"BIN\0" and len(content) == content_size and content_size % 4 == 0
    assert described["buffers"] == [{"byteLength": content_size}]
    arrays = []
    for accessor in described["accessors"]:
        view = described["bufferViews"][accessor["bufferView"]]
        part = content[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        array = np.frombuffer(part, {5126: "<f4", 5125: "<u4"}[accessor["componentType"]])
        arrays.append(array.reshape(-1, 3) if accessor["type"] == "VEC3" else array)
        assert len(arrays[-1]) == accessor["count"]
    return described, arrays


def test_files() -> None:
    plain = meshes.surface(ball(), 0.5)
    mesh = plain.coloured(np.random.default_rng(0).random(plain.vertices.shape))
    assert mesh.colours is not None
    described, (vertices, normals, colours, faces) = glb_parts(mesh_files.glb(mesh))
    assert np.array_equal(vertices, mesh.vertices) and np.array_equal(faces.reshape(-1, 3), mesh.faces)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert described["accessors"][0]["min"] == pytest.approx(vertices.min(0).tolist())
    np.testing.assert_allclose(
        np.where(colours > 0.0031, 1.055 * colours ** (1 / 2.4) - 0.055, colours * 12.92), mesh.colours, atol=1e-4
    )
    text = mesh_files.obj(mesh).decode().splitlines()
    rows = np.array([line.split()[1:] for line in text if line.startswith("v ")], float)
    np.testing.assert_allclose(rows, np.concatenate([mesh.vertices, mesh.colours], 1), atol=1e-4)
    corners = np.array(
        [[part.split("//")[0] for part in line.split()[1:]] for line in text if line.startswith("f ")], int
    )
    assert np.array_equal(corners - 1, mesh.faces)
    data = mesh_files.ply(mesh)
    head, body = data.split(b"end_header\n", 1)
    count = len(mesh.vertices)
    assert f"element vertex {count}".encode() in head and len(body) == count * (24 + 3) + len(mesh.faces) * 13
    assert len(mesh_files.ply(plain)) < len(data) and b"red" not in mesh_files.ply(plain)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eg3d that has hardly begun."""
    folder = tmp_path_factory.mktemp("runs") / "eg3d"
    ganloom.train(
        "eg3d", "primitives3d:32", folder, total_kimg=0.016, judge=0, shape=(3, 16, 16), plane=8, plane_channels=4, plane_most=8,
        width=8, field_width=8, ray_points=6, d_width=4, d_hidden=8, w_dim=16, layers=1, z_dim=6, batch_size=8,
    )  # fmt: skip
    return folder


def test_mesh_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "mesh", run, "--n", 2, "--level", 0.01)
    assert not code, err
    assert "2 of 2 meshes are watertight" in out and "wrote 2 .glb files" in out
    files = sorted((run / "meshes").glob("*/*.glb"))
    assert [file.name for file in files] == ["seed000000.glb", "seed000001.glb"]
    gan = ganloom.load(run)
    again = mesh_of(gan, object_codes(gan, 1, 1)[0], level=0.01)
    assert files[1].read_bytes() == mesh_files.glb(again), "a seed is an object, whatever n is"
    code, _, err = call(capsys, "mesh", run, "--n", 2, "--level", 0.01)
    assert code == 2 and "is not an empty folder" in err and "--out" not in err
    code, _, err = call(capsys, "mesh", run, "--n", 2, "--level", 0.02)
    assert not code, f"another level has another folder: {err}"
    code, out, _ = call(
        capsys,
        "mesh",
        run,
        "--n",
        1,
        "--level",
        0.01,
        "--format",
        "ply",
        "--side",
        16,
        "--out",
        tmp_path / "m",
        "--json",
    )
    found = json.loads(out)
    assert not code and found["meshes"][0]["watertight"] and (tmp_path / "m" / "seed000000.ply").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n", "0"], "--n must be at least 1"),
        (["--truncation", "-1"], "--truncation must not be negative"),
        (["--side", "4"], "--side must be in 8..256"),
        (["--level", "1"], "--level must be between 0 and 1"),
        (["--runtime", "x"], "--runtime needs --format web"),
        (["--level", "0.999"], "seed 0: the volume is empty"),
    ],
)
def test_mesh_command_refuses(
    run: Path, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "mesh", run, *words, "--out", tmp_path / "m")
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()


def test_models_of_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    other = ganloom.train("gan", images, tmp_path / "run", total_kimg=0.1, judge=0, g_widths=(16,), d_widths=(16,)).path
    for words in (["mesh", other], ["sample", other, "--turntable"]):
        code, _, err = call(capsys, *words)
        assert code == 2 and "makes images, not 3D objects" in err
    code, _, err = call(capsys, "sample", other, "--elevation", 10)
    assert code == 2 and "--elevation needs --turntable" in err


def test_turntable(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "sample", run, "--turntable", "--n", 2, "--out", tmp_path / "t")
    assert not code and "wrote 2 turns" in out, err
    with Image.open(tmp_path / "t" / "seed000001.gif") as turn:
        assert getattr(turn, "n_frames", 1) > 8
    assert (tmp_path / "t" / "views.png").is_file()
    for words in ([], ["--truncation", 0.5], ["--elevation", 30]):
        code, _, err = call(capsys, "sample", run, "--turntable", "--n", 1, *words)
        assert not code, f"other arguments have another folder: {err}"
    code, _, err = call(capsys, "sample", run, "--turntable", "--n", 1)
    assert code == 2 and "is not an empty folder" in err
    for words, message in (
        (["--elevation", 91], "must be in -90..90"),
        (["--truncation", -1], "--truncation must not be negative"),
        (["--n", 0], "--n must be"),
        (["--cutoff", 1], "no effect"),
    ):
        code, _, err = call(capsys, "sample", run, "--turntable", *words)
        assert code == 2 and message in err


def test_views_turn_around_the_object() -> None:
    gan = testing.build("prgan", (1, 16, 16)).eval()
    with torch.no_grad():
        gan.G.volumes.body[-1].weight.mul_(100.0)
    codes = object_codes(gan, 1, 3)
    angles = torch.deg2rad(torch.tensor([0.0, 90.0, 180.0]))
    seen = gan.view(codes, angles, torch.zeros(3)).detach()
    torch.testing.assert_close(seen[2], seen[0].flip(-1), atol=1e-4, rtol=0)  # a silhouette from behind is mirrored
    assert float((seen[1] - seen[0]).abs().max()) > 0.01


@pytest.fixture
def page(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / model_viewer.FILE).write_text("// a stand-in")
    code, out, err = call(
        capsys,
        "mesh",
        run,
        "--n",
        2,
        "--level",
        0.01,
        "--format",
        "web",
        "--runtime",
        tmp_path / "viewer",
        "--out",
        tmp_path / "page",
    )
    assert not code and "index.html in a browser" in out, err
    return tmp_path / "page"


def test_page(page: Path) -> None:
    assert {file.name for file in page.iterdir()} == {"index.html", "models.js", model_viewer.FILE, "LICENSE"}
    text = (page / "index.html").read_text()
    assert "http" not in text and 'src="models.js"' in text and f'src="{model_viewer.FILE}"' in text
    models = json.loads((page / "models.js").read_text().removeprefix("const MODELS = ").removesuffix(";\n"))
    assert list(models) == ["seed000000", "seed000001"]
    glb_parts(base64.b64decode(models["seed000001"]))
    assert base64.b64decode(models["seed000000"])[:4] == b"glTF"


@pytest.mark.slow
def test_page_in_a_browser(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Headless Chromium draws the objects of the page, opened from the disk; model-viewer's file comes from npm."""
    if CHROMIUM is None or shutil.which("npm") is None:
        pytest.skip("no Chromium or no npm here")
    code, _, err = call(capsys, "mesh", run, "--n", 2, "--level", 0.01, "--format", "web", "--out", tmp_path / "page")
    assert not code, err
    picture = tmp_path / "page.png"
    flags = [
        "--headless",
        "--no-sandbox",
        "--in-process-gpu",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
    ]
    flags += ["--window-size=900,500", "--virtual-time-budget=10000", f"--screenshot={picture}"]
    address = (tmp_path / "page" / "index.html").as_uri()
    subprocess.run([CHROMIUM, *flags, address], capture_output=True, timeout=600, check=True)
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("L"), float)
    assert pixels[200:380, 60:260].std() > 5, "an object is drawn where the first viewer is"
