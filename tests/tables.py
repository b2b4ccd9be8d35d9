"""Stand-ins for pandas and Hugging Face ``datasets``, with the attributes and behaviour that ganloom relies on."""

from collections.abc import Iterator
from typing import Any

import numpy as np


class Column:
    """Like pandas.Series: iterates over values, and is an array of objects."""

    dtype = object

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[index]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        array = np.empty(len(self.values), object)
        array[:] = self.values
        return array


class DataFrame:
    """Like pandas.DataFrame: iterates over the names of columns, and is an array of objects."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return Column(self._columns[name])

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(list(self._columns.values()), dtype=object).T


class Image:
    """Like datasets.Image."""


class Value:
    """Like datasets.Value."""


class ClassLabel:
    """Like datasets.ClassLabel."""

    def __init__(self, names: list[str]) -> None:
        self.names = names


class Dataset:
    """Like datasets.Dataset: rows are dictionaries, columns are lists; a format other than None changes the rows."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any], form: str | None = "numpy") -> None:
        self.columns, self.features, self.form = columns, features, form
        self.column_names = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        row = {name: values[key] for name, values in self.columns.items()}
        return row if self.form is None else {name: np.zeros(3) for name in row}

    def with_format(self, form: str | None) -> "Dataset":
        return Dataset(self.columns, self.features, form)

    def select_columns(self, names: list[str]) -> "Dataset":
        return Dataset({n: self.columns[n] for n in names}, {n: self.features[n] for n in names}, self.form)
