"""Build the first sections of a report: title, key numbers, samples, curves."""

import base64
import math
import struct
import time
from html import escape
from typing import Any

from ganloom.core.names import printable
from ganloom.report import chart_svg
from ganloom.report.chart_data import charts
from ganloom.report.folder import Folder
from ganloom.report.markup import moment, names, section, state, text
from ganloom.report.number_format import at_chance, duration, explained, is_metric, number, per_second, short
from ganloom.report.number_format import kimg as kimg_text
from ganloom.report.tables import best_of, metric_names

STATES = {"starting": "live", "running": "live", "finished": "good", "stopped": "warn", "failed": "bad"}
MAX_EVENTS = 24
UNDRAWN = ("legend", "length")
"""Kinds of events that explain something and are no moments of the training."""
ENDLESS = 1e9
"""Length in kimg of a run that ends for another reason."""


def heading(folder: Folder) -> str:
    """Build the title with the state, and one line about the machine and the time."""
    recipe, data = names(folder)
    now = state(folder)
    device = folder.run.get("device")
    facts = [
        f"run <code>{escape(folder.path.name)}</code>",
        f"on {text(device)}" if device else "",
        f"started {moment(folder.run.get('started'))}" if folder.run.get("started") else "",
        f"page written {time.strftime('%Y-%m-%d %H:%M')}" + (", reload to update" if now == "running" else ""),
    ]
    cause = folder.run.get("exit_reason")
    lacking = f'<p class="reason">damaged: {escape(", ".join(folder.damaged))}</p>' if folder.damaged else ""
    reason = f'<p class="reason">{text(cause)}</p>' if cause and str(cause) != now else ""
    return (
        f'<header><p class="brand">ganloom</p><h1>{escape(recipe)} <span class="on">on</span> {escape(data)} '
        f'<span class="badge {STATES.get(now, "plain")}">{escape(now)}</span></h1>'
        f'<p class="facts">{" · ".join(fact for fact in facts if fact)}</p>{reason}{lacking}</header>'
    )


def tiles(folder: Folder) -> str:
    """Build the key numbers: progress, time, speed, the first metrics, D(real) - D(fake), bad files."""
    last = folder.rows[-1] if folder.rows else {}
    done, total = number(last.get("kimg", 0)), number(folder.part("train").get("total_kimg"))
    total = math.nan if total >= ENDLESS else total  # the run ends at its time
    speeds = [v for row in folder.rows[-5:] if (v := number(row.get("img_per_s"))) > 0]
    speed = sum(speeds) / len(speeds) if speeds else math.nan
    unfinished = state(folder) == "running" and total > done and speed > 0
    share = min(1.0, done / total) if total > 0 else math.nan
    bar = "" if math.isnan(share) else f'<progress max="1" value="{share:.4f}" aria-label="Progress"></progress>'
    of = "" if math.isnan(total) else f"of {kimg_text(total)} "
    parts = [_tile("Progress", f"{kimg_text(done)} <small>{of}kimg</small>", bar)]
    if not math.isnan(seconds := number(last.get("seconds"))):
        note = f"about {duration((total - done) * 1000 / speed)} left" if unfinished else ""
        parts.append(_tile("Training time", duration(seconds), note))
    if speed > 0:
        parts.append(
            _tile(
                "Speed",
                f"{short(speed)} <small>{escape(per_second(folder.unit))}</small>",
                "mean of the last five ticks",
            )
        )
    for name in metric_names(folder)[:3]:
        values = [v for row in folder.rows if not math.isnan(v := number(row.get(name)))]
        best, at = best_of(folder, name)
        note = "" if math.isnan(best) else f"best {short(best)} at kimg {kimg_text(at)}"
        note = "; ".join(part for part in (note, explained(name)) if part)
        parts.append(_tile(escape(name), short(values[-1]), note))
    for name in last:
        if name.endswith("/logits_real") and not math.isnan(gap := _gap(last, name)):
            net = escape(name.split("/")[0])
            parts.append(_tile(f"{net}(real) − {net}(fake)", short(gap), escape(at_chance(_examined(folder)))))
            break
    if folder.bad_count:
        parts.append(_tile("Files left out", f'<a href="#bad">{folder.bad_count}</a>', "could not be read"))
    return f'<div class="tiles">{"".join(parts)}</div>'


def _examined(folder: Folder) -> dict[str, Any]:
    """Return the last row in which the doctor measured the accuracy of D."""
    return next((row for row in reversed(folder.rows) if "doctor/D_accuracy" in row), {})


def _gap(row: dict[str, Any], real: str) -> float:
    return number(row[real]) - number(row.get(real.removesuffix("real") + "fake"))


def _tile(name: str, value: str, note: str) -> str:
    note = note if note.startswith("<") else f"<span>{note}</span>" if note else ""
    return f'<div class="tile card"><h3>{name}</h3><p>{value}</p>{note}</div>'


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _sides(png: bytes) -> str:
    """Return the size of a PNG as HTML attributes, so that the page layout is stable while it loads."""
    if len(png) < 24 or png[12:16] != b"IHDR":
        return ""
    width, height = struct.unpack(">II", png[16:24])
    return f' width="{width}" height="{height}"'


