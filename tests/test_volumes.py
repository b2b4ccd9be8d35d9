"""3D objects: cameras, the renderer against known geometry, the built-in sets, and what a mesh must be."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ganloom
from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import solid_objects
from ganloom.data.volumes import Volumes
from ganloom.volumes import objects, rendering
from ganloom.volumes.cameras import DISTANCE, Cameras, basis, perspective_rays
from ganloom.volumes.solids import Box, Cone, Sphere, cylinder

ZERO = torch.zeros(1)


def angles(*degrees: float) -> torch.Tensor:
    return torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))


def test_axes_of_a_camera_are_orthonormal_and_right_handed() -> None:
    forwards, right, up = basis(torch.rand(20) * 6, torch.rand(20) * 3 - 1.5)
    axes = torch.stack([right, up, -forwards], 1)
    torch.testing.assert_close(axes @ axes.transpose(1, 2), torch.eye(3).expand(20, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(20), atol=1e-5, rtol=0)


def test_area_of_a_cube() -> None:
    cube = [Box((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))]
    seen = rendering.silhouettes(cube, angles(0, 90, 45), angles(0, 0, 0), 32, 32).mean((1, 2, 3)) * 4
    torch.testing.assert_close(seen, torch.tensor([1.0, 1.0, math.sqrt(2)]), atol=0.05, rtol=0)
    tilted = rendering.silhouettes(cube, ZERO, angles(45), 32, 32).mean() * 4
    assert float(tilted) == pytest.approx(math.sqrt(2), abs=0.05)


def test_area_of_round_solids() -> None:
    sphere, upright, cone = (
        Sphere((0.0, 0.0, 0.0), 0.6),
        cylinder((0.0, 0.0, 0.0), 0.4, 0.5),
        Cone((0.0, 0.0, 0.0), 0.5, 0.0, 0.5),
    )
    for solid, above, beside in (
        (sphere, 0.36 * math.pi, 0.36 * math.pi),
        (upright, 0.16 * math.pi, 0.8),
        (cone, 0.25 * math.pi, 0.5),
    ):
        for elevation, area in ((90.0, above), (0.0, beside)):
            found = rendering.silhouettes([solid], angles(70), angles(elevation), 64, 64).mean() * 4
            assert float(found) == pytest.approx(area, abs=0.04), (solid, elevation)


def test_azimuth_and_elevation_turn_the_view_the_right_way() -> None:
    knob = [Sphere((0.6, 0.0, 0.0), 0.2)]  # to the right, seen from the front

    def centre(azimuth: float, elevation: float = 0.0, solids: list = knob) -> tuple[float, float]:
        image = rendering.silhouettes(solids, angles(azimuth), angles(elevation), 32, 32)[0, 0]
        rows, columns = torch.nonzero(image > 0.5).float().mean(0).tolist()
        return (columns - 15.5) / 16, (15.5 - rows) / 16

    assert centre(0) == pytest.approx((0.6, 0.0), abs=0.03)
    assert centre(180) == pytest.approx((-0.6, 0.0), abs=0.03)
    assert centre(90) == pytest.approx((0.0, 0.0), abs=0.03), "the camera is at +x"
    assert centre(60)[0] == pytest.approx(0.3, abs=0.03)
    front = rendering.depth(knob, angles(90, -90), angles(0, 0), 33, 33)[:, 16, 16]
    torch.testing.assert_close(front, torch.tensor([DISTANCE - 0.8, DISTANCE + 0.4]), atol=1e-4, rtol=0)
    above = [Sphere((0.0, 0.6, 0.0), 0.2)]
    assert centre(0, 0, above)[1] == pytest.approx(0.6, abs=0.03)
    assert centre(0, 60, above)[1] == pytest.approx(0.3, abs=0.03)
    top = rendering.depth(above, ZERO, angles(90), 33, 33)[0, 16, 16]
    assert float(top) == pytest.approx(DISTANCE - 0.8, abs=1e-4), "the camera is above"


def test_depth_of_a_plane_and_of_a_cone() -> None:
    wall = [Box((0.0, 0.0, 0.0), (2.0, 2.0, 0.25))]
    seen = rendering.depth(wall, ZERO, ZERO, 8, 8)
    _, rays = perspective_rays(ZERO, ZERO, 8, 8)
    torch.testing.assert_close(seen, (DISTANCE - 0.25) / -rays[..., 2], atol=1e-4, rtol=0)
    cone = [Cone((0.0, 0.0, 0.0), 0.5, 0.0, 0.5)]
    assert float(rendering.depth(cone, ZERO, angles(90), 64, 64)[0, 32, 32]) == pytest.approx(DISTANCE - 0.5, abs=0.05)
    assert float(rendering.depth(cone, ZERO, angles(-90), 65, 65)[0, 32, 32]) == pytest.approx(DISTANCE - 0.5, abs=1e-3)


def test_light_and_colours() -> None:
    thing = objects.primitive(0)
    image = rendering.colours(thing, angles(0, 90, 180), angles(0, 0, 0), 33, 33)
    front, right, back = image[:, :, 16, 16]
    faces = torch.tensor(thing.colours)
    light = torch.nn.functional.normalize(torch.tensor([0.45, 0.8, 0.4]), dim=0)
    torch.testing.assert_close(front, faces[5] * (0.45 + 0.55 * light[2]), atol=1e-5, rtol=0)
    torch.testing.assert_close(right, faces[1] * (0.45 + 0.55 * light[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(back, faces[4] * 0.45, atol=1e-5, rtol=0)
    assert bool((image[:, :, 0, 0] == 1).all())


def test_a_projection_of_voxels_equals_the_rendered_silhouette() -> None:
    """The generator's projection and the renderer use the same cameras: for chairs, which have no symmetry."""
    chair = objects.furniture(3).solids
    volume = rendering.voxels(chair, 32).float()[None, None]
    azimuth, elevation = angles(0, 40, 130, 260), angles(0, 30, -20, 60)
    seen = rendering.project(volume, azimuth, elevation, 32, 32)
    true = rendering.silhouettes(chair, azimuth, elevation, 32, 32)
    assert float((seen - true).abs().mean()) < 0.03
    wrong = rendering.project(volume, -azimuth, elevation, 32, 32)
    assert float((wrong - true).abs()[1:].mean()) > 0.06
    wide = rendering.project(volume, azimuth, elevation, 20, 32)
    torch.testing.assert_close(wide, seen[:, :, 6:26])


