"""report.html: one file that loads nothing, trusts no text of the run, and copes with any state of the folder."""

import base64
import json
import math
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganloom import report
from ganloom.imaging import grid
from ganloom.report import chart_data, chart_svg, folder, number_format

EVIL = "<script>alert('x')</script>\"&"


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(i: int, **more: Any) -> dict[str, Any]:
    known = {"kimg": i * 0.5, "nimg": i * 500, "step": i, "seconds": i * 2.5, "img_per_s": 200.0 + i % 7}
    return known | {
        "D/adv": 1.2 - i / 999, "G/adv": 0.7 + i / 999, "D/logits_real": 0.1 * i, "D/logits_fake": -0.1 * i,
        "D/grad_norm": 0.4, "G/grad_norm": 0.5,
    } | more  # fmt: skip


def make_run(run: Path, ticks: int = 20, grids: int = 5, side: int = 24) -> Path:
    (run / "samples").mkdir(parents=True)
    metrics = {"fd_fashion2k": 50.0, "coverage_fashion2k": 0.4}
    lines(run / "metrics.jsonl", [row(i, **(metrics if i % 5 == 0 else {})) for i in range(1, ticks + 1)])
    lines(run / "events.jsonl", [{"time": 1.7e9, "kimg": 3.0, "kind": "nan", "text": "update skipped"}])
    random = np.random.default_rng(0)
    for i in range(grids):
        grid.save_png(random.integers(0, 255, (side, side, 3), np.uint8), run / f"samples/{i * 2000:08d}.png")
    grid.save_png(np.zeros((side, side), np.uint8), run / "samples/reals.png")
    config = {"z_dim": 64, "g_opt": {"lr": 2e-4, "betas": [0.5, 0.9]}, "r1": None}
    defaults = {"z_dim": 100, "g_opt": {"lr": 2e-4, "betas": [0.5, 0.9]}, "r1": None}
    whole = {"recipe": "dcgan", "config": config, "defaults": defaults, "train": {"total_kimg": 40.0, "seed": 0},
             "data": {"name": "fashion", "source": "fashion"}}  # fmt: skip
    (run / "config.json").write_text(json.dumps(whole))
    state = {"state": "running", "command": ["ganloom", "train", "dcgan", "my images/"], "versions": {"torch": "2.9"},
             "device": "cpu", "started": 1.7e9, "data": {"n": 10}, "exit_reason": None}  # fmt: skip
    (run / "run.json").write_text(json.dumps(state))
    (run / "bad_files.csv").write_text("path,reason\na.jpg,truncated\nb.jpg,empty\n")
    return run


def page(run: Path) -> str:
    written = report.write(run)
    assert written == run / "report.html"
    assert not [p for p in run.iterdir() if p.name.endswith(".tmp")]
    return written.read_text(encoding="utf-8")


