"""Labels of .npz files and dictionaries: which arrays are images and labels; what is not read is named."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganloom import data
from ganloom.core.errors import BadInput

X = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), np.uint8)
Y = np.arange(12) % 3
NAMES = np.array(["cat", "dog", "emu"])


def opened(path: Path, **options: Any) -> tuple[list[int] | None, list[str], list[str]]:
    d = data.open(path, **options)
    assert isinstance(d, data.Images) and np.array_equal(d.rows, X) and all("\n" not in note for note in d.notes)
    return None if d.labels is None else d.labels.tolist(), d.class_names, d.notes


@pytest.mark.parametrize(
    "arrays",
    [
        (X, Y), (X, Y[:, None]), (X, Y.astype(np.float32)), (X, np.eye(3)[Y]), (Y, X),
        {"x": X, "y": Y}, {"X": X, "Y": Y}, {"images": X, "labels": Y}, {"image": X, "target": Y}, {"X_train": X, "y_train": Y},
        {"train_images": X, "train_labels": Y[:, None]}, {"data": X, "class_ids": Y}, {"imgs": X, "classes": Y},
    ],
)  # fmt: skip
def test_named_and_positional_labels(tmp_path: Path, arrays: Any) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, *arrays) if isinstance(arrays, tuple) else np.savez(path, **arrays)
    assert opened(path) == (Y.tolist(), ["0", "1", "2"], [])
    assert opened(path, labels=False) == (None, [], [])
    if isinstance(arrays, dict):
        d = data.open(arrays)
        assert d.labels is not None and d.labels.tolist() == Y.tolist()


def test_labels_that_are_names(tmp_path: Path) -> None:
    for labels in (NAMES[Y], NAMES[Y].astype("S3")):
        np.savez(tmp_path / "a.npz", X, labels)
        assert opened(tmp_path / "a.npz") == (Y.tolist(), ["cat", "dog", "emu"], [])
    np.savez(tmp_path / "a.npz", x=X, y=Y, classes=NAMES)
    assert opened(tmp_path / "a.npz") == (Y.tolist(), ["cat", "dog", "emu"], [])


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ((X, Y[:5]), "arr_1 (5, int64)"),
        ((X, Y + 0.5), "array arr_1 is not read: labels of"),
        ((X, X[:2], Y), "arr_1 (2 x 8 x 8 x 3, uint8)"),
        ({"x": X, "species": Y}, "if species holds the labels, name it labels"),
        ({"x_train": X, "x_test": X[:2], "y_test": Y[:2]}, "x_test (2 x 8 x 8 x 3, uint8), y_test (2, int64)"),
        ({"x": X, "extra": np.zeros((2, 3))}, "extra (2 x 3, float64)"),
    ],
)
def test_arrays_that_are_not_read_are_named(tmp_path: Path, arrays: Any, named: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, *arrays) if isinstance(arrays, tuple) else np.savez(path, **arrays)
    notes = opened(path)[2]
    assert len(notes) == 1 and named in notes[0]
    assert any(line.strip().startswith("note") and named in line for line in data.check(path).lines())


@pytest.mark.parametrize("labels", [Y[:5], Y - 1, Y + 0.5, np.zeros((12, 2)), np.zeros((12, 8, 8))])
def test_named_labels_that_cannot_be_used_are_refused(tmp_path: Path, labels: Any) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=labels)
    for call in (data.open, data.check):
        with pytest.raises(BadInput, match="array y") as fault:
            call(tmp_path / "a.npz")
        assert "\n" not in str(fault.value)
    assert opened(tmp_path / "a.npz", labels=False)[0] is None
    assert data.check(tmp_path / "a.npz", labels=False).classes is None


def test_members_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    """An unused array may be damaged, pickled or larger than memory."""
    np.savez(tmp_path / "a.npz", x=X, y=Y, big=np.zeros(4), objects=np.array([{}], dtype=object))
    damaged = tmp_path / "b.npz"
    with zipfile.ZipFile(tmp_path / "a.npz") as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "big.npy":
                content = content.replace(b"'shape': (4,), }      ", b"'shape': (4" + b"0" * 11)[:90]
            target.writestr(name, content)
        target.writestr("notes.npy", b"no array")
    labels, _, notes = opened(damaged)
    assert labels == Y.tolist() and len(notes) == 1
    assert all(name in notes[0] for name in ("big", "objects", "notes"))
