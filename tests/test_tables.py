"""Synthetic tables: reading, types, validity of every cell, constraints, conditions, methods, the folder, two tables."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_tables import awkward, cells, content, invalid

import ganloom
from ganloom.cli import main
from ganloom.core.errors import BadInput, Interrupted
from ganloom.data.dataset import Facts
from ganloom.data.encoded_table import EncodedTable
from ganloom.gan import Adam
from ganloom.training.callbacks import Callback

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from ganloom.tables import constraint_search, marginals, neural, numbers, reading, schema, times, utility  # noqa: E402
from ganloom.tables.choose import Score, best_of  # noqa: E402
from ganloom.tables.column import Column  # noqa: E402
from ganloom.tables.keys import Family  # noqa: E402
from ganloom.tables.table import METHODS, Table, resume  # noqa: E402


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utility, "TREES", 10)


def file_of(path: Path, raw: bytes, name: str = "data.csv") -> Path:
    (path / name).write_bytes(raw)
    return path / name


def mixed(n: int = 300, seed: int = 0) -> Any:
    """A table with dependences, an order, a sum and a column that another one fixes."""
    rng = np.random.default_rng(seed)
    city = rng.choice(["Rome", "Paris", "Oslo"], n, p=[0.5, 0.3, 0.2])
    age = rng.integers(18, 80, n)
    net = (age * 1.5 + rng.gamma(2, 10, n)).round(2)
    tax = (net * rng.uniform(0.1, 0.3, n)).round(2)
    start = rng.integers(0, 50, n)
    return pd.DataFrame(
        {
            "city": city, "country": pd.Series(city).map({"Rome": "Italy", "Paris": "France", "Oslo": "Norway"}), "age": age,
            "net": net, "tax": tax, "gross": (net + tax).round(2), "start": start, "end": start + rng.integers(0, 20, n),
            "rich": np.where(net + rng.normal(0, 15, n) > 90, "yes", "no"),
        }
    )  # fmt: skip


# ---- every cell is valid
@pytest.mark.parametrize(
    ("separator", "encoding", "comma"),
    [(",", "utf-8", False), (";", "utf-8-sig", True), ("\t", "utf-16", True), ("|", "utf-8", False)],
)
@pytest.mark.parametrize("method", ["copula", "marginals"])
def test_every_cell_of_an_awkward_table_is_valid(
    method: str, separator: str, encoding: str, comma: bool, tmp_path: Path
) -> None:
    header, rows = awkward(200, separator, comma)
    source = file_of(tmp_path, content(header, rows, separator, encoding))
    out = tmp_path / "synthetic.csv"
    table = Table(method, out=tmp_path / "run").fit(source)
    with pytest.raises(SystemExit) as left:
        main(["table", "sample", str(tmp_path / "run"), "--n", "150", "--out", str(out)])
    assert not left.value.code
    made = cells(out.read_bytes(), separator, encoding)
    assert made[0] == header and len(made) == 151
    assert invalid(header, rows, made[1:], comma) == []
    kinds = {column.name: column.kind for column in table.preparation.schema.columns}  # type: ignore[union-attr]
    assert kinds["note"] == "text" and kinds["name"] == kinds["mail"] == kinds["uuid"] == kinds["id"] == "id"
    assert kinds["same"] == "constant" and kinds["gone"] == "empty" and kinds["zip"] == "category"


def test_networks_return_valid_cells_too(tmp_path: Path) -> None:
    header, rows = awkward(60)
    source = file_of(tmp_path, content(header, rows))
    for method in ("ctgan", "tvae"):
        frame = (
            Table(method, steps=3, target="active", types="zip=category,code=category").fit(source).sample(40, seed=1)
        )
        assert invalid(header, rows, frame.to_numpy().tolist(), False) == []


def test_typed_frames_keep_their_types(tmp_path: Path) -> None:
    import datetime as dt
    import decimal

    n = 80
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "flag": rng.random(n) < 0.5, "small": rng.integers(0, 5, n).astype("int8"),
            "float": rng.normal(0, 1, n).astype("float32"),
            "when": pd.date_range("2020-01-01", periods=n, freq="7h"),
            "zoned": pd.date_range("2020", periods=n, freq="D", tz="Europe/Berlin"),
            "took": pd.to_timedelta(rng.integers(0, 9999, n), unit="s"),
            "kind": pd.Categorical(rng.choice(["a", "b"], n), ["a", "b", "c"]),
            "maybe": pd.array([None if i % 7 == 0 else i % 3 for i in range(n)], dtype="Int64"), "const": 7, "gone": np.nan,
            "day": [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 99, n)],
            "money": [decimal.Decimal(int(v)) / 100 for v in rng.integers(0, 9999, n)], "truth": [True, None] * (n // 2),
            "clock": [dt.time(int(h), 30) for h in rng.integers(0, 24, n)], "mixed": [1, "one"] * (n // 2),
        }
    )  # fmt: skip
    made = Table("copula").fit(frame).sample(50)
    assert made.dtypes.to_dict() == frame.dtypes.to_dict()
    for name in frame:
        real, values = frame[name].dropna(), made[name].dropna()
        assert {type(v) for v in values} <= {type(v) for v in real}, name
        if len(values) and name != "mixed":
            assert (
                values.astype(object).min() >= real.astype(object).min()
                and values.astype(object).max() <= real.astype(object).max()
            )
    pytest.importorskip("pyarrow")
    frame.drop(columns="mixed").to_parquet(tmp_path / "data.parquet")
    again = Table("copula", out=tmp_path / "run").fit(tmp_path / "data.parquet")
    assert again.sample(5).dtypes.to_dict() == pd.read_parquet(tmp_path / "data.parquet").dtypes.to_dict()
    with pytest.raises(SystemExit):
        main(["table", "sample", str(tmp_path / "run")])
    assert len(pd.read_parquet(tmp_path / "run" / "synthetic.parquet")) == n


@pytest.mark.parametrize(
    ("texts", "values", "decimals"),
    [
        (["1", "-2", "30"], [1, -2, 30], 0),
        (["1,5", "2,25"], [1.5, 2.25], 2),
        (["1,234", "5,678,901"], [1234, 5678901], 0),
        (["1.234,5", "2,0"], [1234.5, 2], 1),
        (["$1,000.50", "$2.00"], [1000.5, 2], 2),
        (["-$5.00", "$7.50"], [-5, 7.5], 2),
        (["12 kg", "3 kg"], [12, 3], 0),
        (["1 234 €", "5 €"], [1234, 5], 0),
        (["1e-3", "2E5"], [0.001, 2e5], None),
        ([".5", "1.25"], [0.5, 1.25], 2),
    ],
)
def test_numbers_are_read_and_written_back(texts: list[str], values: list[float], decimals: int | None) -> None:
    found = numbers.read(texts)
    assert found is not None and found.values.tolist() == values and found.decimals == decimals
    again = [found.format.write(value, decimals) for value in values]
    assert numbers.read(again) is not None and numbers.read(again).values.tolist() == values  # type: ignore[union-attr]
    if decimals is not None and texts[0] != ".5":
        assert again == texts


@pytest.mark.parametrize(
    "texts", [["007", "12"], ["1.2.3"], ["a1"], ["5 kg", "5 g"], ["192.168.0.1"], ["2024-01-05"], ["+49 170"]]
)
def test_what_is_no_number(texts: list[str]) -> None:
    assert numbers.read(texts) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2024-02-29", "date"), ("29.02.2024", "date"), ("02/29/2024", "date"), ("29 Feb 2024", "date"), ("1/5/2024", "date"),
        ("23:59", "time"), ("11:59 PM", "time"), ("2024-02-29 23:59:01", "datetime"), ("2024-02-29T23:59:01.250", "datetime"),
        ("2024-02-29T23:59:01Z", "datetime"), ("2024-02-29T23:59:01+05:30", "datetime"), ("1890-01-01", "date"),
    ],
)  # fmt: skip
def test_times_are_read_and_written_back(text: str, kind: str) -> None:
    found = times.read([text, text])
    assert found is not None and found.kind == kind
    assert found.format.write(float(found.values[0]), kind) == text


def test_encodings_and_separators_are_detected(tmp_path: Path) -> None:
    text = "größe;stück\n1,5;é\n2,5;è\n3,5;à\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"):
        source = reading.read(file_of(tmp_path, text.encode(encoding)))
        assert list(source.frame.columns) == ["größe", "stück"] and source.frame["stück"].tolist() == ["é", "è", "à"]
    cyrillic = "имя;город\n" + "".join(f"Иван;{city}\n" for city in ("Москва", "Казань") * 20)
    assert reading.read(file_of(tmp_path, cyrillic.encode("cp1251"))).frame["город"][1] == "Казань"
    assert reading.read(file_of(tmp_path, "値段;品\n1 €;é\n".encode())).headers == ("値段", "品")
    assert reading.read(file_of(tmp_path, b"sep=|\na|b\n1|2\n")).headers == ("a", "b")
    assert reading.read(file_of(tmp_path, b"a\n1\n2\n")).frame.shape == (2, 1)
    assert reading.read(file_of(tmp_path, b"1,2\n3,4\n5,6\n")).frame.shape == (3, 2)
    assert reading.read(file_of(tmp_path, b'a,b\n"x\ny",2\n')).frame["a"].tolist() == ["x\ny"]


def test_the_separator_does_not_depend_on_long_cells_or_earlier_files(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)  # Python's own limit, as in a new process
    long = "x" * 150_000
    frame = reading.read(file_of(tmp_path, f"a;b\n{long};1\ny;2\n".encode())).frame
    assert frame["a"].tolist() == [long, "y"] and frame["b"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"), (b"a\n\n\n\n", "no rows"), (b"a,b\n", "no rows"),
        (b"a,b\n1,2,3\n", "line 2: 3 cells"), (b"a,b\n1,2\n\n5\n", "line 4"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not a text file"), (b"PK\x03\x04xx", "spreadsheet"),
    ],
)  # fmt: skip
def test_files_that_are_no_tables(raw: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = file_of(tmp_path, raw)
    with pytest.raises(SystemExit) as left:
        main(["table", "fit", str(source), "--out", str(tmp_path / "run")])
    err = capsys.readouterr().err
    assert left.value.code == 2 and said in err and "Traceback" not in err and not (tmp_path / "run").exists()


def test_other_kinds_of_frames_keep_their_labels() -> None:
    made = Table("copula").fit(np.random.default_rng(0).normal(size=(30, 2))).sample(5)
    assert list(made.columns) == [0, 1]
    odd = pd.DataFrame(
        {"p": pd.period_range("2020", periods=30, freq="M"), "z": np.arange(30) % 3 * 1j, "l": [[1], [2]] * 15}
    )
    table = Table("copula").fit(odd)
    assert table.sample(5).shape == (5, 3) and any("treated as categories" in note for note in table.notes)
    twice = pd.DataFrame(np.arange(60).reshape(30, 2) % 7, columns=["a", "a"])
    assert list(Table("copula").fit(twice).sample(5).columns) == ["a", "a"]


@pytest.mark.parametrize(
    "raw",
    [b"a,b\n1,x\n", b"a,b\n1,x\n2,y\n3,z\n", b"a,b\n,\n,\n,\n", b"x,x,x\n1,2,3\n4,5,6\n", b"k\nv\nv\n"],
)
def test_tiny_and_odd_tables_give_a_sensible_result(raw: bytes, tmp_path: Path) -> None:
    source = reading.read(file_of(tmp_path, raw))
    made = Table("auto").fit(source).sample(7)
    assert made.shape == (7, source.frame.shape[1]) and tuple(made.columns) == source.headers


def test_types_can_be_corrected(tmp_path: Path) -> None:
    source = file_of(
        tmp_path, b"code,when,n\n" + b"".join(b"%d,20240%d1%d,%d\n" % (i % 4, i % 9 + 1, i % 9, i) for i in range(40))
    )
    table = Table("copula", types="code=category,when=date,n=float").fit(source)
    kinds = [column.kind for column in table.preparation.schema.columns]  # type: ignore[union-attr]
    assert kinds == ["category", "date", "float"]
    for wrong, said in (("x=id", "x"), ("code=nonsense", "no type"), ("when=time", "row 1")):
        with pytest.raises(BadInput, match=said):
            Table("copula", types=wrong).fit(source)


def test_identifiers_are_unique_and_never_copied() -> None:
    n = 90
    frame = pd.DataFrame(
        {"ticket": [f"{i:02d}" for i in range(n)], "mail": [f"m{i}@x.org" for i in range(n)], "v": np.arange(n) % 5}
    )
    made = Table("bootstrap").fit(frame).sample(500)
    for name in ("ticket", "mail"):
        assert made[name].is_unique and not set(made[name]) & set(frame[name])


# ---- constraints and conditions
def test_constraints_are_found_said_and_kept() -> None:
    frame = mixed()
    table = Table("copula").fit(frame)
    assert table.preparation is not None
    assert {c.text for c in table.preparation.constraints} == {
        "age <= net",
        "net + tax = gross",
        "start <= end",
        "city fixes country (3 pairs)",
    }
    made = table.sample(400)
    assert np.allclose(made.net + made.tax, made.gross) and (made.start <= made.end).all()
    assert set(zip(made.city, made.country, strict=True)) <= set(zip(frame.city, frame.country, strict=True))
    assert made.gross.max() <= frame.gross.max() and made.gross.min() >= frame.gross.min()


def test_no_constraints_in_independent_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"x{i}": rng.normal(i % 3, 1, 200).round(2) for i in range(8)} | {"c": rng.choice(list("abc"), 200)}
    )
    found, values, _ = schema.learn(reading.read(frame))
    assert constraint_search.find(found, values) == []


def test_columns_that_equal_others_are_computed() -> None:
    rng = np.random.default_rng(0)
    cm = rng.normal(170, 10, 100).round(1)
    frame = pd.DataFrame({"cm": cm, "metre": (cm / 100).round(3), "copy": cm, "f": (cm * 1.8 + 32).round(2)})
    table = Table("marginals").fit(frame)
    made = table.sample(200)
    assert (
        np.allclose(made.cm, made["copy"])
        and np.allclose(made.cm / 100, made.metre)
        and np.allclose(made.cm * 1.8 + 32, made.f)
    )


def test_conditions() -> None:
    frame = mixed()
    table = Table("copula", target="rich").fit(frame)
    made = table.sample(60, where=["city=Rome|Oslo", "age>=40", "rich=yes"])
    assert (
        len(made) == 60 and set(made.city) <= {"Rome", "Oslo"} and (made.age >= 40).all() and (made.rich == "yes").all()
    )
    assert (table.sample(20, where={"country": "Norway"}).country == "Norway").all()
    assert (table.sample(20, where="city!=Rome").city != "Rome").all()
    for wrong, said in (
        ("city=Roma", "Rome"),
        ("town=Rome", "no column"),
        ("city", "COLUMN=VALUE"),
        ("age=old", "no integer"),
        ("age>999", "--where age>999: age never has such a value. It lies between"),
        ("age=30.5", "in steps of|without decimals"),
        (["age>50", "age<40"], "--where age>50 and age<40: no value of age fulfils all of these$"),
        (["city=Rome", "city=Oslo"], 'write "city=A|B"'.replace("|", r"\|")),
        (["city!=Rome", "country=Italy", "city=Rome"], "no value of city"),
        (["city=Rome", "country=Norway"], "only 0 of"),
    ):
        with pytest.raises(BadInput, match=said):
            table.sample(5, where=wrong)


def test_conditions_on_dates_missing_values_and_names_with_signs() -> None:
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 400), unit="D")
    value = np.where(rng.random(400) < 0.2, np.nan, rng.normal(0, 1, 400).round(2))
    frame = pd.DataFrame({"a": rng.integers(0, 9, 400), "a<b": rng.integers(0, 2, 400) > 0, "day": day, "value": value})
    table = Table("copula").fit(frame)
    assert table.sample(30, where="a<b=True")["a<b"].all() and (table.sample(30, where="a<3").a < 3).all()
    near = table.sample(10, where=["value>=0.5", "value<=0.5"])  # one number on the grid of the column
    assert (near.value == 0.5).all()
    assert table.sample(30, where="value!=0.5").value.isna().any()
    for wrong, said in (
        ("day>2030-01-01", "between 2020-01-0. and 2022-"),
        (["day=2020-05-01", "day>2021-01-01"], "no value of day"),
        (["value>0.5", "value<0.51"], "no value of value"),
    ):
        with pytest.raises(BadInput, match=said):
            table.sample(5, where=wrong)


def test_missing_values_keep_their_share_and_their_dependence() -> None:
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 600)
    value = np.where((group == "a") & (rng.random(600) < 0.6), np.nan, rng.normal(0, 1, 600).round(3))
    made = Table("copula", target="group").fit(pd.DataFrame({"value": value, "group": group})).sample(2000)
    gone = made.value.isna().groupby(made.group).mean()
    assert abs(gone["a"] - 0.6) < 0.08 and gone["b"] < 0.02


# ---- methods
def test_seeds_and_saved_folders_give_equal_rows(tmp_path: Path) -> None:
    frame = mixed(120)
    for method in METHODS[1:]:
        table = Table(method, steps=3, out=tmp_path / method).fit(frame)
        first = table.sample(30, seed=1)
        assert first.equals(table.sample(30, seed=1)) and not first.equals(table.sample(30, seed=2))
        assert first.equals(Table.load(tmp_path / method).sample(30, seed=1)), method
    with pytest.raises(BadInput, match="already holds a table"):
        Table("copula", out=tmp_path / "copula").fit(frame)


def test_a_good_method_is_not_refused_by_chance() -> None:
    """On 27 held-out rows the share of nearer rows is uncertain by 0.19, on 5,000 by 0.014."""
    other = Score(0.6, 0.9, 0.5, 0.3, 0.7, nearer=0.5, noise=0.19)
    assert best_of({"copula": Score(0.95, 0.9, 1.0, 1.0, 0.9, nearer=0.63, noise=0.19), "marginals": other}) == "copula"
    assert (
        best_of({"copula": Score(0.95, 0.9, 1.0, 1.0, 0.9, nearer=0.63, noise=0.014), "marginals": other})
        == "marginals"
    )
    assert best_of({"a": Score(0.9, 1, 1, 1, 1, nearer=0.99), "b": Score(0.5, 1, 1, 1, 1, nearer=0.9)}) == "b"


def test_auto_says_what_it_chose() -> None:
    table = Table("auto", steps=20).fit(mixed(200)[["age", "net", "tax", "rich"]])
    assert table.chosen in METHODS[1:5] and set(table.choice) == {"copula", "marginals", "tvae", "ctgan"}
    assert any(note.startswith(f"chosen: {table.chosen}") for note in table.notes)
    assert any("The GAN (ctgan)" in note for note in table.notes)
    assert table.choice["copula"]["total"] > table.choice["marginals"]["total"]


class Stop(Callback):
    """Ask for the end of a training after some steps, as Ctrl-C does."""

    def on_step(self, trainer: Any) -> None:
        if trainer.step == 4:
            trainer.stop_requested = "SIGINT"


def test_a_stopped_training_is_resumed_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = mixed(100)
    whole = Table("ctgan", steps=8, out=tmp_path / "whole").fit(frame)
    with pytest.raises(Interrupted, match=r"next: ganloom resume .*parts"):
        Table("ctgan", steps=8, out=tmp_path / "parts", console=Stop()).fit(frame)
    with pytest.raises(BadInput, match="not finished"):
        Table.load(tmp_path / "parts")
    with pytest.raises(SystemExit) as left:
        main(["resume", str(tmp_path / "parts")])
    assert not left.value.code
    assert Table.load(tmp_path / "parts").sample(20).equals(whole.sample(20))
    with pytest.raises(BadInput, match="finished"):
        resume(tmp_path / "parts")


def test_a_stopped_comparison_is_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "detection", lambda *rest: {"forest": 0.6})  # the scores of the other parts are enough
    file = tmp_path / "data.csv"
    mixed(230)[["age", "net", "rich"]].to_csv(file, index=False)
    asked: dict[str, Any] = {"steps": 8, "types": "age=float", "held_out": 0.1}
    whole = Table("auto", **asked, out=tmp_path / "whole").fit(file)
    assert not (tmp_path / "whole" / "comparison.json").exists() and not (tmp_path / "whole" / "comparing").exists()
    parts = tmp_path / "parts"
    with pytest.raises(Interrupted, match=r"the comparison of methods is saved, next: ganloom resume .*parts"):
        Table("auto", **asked, out=parts, console=Stop()).fit(file)
    kept = json.loads((parts / "comparison.json").read_text())
    assert set(kept["scores"]) == {"copula", "marginals"} and (parts / "comparing" / "tvae" / "config.json").is_file()
    with pytest.raises(BadInput, match="comparison of methods .* is not finished. Continue it with `ganloom resume"):
        Table.load(parts)
    for other in (Table("auto", steps=9, out=parts), Table("copula", out=parts)):
        with pytest.raises(BadInput, match="stopped comparison"):
            other.fit(file)
    with pytest.raises(SystemExit) as left:
        main(["resume", str(parts)])
    assert not left.value.code
    found = Table.load(parts)
    assert found.choice == whole.choice and found.chosen == whole.chosen and found.notes == whole.notes
    assert found.sample(20).equals(whole.sample(20)) and not (parts / "comparing").exists()


def test_public_name_and_bad_arguments() -> None:
    assert ganloom.Table is Table
    for wrong in ({"method": "copla"}, {"held_out": 1.5}, {"steps": 0}, {"target": "nothing"}):
        with pytest.raises(BadInput):
            Table(**wrong).fit(mixed(30))
    with pytest.raises(BadInput, match="call fit first"):
        Table().sample(3)


# ---- two tables
def test_two_tables_keep_their_link(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 150
    parents = pd.DataFrame(
        {"key": [f"K{i:04d}" for i in range(n)], "age": rng.integers(18, 90, n), "city": rng.choice(["A", "B"], n)}
    )
    count = rng.poisson(np.where(parents.city == "A", 4, 1))
    owner = np.repeat(np.arange(n), count)
    children = pd.DataFrame(
        {
            "order": np.arange(len(owner)),
            "owner": parents.key.to_numpy()[owner],
            "price": (parents.age.to_numpy()[owner] * 2 + rng.normal(0, 5, len(owner))).round(2),
        }
    )
    parents.to_csv(tmp_path / "p.csv", index=False)
    children.to_csv(tmp_path / "c.csv", index=False)
    call = [
        "table",
        "fit",
        str(tmp_path / "c.csv"),
        "--parents",
        f"{tmp_path / 'p.csv'}:key=owner",
        "--out",
        str(tmp_path / "run"),
        "--method",
        "copula",
    ]
    for words in (call, ["table", "sample", str(tmp_path / "run"), "--out", str(tmp_path / "made")]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert not left.value.code
    above, below = (pd.read_csv(tmp_path / "made" / f"{name}.csv") for name in ("parents", "children"))
    assert list(above.columns) == list(parents.columns) and list(below.columns) == list(children.columns)
    assert above.key.is_unique and set(below.owner) <= set(above.key) and not set(above.key) & set(parents.key)
    joined = below.merge(above, left_on="owner", right_on="key")
    per_city = joined.groupby("city").size() / above.groupby("city").size()
    assert per_city["A"] > 3 and per_city["B"] < 1.8 and np.corrcoef(joined.age, joined.price)[0, 1] > 0.85
    with pytest.raises(BadInput, match="ctgan is for one table"):
        Family("ctgan")
    with pytest.raises(BadInput, match="no parent has"):
        Family("copula").fit(parents[9:], children, "key", "owner")
    with pytest.raises(BadInput, match="more than once"):
        Family("copula").fit(pd.concat([parents, parents]), children, "key", "owner")


# ---- the command line
def test_the_command_line_from_fit_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "my data.csv"
    mixed(240).to_csv(source, index=False)
    run, made = tmp_path / "run", tmp_path / "made.csv"
    outputs = []
    for words in (
        ["table", "fit", source, "--out", run, "--method", "copula", "--held-out", "0.3", "--json"],
        ["table", "sample", run, "--n", 200, "--out", made, "--json"],
        ["table", "report", source, made, "--run", run, "--json"],
    ):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out = capsys.readouterr()
        assert not left.value.code, out.err
        outputs.append(json.loads(out.out))
    fitted, _, report = outputs
    assert fitted["constraints"] and fitted["method"] == "copula" and report["held_out"] == 72
    rows = {row["name"]: row for row in report["rows"]}
    assert set(rows) == {"synthetic", "real rows", "copula", "marginals", "bootstrap"}
    assert rows["bootstrap"]["privacy"]["copies"] > 0.9 and rows["synthetic"]["privacy"]["copies"] < 0.05
    assert rows["synthetic"]["shape"] > 0.85 and rows["synthetic"]["score"] > rows["marginals"]["score"]
    assert max(report["invalid"].values()) == 0.0
    assert any("no sign of copied rows" in line for line in report["verdicts"])
    page = Path(report["report"]).read_text(encoding="utf-8")
    assert "net + tax = gross" in page and "<svg" in page and "http" not in page.replace("http-equiv", "")
    with pytest.raises(SystemExit) as left:
        main(["table", "sample", str(run), "--out", str(made)])
    assert left.value.code == 2 and "already exists" in capsys.readouterr().err


def test_the_benchmark_prints_each_method_beside_real_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "tables", "--data", "iris", "--methods", "copula", "ctgan", "--steps", "3", "--seeds", "0"]
    words += ["--out", str(tmp_path)]
    with pytest.raises(SystemExit) as left:
        main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert not left.value.code and [run["method"] for run in found["runs"]] == ["real rows", "copula", "ctgan"]
    real, copula, _ = found["runs"]
    assert real["copies"] == 1.0 and copula["copies"] < 0.2 and copula["score"] > 0.7 * real["score"]
    assert found["verdicts"] and "the GAN (ctgan) does not help" in found["verdicts"][0]
    (kept,) = tmp_path.glob("iris-copula-seed0-*.json")
    kept.write_text(json.dumps(copula | {"score": 0.123}))
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    again = json.loads(capsys.readouterr().out)["runs"]
    assert again[1]["score"] == 0.123 and again[0] == real  # finished results are not measured again
    kept.write_text("{}")
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2 and kept.name in capsys.readouterr().err
    for wrong in (["--data", "nowhere"], ["--methods", "magic"], ["--data"], ["--seeds"], ["--seeds", "-1"]):
        with pytest.raises(SystemExit) as left:
            main(["bench", "tables", *wrong])
        assert left.value.code == 2


def test_numbers_of_a_small_column_are_smoothed_and_common_values_are_kept() -> None:
    rng = np.random.default_rng(0)
    column = Column("x", "x", "float")
    values = rng.gamma(3.0, 2.0, 60)
    found = marginals.of(column, values)
    drawn = found.draw(rng.random(20_000))
    assert abs(drawn.mean() - values.mean()) < 0.15 and abs(drawn.std() / values.std() - 1) < 0.05
    assert drawn.min() < values.min() and drawn.max() > values.max()  # not only numbers between two learned ones
    many, common = rng.normal(size=5_000), np.concatenate([np.zeros(30), values])
    for plain in (many, common, np.ones(20), values[:3]):
        assert len(marginals.of(column, plain).quantiles) == 0
    kept = marginals.of(column, common).draw(rng.random(2_000))
    assert 0.25 < (kept == 0).mean() < 0.4


def test_learning_rates_of_ctgan_fall_where_there_are_many_rows() -> None:
    layout: Any = (("value", 1), ("choice", 2))
    own: dict[str, Any] = {"d_opt": Adam(1e-3)}
    for rows, options, fall in ((1_999, {}, False), (2_000, {}, True), (2_000, own, False)):
        data = EncodedTable(np.tile(np.array([0, 1, 1, 0], np.float32), (rows, 1)), layout, Facts("table"))
        network = neural.Neural("ctgan", [], neural.Training(steps=300, options=options))
        config = network._config(data)
        total = 300 * config.batch_size / 1000
        assert config.d_opt.schedule == (((total / 3, 1.0), (total, 0.0)) if fall else ())
        assert bool(config.g_opt.schedule) == (rows >= 2_000)