def test_voxels_have_the_volume_of_the_solid() -> None:
    assert float(rendering.voxels([Box((0.0, 0.0, 0.0), (0.5, 0.25, 0.75))], 32).sum()) == 16 * 8 * 24
    ball = rendering.voxels([Sphere((0.0, 0.0, 0.0), 0.6)], 32).float().mean() * 8
    assert float(ball) == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.03)
    high = rendering.voxels([Box((0.5, 0.25, -0.5), (0.25, 0.25, 0.25))], 8)
    z, y, x = torch.nonzero(high).float().mean(0).tolist()
    assert (x, y, z) == (5.5, 4.5, 1.5), "the index is [z, y, x]"


@pytest.mark.parametrize("name", ["silhouettes", "primitives3d"])
def test_built_in_sets(name: str) -> None:
    found = data.open(f"{name}:44")
    one = solid_objects.SETS[name]
    assert found.shape == one.shape and len(found) == 44 and found.classes == list(one.classes)
    assert found.factors is not None and set(found.factors) == {"object", "azimuth", "elevation"}
    assert found.factors["object"].tolist() == [i // 8 for i in range(44)]
    low, high = one.cameras.elevation
    assert found.factors["elevation"].min() >= low and found.factors["elevation"].max() <= high
    again = solid_objects.views(
        name, 5, angles(found.factors["azimuth"][41]), angles(found.factors["elevation"][41]), one.shape
    )
    torch.testing.assert_close(again, found.get(41), atol=0.01, rtol=0)  # the factors describe the image
    longer = data.open(f"{name}:50")
    assert np.array_equal(longer.uint8(slice(0, 44)), found.uint8(slice(0, 44)))
    assert data.open(f"{name}:8", shape=(4, 16, 20)).shape == (4, 16, 20)
    with pytest.raises(BadInput, match="after the colon"):
        data.open(f"{name}:0")


def test_files_of_volumes(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((5, 8, 8, 8)) > 0.5
    np.save(tmp_path / "bool.npy", voxels)
    np.savez(tmp_path / "numbers.npz", voxels=voxels.astype(np.float32))
    data.open(voxels * 255, inputs="volumes").save(tmp_path / "saved.npz")
    for name in ("bool.npy", "numbers.npz", "saved.npz"):
        found = data.open(tmp_path / name, inputs="volumes")
        assert isinstance(found, Volumes) and found.shape == (1, 8, 8)
        assert np.array_equal(found.volumes, voxels * np.uint8(255))


def test_a_run_of_an_array_continues(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((40, 8, 8, 8)) > 0.5
    given = data.open(voxels, inputs="volumes")
    small: dict = {"width": 4, "d_width": 4, "z_dim": 8, "batch_size": 8, "total_kimg": 0.016, "judge": 0}
    run = ganloom.train("gan3d", given, tmp_path / "run", shape=(1, 16, 16), **small).path
    ganloom.resume(run, total_kimg=0.024)
    assert ganloom.load(run).kimg >= 0.024
    assert ganloom.load(run).cfg.shape == (1, 16, 16), "the shape that was asked for, not that of the data"
    _, half = given.split(16)
    ganloom.train("gan3d", half, tmp_path / "half", **small)
    ganloom.resume(tmp_path / "half", total_kimg=0.024)
    assert ganloom.load(tmp_path / "half").kimg >= 0.024, "a part has its own silhouettes"


def test_files_without_volumes_are_refused(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((20, 8, 8, 8)) > 0.5
    np.savez_compressed(tmp_path / "whole.npz", voxels=voxels)
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "changed.npz").write_bytes(content[:400] + bytes(200) + content[600:])
    (tmp_path / "cut.npz").write_bytes(content[:900])
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npy").touch()
    for name in ("changed.npz", "cut.npz", "text.npz", "empty.npy", "missing.npy"):
        with pytest.raises(BadInput, match=f"{name} cannot be read as volumes"):
            data.open(tmp_path / name, inputs="volumes")
    np.savez(tmp_path / "images.npz", images=np.zeros((4, 8, 8, 1), np.uint8))
    np.save(tmp_path / "flat.npy", voxels[0])
    np.save(tmp_path / "negative.npy", voxels - 1.0)
    for name, message in (
        ("images.npz", "has no array voxels"), ("flat.npy", "check the axes"), ("negative.npy", "numbers from -1 to 0"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=message):
            data.open(tmp_path / name, inputs="volumes")


def test_a_batch_with_views() -> None:
    found = data.open("primitives3d:64")
    batch = found.draw_with_factors(8, torch.Generator().manual_seed(0), ("azimuth", "elevation"))
    assert batch.y is not None and batch.y.shape == (8, 2) and found.factors is not None
    row = int(np.flatnonzero(np.isclose(found.factors["azimuth"], float(batch.y[3, 0])))[0])
    assert torch.equal(batch.x[3], found.get(row)[0]), "image and view belong together"
    with pytest.raises(BadInput, match="does not know the depth"):
        found.draw_with_factors(8, torch.Generator(), ("depth",))
    with pytest.raises(BadInput, match="mirrored"):
        data.open("primitives3d:16", flip=True).draw_with_factors(8, torch.Generator(), ("azimuth",))


@pytest.mark.parametrize("bad", [{"azimuth": (10.0, -10.0)}, {"elevation": (0.0, 100.0)}, {"azimuth": (-400.0, 0.0)}])
def test_ranges_of_views(bad: dict) -> None:
    with pytest.raises(BadInput, match="range of degrees"):
        Cameras(**bad)


def test_codes_cover_the_range() -> None:
    azimuth, elevation = Cameras((-90.0, 30.0), (10.0, 20.0)).of_code(
        torch.tensor([[-1.0, 1.0], [0.0, 0.0], [1.0, -1.0]])
    )
    torch.testing.assert_close(torch.rad2deg(azimuth), torch.tensor([-90.0, -30.0, 30.0]))
    torch.testing.assert_close(torch.rad2deg(elevation), torch.tensor([20.0, 15.0, 10.0]))
