"""What models learn from synthetic rows (train on synthetic, test on real), and whether a classifier detects the rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean, need
from ganloom.tables import EXTRA
from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

TARGET_NAMES = (
    "target",
    "label",
    "class",
    "y",
    "outcome",
    "diagnosis",
    "income",
    "species",
    "default",
    "churn",
    "survived",
)
MOST_CATEGORIES = 30
"""Categories of a column that become features of their own."""
MOST_ROWS = 5_000
"""Rows that a classifier is trained on."""
TREES = 100


@dataclass(frozen=True)
class Utility:
    """How well models predict the target in real rows.

    Attributes:
        target: The column.
        regression: Whether it is a number; then ``scores`` are R squared.
        scores: By model, "forest" and "linear": accuracy, or R squared.
        auc: By model: area under the curve, mean over classes; empty for regression.
    """

    target: str
    regression: bool
    scores: dict[str, float]
    auc: dict[str, float]

    @property
    def mean(self) -> float:
        """The mean score of both models."""
        return float(np.mean(list(self.scores.values())))

    @property
    def mean_auc(self) -> float:
        """The mean AUC of both models; NaN for regression."""
        return float(np.mean(list(self.auc.values()))) if self.auc else float("nan")

    @property
    def above_chance(self) -> float:
        """The score minus that of a model that knows nothing: R squared, or AUC - 0.5."""
        return self.mean if self.regression else self.mean_auc - 0.5


def guess_target(columns: list[Column], wanted: str | None = None) -> str | None:
    """The column that models predict: the wanted one, one with a usual name, or the last column; None without columns.

    Raises:
        BadInput: There is no such column.
    """
    names = [column.name for column in columns]
    if wanted is not None:
        if wanted not in names:
            raise BadInput(f'--target: there is no column "{wanted}" to predict{did_you_mean(wanted, names)}')
        return wanted
    small = [c for c in columns if (c.discrete and len(c.values) <= 30) or (c.continuous and 2 <= len(c.levels) <= 20)]
    for column in small:
        if column.name.strip().lower() in TARGET_NAMES:
            return column.name
    for column in (*columns[-1:], *columns[:1]):
        if column in small:
            return column.name
    numbers = [c.name for c in columns if c.kind not in ("date", "time", "datetime")]
    last = numbers or names
    return last[-1] if last else None


def features(columns: list[Column], frame: Frame, fitted: Frame) -> NDArray[np.float64]:
    """Rows as numbers for a classifier: numbers (missing ones are the median, with a mark), and one-hot categories.

    Args:
        columns: The columns.
        frame: The rows.
        fitted: Rows that give the medians and the common categories.
    """
    parts: list[NDArray[Any]] = []
    for column in columns:
        values, base = frame[column.name], fitted[column.name]
        if column.discrete:
            codes, counts = np.unique(base, return_counts=True)
            common = codes[np.argsort(-counts, kind="stable")][:MOST_CATEGORIES]
            parts.append((values[:, None] == common[None, :]).astype(float))
            continue
        present = base[~np.isnan(base)]
        middle = float(np.median(present)) if len(present) else 0.0
        parts.append(np.nan_to_num(values, nan=middle)[:, None])
        if np.isnan(base).any():
            parts.append(np.isnan(values).astype(float)[:, None])
    return np.concatenate(parts, 1) if parts else np.zeros((0, 0))


def train_and_test(columns: list[Column], train: Frame, test: Frame, target: str, seed: int = 0) -> Utility | None:
    """Train a forest and a linear model on some rows and test them on others.

    Args:
        columns: The columns.
        train: Rows to train on: real or synthetic.
        test: Real rows.
        target: The column to predict.
        seed: Seed of the models.

    Returns:
        The scores, or None if the target has one value only.
    """
    column = next(c for c in columns if c.name == target)
    rest = [c for c in columns if c.name != target]
    if not rest:
        return None
    train, test = _with_target(train, target, seed), _with_target(test, target, seed)
    x, x_test = features(rest, train, train), features(rest, test, train)
    y, y_test = train[target], test[target]
    if len(y) < 4 or len(y_test) < 2:
        return None
    regression = not (column.discrete or 2 <= len(column.levels) <= 20)
    if regression:
        return _regression(x, y, x_test, y_test, target, seed)
    if len(np.unique(y)) < 2 or len(np.unique(y_test)) < 2:
        return None
    scores, aucs = {}, {}
    for name, model in _classifiers(seed).items():
        model.fit(x, y)
        scores[name] = float((model.predict(x_test) == y_test).mean())
        aucs[name] = _auc(model.predict_proba(x_test), model.classes_, y_test)
    return Utility(target, False, scores, aucs)


def _with_target(frame: Frame, target: str, seed: int) -> Frame:
    values = frame[target]
    rows = np.flatnonzero(values >= 0) if values.dtype.kind == "i" else np.flatnonzero(~np.isnan(values))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    return {name: v[rows] for name, v in frame.items()}


def _classifiers(seed: int) -> dict[str, Any]:
    ensemble, linear = need("sklearn.ensemble", EXTRA), need("sklearn.linear_model", EXTRA)
    pipeline, scaling = need("sklearn.pipeline", EXTRA), need("sklearn.preprocessing", EXTRA)
    return {
        "forest": ensemble.RandomForestClassifier(TREES, random_state=seed, min_samples_leaf=1),
        "linear": pipeline.make_pipeline(scaling.StandardScaler(), linear.LogisticRegression(max_iter=1000)),
    }


def _regression(
    x: NDArray[Any], y: NDArray[Any], x_test: NDArray[Any], y_test: NDArray[Any], target: str, seed: int
) -> Utility | None:
    ensemble, linear = need("sklearn.ensemble", EXTRA), need("sklearn.linear_model", EXTRA)
    pipeline, scaling = need("sklearn.pipeline", EXTRA), need("sklearn.preprocessing", EXTRA)
    models = {
        "forest": ensemble.RandomForestRegressor(TREES, random_state=seed, min_samples_leaf=2),
        "linear": pipeline.make_pipeline(scaling.StandardScaler(), linear.Ridge()),
    }
    spread = float(((y_test - y_test.mean()) ** 2).mean())
    if not spread:
        return None
    scores = {}
    for name, model in models.items():
        model.fit(x, y)
        scores[name] = float(1 - ((model.predict(x_test) - y_test) ** 2).mean() / spread)
    return Utility(target, True, scores, {})


def _auc(shares: NDArray[np.float64], classes: NDArray[Any], y: NDArray[Any]) -> float:
    """The mean over the classes of the area under the curve, one class against the rest."""
    found = []
    present = np.unique(y)
    for code in present if len(present) > 2 else present[1:]:
        places = np.flatnonzero(classes == code)
        score = shares[:, places[0]] if len(places) else np.zeros(len(y))
        found.append(area(score, y == code))
    return float(np.mean(found))


def area(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve: the chance that a positive row scores higher than a negative one."""
    ordered = np.sort(score[~positive])
    if not positive.any() or not len(ordered):
        return 0.5
    below = np.searchsorted(ordered, score[positive], "left") + np.searchsorted(ordered, score[positive], "right")
    return float(below.mean() / (2 * len(ordered)))


