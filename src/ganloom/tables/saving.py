"""Write a fitted method as JSON values and arrays, and read it back. No pickle."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom import api
from ganloom.tables.column import Column
from ganloom.tables.copula import Copula, Group
from ganloom.tables.encoding import Encoding, Part
from ganloom.tables.marginals import Bootstrap, Marginal, Marginals
from ganloom.tables.neural import Neural, Training

Arrays = dict[str, NDArray[Any]]
MOST_NUMBERS = 5_000
"""Numbers that are kept of the distribution of a column."""


def state(method: Any) -> tuple[dict[str, Any], Arrays]:
    """Return a method as (JSON values, arrays)."""
    arrays: Arrays = {}
    if isinstance(method, Copula):
        for g, group in enumerate(method.groups):
            arrays[f"{g}/factor"] = group.factor
            for i, column in enumerate(method.columns):
                _put(arrays, f"{g}/{i}", group.marginals[column.name])
        shares = [group.share for group in method.groups]
        return {"method": "copula", "shares": shares, "gaps": method.gaps}, arrays
    if isinstance(method, Marginals):
        for i, column in enumerate(method.columns):
            _put(arrays, f"0/{i}", method.marginals[column.name])
        return {"method": "marginals"}, arrays
    if isinstance(method, Bootstrap):
        return {"method": "bootstrap"}, {str(i): method.frame[c.name] for i, c in enumerate(method.columns)}
    assert isinstance(method, Neural) and method.encoding is not None
    for i, part in enumerate(method.encoding.parts):
        arrays |= {f"{i}/values": part.values, f"{i}/means": part.means, f"{i}/spreads": part.spreads}
    return {"method": method.name, "gaps": [part.gap for part in method.encoding.parts]}, arrays


def restored(columns: list[Column], values: dict[str, Any], arrays: Arrays, run: Path, training: Training) -> Any:
    """Build a method from what ``state`` returned.

    Args:
        columns: The columns that it learned.
        values: The JSON values.
        arrays: The arrays.
        run: The folder of the table; a network is the run in the sub-folder with its name.
        training: Settings of a network.
    """
    name = values["method"]
    if name == "copula":
        copula = Copula(columns)
        copula.gaps = list(values["gaps"])
        for g, share in enumerate(values["shares"]):
            marginals = {column.name: _get(arrays, f"{g}/{i}") for i, column in enumerate(columns)}
            copula.groups.append(Group(float(share), marginals, arrays[f"{g}/factor"]))
        return copula
    if name == "marginals":
        plain = Marginals(columns)
        plain.marginals = {column.name: _get(arrays, f"0/{i}") for i, column in enumerate(columns)}
        return plain
    if name == "bootstrap":
        copied = Bootstrap(columns)
        copied.frame = {column.name: arrays[str(i)] for i, column in enumerate(columns)}
        return copied
    network = Neural(name, columns, training)
    network.encoding = encoding_of(columns, values, arrays)
    network.gan = api.load(run / name, device=training.device)
    return network


def encoding_of(columns: list[Column], values: dict[str, Any], arrays: Arrays) -> Encoding:
    """Build the encoding of a network from what ``state`` returned."""
    parts = [
        Part(column.name, arrays[f"{i}/values"], arrays[f"{i}/means"], arrays[f"{i}/spreads"], bool(gap))
        for i, (column, gap) in enumerate(zip(columns, values["gaps"], strict=True))
    ]
    return Encoding(columns, parts)


def _put(arrays: Arrays, key: str, marginal: Marginal) -> None:
    numbers = marginal.numbers
    if len(numbers) > MOST_NUMBERS:  # evenly spaced order statistics
        numbers = numbers[np.round(np.linspace(0, len(numbers) - 1, MOST_NUMBERS)).astype(int)]
    arrays |= {
        f"{key}/numbers": numbers, f"{key}/codes": marginal.codes, f"{key}/shares": marginal.shares,
        f"{key}/more": np.array([marginal.missing, float(marginal.stepped)]), f"{key}/quantiles": marginal.quantiles,
    }  # fmt: skip


def _get(arrays: Arrays, key: str) -> Marginal:
    missing, stepped = arrays[f"{key}/more"].tolist()
    return Marginal(
        arrays[f"{key}/numbers"], bool(stepped), arrays[f"{key}/codes"], arrays[f"{key}/shares"], missing,
        arrays.get(f"{key}/quantiles", np.empty(0)),
    )  # fmt: skip
