"""Build the sections of a report that are tables: metrics, events, settings, bad files, environment."""

import math
from html import escape
from typing import Any

from ganloom.core.names import command_line, resume_command
from ganloom.report.folder import Folder
from ganloom.report.markup import moment, section, state, table, text
from ganloom.report.number_format import better, is_metric, number, short
from ganloom.report.number_format import kimg as kimg_text


def best_of(folder: Folder, name: str) -> tuple[float, float]:
    """Return (best value, its kimg) of a metric, or NaN where it is unknown whether lower or higher is better."""
    sign = better(name)
    values = [(v, row["kimg"]) for row in folder.rows if not math.isnan(v := number(row.get(name)))]
    return max(values, key=lambda pair: pair[0] * sign) if values and sign else (math.nan, math.nan)


def metric_names(folder: Folder) -> list[str]:
    """Return the metrics measured during the run, in the order of their first appearance."""
    names = dict.fromkeys(name for row in folder.rows for name, v in row.items() if not math.isnan(number(v)))
    return [name for name in names if is_metric(name)]


def measured(folder: Folder) -> str:
    """Build the metrics of the run, best and last value, and the results of ``evaluate``."""
    rows = []
    for name in metric_names(folder):
        last, at = next((v, r["kimg"]) for r in reversed(folder.rows) if not math.isnan(v := number(r.get(name))))
        best, best_at = best_of(folder, name)
        direction = {-1: "lower", 1: "higher", 0: ""}[better(name)]
        rows.append((escape(name), direction, short(best), kimg_text(best_at), short(last), kimg_text(at)))
    during = table(("Metric", "better", "best", "at kimg", "last", "at kimg"), rows, figures=True) if rows else ""
    return section("metrics", "Measured", during + _evaluated(folder.measured))


def _evaluated(result: dict[str, Any]) -> str:
    """Build the tables of metrics.json. Its rows are a list or keyed by name, with plain numbers or intervals."""
    entries = result.get("rows")
    if isinstance(entries, dict):
        entries = [{"name": name, **values} for name, values in entries.items() if isinstance(values, dict)]
    rows = [row for row in entries if isinstance(row, dict)] if isinstance(entries, list) else []
    if not rows:
        return ""
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "name"]
    cells = [[text(row.get("name", "")), *(_cell(row.get(name)) for name in columns)] for row in rows]
    warnings, counts, copies = (result.get(key) for key in ("warnings", "class_counts", "memorisation"))
    protocols = result.get("protocols")
    notes = []
    for protocol in protocols if isinstance(protocols, list) else [result.get("protocol")]:
        facts = protocol.items() if isinstance(protocol, dict) else []
        if line := ", ".join(f"{text(str(key))} {text(value)}" for key, value in facts if value not in (None, "")):
            notes.append(f"Protocol: {line}.")
    if isinstance(copies, dict) and "verdict" in copies:
        notes.append(f"Memorisation: {text(copies['verdict'])}.")
    notes += [f"Warning: {text(warning)}" for warning in warnings] if isinstance(warnings, list) else []
    body = table(("Evaluation", *map(escape, columns)), cells, figures=True)
    if isinstance(counts, dict) and counts:
        lists = ((text(name), _class_counts(c, result.get("class_names"))) for name, c in counts.items())
        body += table(("Images by class", "counts"), lists)
    body += _classes(result.get("classes"))
    return "<h3>Evaluation</h3>" + body + "".join(f'<p class="note">{note}</p>' for note in notes)


def _classes(classes: Any) -> str:
    """Build the table of distance and recall of each class; empty without them."""
    rows = [one for one in classes if isinstance(one, dict)] if isinstance(classes, list) else []
    cells = [
        [
            text(one.get("name", "")), text(one.get("backbone", "")), _cell(one.get("n_real")), _cell(one.get("n_fake")),
            "too few images" if one.get("kd") is None else _cell(one["kd"]), _cell(one.get("recall")),
        ]
        for one in rows[:200]
    ]  # fmt: skip
    return table(("Class", "features", "real", "generated", "kd", "recall"), cells, figures=True) if cells else ""


def _class_counts(counts: Any, names: Any) -> str:
    if not isinstance(counts, list):
        return text(counts)
    if isinstance(names, list) and len(names) == len(counts):
        return ", ".join(f"{text(name)} {text(count)}" for name, count in zip(names, counts, strict=True))
    return ", ".join(map(text, counts))


