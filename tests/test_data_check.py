"""``data.check``: every fact in the report, on data sets built to show it."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def scene(seed: int, height: int = 40, width: int = 40) -> np.ndarray:
    """An image of large patches, like a photograph; the thumbnail of noise would be plain grey."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 images in two classes, and 7 files that are not images."""
    root = tmp_path_factory.mktemp("mixed")
    for i in range(6):
        save(root / f"cat/{i}.png", scene(i))
    save(root / "cat/same.png", scene(0))
    save(root / "dog/same.bmp", scene(0))  # other bytes, equal pixels, another label
    noisy = np.clip(scene(1).astype(int) + np.random.default_rng(0).integers(-4, 5, (40, 40, 3)), 0, 255)
    save(root / "dog/near.png", noisy.astype(np.uint8))
    save(root / "dog/flat.png", np.full((40, 40, 3), 77, np.uint8))
    save(root / "dog/wide.png", scene(9, 40, 80))
    save(root / "dog/deep.png", (scene(10)[..., 0].astype(np.uint16) * 257))
    for i in range(7):
        (root / f"dog/bad{i}.png").write_bytes(b"text" if i else b"")
    return root


def test_every_fact_of_a_folder(mixed: Path) -> None:
    report = data.check(mixed)
    assert (report.name, report.count, report.shape, report.fit) == (mixed.name, 12, (3, 64, 64), "crop")
    assert report.sizes is not None
    assert report.sizes.width == (40, 40, 80) and report.sizes.height == (40, 40, 40)
    assert report.sizes.common == [(40, 40, 11), (80, 40, 1)] and report.sizes.distinct == 2
    assert report.channels == {"3": 11, "1": 1}
    assert report.modes == {"RGB": 11, "I;16": 1}
    assert report.formats == {"PNG": 11, "BMP": 1}
    assert report.bits == {"8": 11, "16": 1}
    assert report.classes == {"cat": 7, "dog": 5}
    assert report.duplicates is not None and report.duplicates.count == 2 and report.conflicting == 1
    assert report.duplicates.examples == [("cat/0.png", "cat/same.png"), ("cat/0.png", "dog/same.bmp")]
    assert report.near_duplicates is not None
    assert report.near_duplicates.examples == [("cat/1.png", "dog/near.png")] and report.near_duplicates.count == 1
    assert report.constant is not None and report.constant.examples == [("dog/flat.png", "")]
    assert report.unreadable == 7 and len(report.bad_files) == 5
    assert report.bad_files[0] == (str(mixed / "dog/bad0.png"), "empty file")
    assert report.cropped == pytest.approx(0.5 / 12) and report.padded is None and report.enlarged == 12


def test_lines_one_per_fact(mixed: Path) -> None:
    lines = data.check(mixed).lines()
    assert lines[0] == f"{mixed.name}: 12 images"
    assert all("\n" not in line and line.isprintable() for line in lines)
    for label in ("widths", "heights", "sizes", "channels", "modes", "formats", "bits a channel", "classes"):
        assert sum(line.strip().startswith(label) for line in lines) == 1
    text = "\n".join(lines)
    for part in (
        "min 40 median 40 max 80", "40 x 40 (11), 80 x 40 (1)", "RGB (11), I;16 (1)", "8 (11), 16 (1)", "cat 7, dog 5",
        "2, such as cat/same.png = cat/0.png; 1 with another label", "dog/near.png ~ cat/1.png", "approximate",
        "such as dog/flat.png", "bad0.png (empty file)", "and 2 more", "3 x 64 x 64", "4.2% of the pixels",
    ):  # fmt: skip
        assert part in text, part
    starts = {len(line) - len(line[2:].split("  ", 1)[-1].lstrip()) for line in lines[1:] if line[2] != " "}
    assert len(starts) == 1, "the values are aligned"


def test_to_dict_is_json(mixed: Path) -> None:
    for source in (mixed, "ring:20", "shapes:9", np.zeros((4, 9, 9), np.uint8)):
        fields = json.loads(json.dumps(data.check(source).to_dict(), allow_nan=False))
        assert fields["count"] and "data" not in fields and isinstance(fields["shape"], list)
    assert data.check(mixed).to_dict()["duplicates"]["count"] == 2


