"""The HTML page of a report: one file that loads nothing."""

import math
from html import escape

import numpy as np
from numpy.typing import NDArray

from ganloom.core.names import printable
from ganloom.report import results_page
from ganloom.report.markup import section, table
from ganloom.tables import quality
from ganloom.tables.column import Column
from ganloom.tables.report import Report, Row
from ganloom.tables.schema import Frame

MOST_CHARTS = 60
"""Columns that are drawn."""
MOST_CELLS = 40
"""Columns of the correlation charts."""
BARS = 20


def html(report: Report, title: str) -> bytes:
    """Return the page in UTF-8.

    Args:
        report: What was measured.
        title: The name of the table.
    """
    held = f"{report.held} held-out rows" if report.held else "no held-out rows"
    header = (
        f'<header><p class="brand">ganloom</p><h1>Synthetic table <span class="on">of</span> {_text(title)}</h1>'
        f'<p class="facts">{len(report.columns)} columns compared · {_count(report.synthetic)} synthetic rows · {held}</p>'
        "</header>"
    )
    parts = [
        section("verdict", "In words", "".join(f"<p>{_text(line)}</p>" for line in report.verdicts)),
        section("methods", "Beside simple methods", _methods(report)),
        section("privacy", "Privacy", _privacy(report)),
        section("columns", "Columns", f'<div class="charts">{_charts(report)}</div>'),
        section("correlations", "Rank correlations", _correlations(report)),
        section("types", "Types and constraints", _types(report)),
    ]
    body = "\n".join(part for part in parts if part)
    return results_page.document(f"Synthetic table of {title}", body, header)


def _text(value: object) -> str:
    return escape(printable(str(value)))


def _count(frame: Frame) -> int:
    return len(next(iter(frame.values())))


def _number(value: float, digits: int = 3) -> str:
    return "not measured" if math.isnan(value) else f"{value:.{digits}f}"


def _methods(report: Report) -> str:
    regression = any(row.utility is not None and row.utility.regression for row in report.rows)
    score = "R squared" if regression else "accuracy"
    head = [
        "Rows",
        "Score",
        "Columns agree",
        "Pairs agree",
        f"Forest, {score}",
        f"Linear, {score}",
        "AUC",
        "Detection AUC",
    ]
    body = [[_text(row.name), *_figures(row)] for row in report.rows]
    note = (
        '<p class="note">Models learn the rows named on the left and are tested on real rows. Real rows are the best that can be '
        "expected, independent columns (marginals) know no dependence, and bootstrap copies real rows. The score is the mean of "
        "the agreement of columns and of pairs, the use for models relative to real rows, and how well rows hide from a "
        "classifier.</p>"
    )
    return note + table(head, body, figures=True)


def _figures(row: Row) -> list[str]:
    useful = row.utility
    scores = ["not measured"] * 3
    if useful is not None:
        scores = [_number(useful.scores["forest"]), _number(useful.scores["linear"]), _number(useful.mean_auc)]
    told = _number(max(row.detection.values())) if row.detection else "not measured"
    return [_number(row.score), _number(row.quality.shape), _number(row.quality.dependence), *scores, told]


def _privacy(report: Report) -> str:
    head = ["Rows", "Nearer to learned rows", "Exact copies", "Membership AUC", "Distance to closest learned row"]
    body = []
    for row in report.rows:
        found = row.privacy
        body.append(
            [
                _text(row.name),
                _number(found.nearer),
                _number(found.copies),
                _number(found.membership),
                _number(found.distance, 4),
            ]
        )
    real = report.rows[0].privacy.real_distance
    note = (
        '<p class="note">"Nearer": the share of rows that are nearer to a learned row than to a held-out one; 0.5 is ideal. '
        f"Real rows have a median distance of {_number(real, 4)} to the closest learned row. This is a measurement, not "
        "differential privacy.</p>"
    )
    return note + table(head, body, figures=True)


# ---- charts
def _charts(report: Report) -> str:
    agreement = report.rows[0].quality.columns
    shown = report.columns[:MOST_CHARTS]
    figures = "".join(_chart(c, report.real[c.name], report.synthetic[c.name], agreement[c.name]) for c in shown)
    if len(shown) < len(report.columns):
        figures += f'<p class="note">The first {len(shown)} of {len(report.columns)} columns are drawn.</p>'
    return figures


def _chart(column: Column, real: NDArray[np.float64], made: NDArray[np.float64], agreement: float) -> str:
    labels, a, b = _bars(column, real, made)
    top = max([*a, *b, 1e-9])
    width, height, wide = 400, 120, 400 / max(len(a), 1)
    rects = []
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        label = _text(labels[i])
        for share, shift, colour in ((x, 0.1, "var(--s0)"), (y, 0.5, "var(--s1)")):
            tall = height * share / top
            rects.append(
                f'<rect x="{(i + shift) * wide:.1f}" y="{height - tall:.1f}" width="{0.4 * wide:.1f}" height="{tall:.1f}" '
                f'fill="{colour}"><title>{label}: {share:.1%}</title></rect>'
            )
    ends = f"<span>{_text(labels[0])}</span><span>{_text(labels[-1])}</span>" if labels else ""
    return (
        f'<figure class="chart card"><h3>{_text(column.name)} <span class="when">agreement {agreement:.3f}</span></h3>'
        f'<ul class="legend"><li style="color:var(--s0)">real</li><li style="color:var(--s1)">synthetic</li></ul>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Distribution of {_text(column.name)}">{"".join(rects)}</svg>'
        f'<p class="note" style="display:flex;justify-content:space-between">{ends}</p></figure>'
    )


