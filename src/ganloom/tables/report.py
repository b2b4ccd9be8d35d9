"""Measure a synthetic table beside real rows and beside simple methods, and say in words what the figures mean."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.report.progress import Report as Progress
from ganloom.report.progress import stage
from ganloom.tables import choose, differential_privacy, privacy, quality, reading, utility
from ganloom.tables.column import Column
from ganloom.tables.copula import Copula
from ganloom.tables.marginals import Bootstrap, Marginals
from ganloom.tables.preparation import Preparation, prepare
from ganloom.tables.privacy import Privacy
from ganloom.tables.quality import Quality
from ganloom.tables.report_notes import differences
from ganloom.tables.schema import Frame
from ganloom.tables.table import Table
from ganloom.tables.utility import Utility

TEST_SHARE = 0.3
"""Share of the real rows that models are tested on, where no rows are held out."""


@dataclass(frozen=True)
class Row:
    """What was measured of one table: the synthetic one, real rows, or a simple method."""

    name: str
    quality: Quality
    utility: Utility | None
    detection: dict[str, float]
    privacy: Privacy
    score: float
    """The mean of shape, dependence, utility and detection; see ``choose.Score``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        useful = None if self.utility is None else asdict(self.utility) | {"mean": self.utility.mean}
        return {
            "name": self.name, "score": self.score, "shape": self.quality.shape, "dependence": self.quality.dependence,
            "columns": self.quality.columns, "utility": useful, "detection": self.detection, "privacy": asdict(self.privacy),
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A measured synthetic table.

    Attributes:
        rows: The synthetic table first, then real rows and the simple methods.
        verdicts: Sentences on what the figures mean.
        columns: The columns that were compared.
        real: Real rows.
        synthetic: Synthetic rows.
        invalid: Share of cells of the synthetic table that no real row could have, by column.
        preparation: Types and constraints of the real table.
        notes: What the user should know.
        held: Number of held-out rows; 0: there were none.
    """

    rows: list[Row]
    verdicts: list[str]
    columns: list[Column]
    real: Frame
    synthetic: Frame
    invalid: dict[str, float]
    preparation: Preparation
    notes: list[str]
    held: int
    method: str
    target: str | None
    privacy: dict[str, Any] | None
    """The differential privacy of the run; None: there is none."""

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        return {
            "rows": [row.to_dict() for row in self.rows], "verdicts": self.verdicts, "invalid": self.invalid,
            "target": self.target, "held_out": self.held, "method": self.method, "notes": self.notes,
            "differential_privacy": self.privacy,
            "constraints": [constraint.text for constraint in self.preparation.constraints],
        }  # fmt: skip


def measure(
    real: Any,
    synthetic: Any,
    *,
    run: str | os.PathLike[str] | None = None,
    holdout: Any = None,
    target: str | None = None,
    types: str | Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Progress = None,
) -> Report:
    """Measure a synthetic table.

    Args:
        real: The real table that the method learned: a path or a pandas frame.
        synthetic: The synthetic table.
        run: The folder of ``ganloom table fit``, which knows the types, the target, and which rows of ``real`` were held out.
        holdout: Real rows that the method did not learn.
        target: The column that models predict. None: that of the run, or guessed.
        types: Corrections of the types.
        seed: Seed of all random numbers.
        progress: Called with (what, done, total).

    Raises:
        BadInput: A table cannot be read, or the tables do not have the same columns.
    """
    stage(progress, "reading the tables")
    source = reading.read(real)
    made_by = None if run is None else Table.load(as_path(run))
    if made_by is not None and made_by.preparation is not None:
        preparation = made_by.preparation
        frame = preparation.schema.read(source)
    else:
        preparation, frame = prepare(source, types, target)
    columns = preparation.schema.modelled
    if not columns:
        raise BadInput("no column of the table can be compared: all are constant, empty, identifiers or free text")
    drawn_source = reading.read(synthetic)
    drawn = preparation.schema.read(drawn_source)
    train, test, held, notes = _parts(frame, preparation, made_by, holdout, seed)
    notes += differences(preparation, source, drawn_source)
    notes += _few(len(drawn_source.frame), "synthetic") + _few(len(next(iter(test.values()))), "real test")
    target = utility.guess_target(columns, target or (made_by.target if made_by else None))
    tables = {"synthetic": drawn, "real rows": train}
    tables |= _of_methods(preparation, train, len(next(iter(drawn.values()))), target, seed, progress)
    real_use = None if target is None else utility.train_and_test(columns, train, test, target, seed)
    rows = []
    for number, (name, table) in enumerate(tables.items()):
        if progress is not None:
            progress(f"measuring {name}", number, len(tables))
        known = frame if held is None else train
        rows.append(_row(name, columns, train, test, table, held, target, real_use, seed, known))
    method = made_by.chosen if made_by else ""
    private = made_by.privacy if made_by else None
    verdicts = [*_verdicts(rows, method, held is not None), differential_privacy.sentence(private)]
    if made_by is not None and "ctgan" in made_by.choice:
        verdicts.insert(0, choose.whether_gan_helps({n: float(s["total"]) for n, s in made_by.choice.items()}))
    invalid = {c.name: _invalid(c, drawn[c.name]) for c in columns}
    return Report(
        rows, verdicts, columns, test if held is not None else frame, drawn, invalid, preparation, [*preparation.notes, *notes],
        0 if held is None else len(next(iter(held.values()))), method, target, private,
    )  # fmt: skip


def _parts(
    frame: Frame, preparation: Preparation, run: Table | None, holdout: Any, seed: int
) -> tuple[Frame, Frame, Frame | None, list[str]]:
    """Real rows as (those learned, those that models are tested on, held-out rows or None), and notes."""
    if holdout is not None:
        held = preparation.schema.read(reading.read(holdout))
        return frame, held, held, []
    if run is not None and run.held_rows:
        rows = np.arange(len(next(iter(frame.values()))))
        if max(run.held_rows) >= len(rows):
            raise BadInput("the run was fitted on a longer table: give the table that `ganloom table fit` read")
        inside = np.isin(rows, run.held_rows)
        held = {name: values[inside] for name, values in frame.items()}
        return {name: values[~inside] for name, values in frame.items()}, held, held, []
    train, test = choose.split(frame, TEST_SHARE, seed)
    note = (
        f"no rows are held out: models are tested on {TEST_SHARE:.0%} of the rows, which the synthetic table may have learned, "
        "so its figures may be too good, and privacy is measured only in part. Give --holdout FILE, or fit with --held-out 0.2"
    )
    return train, test, None, [note]


FEW = 30
"""Figures from fewer rows are chance."""


def _few(rows: int, what: str) -> list[str]:
    return [f"{rows} {what} row{'s' * (rows != 1)}: too few for any figure here to mean much"] if rows < FEW else []


def _of_methods(
    preparation: Preparation, train: Frame, count: int, target: str | None, seed: int, progress: Progress
) -> dict[str, Frame]:
    """Rows of simple methods that learned ``train``: ``count`` of each, but at most as many as ``train`` has, and at least 20."""
    found = {}
    rows = max(min(count, len(next(iter(train.values())))), 20)
    for method in (Copula, Marginals, Bootstrap):
        stage(progress, f"learning the method {method.name}")
        learned: Any = method(preparation.learned)
        learned.fit(preparation.reduced(train), target, seed)
        found[method.name] = preparation.draw(rows, learned.sample, None, np.random.default_rng([seed, 8]))
    return found


def _row(
    name: str, columns: list[Column], train: Frame, test: Frame, table: Frame, held: Frame | None, target: str | None,
    real: Utility | None, seed: int, known: Frame,
) -> Row:  # fmt: skip
    """Measure one table; ``real`` is the utility of the rows ``train``, ``known`` are those that must not be copied."""
    agreement = quality.compare(columns, test, table)
    useful = None if target is None else utility.train_and_test(columns, table, test, target, seed)
    told = utility.detection(columns, choose.enough(train, test), table, seed)
    private = privacy.measure(columns, train, table, held, seed, known)
    hidden = choose.hidden(told)
    share = math.nan
    if useful is not None and real is not None:
        best = real.above_chance
        share = float(np.clip(useful.above_chance / best, 0, 1)) if best > 0 else math.nan
    parts = [part for part in (agreement.shape, agreement.dependence, share, hidden) if not math.isnan(part)]
    return Row(name, agreement, useful, told, private, float(np.mean(parts)))


def _invalid(column: Column, values: NDArray[Any]) -> float:
    """The share of values that are outside of the bounds, or of the categories, of the real column."""
    if column.discrete:
        return float(((values < 0) & (not column.missing)).mean())
    assert column.low is not None and column.high is not None
    with np.errstate(invalid="ignore"):
        outside = (values < column.low) | (values > column.high)
    gone = np.isnan(values) & (not column.missing)
    return float((outside | gone).mean())


def _verdicts(rows: list[Row], method: str, held: bool) -> list[str]:
    """Sentences on what the figures mean."""
    found = {row.name: row for row in rows}
    own, copula, trivial, real = (found[name] for name in ("synthetic", "copula", "marginals", "real rows"))
    network = method in ("ctgan", "tvae")
    subject = f"The {method.upper()}" if network else "The synthetic table"
    difference = own.score - copula.score
    scores = f"{own.score:.3f}, the copula's {copula.score:.3f}"
    if difference > choose.SAME:
        text = f"{subject} {'helps' if network else 'is better than the copula'}: its score is {scores}."
    elif difference < -choose.SAME:
        verb = "does not help" if network else "is worse than a copula"
        text = f"{subject} {verb}: its score is {scores}." + " Use --method copula." * (method != "copula")
    else:
        text = f"{subject} {'does not help: it is' if network else 'is'} as good as the copula (score {scores})."
    lines = [text]
    if own.score < trivial.score + choose.SAME:
        lines.append("It is no better than independent columns, which know nothing of the dependences between columns.")
    if own.utility is not None and real.utility is not None:
        kind = "R squared" if own.utility.regression else "accuracy"
        lines.append(
            f"Models trained on synthetic rows predict {own.utility.target} with {kind} {own.utility.mean:.3f}; trained on real "
            f"rows with {real.utility.mean:.3f}."
        )
    if own.detection:
        worst = max(own.detection.values())
        seen = "hardly tell" if worst < 0.6 else "often tell" if worst < 0.8 else "tell"
        lines.append(f"Classifiers can {seen} synthetic rows from real ones (AUC {worst:.2f}; 0.5 is chance).")
    lines.append(_privacy_verdict(own.privacy, held))
    return lines


def _privacy_verdict(found: Privacy, held: bool) -> str:
    if not held:
        copies = f"{found.copies:.1%} of the synthetic rows equal a real row"
        near = (
            "nearer to real rows than these are to each other"
            if found.distance < 0.8 * found.real_distance
            else "not unusually near to real rows"
        )
        return f"Privacy, measured in part: {copies}; synthetic rows are {near}."
    slack = found.noise
    safe = (
        found.nearer - slack <= 0.55
        and found.copies <= found.expected_copies + 0.02
        and found.membership - slack <= 0.55
    )
    numbers = (
        f"{found.nearer:.1%} of the synthetic rows are nearer to learned rows than to held-out ones (50 % is ideal), "
        f"{found.copies:.1%} are exact copies (of held-out rows {found.expected_copies:.1%}), and an attacker who guesses who "
        f"was learned has AUC {found.membership:.2f} (0.5 is ideal)"
    )
    return f"Privacy: {'no sign of copied rows' if safe else 'synthetic rows give away learned rows'}: {numbers}."
