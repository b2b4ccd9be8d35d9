"""Build the section of the doctor: the overall status, and each finding with its advice and small curves."""

import math
from html import escape
from typing import Any

from ganloom.report.folder import Folder
from ganloom.report.markup import section, text
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.number_format import number, short

BADGES = {"grey": "plain", "green": "good", "yellow": "warn", "red": "bad"}
WIDTH, HEIGHT = 180, 36


def doctor(folder: Folder) -> str:
    """Build the section of the doctor's findings at the newest tick, or return "" for a run without the doctor."""
    findings = [f for f in _list(folder.doctor.get("findings")) if isinstance(f, dict)]
    severities = [str(f.get("severity")) for f in findings]
    line = next((str(row["doctor"]) for row in reversed(folder.rows) if row.get("doctor")), "")
    calm = "grey" if line.startswith("grey:") else "green"
    status = next((name for name in ("red", "yellow") if name in severities), calm)
    if not findings and not line:
        return ""
    badge = f' <span class="badge {BADGES[status]}">{status}</span>'
    body = "".join(_one(f) for f in findings) or f'<p class="card">{escape(line.partition(": ")[2] or line)}</p>'
    for heal in (h for h in _list(folder.doctor.get("heals")) if isinstance(h, dict)):
        what = ", ".join(text(heal.get(key)) for key in ("finding", "change"))
        body += f'<p class="note">Healed: {what}, back to {text(heal.get("back_to"))}.</p>'
    return section("doctor", "Doctor", body + _balance(folder), badge)


def _balance(folder: Folder) -> str:
    """Show the losses next to their values at the equilibrium of the two networks."""
    facts, last = folder.doctor.get("facts"), folder.rows[-1] if folder.rows else {}
    level = facts.get("equilibrium") if isinstance(facts, dict) else None
    if not isinstance(level, list) or len(level) != 2 or math.isnan(number(last.get("D/adv"))):
        return ""
    pairs = zip("DG", level, strict=True)
    losses = ", ".join(f"{net} {short(last.get(f'{net}/adv'))} (in balance {short(value)})" for net, value in pairs)
    return f'<p class="note">Losses: {losses}.</p>'


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _one(finding: dict[str, Any]) -> str:
    severity = str(finding.get("severity"))
    series = finding.get("series")
    curves = series.items() if isinstance(series, dict) else ()
    graphs = "".join(_curve(str(name), points) for name, points in curves if isinstance(points, list))
    return (
        f'<div class="card"><p><span class="badge {BADGES.get(severity, "plain")}">{escape(severity)}</span> '
        f"<b>{text(finding.get('name', ''))}</b>: {text(finding.get('text', ''))}</p>"
        f"<p>{text(finding.get('advice', ''))}</p>{graphs}</div>"
    )


def _curve(name: str, points: list[Any]) -> str:
    """Draw a curve without axes, and state its first and last value."""
    pairs = [(number(p[0]), number(p[1])) for p in points if isinstance(p, list) and len(p) == 2]
    pairs = [(x, y) for x, y in pairs if not math.isnan(x + y)]
    if len(pairs) < 2:
        return ""
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    across, up = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
    line = " ".join(
        f"{2 + (WIDTH - 4) * (x - min(xs)) / across:.1f},{HEIGHT - 3 - (HEIGHT - 6) * (y - min(ys)) / up:.1f}"
        for x, y in pairs
    )
    words = f"{name} from {short(ys[0])} at kimg {kimg_text(xs[0])} to {short(ys[-1])} at kimg {kimg_text(xs[-1])}"
    return (
        f'<p class="note"><svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(words)}"><polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg> '
        f"{escape(words)}</p>"
    )