def _bars(
    column: Column, real: NDArray[np.float64], made: NDArray[np.float64]
) -> tuple[list[str], list[float], list[float]]:
    """Labels and the shares of real and synthetic rows."""
    if column.discrete:
        counts = [np.bincount(v + 1, minlength=len(column.values) + 1) / len(v) for v in (real, made)]
        order = [i for i in np.argsort(-counts[0], kind="stable").tolist() if counts[0][i] or counts[1][i]][:30]
        names = ["missing", *map(str, column.values)]
        return [names[i] for i in order], [float(counts[0][i]) for i in order], [float(counts[1][i]) for i in order]
    if column.levels:
        edges = np.array(column.levels)
        names = [str(cell) for cell in column.cells(edges)]
        shares = [[float((v == level).mean()) for level in edges] for v in (real, made)]
        return names, shares[0], shares[1]
    present = np.concatenate([v[~np.isnan(v)] for v in (real, made)])
    if not len(present):
        return ["missing"], [1.0], [1.0]
    low, high = np.quantile(present, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
    counts = [np.histogram(np.clip(v[~np.isnan(v)], edges[0], edges[-1]), edges)[0] / len(v) for v in (real, made)]
    names = [str(cell) for cell in column.cells(edges[:-1])]
    gone = [float(np.isnan(v).mean()) for v in (real, made)]
    missing = ["missing"] if max(gone) else []
    return (
        [*names, *missing],
        [*counts[0].tolist(), *gone[: len(missing)]],
        [*counts[1].tolist(), *gone[1:][: len(missing)]],
    )


def _correlations(report: Report) -> str:
    columns = [c for c in report.columns if c.continuous or len(c.values) == 2][:MOST_CELLS]
    if len(columns) < 2:
        return ""
    matrices = [_matrix(columns, frame) for frame in (report.real, report.synthetic)]
    worst = float(np.abs(matrices[0] - matrices[1]).max())
    figures = "".join(
        f'<figure class="card">{_heat(columns, matrix)}<figcaption>{name}</figcaption></figure>'
        for name, matrix in zip(
            ("Real", "Synthetic", "Difference"), (*matrices, matrices[1] - matrices[0]), strict=True
        )
    )
    return f'<p class="note">The largest difference is {worst:.2f}.</p><div class="pair">{figures}</div>'


def _matrix(columns: list[Column], frame: Frame) -> NDArray[np.float64]:
    out = np.eye(len(columns))
    for i, first in enumerate(columns):
        for j, second in enumerate(columns[:i]):
            out[i, j] = out[j, i] = quality.correlation(
                frame[first.name].astype(float), frame[second.name].astype(float)
            )
    return out


def _heat(columns: list[Column], matrix: NDArray[np.float64]) -> str:
    size = len(columns)
    cells = []
    for i in range(size):
        for j in range(size):
            value = float(matrix[i, j])
            colour = "var(--s0)" if value > 0 else "var(--s1)"
            title = f"{_text(columns[i].name)} and {_text(columns[j].name)}: {value:.2f}"
            cells.append(
                f'<rect x="{j}" y="{i}" width="1" height="1" fill="{colour}" fill-opacity="{min(abs(value), 1):.3f}">'
                f"<title>{title}</title></rect>"
            )
    return f'<svg viewBox="0 0 {size} {size}" role="img" aria-label="Rank correlations" style="width:100%">{"".join(cells)}</svg>'


def _types(report: Report) -> str:
    body = []
    for column in report.preparation.schema.columns:
        bounds = ""
        if column.continuous and column.low is not None and column.high is not None:
            bounds = f"{column.text_of(column.low)} to {column.text_of(column.high)}"
        elif column.discrete:
            bounds = f"{len(column.values)} categories"
        invalid = report.invalid.get(column.name)
        share = "not compared" if invalid is None else f"{invalid:.1%}"
        body.append(
            [_text(column.name), column.kind, _text(bounds), f"{column.missing / max(column.rows, 1):.1%}", share]
        )
    rules = "".join(f"<li>{_text(constraint.text)}</li>" for constraint in report.preparation.constraints)
    listed = (
        f"<p>Constraints that hold in all real rows, and are kept:</p><ul>{rules}</ul>"
        if rules
        else "<p>No constraints were found.</p>"
    )
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in report.notes)
    return (
        table(["Column", "Type", "Values", "Missing", "Synthetic cells that no real row could have"], body)
        + listed
        + notes
    )
