"""Gaussian copulas, one for each class of the target and each cluster of rows: the classical method for mixed tables.

Each column becomes normal scores by its own distribution, the correlation of the scores is estimated (with shrinkage, Ledoit &
Wolf 2004), and new rows are normal vectors with this correlation, turned back by the distributions. Categories are put in the
order of their mean on the main axis of the other columns, so that a correlation can express them. Missing cells of a column of
numbers are a column of their own. Classes and clusters let the dependence differ between groups of rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import need
from ganloom.tables import EXTRA
from ganloom.tables.column import Column
from ganloom.tables.marginals import Marginal, normal_cdf
from ganloom.tables.marginals import of as marginal_of
from ganloom.tables.schema import Frame

POOLED = 3.0
"""A group with this many rows for each column, or fewer, takes the correlation of all groups."""
FEWEST_IN_GROUP = 8
"""A class or cluster with fewer rows joins the others."""
ROWS_PER_CLUSTER, MOST_CLUSTERS = 600, 8
"""A class is split into one cluster for this many rows of the table."""
MOST_CATEGORIES = 20
"""Categories of a column, the most common ones, by which rows are clustered."""
MOST_CLASSES = 30
"""A target with more classes does not split the rows."""


@dataclass
class Group:
    """The copula of one class and cluster.

    Attributes:
        share: Its share of the rows.
        marginals: By column.
        factor: Lower triangular factor of the correlation of the normal scores.
    """

    share: float
    marginals: dict[str, Marginal]
    factor: NDArray[np.float64]


class Copula:
    """The copulas of all groups.

    Args:
        columns: The columns to learn.
        clusters: Clusters in each class. None: by the number of rows.
    """

    name = "copula"

    def __init__(self, columns: list[Column], clusters: int | None = None) -> None:
        self.columns, self.clusters = columns, clusters
        self.groups: list[Group] = []
        self.gaps: list[str] = []
        """Columns of numbers with missing cells."""

    def fit(self, frame: Frame, target: str | None = None, seed: int = 0) -> "Copula":
        """Learn the rows.

        Args:
            frame: The rows.
            target: The column whose classes get a copula each. None: no classes.
            seed: Seed of the clusters.
        """
        rows = len(next(iter(frame.values())))
        clusters = self.clusters or max(1, min(MOST_CLUSTERS, rows // ROWS_PER_CLUSTER))
        self.gaps = [c.name for c in self.columns if c.continuous and np.isnan(frame[c.name]).any()]
        orders = category_orders(self.columns, frame)
        classes = self._classes(frame, target, rows)
        labels = np.zeros(rows, np.int64)
        count = 0
        for name in np.unique(classes):
            members = np.flatnonzero(classes == name)
            found = _clusters(self.columns, {k: v[members] for k, v in frame.items()}, orders, clusters, seed)
            labels[members] = found + count
            count += int(found.max()) + 1
        parts = [{name: values[labels == i] for name, values in frame.items()} for i in range(count)]
        marginals = [{c.name: marginal_of(c, part[c.name], orders.get(c.name)) for c in self.columns} for part in parts]
        scores = [self._scores(part, own) for part, own in zip(parts, marginals, strict=True)]
        shared = _shrunk(np.concatenate(scores))  # the dependence within groups
        for own, z in zip(marginals, scores, strict=True):
            # A group with few rows for its number of columns mostly takes the dependence that all groups share.
            weight = min(1.0, POOLED * z.shape[1] / len(z)) if count > 1 else 0.0
            self.groups.append(Group(len(z) / rows, own, _factor(_shrunk(z, shared, weight))))
        return self

    def _classes(self, frame: Frame, target: str | None, rows: int) -> NDArray[np.int64]:
        """The class of each row; -2 for those of all classes that are too small."""
        column = next((c for c in self.columns if c.name == target), None)
        if column is None or not (column.discrete or column.levels):
            return np.zeros(rows, np.int64)
        _, codes = np.unique(frame[column.name], return_inverse=True)
        counts = np.bincount(codes)
        if len(counts) > MOST_CLASSES:
            return np.zeros(rows, np.int64)
        return np.where(counts[codes] < FEWEST_IN_GROUP, -2, codes)

    def _scores(self, frame: Frame, marginals: dict[str, Marginal]) -> NDArray[np.float64]:
        """Normal scores (n, columns + gaps); a missing number has the score 0."""
        parts = [marginals[c.name].ranks(frame[c.name]) for c in self.columns]
        parts += [_gap_ranks(frame[name]) for name in self.gaps]
        return np.nan_to_num(_normal_quantile(np.stack(parts, 1)))

    def sample(self, n: int, rng: np.random.Generator, given: dict[str, Any] | None = None) -> Frame:
        """Draw n rows.

        Args:
            n: Number of rows.
            rng: Source of random numbers.
            given: Values that the rows should have: groups without such rows are left out. Other values still occur.
        """
        possible = [
            all(_has(group.marginals[k], v) for k, v in (given or {}).items() if k in group.marginals)
            for group in self.groups
        ]
        shares = np.array([group.share for group in self.groups]) * (np.array(possible) if any(possible) else 1.0)
        chosen = rng.choice(len(self.groups), n, p=shares / shares.sum())
        out: Frame = {c.name: np.zeros(n, np.int64 if c.discrete else np.float64) for c in self.columns}
        for number, group in enumerate(self.groups):
            rows = np.flatnonzero(chosen == number)
            if not len(rows):
                continue
            normal = rng.standard_normal((len(rows), len(group.factor))) @ group.factor.T
            u = np.clip(normal_cdf(normal), 1e-12, 1 - 1e-12)
            for place, column in enumerate(self.columns):
                out[column.name][rows] = group.marginals[column.name].draw(u[:, place])
            for place, name in enumerate(self.gaps, len(self.columns)):
                gone = u[:, place] > 1 - group.marginals[name].missing
                out[name][rows] = np.where(gone, np.nan, out[name][rows])
        return out

    def complete(self, known: Frame, rng: np.random.Generator) -> Frame:
        """Draw the other columns of rows of which some columns are known, from the first group.

        Args:
            known: Values of the known columns, (n,) each.
            rng: Source of random numbers.

        Returns:
            Rows with all columns.
        """
        group = self.groups[0]
        count = len(next(iter(known.values())))
        names = [c.name for c in self.columns] + [f"{name} is missing" for name in self.gaps]
        scores = np.full((count, len(names)), np.nan)
        for place, column in enumerate(self.columns):
            if column.name in known:
                ranks = group.marginals[column.name].ranks(known[column.name])
                scores[:, place] = np.nan_to_num(_normal_quantile(ranks))
        given = np.flatnonzero(~np.isnan(scores).any(0))
        rest = np.setdiff1d(np.arange(len(names)), given)
        correlation = group.factor @ group.factor.T
        weights = np.linalg.solve(correlation[np.ix_(given, given)], correlation[np.ix_(given, rest)])
        left = correlation[np.ix_(rest, rest)] - correlation[np.ix_(rest, given)] @ weights
        values, vectors = np.linalg.eigh((left + left.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0))
        drawn = scores[:, given] @ weights + rng.standard_normal((count, len(rest))) @ root.T
        u = np.clip(normal_cdf(drawn), 1e-12, 1 - 1e-12)
        out: Frame = dict(known)
        for place, number in enumerate(rest.tolist()):
            if number < len(self.columns):
                name = self.columns[number].name
                out[name] = group.marginals[name].draw(u[:, place])
        for number, name in enumerate(self.gaps, len(self.columns)):
            if name not in known:
                gone = u[:, rest.tolist().index(number)] > 1 - group.marginals[name].missing
                out[name] = np.where(gone, np.nan, out[name])
        return out


def _has(marginal: Marginal, value: Any) -> bool:
    known = marginal.codes if len(marginal.codes) else marginal.numbers
    return bool((known == value).any())


def category_orders(columns: list[Column], frame: Frame) -> dict[str, NDArray[np.int64]]:
    """The categories of each column in the order of their means on the main axis of all other columns.

    Args:
        columns: The columns.
        frame: The rows.
    """
    discrete = [c for c in columns if c.discrete]
    scores = {c.name: _normal_quantile(marginal_of(c, frame[c.name]).ranks(frame[c.name])) for c in columns}
    scores = {name: np.nan_to_num(values) for name, values in scores.items()}
    orders: dict[str, NDArray[np.int64]] = {}
    for _ in range(3):
        for column in discrete:
            codes, place = np.unique(frame[column.name], return_inverse=True)
            others = [values for name, values in scores.items() if name != column.name]
            if not others or len(codes) < 3:
                orders[column.name] = codes.astype(np.int64)
                continue
            centred = np.stack(others, 1)
            centred = centred - centred.mean(0)
            counts = np.bincount(place)
            means = np.stack([np.bincount(place, centred[:, j]) / counts for j in range(centred.shape[1])], 1)
            weighted = means * np.sqrt(counts)[:, None]
            axis = np.linalg.svd(weighted, full_matrices=False)[2][0]
            order = np.argsort(means @ axis, kind="stable")
            orders[column.name] = codes[order].astype(np.int64)
            marginal = marginal_of(column, frame[column.name], orders[column.name])
            scores[column.name] = _normal_quantile(marginal.ranks(frame[column.name]))
    return orders


def _clusters(
    columns: list[Column], frame: Frame, orders: dict[str, NDArray[np.int64]], count: int, seed: int
) -> NDArray[np.int64]:
    """A cluster for each row, by k-means on normal scores and one-hot categories; all 0 where a cluster would be too small."""
    rows = len(next(iter(frame.values())))
    count = min(count, rows // (4 * FEWEST_IN_GROUP))
    if count < 2:
        return np.zeros(rows, np.int64)
    parts: list[NDArray[Any]] = []
    for column in columns:
        values = frame[column.name]
        if column.continuous:
            u = marginal_of(column, values).ranks(values)
            parts.append(np.nan_to_num(_normal_quantile(u))[:, None])
        else:
            codes, counts = np.unique(values, return_counts=True)
            common = codes[np.argsort(-counts, kind="stable")][:MOST_CATEGORIES]
            parts.append((values[:, None] == common) * 1.2)
    clusters = need("sklearn.cluster", EXTRA)
    points = np.concatenate(parts, 1)
    count = min(count, len(np.unique(points, axis=0)))
    labels = clusters.KMeans(count, n_init=2, random_state=seed, max_iter=50).fit_predict(points)
    counts = np.bincount(labels, minlength=count)
    small = np.isin(labels, np.flatnonzero(counts < 2 * FEWEST_IN_GROUP))
    labels = np.where(small, int(counts.argmax()), labels)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _shrunk(
    scores: NDArray[np.float64], shared: NDArray[np.float64] | None = None, weight: float = 0.0
) -> NDArray[np.float64]:
    """The correlation of normal scores, shrunk towards independence, and mixed with a shared one by its weight."""
    count, width = scores.shape
    if count < 3:
        return np.eye(width) if shared is None else shared
    spread = scores.std(0)
    scaled = (scores - scores.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    found = need("sklearn.covariance", EXTRA).ledoit_wolf(scaled)
    shrinkage = float(found[1])
    mixed = (1 - shrinkage) * (scaled.T @ scaled / count) + shrinkage * np.eye(width)
    if shared is not None:
        mixed = (1 - weight) * mixed + weight * shared
    np.fill_diagonal(mixed, 1.0)
    return np.asarray(mixed)


def _factor(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    fixed = (vectors * np.maximum(values, 1e-8)) @ vectors.T
    scale = np.sqrt(np.diag(fixed))
    return np.asarray(np.linalg.cholesky(fixed / np.outer(scale, scale)))


def _gap_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    gone = np.isnan(values)
    share = gone.mean()
    return np.asarray(np.where(gone, 1 - share / 2, (1 - share) / 2).clip(1e-9, 1 - 1e-9))


def _normal_quantile(u: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    return np.asarray(torch.special.ndtri(torch.from_numpy(np.ascontiguousarray(u))).numpy())
