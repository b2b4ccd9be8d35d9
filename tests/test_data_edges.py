"""Edge cases of data sets: classes without rows, and indices, fractions and sizes of a wrong type."""

import json
from typing import Any

import numpy as np
import pytest

from ganloom import data
from ganloom.core.errors import BadInput

IMAGES = np.random.default_rng(0).integers(0, 255, (10, 16, 16, 3), dtype=np.uint8)


def test_a_half_keeps_classes_that_have_no_rows_in_it() -> None:
    whole = data.open(IMAGES, labels=[0] * 8 + [1, 2])
    for half in whole.split(3):
        assert half.n_classes == 3 and half.class_names == whole.class_names == ["0", "1", "2"]
    quarter = whole.split(4)[0].split(2)[0]
    assert quarter.n_classes == 3


def test_points_have_a_class_for_each_mode_even_without_points() -> None:
    few = data.open("ring:3")
    assert few.n_classes == 8 and len(few.class_names) == 8
    assert [half.n_classes for half in few.split(1)] == [8, 8]
    assert data.open("grid:2", labels=False).n_classes == 0


@pytest.mark.parametrize("part", [0, 10, 11, -1, 0.0, 1.0, 1.5, -0.5, float("nan"), 0.01])
def test_a_split_leaves_rows_on_both_sides(part: Any) -> None:
    with pytest.raises(BadInput, match="cannot split"):
        data.open(IMAGES).split(part)


def test_a_fraction_and_its_number_give_the_same_split() -> None:
    dataset = data.open("ring:50")
    halves = dataset.split(0.2, seed=3)
    assert [len(half) for half in halves] == [10, 40]
    for half, same in zip(halves, dataset.split(10, seed=3), strict=True):
        again = data.reopen(json.loads(json.dumps(half.source)))
        assert half.fingerprint == same.fingerprint == again.fingerprint


@pytest.mark.parametrize("indices", [1.5, [0.0, 1.0], "3", ["a"]])
def test_indices_are_whole_numbers(indices: Any) -> None:
    with pytest.raises(BadInput, match="whole numbers"):
        data.open(IMAGES).get(indices)


def test_no_indices_give_no_rows() -> None:
    assert data.open(IMAGES).get([]).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("size", ["64", 64.0, None, 0, 8193])
def test_default_size_is_a_whole_number(size: Any) -> None:
    with pytest.raises(BadInput, match="default_size"):
        data.open(IMAGES, default_size=size)