def test_what_each_fit_crops_or_pads(mixed: Path) -> None:
    padded = data.check(mixed, fit="pad", shape=(1, 20, 20))
    assert padded.padded == pytest.approx(0.5 / 12) and padded.cropped is None and padded.enlarged == 0
    assert any(line.strip().startswith("padding") for line in padded.lines())
    squashed = data.check(mixed, fit="squash", default_size=32)
    assert squashed.shape == (3, 32, 32) and squashed.padded is None and squashed.cropped is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("count", "size"), [(1, (10, 8)), (3, (34, 8)), (7, (58, 18)), (40, (58, 48))])
def test_preview_size(channels: int, count: int, size: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (count, 8, 10, channels), np.uint8)
    image = data.check(rows, shape=(channels, 8, 10)).preview()
    assert image.size == size and image.mode == ("L" if channels < 3 else "RGB")
    if channels in (1, 3):
        assert np.array_equal(np.asarray(image).reshape(*size[::-1], channels)[:8, :10], rows[0])


def test_preview_of_points_and_of_25_images(mixed: Path) -> None:
    assert data.check("shapes:100").preview().size == (5 * 34 - 2, 5 * 34 - 2)
    assert data.check(mixed).preview().size == (5 * 66 - 2, 3 * 66 - 2)
    for name in ("ring:500", "grid:500"):
        ink = np.asarray(data.check(name).preview())
        assert ink.shape == (256, 256) and 8 <= (ink < 255).sum() <= 500


def test_points_have_a_short_report() -> None:
    report = data.check("grid:1000")
    assert report.kind == "points" and report.modes_of_points == 25 and report.duplicates is None
    assert report.lines()[0] == "grid: 1,000 points" and len(report.lines()) == 5


def test_arrays_and_saved_files_report_their_original_size(tmp_path: Path) -> None:
    rows = np.stack([scene(i, 150, 200) for i in range(3)])
    np.savez(tmp_path / "a.npz", x=rows, y=[0, 1, 1])
    for source in (rows, tmp_path / "a.npz", data.open(rows, shape=(3, 150, 200))):
        report = data.check(source, shape=(3, 50, 50))
        assert report.sizes is not None and report.sizes.common == [(200, 150, 3)]
        assert report.cropped == pytest.approx(0.25) and report.modes is None and report.unreadable is None
    assert data.check(tmp_path / "a.npz").classes == {"0": 1, "1": 2}
    fashion = data.check("fashion-10k", shape=(1, 32, 32))
    assert fashion.sizes is not None and fashion.sizes.common == [(28, 28, 10_000)]
    assert fashion.classes is not None and set(fashion.classes.values()) == {1000} and fashion.enlarged == 10_000


def test_an_archive_and_a_name_that_would_break_the_line(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(0))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("x\ny.png", "z\x1b[31m.png"):
            file.write(tmp_path / "a.png", name)
        file.writestr("bad\n.png", b"text")
    report = data.check(tmp_path / "a.zip")
    assert report.count == 2 and report.unreadable == 1
    assert all(line.isprintable() for line in report.lines())
    assert any("z\\x1b[31m.png = x\\ny.png" in line for line in report.lines())


def test_many_images_of_one_hash_are_compared_quickly() -> None:
    rows = np.zeros((3000, 16, 16), np.uint8)
    rows[:, :8] = np.random.default_rng(0).integers(60, 250, (3000, 1, 1))
    rows[:, 15, 15] = np.arange(3000) % 40
    report = data.check(rows)
    assert report.duplicates is not None and report.near_duplicates is not None
    assert report.duplicates.count + report.near_duplicates.count > 2000


def test_check_refuses_what_open_refuses(tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere", "shaeps", tmp_path):
        with pytest.raises(BadInput) as error:
            data.check(source)
        with pytest.raises(BadInput) as expected:
            data.open(source)
        assert str(error.value) == str(expected.value) and "\n" not in str(error.value)
    with pytest.raises(BadInput, match="fit="):
        data.check("shapes:5", fit="corp")
    with pytest.raises(BadInput, match="leave it out"):
        data.check("ring:5", shape=(3, 8, 8))


def test_a_relative_path_with_unreadable_files(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mixed.parent)
    report, whole = data.check(mixed.name), data.check(str(mixed))
    assert report.unreadable == whole.unreadable == 7
    assert report.sizes == whole.sizes
