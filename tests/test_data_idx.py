"""MNIST and its successors from IDX files: parts, splits, class names, labels from 1, transposed images, damaged files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.data import idx_files, idx_sets

RANDOM = np.random.default_rng(0)
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array: np.ndarray) -> bytes:
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes((0, 0, CODES[kind], array.ndim)) + sizes + array.astype(f">{kind}").tobytes()


def write(root: Path, prefix: str, labels: list[int], dot: str = "-", packed: bool = False) -> np.ndarray:
    """Write images and labels under the published names."""
    root.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (len(labels), 28, 28), np.uint8)
    for name, array in ((f"images{dot}idx3", pixels), (f"labels{dot}idx1", np.array(labels, np.uint8))):
        content = idx(array)
        path = root / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)
    return pixels


def opened(source: object) -> data.Images:
    dataset = data.open(source, keep_empty_classes=True)  # type: ignore[arg-type]
    assert isinstance(dataset, data.Images)
    return dataset


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(
    ("name", "first"),
    [("mnist", "0"), ("kmnist", "o"), ("fashion-mnist", "T-shirt/top"), ("idx", "0"), ("qmnist", "0")],
)
def test_the_name_decides_the_classes(tmp_path: Path, name: str, first: str, dot: str, packed: bool) -> None:
    pixels = write(tmp_path / "raw", "train", [*range(10), 3], dot, packed)
    test = write(tmp_path / "raw", "t10k", [*range(10)], dot, packed)
    dataset = opened(f"{name}:{tmp_path / 'raw'}")
    assert np.array_equal(dataset.rows[..., 0], pixels) and dataset.labels is not None
    assert dataset.labels.tolist() == [*range(10), 3] and dataset.class_names[0] == first and dataset.n_classes == 10
    assert f"10 images of t10k-images{dot}idx3-ubyte" in dataset.facts.notes[0]
    assert f"{name}-test:{tmp_path / 'raw'} opens them" in dataset.facts.notes[0]
    assert np.array_equal(opened(f"{name}-test:{tmp_path / 'raw'}").rows[..., 0], test)
    assert data.reopen(dataset.source).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("folder", "prefix", "name"),
    [
        ("MNIST/raw", "train", "mnist"), ("FashionMNIST/raw", "train", "fashion-mnist"), ("KMNIST/raw", "train", "kmnist"),
        ("kuzushiji", "train", "kmnist"), ("digits/files", "train", "idx"), ("x", "emnist-digits-train", "emnist-digits"),
        ("x", "kmnist-train", "kmnist"), ("EMNIST/gzip", "emnist-mnist-train", "emnist-mnist"),
    ],
)  # fmt: skip
def test_a_plain_folder_is_recognised(tmp_path: Path, folder: str, prefix: str, name: str) -> None:
    write(tmp_path / "data" / folder, prefix, [0, 1, 9], packed=True)
    for source in (
        tmp_path / "data" / folder,
        tmp_path / "data",
        tmp_path / "data" / folder / f"{prefix}-images-idx3-ubyte.gz",
    ):
        dataset = opened(source)
        assert dataset.source["source"].startswith(f"{name}:") and dataset.facts.notes[0].startswith(
            "IDX files, opened as"
        )
        assert len(dataset) == 3 and data.reopen(dataset.source).fingerprint == dataset.fingerprint
        report = data.check(source)
        assert report.count == 3 and report.sizes is not None and report.sizes.common == [(28, 28, 3)]
        assert report.unreadable is None and report.notes == dataset.facts.notes


@pytest.mark.parametrize("mapping", [False, True])
def test_emnist_letters_start_at_1_and_are_transposed(tmp_path: Path, mapping: bool) -> None:
    pixels = write(tmp_path, "emnist-letters-train", [1, 26, 3])
    if mapping:
        lines = [f"{i} {64 + i} {96 + i}" for i in range(1, 27)]
        (tmp_path / "emnist-letters-mapping.txt").write_text("\n".join(lines) + "\n")
    for source in (f"emnist-letters:{tmp_path}", f"emnist:{tmp_path}", tmp_path):
        dataset = opened(source)
        assert dataset.labels is not None and dataset.labels.tolist() == [0, 25, 2]
        assert dataset.class_names == list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        assert np.array_equal(dataset.rows[..., 0], pixels.transpose(0, 2, 1))
        assert data.open(source).class_names == ["A", "C", "Z"], "classes without images are left out"


@pytest.mark.parametrize(
    ("split", "count", "last"), [("balanced", 47, "t"), ("byclass", 62, "z"), ("bymerge", 47, "t"), ("digits", 10, "9")]
)
def test_the_splits_of_emnist(tmp_path: Path, split: str, count: int, last: str) -> None:
    write(tmp_path, f"emnist-{split}-train", [0, count - 1])
    write(tmp_path, f"emnist-{split}-test", [0, 1])
    dataset = opened(tmp_path)
    assert dataset.n_classes == count and dataset.class_names[-1] == last
    assert len(dataset) == 2 and f"emnist-{split}-test:" in dataset.facts.notes[1]
    write(tmp_path, "emnist-letters-train", [1, 2])
    for source in (tmp_path, f"emnist:{tmp_path}"):
        with pytest.raises(BadInput, match="holds several") as fault:
            data.open(source)
        assert f"emnist-letters:{tmp_path}" in str(fault.value) and "\n" not in str(fault.value)
    assert opened(f"emnist-letters:{tmp_path}").class_names[1] == "B"


def test_qmnist_has_the_class_in_the_first_column(tmp_path: Path) -> None:
    write(tmp_path, "qmnist-train", [0, 1, 9])
    (tmp_path / "qmnist-train-labels-idx1-ubyte").unlink()
    table = RANDOM.integers(0, 1000, (3, 8)).astype(np.int32)
    table[:, 0] = 4, 0, 9
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(idx(table)))
    dataset = opened(tmp_path)
    assert dataset.labels is not None and dataset.labels.tolist() == [4, 0, 9]


def test_other_numbers_parts_and_missing_labels(tmp_path: Path) -> None:
    deep = RANDOM.integers(0, 4096, (4, 9, 8)).astype(np.int16)
    deep[0, 0, 0] = 4095
    (tmp_path / "scans.idx").write_bytes(idx(deep))
    dataset = opened(tmp_path)
    assert np.abs(dataset.rows[..., 0] - deep / 4095 * 255).max() <= 0.51 and dataset.labels is None
    assert any("12-bit numbers" in note for note in dataset.facts.notes)
    assert any("there is no file of labels beside scans.idx" in note for note in dataset.facts.notes)
    write(tmp_path / "t", "t10k", [1, 2])
    assert opened(tmp_path / "t").source["source"].startswith("idx-test:")


def test_damaged_and_missing_files_are_one_line(tmp_path: Path) -> None:
    write(tmp_path / "mnist", "train", [0, 1, 2], packed=True)
    images, labels = (tmp_path / "mnist" / f"train-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    good, lie = images.read_bytes(), idx(np.zeros((1, 1, 1), np.uint8))[:4] + b"\xff" * 12
    faults = {
        "cut": good[:-300], "no numbers": gzip.compress(idx(np.zeros((3, 28, 28), np.uint8))[:-9]),
        "a lie": gzip.compress(lie), "text": b"<html>not found</html>", "empty": b"", "flipped": good[:200] + b"xx" + good[202:],
        "too long": gzip.compress(gzip.decompress(good) + b"0"),
    }  # fmt: skip
    for content in faults.values():
        images.write_bytes(content)
        for source in (tmp_path / "mnist", f"mnist:{tmp_path / 'mnist'}"):
            with pytest.raises(BadInput, match=r"cannot read|not a complete IDX file") as fault:
                data.open(source)
            assert "\n" not in str(fault.value) and str(images) in str(fault.value)
    images.write_bytes(good)
    labels.write_bytes(gzip.compress(idx(np.arange(2, dtype=np.uint8))))
    with pytest.raises(BadInput, match="holds 2 labels for 3 images"):
        data.open(tmp_path / "mnist")
    labels.write_bytes(gzip.compress(idx(np.array([0, 1, 47], np.uint8))))
    with pytest.raises(BadInput, match="the label 47"):
        data.open(tmp_path / "mnist")
    for source, text in {
        "mnist": "give mnist:DIR", "kmnist:nowhere": "there is no folder", f"mnist-test:{tmp_path}": "holds only train-images",
        f"emnist-letters:{tmp_path / 'none'}": "no IDX files",
    }.items():  # fmt: skip
        (tmp_path / "none").mkdir(exist_ok=True)
        with pytest.raises(BadInput, match=text) as fault:
            data.open(source)
        assert "\n" not in str(fault.value)


def test_images_stand_before_idx_files(tmp_path: Path) -> None:
    from PIL import Image

    write(tmp_path, "train", [0, 1])
    Image.new("L", (5, 5), 200).save(tmp_path / "a.png")
    assert len(opened(tmp_path)) == 1
    assert opened(tmp_path).facts.notes == [
        "not used beside images: IDX files such as train-images-idx3-ubyte; mnist:DIR opens them"
    ]
    assert len(opened(f"mnist:{tmp_path}")) == 2


def test_header_and_names() -> None:
    assert idx_sets.is_idx_name("emnist-byclass-test:/x") and not idx_sets.is_idx_name("emnist-other:/x")
    assert idx_files.idx_header(Path(__file__)) is None