class Checker(HTMLParser):
    """Tags balance, every label points somewhere, nothing refers outside the page."""

    VOID = frozenset({"meta", "link", "img", "input", "line", "rect", "circle", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def parse(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def grids_of(text: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="grids">(.*?)</script>', text)
    assert found
    grids: list[dict[str, Any]] = json.loads(found[1])
    return grids


def test_the_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    text = page(make_run(tmp_path / "run"))
    checker = parse(text)
    assert not re.search(r"https?://", text)
    for target in re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", text) + re.findall(r"url\(([^)]*)\)", text):
        assert target.startswith(("data:", "#")), target
    ids = [a["id"] for _, a in checker.seen if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(a.get("alt") for a in checker.all("img")) and len(checker.all("img")) == 2
    assert all(a.get("aria-label") and a.get("tabindex") == "0" for a in checker.all("svg"))
    assert all(a.get("aria-label") for a in checker.all("input"))
    assert "default-src 'none'" in text and 'lang="en"' in text
    assert {"fd_fashion2k", "truncated", "update skipped", "torch", "coverage_fashion2k"} <= set(
        re.findall(r"[\w ]+", text)
    )


def test_the_policy_allows_exactly_the_page_s_own_script(tmp_path: Path) -> None:
    import hashlib

    text = page(make_run(tmp_path / "run"))
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_text_of_the_run_is_escaped_everywhere(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    text = page(run)
    scripts = text.count("<script")
    lines(run / "metrics.jsonl", [row(i, **{f"D/{EVIL}": 1.0, f"fd_{EVIL}": 2.0}) for i in range(1, 5)])
    lines(run / "events.jsonl", [{"kimg": 1.0, "kind": EVIL, "text": EVIL, "time": EVIL}])
    (run / "bad_files.csv").write_text(f'path,reason\n"{EVIL.replace(chr(34), chr(34) * 2)}",{EVIL[:-2]}\n')
    (run / "metrics.json").write_text(
        json.dumps({"rows": [{"name": EVIL, EVIL: EVIL}], "protocol": {EVIL: EVIL}, "warnings": [EVIL],
                    "class_counts": {EVIL: [1]}})
    )  # fmt: skip
    evil = {EVIL: EVIL, "nested": {EVIL: [EVIL]}}
    (run / "config.json").write_text(
        json.dumps({"recipe": EVIL, "config": evil, "defaults": {EVIL: 1}, "train": evil, "data": {"name": EVIL}})
    )
    (run / "run.json").write_text(
        json.dumps({"state": EVIL, "command": [EVIL], "versions": evil, "device": EVIL, "started": EVIL,
                    "exit_reason": EVIL})
    )  # fmt: skip
    text = page(run)
    parse(text)
    assert "<script>alert" not in text and "alert(" in text
    assert text.count("<script") <= scripts + 3, "only the charts' own data"


def test_the_slider_lists_every_grid_in_the_order_of_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", grids=0)
    for name in ("000000", "500", "10000", "0002000", "notes"):
        grid.save_png(np.zeros((4, 4), np.uint8), run / f"samples/{name}.png")
    text = page(run)
    grids = grids_of(text)
    assert [grid["kimg"] for grid in grids] == [0, 0.5, 2, 10]
    assert grids[-1]["caption"] == "kimg 10 · fd_fashion2k 50.00 · coverage_fashion2k 0.400"
    slider = parse(text).all("input")[0]
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "3", "3")
    assert base64.b64decode(grids[0]["src"].split(",")[1]) == (run / "samples/000000.png").read_bytes()


def test_too_many_grids_are_thinned_evenly_and_the_page_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", grids=40)
    size = sum(p.stat().st_size for p in (run / "samples").glob("0*.png"))
    kept = folder.read(run, grid_bytes=size // 4)
    numbers = [grid.nimg for grid in kept.grids]
    assert 8 <= len(numbers) <= 10 and kept.grids_found == 40
    assert numbers[0] == 0 and numbers[-1] == 78000 and max(np.diff(numbers)) <= 12000
    assert f"{len(numbers)} of 40 grids" in report.page.html(kept)
    assert [grid.nimg for grid in folder.read(run, grid_bytes=1).grids] == [78000]


def test_curves_have_points_and_events_stand_on_them(tmp_path: Path) -> None:
    text = page(make_run(tmp_path / "run"))
    paths = re.findall(r'class="curve" d="([^"]*)"', text)
    assert len(paths) == 2 + 2 + 1 + 1 + 2 + 1
    assert sorted({path.count("L") for path in paths}) == [3, 19]
    assert "<title>kimg 3, nan: update skipped</title>" in text
    for title in ("Losses", "Discriminator&#x27;s logits", "Gradient norms", "Speed", "Fréchet distance"):
        assert f"<h3>{title} " in text
    assert "D(real) <b>2.00</b>" in text


def test_long_curves_are_thinned_but_keep_their_extremes() -> None:
    rows = [row(i, **{"D/adv": math.sin(i / 50)}) for i in range(1, 5001)]
    rows[1234]["D/adv"], rows[4321]["D/adv"], rows[3000]["D/adv"] = 99.0, -99.0, math.nan
    points = chart_data.thin(chart_data.curve(rows, "D/adv"))
    assert len(points) <= chart_data.MAX_POINTS
    assert points == sorted(points, key=lambda point: point[0])
    values = [value for _, value in points]
    assert max(v for v in values if v == v) == 99.0 and min(v for v in values if v == v) == -99.0
    assert points[0] == (0.5, rows[0]["D/adv"]) and points[-1] == (2500.0, rows[-1]["D/adv"])
    assert any(math.isnan(v) for v in values), "a gap stays a gap"
    assert chart_data.thin(points[:500]) == points[:500]


def test_a_run_of_many_ticks_stays_small_and_quick(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ticks=200, grids=50, side=256)
    report.write(run)
    start = time.perf_counter()
    report.write(run)
    assert time.perf_counter() - start < 1.0, "about 0.1 s; the line leaves room for a busy machine"
    lines(run / "metrics.jsonl", [row(i) for i in range(1, 5001)])
    assert len(page(run)) - sum(len(grid["src"]) for grid in grids_of(page(run))) < 1_000_000


def test_torn_and_broken_files_do_no_harm(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("metrics.jsonl", "events.jsonl"):
        with (run / name).open("ab") as file:
            file.write(
                b'not json\n[1]\n{"nimg": "x"}\n{"kimg": 10.5, "D/adv": NaN, "G/adv": 1e999}\n\n{"kimg": 99, "D/a\xff'
            )
    read = folder.read(run)
    assert len(read.rows) == 21 and read.rows[-1]["kimg"] == 10.5
    parse(page(run))
    for name in ("config.json", "run.json", "metrics.json", "bad_files.csv"):
        (run / name).write_bytes(b'{"a": [\xff\x00')
    (run / "samples/00008000.png").write_bytes(b"")
    parse(page(run))
    for name in ("config.json", "run.json", "metrics.json"):
        (run / name).write_text(
            '{"config": [1], "train": null, "versions": 3, "command": 5, "rows": 7, "protocol": [], "data": 1}'
        )
    parse(page(run))


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    text = page(tmp_path)
    parse(text)
    assert "No sample grid" in text and "No statistics yet" in text
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"nimg": 500, "D/adv": None, "kimg": None}) + "\n")
    parse(page(tmp_path))


def test_rows_gone_over_again_count_once(tmp_path: Path) -> None:
    lines(tmp_path / "metrics.jsonl", [row(1), row(2), row(3), row(2, **{"D/adv": 7.0})])
    rows = folder.read(tmp_path).rows
    assert [r["kimg"] for r in rows] == [0.5, 1.0] and rows[-1]["D/adv"] == 7.0


def test_settings_show_differences_and_the_command_can_be_copied(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    text = page(run)
    changed = re.findall(r'<tr class="changed"><th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', text)
    assert changed == [("z_dim", "64", "100")]
    assert "ganloom train dcgan &#x27;my images/&#x27;" in text and "Continue it" not in text
    known = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(known | {"state": "stopped", "exit_reason": "SIGINT"}))
    text = page(run)
    assert f"ganloom resume {run}" in text and 'class="reason">SIGINT' in text


def test_metrics_best_against_last_and_the_evaluation(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    lines(run / "metrics.jsonl", [row(i, fd_x=v, coverage_x=v / 100) for i, v in enumerate((30.0, 10.0, 20.0), 1)])
    (run / "metrics.json").write_text(
        json.dumps({"rows": {"generated": {"fd_x": {"value": 20.0, "low": 19.0, "high": 21.5}, "kd_x": None}}})
    )
    text = page(run)
    assert '<th scope="row">fd_x</th><td>lower</td><td>10.00</td><td>1</td><td>20.00</td><td>1.5</td>' in text
    assert '<th scope="row">coverage_x</th><td>higher</td><td>0.300</td><td>0.5</td><td>0.200</td><td>1.5</td>' in text
    assert "<td>20.00 <small>[19.00, 21.50]</small></td><td>–</td>" in text


@pytest.mark.parametrize(
    ("values", "log", "cut"),
    [([1.0, 2.0], False, False), ([0.001, 10.0], True, False), ([5.0], False, False), ([0.0], False, False),
     ([-3.0, *[i % 9 - 4.0 for i in range(100)], 1e6], False, True)],
)  # fmt: skip
def test_axes(values: list[float], log: bool, cut: bool) -> None:
    axis = chart_svg.value_axis(values)
    assert (axis.log, axis.cut) == (log, cut)
    assert 2 <= len(axis.ticks()) <= 12
    inside = [v for v in values if axis.low <= v <= axis.high]
    assert len(inside) >= 0.9 * len(values)
    assert all(axis.end <= axis.at(v) <= axis.start for v in inside)


def test_a_gap_lifts_the_pen() -> None:
    axis = chart_svg.Axis(0.0, 4.0, 0.0, 4.0)
    assert chart_svg.path([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4)], axis, axis) == "M0 0L1 1M3 3L4 4"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.4, "12 s"), (0, "0 s"), (60, "1 m"), (200, "3 m 20 s"), (4560, "1 h 16 m"), (183600, "2 d 3 h"),
     (math.inf, "?"), (math.nan, "?"), (-1, "?")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert number_format.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.000"), (0.61234, "0.612"), (0.01234, "0.0123"), (1.5, "1.50"), (123.456, "123.5"), (12345.6, "12\u2009346"),
     (1e-5, "1.00e-05"), (None, "–"), (math.nan, "–"), ("3", "–"), (True, "–"), (10**400, "–")],
)  # fmt: skip
def test_short(value: Any, text: str) -> None:
    assert number_format.short(value) == text


def test_which_way_is_better() -> None:
    names = ("fd_fashion2k", "fid50k_full", "kd_x", "coverage_x", "is_x", "size_x")
    assert [number_format.better(name) for name in names] == [-1, -1, -1, 1, 1, 0]
