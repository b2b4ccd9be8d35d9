"""Durations, dates in several formats, exponents, pandas types, packed and JSON files, missing cells as a condition."""

import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from ganloom.cli import main
from ganloom.core.errors import BadInput

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from ganloom.tables import durations, numbers, reading, report, times, utility  # noqa: E402
from ganloom.tables.preparation import prepare  # noqa: E402
from ganloom.tables.table import Table  # noqa: E402


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (["28:46:30", "1:07:11"], [103590, 4031]),
        (["28:46", "01:10"], [103560, 4200]),
        (["1:07:11.50", "100:00:01.20"], [4031.5, 360001.2]),
        (["1 days 02:03:04", "0 days 00:00:01"], [93784, 1]),
        (["1 day, 2:03:04", "3 days, 0:00:01"], [93784, 259201]),
        (["1h 07m", "0h 45m"], [4020, 2700]),
        (["1h 7m", "45m", "2h"], [4020, 2700, 7200]),
        (["PT1H7M", "P1DT2H", "PT0S", "PT45S"], [4020, 93600, 0, 45]),
        (["1 hour 5 minutes", "2 hours 10 minutes"], [3900, 7800]),
        (["-1:00:00", "2:30:00"], [-3600, 9000]),
    ],
)
def test_durations_are_read_and_written_back(cells: list[str], seconds: list[float]) -> None:
    found = durations.read(cells)
    assert found is not None and found.values.tolist() == seconds
    assert [found.format.write(value) for value in found.values.tolist()] == cells


@pytest.mark.parametrize(
    "cells", [["1:70:00", "2:00:00"], ["5m", "6m"], ["", "1:00:00"], ["1h", "1:00"], ["P", "PT1H"]]
)
def test_other_texts_are_no_durations(cells: list[str]) -> None:
    assert durations.read(cells) is None


def test_a_column_of_durations(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    took = rng.gamma(3, 20_000, 200).astype(int)
    texts = [f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in took]
    frame = pd.DataFrame({"took": texts, "size": took / 1000 + rng.normal(0, 3, 200).round(2)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = Table("copula").fit(tmp_path / "a.csv")
    made = table.sample(100, where="took>10:00:00")
    assert (
        made.took.str.fullmatch(r"\d+:[0-5]\d:[0-5]\d").all()
        and (made.took.str.split(":").str[0].astype(int) >= 10).all()
    )
    again = durations.read(table.sample(300).took.tolist())
    assert again is not None and abs(again.values.mean() / took.mean() - 1) < 0.15
    with pytest.raises(BadInput, match=r'row 1 is "soon".*28:46:30'):
        Table("copula", types="took=duration").fit(pd.DataFrame({"took": ["soon", "later"] * 9, "size": range(18)}))


def test_dates_in_several_formats_are_dates_and_said() -> None:
    days = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(90) * 7, unit="D")
    forms = ["%d.%m.%Y", "%d.%m.%Y", "%Y-%m-%d", "%m/%d/%Y"]
    cells = [day.strftime(forms[i % 4]) for i, day in enumerate(days)]
    found = times.read_mixed(cells)
    assert found is not None and found.formats == 3 and found.format.pattern == "%d.%m.%Y"
    assert [times.moment_of(v, "date").strftime("%Y%m%d") for v in found.values] == days.strftime("%Y%m%d").tolist()
    table = Table("copula").fit(pd.DataFrame({"day": cells, "x": np.random.default_rng(0).normal(size=90)}))
    assert "day: dates in 3 formats; written as %d.%m.%Y" in table.notes
    assert table.sample(50).day.str.fullmatch(r"\d\d\.\d\d\.202[12]").all()
    cells[5], cells[9] = "soon", "12/2"
    prepared, _ = prepare(reading.read(pd.DataFrame({"day": cells, "x": range(90)})))
    assert prepared.schema["day"].kind == "id"


def test_most_cells_are_dates_is_said_for_files(tmp_path: Path) -> None:
    days = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(90) * 7, unit="D")
    cells = [*days.strftime("%d.%m.%Y")[:-1], "soon"]
    pd.DataFrame({"day": cells, "x": np.random.default_rng(0).normal(size=90)}).to_csv(tmp_path / "a.csv", index=False)
    prepared, _ = prepare(reading.read(tmp_path / "a.csv"))
    assert any(note.startswith("day: most cells are dates, but") for note in prepared.notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["1.959e-03", "5.757e-13", "1.896e+16", "-2.000e+00"], ["1E5", "2.5E-7"], ["1,5e3", "2,25e-3"],
        ["0.001", "123.4", "1e-05"],
    ],
)  # fmt: skip
def test_exponents_and_digits_are_kept(cells: list[str]) -> None:
    found = numbers.read(cells, comma="," in cells[0])
    assert found is not None and found.decimals is None
    assert [found.format.write(value, None) for value in found.values.tolist()] == cells
    assert found.format.write(1 / 3, None).count("3") <= 4  # no more digits than in the data


