"""Tables as people have them: written dates and money in frames, large numbers, headers, encodings, and what the report notes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganloom.cli import main
from ganloom.core.errors import BadInput

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from ganloom.tables import detect, marginals, reading, report, utility  # noqa: E402
from ganloom.tables.column import Column  # noqa: E402
from ganloom.tables.decoding import decode  # noqa: E402
from ganloom.tables.keys import Family  # noqa: E402
from ganloom.tables.preparation import prepare  # noqa: E402
from ganloom.tables.table import Table  # noqa: E402


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utility, "TREES", 10)


def written(n: int = 200) -> Any:
    """Columns that are written in other ways than a program would."""
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    money = rng.normal(800, 900, n).round(2)
    return pd.DataFrame(
        {
            "day": days.strftime("%d.%m.%Y"), "month": days.strftime("%Y-%m"), "packed": days.strftime("%Y%m%d"),
            "price": [f"${abs(v):,.2f}" for v in money], "balance": [f"{v:,.2f}" if v >= 0 else f"({-v:,.2f})" for v in money],
            "ratio": ["inf" if i % 25 == 0 else f"{v / 1000:.3f}" for i, v in enumerate(money)],
            "zip": [f"{v:05d}" for v in rng.integers(0, 99_999, n)], "plain": [str(v) for v in rng.integers(1, 99, n)],
        }
    )  # fmt: skip


def kinds(source: Any) -> dict[str, str]:
    prepared, _ = prepare(reading.read(source))
    return {column.name: column.kind for column in prepared.schema.columns}


def test_written_cells_have_one_type_in_files_and_in_frames(tmp_path: Path) -> None:
    frame = written()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    expected = {
        "day": "date",
        "month": "date",
        "packed": "date",
        "price": "float",
        "balance": "float",
        "ratio": "float",
    }
    for source in (tmp_path / "a.csv", tmp_path / "a.parquet", frame):
        found = kinds(source)
        assert {name: found[name] for name in expected} == expected, source
        assert found["zip"] == "id"
        assert found["plain"] == "integer"
        drawn = Table("copula").fit(source).sample(50)
        for name, pattern in (
            ("day", r"\d\d\.\d\d\.202[123]"), ("month", r"202[123]-(0[1-9]|1[012])"), ("price", r"\$[\d,]+\.\d\d"),
            ("balance", r"[\d,]+\.\d\d|\([\d,]+\.\d\d\)"),
        ):  # fmt: skip
            assert all(re.fullmatch(pattern, cell) for cell in drawn[name]), (name, drawn[name].head())
        pd.to_datetime(drawn["packed"], format="%Y%m%d")
        assert drawn["balance"].str.startswith("(").any()


def test_infinite_cells_of_a_file_are_missing_and_said(tmp_path: Path) -> None:
    written().to_csv(tmp_path / "a.csv", index=False)
    prepared, _ = prepare(reading.read(tmp_path / "a.csv"))
    assert prepared.schema["ratio"].missing == 8
    assert any("8 infinite values are treated as missing" in note for note in prepared.notes)


def test_types_that_cells_do_not_have_are_refused() -> None:
    frame = pd.DataFrame({"when": ["a", "b"] * 20, "n": range(40), "price": ["$1.50", "$2.25"] * 20})
    with pytest.raises(BadInput, match='when=date: row 1 is "a"'):
        Table("copula", types="when=date").fit(frame)
    with pytest.raises(BadInput, match="n=date: the cells, of type int64, cannot be read as this type"):
        Table("copula", types="n=date").fit(frame)
    assert Table("copula", types="price=float,n=category").fit(frame).sample(5)["price"].str.startswith("$").all()


def test_large_whole_numbers_are_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(2**60, 2**62, 200)
    frame = pd.DataFrame({"big": ids, "huge": ids.astype("uint64") + np.uint64(2**63), "x": rng.normal(size=200)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for source in (frame, tmp_path / "a.csv"):
        drawn = Table("copula").fit(source).sample(300)
        for name in ("big", "huge"):
            values = [int(v) for v in drawn[name]]
            assert len(set(values)) == 300 and not set(values) & set(map(int, frame[name]))
            assert np.mean([v % 1024 == 0 for v in values]) < 0.05  # not rounded to float64
    made = Table("copula").fit(frame).sample(300)
    assert made.dtypes["big"] == "int64" and made.dtypes["huge"] == "uint64"
    assert made["big"].between(ids.min(), ids.max()).all()
    few = pd.DataFrame({"code": rng.choice(ids[:3], 100), "x": rng.normal(size=100)})
    assert set(Table("copula").fit(few).sample(50)["code"]) <= set(ids[:3])
    with pytest.raises(BadInput, match="big=integer: numbers beyond 9,007,199,254,740,992 are not exact"):
        Table("copula", types="big=integer").fit(frame)
    with pytest.raises(BadInput, match="of the type int8 end at 127"):
        Table("copula").fit(pd.DataFrame({"id": np.arange(100, dtype="int8"), "x": rng.normal(size=100)})).sample(50)


def test_headers(tmp_path: Path) -> None:
    lines = [f"{i},{i * 1.5},{city}" for i, city in enumerate(["Rome", "Oslo"] * 20)]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["age,income,city", *lines[:20], "age,income,city", *lines[20:]]))
    source = reading.read(file)
    assert len(source.frame) == 40 and kinds(file)["age"] == "id"
    assert source.notes == ("line 22 repeats the header and is left out",)
    file.write_text("\n".join(lines[1:]))
    assert any("the first line looks like a row (1.5)" in note for note in reading.read(file).notes)
    file.write_text("\n".join(["city,2019,2020", *(f"{city},{i},{2 * i}" for i, city in enumerate("abc"))]))
    assert not reading.read(file).notes  # years as names
    file.write_text("name\nname\nname\n")
    assert len(reading.read(file).frame) == 2


TOWNS = {
    "cp1250": (
        "Příbram Žďár Dvořák Šťastný Kučerová Plzeň",
        "Łódź Kraków Gdańsk Poznań Śrem Kępno",
        "Győr Szőlős Szűcs Pécs",
    ),
    "cp1252": (
        "München Köln Weißenfels",
        "Málaga Coruña León",
        "Forlì Cantù città perché",
        "Genève Nîmes Besançon 45€",
    ),
    "cp1254": ("İzmir Eskişehir Şanlıurfa Muğla Iğdır",),
    "cp1251": ("Москва Казань Самара Тверь",),
}


@pytest.mark.parametrize("rows", [20, 400])
def test_the_encoding_is_that_of_the_language(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for encoding, languages in TOWNS.items():
        for towns in languages:
            words = towns.split()
            text = "city;x\n" + "".join(f"{words[rng.integers(len(words))]};{i}\n" for i in range(rows))
            assert decode(text.encode(encoding), Path("a"))[1] == text, (encoding, towns)
    mixed = "ville;x\n" + "Genève;45 €\nMalmö;3 €\nÅrhus;4 €\nA Coruña;5 €\nSão Paulo;7 €\n" * rows
    assert decode(mixed.encode("cp1252"), Path("a"))[:2] == ("cp1252", mixed)


def test_extremes_are_not_more_common_than_in_the_data() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(20, 80, 300).astype(float)
    column = Column("age", "age", "integer", low=values.min(), high=values.max(), decimals=0)
    drawn = column.valid(marginals.of(column, values).draw(rng.random(20_000)))
    for bound in (values.min(), values.max()):
        assert (drawn == bound).mean() < 1.5 * max((values == bound).mean(), 1 / 60)
    assert abs(drawn.std() / values.std() - 1) < 0.05


def test_digits_that_all_cells_begin_with_are_kept() -> None:
    phones = [f"0{n}" for n in np.random.default_rng(0).integers(10**8, 10**9, 100)]
    found = detect.find("phone", "phone", pd.Series(phones, dtype=object), "text").column
    assert found.kind == "id" and found.pattern is not None
    assert all(cell.startswith("0") for cell in found.pattern.make(100, np.random.default_rng(1)))


def test_few_rows_are_said() -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["x", "y", "x"]})
    assert any("3 rows: too few to learn a table from" in note for note in Table("copula").fit(frame).notes)


def test_bad_calls_are_one_line() -> None:
    rng = np.random.default_rng(0)
    table = Table("copula").fit(rng.random((40, 3)))
    assert table.sample(5).shape == (5, 3)
    with pytest.raises(BadInput, match="whole number of at least 1, got 2.5"):
        table.sample(2.5)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="2 levels"):
        Table().fit(pd.DataFrame(rng.random((5, 2)), columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])))
    months = pd.DataFrame({"m": pd.period_range("2020-01", periods=60, freq="M"), "x": rng.random(60)})
    assert Table("copula").fit(months).sample(20)["m"].astype(str).str.fullmatch(r"202[0-4]-\d\d").all()


def people(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {"age": age, "net": (age * 1.5 + rng.normal(0, 9, n)).round(2), "city": rng.choice(["A", "B"], n)}
    )


def test_the_report_says_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "train_and_test", lambda *rest: None)  # no model has a part in this
    monkeypatch.setattr(utility, "detection", lambda *rest: {})
    real = people(90)
    real.to_csv(tmp_path / "real.csv", index=False)
    other = people(90, 1).drop(columns="city").assign(city="A", more=1.0)
    other["age"] = other["age"].astype(str) + " years"
    other.to_csv(tmp_path / "other.csv", index=False)
    notes = report.measure(tmp_path / "real.csv", tmp_path / "other.csv").notes
    assert any("no such column: more" in note for note in notes)
    assert any(
        re.search(r"age is written otherwise in the synthetic table: \d+ years instead of \d+", note) for note in notes
    )
    tiny = report.measure(real, real.head(3))
    assert tiny.rows[0].privacy.copies == 1.0  # without held-out rows: of all real rows
    assert any("3 synthetic rows: too few" in note for note in tiny.notes)
    for out in ("real.csv", "other.csv"):
        before = (tmp_path / out).read_bytes()
        with pytest.raises(SystemExit) as left:
            main(["table", "report", *(str(tmp_path / n) for n in ("real.csv", "other.csv")), "--out", str(tmp_path / out),
                  "--overwrite"])  # fmt: skip
        assert left.value.code == 2 and "is a table that the report reads" in capsys.readouterr().err
        assert (tmp_path / out).read_bytes() == before
    other["age"] = "x"
    other.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(
        BadInput, match='other.csv: the column "age" is of type integer in the real table, but row 1 is "x"'
    ):
        report.measure(tmp_path / "real.csv", tmp_path / "other.csv")


def test_a_key_that_is_missing_is_said() -> None:
    parents = pd.DataFrame({"id": [f"c{i}" for i in range(30)], "x": range(30)})
    children = pd.DataFrame({"id": [*(f"c{i % 30}" for i in range(60)), "", ""], "y": range(62)})
    with pytest.raises(BadInput, match="2 rows .* that no parent has, 2 of them no value at all"):
        Family("copula").fit(parents, children, "id")