def samples(folder: Folder) -> str:
    """Build the newest sample grid with a slider over all grids, and the real data next to it."""
    grids = []
    rows = {kimg_text(row["kimg"]): row for row in folder.rows}
    for grid in folder.grids:
        row = rows.get(kimg_text(grid.kimg), {})
        metrics = [f"{printable(n)} {short(v)}" for n, v in row.items() if is_metric(n) and not math.isnan(number(v))][
            :2
        ]
        caption = " · ".join([f"kimg {kimg_text(grid.kimg)}", *metrics])
        grids.append({"kimg": grid.kimg, "caption": caption, "src": _data_uri(grid.png)})
    if folder.texts:
        return section("samples", "Samples", _texts(folder))
    figures = []
    if grids:
        newest = grids[-1]
        figures.append(
            f'<figure class="card"><img id="grid" src="{newest["src"]}"{_sides(folder.grids[-1].png)} '
            f'alt="Samples of the generator at {escape(str(newest["caption"]))}">'
            f"{_slider(len(grids), str(newest['caption']))}{_row_names(folder)}{_left_out(folder)}</figure>"
        )
    if folder.reals:
        figures.append(
            f'<figure class="card"><img src="{_data_uri(folder.reals)}"{_sides(folder.reals)} '
            'alt="Real data, laid out like the samples"><figcaption>Real data</figcaption></figure>'
        )
    if not figures:
        return section("samples", "Samples", '<p class="empty card">No sample grid has been written yet.</p>')
    data = f'<script type="application/json" id="grids">{chart_svg.in_script(grids)}</script>' if grids else ""
    return section("samples", "Samples", f'<div class="pair">{"".join(figures)}</div>{data}')


def _texts(folder: Folder) -> str:
    """Build the newest sample texts beside real ones, and earlier ones for the same latents below."""

    def listed(texts: list[str]) -> str:
        return "<ol>" + "".join(f"<li>{escape(printable(text))}</li>" for text in texts) + "</ol>"

    *earlier, (nimg, newest) = folder.texts
    real = f"<h3>Real texts</h3>{listed(folder.real_texts)}" if folder.real_texts else ""
    parts = "".join(
        f"<details><summary>kimg {kimg_text(at / 1000)}</summary>{listed(texts)}</details>"
        for at, texts in earlier[::-1]
    )
    before = f'<div class="card"><h3>Earlier, from the same random numbers</h3>{parts}</div>' if parts else ""
    return (
        f'<div class="pair"><div class="card texts"><h3>kimg {kimg_text(nimg / 1000)}</h3>{listed(newest)}</div>'
        f'<div class="card texts">{real}</div></div>{before}'
    )


def _slider(count: int, caption: str) -> str:
    label = f'<figcaption><output id="grid-caption" for="slider">{escape(caption)}</output></figcaption>'
    if count < 2:
        return label
    return (
        f'{label}<div class="slide">'
        '<button type="button" id="play" title="Play the samples over time">Play</button>'
        f'<input type="range" id="slider" min="0" max="{count - 1}" value="{count - 1}" step="1" '
        f'aria-label="Sample grid over training, {count} grids"></div>'
        "<noscript>The slider needs JavaScript; the newest samples are shown.</noscript>"
    )


def _row_names(folder: Folder) -> str:
    """Build the list of the classes of the rows, for grids with a class in each row."""
    names = [escape(printable(name)) for name in dict.fromkeys(folder.row_names)]
    return f'<p class="note">Classes of the rows, from the top: {", ".join(names)}</p>' if names else ""


def _left_out(folder: Folder) -> str:
    shown, total = len(folder.grids), folder.grids_found
    if shown == total:
        return ""
    return f'<p class="note">To stay small, this page holds {shown} of {total} grids. All are in samples/.</p>'


def curves(folder: Folder) -> str:
    """Build all charts, with the events of the run as vertical lines."""
    plots = charts(folder.rows, folder.unit)
    if not plots:
        return section(
            "curves", "Curves", '<p class="empty card">No statistics yet: the first tick is not complete.</p>'
        )
    until = max(row["kimg"] for row in folder.rows)
    lines = _events_in_charts(folder)
    figures = "".join(chart_svg.draw(chart, i, until, lines) for i, chart in enumerate(plots))
    data = chart_svg.in_script([[event["kimg"], f"{event['kind']}: {event['text']}"] for event in lines])
    script = f'<script type="application/json" id="events-data">{data}</script>'
    note = f'<p class="note">Horizontal axes: kimg, thousands of real {escape(folder.unit)} shown in training.</p>'
    return section("curves", "Curves", f'{note}<div class="charts">{figures}</div>{script}')


def _events_in_charts(folder: Folder) -> list[dict[str, Any]]:
    """Return the events with a time, at most the newest 24. Of "best", which can occur at every tick, only the last one."""
    placed = [
        {"kimg": at, "kind": str(event.get("kind", "event")), "text": str(event.get("text", ""))}
        for event in folder.events
        if not math.isnan(at := number(event.get("kimg"))) and event.get("kind") not in UNDRAWN
    ]
    bests = [event for event in placed if event["kind"] == "best"]
    chosen = [event for event in placed if event["kind"] != "best"] + bests[-1:]
    return sorted(chosen[-MAX_EVENTS:], key=lambda event: number(event["kimg"]))
