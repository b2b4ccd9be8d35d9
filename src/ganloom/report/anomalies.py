"""Build the section of a report on anomaly detection: the score and its threshold, the ROC curve, the extreme images."""

from html import escape
from typing import Any

from ganloom.core.names import printable
from ganloom.report.folder import Folder
from ganloom.report.markup import section, table, text
from ganloom.report.number_format import number, short
from ganloom.report.results_page import figure

SIDE = 260
"""Side of the ROC plot, in pixels."""
PICTURES = {
    "highest": "The most unusual ones. Frames: red for anomalies, green for normal ones, grey if it is not known.",
    "lowest": "The least unusual ones",
}


def anomalies(folder: Folder) -> str:
    """Build the section; empty for a run without a detector."""
    fitted, result = folder.anomaly, folder.anomaly_result
    if not fitted:
        return ""
    parts = [f'<p class="note">Score: <b>{text(fitted.get("score"))}</b>, {text(fitted.get("reason"))}.</p>']
    areas = fitted.get("areas")
    if isinstance(areas, dict) and areas:
        parts.append(_areas(areas))
    if result:
        parts += [f"<p>{text(result.get('verdict', ''))}</p>", _rows(result), _roc(result)]
    else:
        parts.append('<p class="note">Not measured yet: <code>ganloom anomaly evaluate RUN TEST/</code></p>')
    for name, title in PICTURES.items():
        if png := folder.anomaly_pictures.get(name):
            parts.append(figure(png, title, title))
    return section("anomalies", "Anomalies", "".join(parts))


def _areas(areas: dict[str, Any]) -> str:
    """Build the table of the choice: AUROC on synthetic damage."""
    known = {name: kinds for name, kinds in areas.items() if isinstance(kinds, dict) and kinds}
    kinds = list(dict.fromkeys(kind for row in known.values() for kind in row))
    rows = []
    for name, row in known.items():
        values = [number(row.get(kind)) for kind in kinds]
        rows.append((sum(values) / len(values), name, values))
    cells = [(escape(printable(name)), short(mean), *map(short, values)) for mean, name, values in sorted(rows)[::-1]]
    head = ("AUROC on synthetic damage", "mean", *map(escape, map(printable, kinds)))
    return table(head, cells, figures=True)


def _rows(result: dict[str, Any]) -> str:
    rows = (
        [row for row in result.get("rows", []) if isinstance(row, dict)] if isinstance(result.get("rows"), list) else []
    )
    cells = [
        (
            escape(printable(row.get("score", ""))), short(number(row.get("auroc"))), _bracket(row.get("auroc_interval")),
            short(number(row.get("average_precision"))), short(number(row.get("false_alarms"))), short(number(row.get("found"))),
            "control" if row.get("control") else "model",
        )
        for row in rows
    ]  # fmt: skip
    head = ("Test set", "AUROC", "95 % interval", "average precision", "false alarms", "found", "kind")
    return table(head, cells, figures=True) if cells else ""


def _bracket(value: Any) -> str:
    if not isinstance(value, list) or len(value) != 2:
        return ""
    return f"{short(number(value[0]))} to {short(number(value[1]))}"


def _roc(result: dict[str, Any]) -> str:
    """Draw the ROC curve."""
    points = result.get("curve")
    pairs = [p for p in points if isinstance(p, list) and len(p) == 2] if isinstance(points, list) else []
    if len(pairs) < 2:
        return ""
    line = " ".join(f"{SIDE * number(x):.1f},{SIDE * (1 - number(y)):.1f}" for x, y in pairs)
    return (
        f'<figure class="card"><svg viewBox="-8 -8 {SIDE + 16} {SIDE + 16}" width="{SIDE + 16}" height="{SIDE + 16}" role="img" '
        'aria-label="ROC curve"><g fill="none" stroke="currentColor">'
        f'<rect width="{SIDE}" height="{SIDE}" stroke-opacity="0.3"/>'
        f'<path d="M0 {SIDE}L{SIDE} 0" stroke-opacity="0.3" stroke-dasharray="4 4"/>'
        f'<polyline points="{line}" stroke-width="2"/></g></svg>'
        f"<figcaption>ROC of {text(result.get('score', ''))}: share of anomalies found over false alarms</figcaption></figure>"
    )