def detection(columns: list[Column], real: Frame, synthetic: Frame, seed: int = 0) -> dict[str, float]:
    """How well classifiers tell synthetic rows from real ones, in threefold cross-validation: 0.5 is the best, 1 the worst.

    Args:
        columns: The columns.
        real: Real rows.
        synthetic: Synthetic rows.
        seed: Seed of the folds and the models.

    Returns:
        AUC by model.
    """
    rng = np.random.default_rng(seed)
    count = min(len(next(iter(real.values()))), len(next(iter(synthetic.values()))), MOST_ROWS // 2)
    if count < 6:
        return {}
    parts = []
    for frame in (real, synthetic):
        rows = rng.permutation(len(next(iter(frame.values()))))[:count]
        parts.append({name: values[rows] for name, values in frame.items()})
    both = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    x, y = features(columns, both, both), np.repeat([0, 1], count)
    folds = rng.permutation(2 * count) % 3
    found: dict[str, float] = {}
    for name in _classifiers(seed):
        score = np.zeros(2 * count)
        for fold in range(3):
            model = _classifiers(seed)[name]
            model.fit(x[folds != fold], y[folds != fold])
            score[folds == fold] = model.predict_proba(x[folds == fold])[:, 1]
        found[name] = float(np.mean([area(score[folds == f], y[folds == f] == 1) for f in range(3)]))
    return found