def _cell(value: Any) -> str:
    if isinstance(value, dict) and "value" in value:
        ends = [short(value[end]) for end in ("low", "high") if value.get(end) is not None]
        return short(value["value"]) + (f" <small>[{', '.join(ends)}]</small>" if len(ends) == 2 else "")
    return short(value) if value is None or isinstance(value, int | float) else text(value)


BADGES = {
    "nan": "bad", "failed": "bad", "warning": "warn", "signal": "warn", "best": "good", "cured": "good", "heal": "warn",
    "plateau": "warn", "red": "bad", "yellow": "warn",
}  # fmt: skip


def events(folder: Folder) -> str:
    """Build the table of the newest 200 events."""
    rows = []
    for event in folder.events[-200:]:
        kind = str(event.get("kind", "event"))
        badge = BADGES.get(kind, BADGES.get(str(event.get("severity")), "plain"))
        name = f'<span class="badge {badge}">{escape(kind)}</span>'
        rows.append((kimg_text(event.get("kimg")), name, text(event.get("text", "")), moment(event.get("time", ""))))
    return section("events", "Events", table(("kimg", "kind", "what", "when"), rows) if rows else "")


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def settings(folder: Folder) -> str:
    """Build the recipe's settings that differ from its defaults, then all settings, collapsed."""
    values, defaults = flatten(folder.part("config")), flatten(folder.part("defaults"))
    if not values and not folder.part("train"):
        return ""
    missing = object()
    changed = [name for name in values if defaults and values[name] != defaults.get(name, missing)]
    body = '<p class="empty card">Every setting of the recipe is at its default.</p>' if defaults and values else ""
    everything = [(escape(n), text(value), text(defaults[n]) if n in defaults else "–") for n, value in values.items()]
    if rows := [row for name, row in zip(values, everything, strict=True) if name in changed]:
        body = table(("Setting", "this run", "default"), rows, changed=True)
    if everything:
        title = f"<summary>All {len(everything)} settings of the recipe</summary>"
        body += f"<details>{title}{table(('Setting', 'this run', 'default'), everything)}</details>"
    train = [(escape(name), text(value)) for name, value in flatten(folder.part("train")).items()]
    if train:
        body += f"<details><summary>Training settings</summary>{table(('Setting', 'this run'), train)}</details>"
    parts = [(escape(name), text(value)) for name, value in flatten(folder.part("stabilise")).items()]
    if parts:
        body += f"<details open><summary>Stabilisers</summary>{table(('Setting', 'this run'), parts)}</details>"
    return section("settings", "Settings", body)


def bad_files(folder: Folder) -> str:
    """Build the list of data files that could not be used, with the reasons."""
    if not folder.bad_count:
        return ""
    rows = [(f"<code>{escape(path)}</code>", escape(reason)) for path, reason in folder.bad_files]
    more = folder.bad_count - len(rows)
    note = f'<p class="note">And {more} more in bad_files.csv.</p>' if more else ""
    title = f"<summary>{folder.bad_count} files could not be used</summary>"
    return section("bad", "Files left out", f"<details>{title}{table(('File', 'reason'), rows)}{note}</details>")


def repeat(folder: Folder) -> str:
    """Build the commands that repeat and continue the run, and the table of its environment."""
    command, body = folder.run.get("command"), ""
    if isinstance(command, list) and command:
        body += _copyable("Repeat this run", command_line(command), "repeat")
    elif isinstance(command, str) and command:
        body += _copyable("Repeat this run", command, "repeat")
    if state(folder) in ("stopped", "failed"):
        body += _copyable("Continue it", resume_command(folder.path), "resume")
    facts: dict[str, Any] = {}
    for name in ("versions", "data"):
        value = folder.run.get(name)
        facts |= flatten(value, "data." if name == "data" else "") if isinstance(value, dict) else {}
    if folder.run.get("device"):
        facts = {"device": folder.run["device"], **facts}
    rows = [(escape(name), text(value)) for name, value in facts.items()]
    return section("repeat", "Environment", body + (table(("What", "value"), rows) if rows else ""))


def _copyable(title: str, command: str, name: str) -> str:
    button = f'<button type="button" class="copy" data-copy="{name}-command" aria-live="polite">Copy</button>'
    code = f'<code id="{name}-command">{escape(command)}</code>'
    return f'<h3>{title}</h3><div class="command card">{code}{button}</div>'