def test_pandas_types_come_back() -> None:
    rng = np.random.default_rng(0)
    n = 120
    months = [p if i % 9 else pd.NaT for i, p in enumerate(pd.period_range("1990-01", periods=n, freq="M"))]
    frame = pd.DataFrame(
        {
            "size": pd.Categorical(rng.choice(["lo", "hi"], n), categories=["lo", "hi", "never"], ordered=True),
            "door": pd.Categorical(rng.choice([3, 5], n)),
            "day": pd.period_range("2020-01", periods=n, freq="D"),
            "quarter": pd.PeriodIndex(rng.choice(pd.period_range("2001Q1", periods=12, freq="Q"), n)),
            "year": pd.PeriodIndex(rng.choice(pd.period_range("1950", periods=60, freq="Y"), n)),
            "month": pd.PeriodIndex(months, freq="M"),
            "bin": pd.cut(rng.normal(size=n), 4),
            "x": rng.normal(size=n),
        }
    )
    table = Table("copula").fit(frame)
    made = table.sample(60)
    same = [name for name in frame if made[name].dtype == frame[name].dtype]
    assert same == [name for name in frame if name != "bin"]
    assert made["size"].cat.ordered and made.month.isna().any() and set(made.quarter) <= set(frame.quarter)
    assert "bin: categories of type Interval are returned as texts" in table.notes


def test_ranges_are_shown_as_dates_and_clocks() -> None:
    """Pandas columns of dates and durations hold numbers, which say nothing to a reader."""
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2020-01-02", "2021-05-06"] * 20),
            "at": pd.to_datetime(["2020-01-02 03:04:05", "2021-05-06 07:08:09"] * 20),
            "took": pd.to_timedelta([61, 93784] * 20, unit="s"),
            "x": np.arange(40) % 7,
        }
    )
    prepared, _ = prepare(reading.read(frame))
    shown = {c.name: (c.text_of(c.low), c.text_of(c.high)) for c in prepared.schema.columns if c.low is not None}
    assert shown["day"] == ("2020-01-02", "2021-05-06") and shown["at"] == (
        "2020-01-02 03:04:05",
        "2021-05-06 07:08:09",
    )
    assert shown["took"] == ("0:01:01", "26:03:04") and shown["x"] == ("0", "6")


def test_packed_and_json_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": range(20, 60), "city": ["Rome", "Oslo"] * 20})
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    assert len(reading.read(tmp_path / "a.csv.gz").frame) == 40
    (tmp_path / "broken.gz").write_bytes((tmp_path / "a.csv.gz").read_bytes()[:40])
    with pytest.raises(BadInput, match="cannot unpack .*broken.gz"):
        reading.read(tmp_path / "broken.gz")
    for content in (frame.to_json(), frame.to_json(orient="records", lines=True), json.dumps([1, 2])):
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(BadInput, match="a.csv is JSON. Save the table as CSV"):
            reading.read(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("[a],b\n1,2\n3,4\n5,6\n")
    assert reading.read(tmp_path / "b.csv").frame.shape == (3, 2)


def test_missing_cells_can_be_asked_for() -> None:
    rng = np.random.default_rng(0)
    value = np.where(rng.random(300) < 0.2, np.nan, rng.normal(0, 1, 300).round(2))
    town = np.where(rng.random(300) < 0.2, None, rng.choice(["Rome", "Oslo"], 300))
    frame = pd.DataFrame(
        {"value": value, "town": town, "age": rng.integers(0, 9, 300), "same": 1, "gone": [None] * 300}
    )
    table = Table("copula").fit(frame)
    assert table.sample(20, where="value=").value.isna().all() and table.sample(20, where="town=").town.isna().all()
    assert table.sample(20, where=["town!=", "value!="])[["town", "value"]].notna().all().all()
    assert table.sample(20, where={"town": None}).town.isna().all()
    for wrong, said in (
        ("age=", "no value is given; the column has no missing cells"),
        ("value>", "no value is given"),
        ("same=2", "all its cells are equal"),
        ("gone=5", "all its cells are missing"),
    ):
        with pytest.raises(BadInput, match=said):
            table.sample(5, where=wrong)


def test_endings_of_other_formats_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"age": np.arange(40) % 7, "city": ["Rome", "Oslo"] * 20})
    frame.to_csv(tmp_path / "a.csv", index=False)
    Table("copula").fit(tmp_path / "a.csv").save(tmp_path / "run")
    with pytest.raises(SystemExit) as left:
        main(["table", "sample", str(tmp_path / "run"), "--out", str(tmp_path / "a.json")])
    assert left.value.code == 2 and "written as text (.csv) or Parquet" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()


def test_unknown_categories_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utility, "train_and_test", lambda *rest: None)  # no model has a part in this
    monkeypatch.setattr(utility, "detection", lambda *rest: {})
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": rng.choice(["a", "b"], 80), "x": rng.normal(size=80)})
    made = frame.assign(kind=frame.kind.str.upper())
    notes = report.measure(frame, made).notes
    assert any(
        note.startswith("kind: 80 synthetic cells are categories that the real table does not have: ") for note in notes
    )


def test_no_warning_of_a_library_reaches_the_user() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3, 4, 5] * 40, "same": ["a"] * 199 + ["b"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Table("copula").fit(frame).sample(50)
