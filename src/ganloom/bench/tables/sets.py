"""The tables of the benchmark: public ones that come with scikit-learn and statsmodels, made ones, and files of the user's."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ganloom.core.errors import BadInput, did_you_mean, need
from ganloom.tables import EXTRA, reading


def _sklearn(name: str) -> tuple[Any, str]:
    loader: Callable[..., Any] = getattr(need("sklearn.datasets", EXTRA), f"load_{name}")
    return loader(as_frame=True).frame, "target"


def _fair() -> tuple[Any, str]:
    """Fair 1978, 6,366 rows of numbers with few values: whether a marriage had affairs."""
    try:
        frame = need("statsmodels.datasets", "statsmodels").fair.load_pandas().data
    except ImportError:
        raise BadInput(
            "the table fair comes with statsmodels: pip install statsmodels, or leave it out of --data"
        ) from None
    frame["affair"] = np.where(frame.pop("affairs") > 0, "yes", "no")
    return frame, "affair"


def _people() -> tuple[Any, str]:
    """2,000 made people: categories that depend on each other, a heavy tail, missing values, an order; target: high income."""
    pd = reading.pandas()
    rng = np.random.default_rng(20)
    n = 2000
    school = rng.choice(["primary", "secondary", "college", "master", "doctor"], n, p=[0.15, 0.4, 0.3, 0.12, 0.03])
    level = np.array([["primary", "secondary", "college", "master", "doctor"].index(s) for s in school])
    age = np.clip(rng.gamma(9, 4.8, n), 17, 90).astype(int)
    married = rng.random(n) < 1 / (1 + np.exp(-(age - 32) / 6))
    hours = np.clip(rng.normal(36 + 3 * (level > 2), 9, n), 4, 80).round()
    job = np.where(
        level >= 2,
        rng.choice(["office", "science", "sales", "health"], n),
        rng.choice(["craft", "sales", "farm", "transport"], n),
    )
    merit = -4.2 + 0.75 * level + 0.03 * age + 0.045 * (hours - 36) + 0.7 * married + rng.logistic(0, 0.7, n)
    gain = np.where(rng.random(n) < 0.1, np.exp(rng.normal(7, 1.3, n)), 0.0).round()
    frame = pd.DataFrame(
        {
            "age": age, "education": school, "occupation": job, "married": np.where(married, "yes", "no"),
            "hours_per_week": hours,
            "capital_gain": gain, "years_employed": np.minimum(rng.gamma(2, 5, n), age - 16).round(1),
            "income": np.where(merit + 0.0002 * gain > 0, "high", "low"),
        }
    )  # fmt: skip
    frame.loc[rng.random(n) < 0.06, "occupation"] = None
    return frame, "income"


SETS: dict[str, Callable[[], tuple[Any, str]]] = {
    "breast_cancer": lambda: _sklearn("breast_cancer"),
    "wine": lambda: _sklearn("wine"),
    "iris": lambda: _sklearn("iris"),
    "diabetes": lambda: _sklearn("diabetes"),
    "fair": _fair,
    "people": _people,
}


def load(name: str) -> tuple[Any, str | None]:
    """Load a table.

    Args:
        name: A name of ``SETS``, or the path of a CSV or Parquet file; PATH:COLUMN names the target.

    Returns:
        (the table, the target or None).

    Raises:
        BadInput: There is no such table.
    """
    if name in SETS:
        return SETS[name]()
    path, _, target = name.rpartition(":") if not os.path.exists(name) else (name, "", "")
    if not path or not os.path.exists(path):
        raise BadInput(f"no table {name!r}{did_you_mean(name, SETS)}. Give a file, or one of {', '.join(SETS)}")
    source = reading.read(path)
    return source.frame, target or None
