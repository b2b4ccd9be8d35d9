"""Text models from the command line: training, sampling, evaluation, augmentation, the oracle benchmark, and bad input."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import call

from ganloom import texts
from ganloom.apps import text_augment_report, text_augment_sets, text_plans
from ganloom.apps.text_evaluation import BASELINE, Row, verdict
from ganloom.apps.text_models import open_model, train_texts
from ganloom.bench.text import benchmark, figure
from ganloom.bench.text.benchmark import Mean, Point
from ganloom.bench.text.oracle import Oracle, Sizes
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.networks import sequence
from ganloom.recipes import TEXTS
from ganloom.texts.encoding import encode
from ganloom.texts.ngrams import NGrams
from ganloom.texts.texts import Texts
from ganloom.texts.vocabulary import EOS, PAD, UNK


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text model of the built-in corpus, trained for some steps."""
    from ganloom.training.callbacks import Callback

    folder = tmp_path_factory.mktemp("run") / "mle"
    own = {"hidden": 8, "embedding": 8, "check_every": 5}
    data = texts.read("reports").pick(range(0, 4000, 5))
    train_texts("mle", data, folder, small=True, total_kimg=1.0, options=own, device="cpu", console=Callback())
    return folder


def test_sampling_and_evaluation(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "text", "sample", run, "--n", 2, "--class", "garden", "0")
    lines = out.splitlines()
    assert code == 0 and [line.split(":")[0] for line in lines] == ["garden"] * 2 + ["computers"] * 2 + ["next"]
    for ending in ("txt", "csv", "jsonl"):
        file = tmp_path / f"made.{ending}"
        call(capsys, "text", "sample", run, "--n", 6, "--out", file, "--seed", 9)
        made = texts.read(file)
        assert len(made) <= 6 and (ending == "txt" or made.labels is not None)
        before = file.read_bytes()
        code, _, err = call(capsys, "text", "sample", run, "--out", file)
        assert code == 2 and "already exists" in err and file.read_bytes() == before
    code, out, _ = call(capsys, "text", "evaluate", run, "--n", 40, "--json")
    found = json.loads(out)
    names = [row["name"] for row in found["rows"]]
    assert code == 0 and names == [BASELINE] * 6 + ["real texts"] and found["rows"][-1]["nll"] is None
    assert all(row["nll"] > 1 for row in found["rows"][:-1])
    for words in (["--n", 5], ["--class", "no such"], ["--temperature", 0], ["--out", "a.pdf"]):
        command = "evaluate" if words == ["--n", 5] else "sample"
        code, _, err = call(capsys, "text", command, run, *words)
        assert code == 2 and len(err.strip().splitlines()) == 1, err
    for words in (
        ["evaluate", run / "model"],
        ["augment", "reports", "--with", run / "model", "--report", tmp_path / "r"],
    ):
        code, _, err = call(capsys, "text", *words)
        assert code == 2 and "is the model folder of a run" in err.strip().splitlines()[-1], err
    for words in (["evaluate", run], ["augment", "reports", "--with", run, "--report", tmp_path / "r"]):
        code, _, err = call(capsys, "text", *words, "--temperature", "nan")
        assert code == 2 and "--temperature" in err.strip().splitlines()[-1] and not (tmp_path / "r").exists(), err
    for words in (["--total-kimg", 0], ["--total-kimg", "nan"], ["--device", "tpu"]):
        code, _, err = call(capsys, "bench", "text", *words, "--out", tmp_path / "bench")
        assert code == 2 and words[0] in err.strip().splitlines()[-1] and not (tmp_path / "bench").exists(), err
    for words in (["sample", run], ["evaluate", run]):
        code, _, err = call(capsys, *words)
        assert code == 2 and "ganloom text" in err.splitlines()[-1]


def test_a_model_of_word_pieces_writes_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, words = (
        tmp_path / "run",
        ["--small", "--total-kimg", 0.5, "--device", "cpu", "--hidden", 8, "--check-every", 5],
    )
    flags = ["--tokens", "wordpiece", "--vocabulary", 120, *words]
    code, out, err = call(capsys, "text", "train", "mle", "reports", "--out", folder, *flags)
    assert code == 0 and "different word pieces" in out + err
    model = open_model(folder)
    assert model.tokens is not None and len(model.tokens) == 120
    line = texts.read("reports").texts[7]
    assert model.tokens.decode(model.tokens.encode(line)) == texts.join(texts.words(line.lower()))
    code, out, _ = call(capsys, "text", "sample", folder, "--n", 20)
    assert code == 0 and "##" not in out and "<" not in out
    code, out, _ = call(capsys, "text", "evaluate", folder, "--n", 40, "--json")
    assert code == 0 and len(json.loads(out)["rows"]) == 7


def test_bad_texts_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files: dict[str, tuple[bytes, str]] = {
        "empty.txt": (b"", "empty"),
        "spaces.txt": (b"  \n\n", "empty"),
        "one.txt": (b"only one line\n", "1 text"),
        "few.txt": (b"a b\nc d\ne f\n", "3 texts"),
        "binary.txt": (bytes(range(256)) * 20, "binary"),
        "wide.txt": ("a b c\nd e f\n".encode("utf-16"), "UTF-16"),
        "big.txt": (b"x " * 500_000, "1,000,000"),
        "label.csv": (b"text,stars\n" + b"some words,1\n" * 60, "columns text, stars"),
        "unique.csv": (b"text,label\n" + b"".join(b"words %d,l%d\n" % (i, i) for i in range(60)), "hardly a class"),
    }
    for name, (content, said) in files.items():
        replace_file(tmp_path / name, content)
        words = ["--label", "genre"] if name == "label.csv" else []
        code, _, err = call(capsys, "text", "train", "mle", tmp_path / name, "--out", tmp_path / "out", *words)
        lines = [line for line in err.strip().splitlines() if not line.startswith("loading")]
        assert code == 2 and len(lines) == 1 and said in lines[0], (name, err)
    for words, said in (
        (["mlee", "reports"], "did you mean"), (["mle"], "DATA is missing"), (["mle", "reports", "--length", 0], "--length 0"),
        (["mle", "reports", "--hidden", 0], "--hidden"), (["mle", "reports", "--rollouts", 3], "unknown option"),
        (["relgan", "reports", "--views", 7], "--views"), (["mle", "reports", "--total-kimg", -1], "total"),
    ):  # fmt: skip
        code, _, err = call(capsys, "text", "train", *words, "--out", tmp_path / "out")
        assert code == 2 and said in err.strip().splitlines()[-1], err
    for words in (["--out", tmp_path / "out", "mle"], ["--hidden", 4, "mle"], ["--out", "mle", "MLE"]):
        code, _, err = call(capsys, "text", "train", *words, tmp_path / "one.txt")
        assert code == 2 and "1 text" in err.strip().splitlines()[-1], err
    assert not (tmp_path / "out").exists()


def test_texts_are_encoded_with_their_ends() -> None:
    data = Texts([f"word{i % 7} two x{i}" + " more" * (i % 3 == 0) for i in range(200)], ["a", "b"] * 100, name="x")
    made = encode(data, length=3, size=12)
    assert made.validation is not None and made.test is not None and made.classes == ["a", "b"]
    assert made.shape == (4,) and bool((made.rows[:, 3] == EOS).all()) and not (made.rows == PAD).any()
    assert len(made) + len(made.validation) + len(made.test) == 200 and "are longer and are cut" in "".join(made.notes)
    assert (made.rows == UNK).any() == ("unknown" in "".join(made.notes))
    declared = Texts(data.texts, data.labels, splits=["train"] * 150 + ["test"] * 50, name="x")
    parts = encode(declared).parts()
    assert len(parts["test"]) == 50 and len(parts["train"]) + len(parts["validation"]) == 150
    assert 3 < len(parts["validation"]) < 40
    assert encode(data, kind="char").shape[0] > 10
    pieces = encode(data, kind="wordpiece", size=60)
    assert pieces.vocabulary["kind"] == "wordpiece" and "different word pieces" in "".join(pieces.notes)
    assert pieces.test is not None and not any((part.rows == UNK).any() for part in (pieces, pieces.test))
    one = encode(Texts(["the same line"] * 60, name="x"))
    assert len(one) == 60 and one.validation is None and "no texts are held out" in "".join(one.notes)


def test_stages_follow_the_length() -> None:
    for name, module in TEXTS.items():
        for small in (True, False):
            own = text_plans.settings(name, module, {}, small=small)
            half = text_plans.settings(name, module, {}, small=small, total_kimg=own.total_kimg / 2)
            for stage in text_plans.STAGES:
                if hasattr(own.config, stage):
                    assert getattr(half.config, stage) == pytest.approx(getattr(own.config, stage) / 2)
                    assert getattr(own.config, stage) < own.total_kimg, (name, stage)
    kept = text_plans.settings("seqgan", TEXTS["seqgan"], {"pretrain_kimg": 3.0}, small=True, total_kimg=9.0)
    assert kept.config.pretrain_kimg == 3.0


def test_the_verdict_compares_at_equal_variety() -> None:
    def row(name: str, bleu: float, own: float, nll: float = 3.0, temperature: float = 1.0) -> Row:
        return Row(name, temperature, nll, 0.1, {4: bleu}, {4: own}, 0.5, 0.0, 0.0)

    curve = [row(BASELINE, 0.2, 0.2), row(BASELINE, 0.4, 0.4, 3.5, 0.8), row(BASELINE, 0.5, 0.6, 4.0, 0.6)]
    said = verdict([row("seqgan", 0.3, 0.3, 3.2), *curve])
    assert "about equal to" in said[0] and "less probable" in said[1] and "Caccia" in said[2]
    assert "higher than" in verdict([row("x", 0.45, 0.3, 2.9), *curve])[0]
    assert "lower than" in verdict([row("x", 0.45, 0.6, 2.9), *curve])[0]
    assert "outside" in verdict([row("x", 0.9, 0.7, 2.9), *curve])[0] and verdict(curve) == []


def test_the_oracle_knows_the_truth() -> None:
    oracle = Oracle(Sizes(tokens=40, length=6, train=400, validation=100, test=1500, drawn=100))
    data = oracle.data()
    again = Oracle(oracle.sizes).data()
    assert data.fingerprint == again.fingerprint and data.test is not None and int(data.rows.min()) >= 4
    logits = oracle.net(torch.from_numpy(data.test.rows).long())
    entropy = -(logits.log_softmax(2).exp() * logits.log_softmax(2).nan_to_num(neginf=0)).sum(2).mean()
    assert float(oracle.nll(data.test.get(slice(None))).mean()) == pytest.approx(float(entropy), abs=0.05)
    assert float(oracle.nll(torch.randint(4, 44, (500, 6))).mean()) > float(entropy) + 1


def test_gains_are_measured_at_equal_nll_test() -> None:
    def point(temperature: float, oracle: float, test: float) -> Point:
        return Point(temperature, Mean(oracle, 0.01), Mean(test, 0.01))

    curve = benchmark.Row(
        "mle", 8, 0, [point(1.1, 7.2, 5.05), point(1.0, 7.0, 5.0), point(0.8, 6.0, 5.2), point(0.5, 5.0, 6.0)]
    )
    colder = benchmark.Row("seqgan", 8, 0, [point(1.0, 6.5, 5.1)])  # on the curve: it has only sharpened
    better = benchmark.Row("residual-energy", 8, 0, [point(1.0, 6.9, 4.9)])
    rows = benchmark.compared([curve, colder, better])
    assert rows[1].gain.value == pytest.approx(0.0) and rows[1].test_change == pytest.approx(0.1)
    assert rows[2].gain.value == pytest.approx(0.1) and rows[2].test_change == pytest.approx(-0.1)
    svg = figure.draw(rows)
    assert svg.startswith("<svg") and svg.count("<circle") == 3 + 1 + 1 + 3 and "residual-energy, width 8" in svg


def test_the_benchmark_continues_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = Sizes(tokens=20, length=4, train=64, validation=20, test=40, drawn=50)
    plan = benchmark.Plan(("residual-energy",), (4,), total_kimg=0.5, sizes=sizes)
    rows = benchmark.measure(plan, tmp_path / "b")
    assert [row.recipe for row in rows] == ["mle", "residual-energy"] and len(rows[0].points) == len(
        benchmark.TEMPERATURES
    )
    monkeypatch.setattr(benchmark.api, "train", None)  # nothing is trained again
    assert repr(benchmark.measure(plan, tmp_path / "b")) == repr(rows)
    with pytest.raises(BadInput, match="other settings"):
        benchmark.measure(benchmark.Plan(total_kimg=1.0, sizes=sizes), tmp_path / "b")
    with pytest.raises(BadInput, match="no recipe for texts"):
        benchmark.measure(benchmark.Plan(("relgam",)), tmp_path / "c")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(BadInput, match="not an empty folder"):
        benchmark.measure(plan, tmp_path / "full")
    code, _, err = call(capsys, "bench", "text", "--hidden", 0, "--out", tmp_path / "d")
    assert code == 2 and "--hidden" in err


def test_ngrams_draw_what_follows() -> None:
    model = NGrams([["a", "b", "c"], ["a", "b", "d"], ["e"]])
    rng = random.Random(0)
    drawn = [tuple(model.draw(rng)) for _ in range(2000)]
    counts = Counter(drawn)
    assert all(drawn) and {"a", "b", "c", "d", "e"} >= {token for row in drawn for token in row}
    assert counts["a", "b", "c"] > 300 and counts["a", "b", "d"] > 300 and counts["e",] > 300


def test_augmentation_writes_texts_and_a_report(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_augment_sets, "STEPS", 2)
    out = tmp_path / "more.jsonl"
    code, said, _ = call(capsys, "text", "augment", "reports", "--with", run, "--per-class", 4, "--out", out)
    made = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert code == 0 and Counter(row["source"] for row in made)["real"] == 4000 and len(made) <= 4024
    assert set(Counter(row["label"] for row in made if row["source"] == "synthetic").values()) <= {3, 4}
    data = texts.read("reports").pick(range(0, 4000, 5))
    found = text_augment_report.augmentation_report(data, run, tmp_path / "r", per_class=5, labels=(5, 9999), seeds=2)
    (row,) = found.rows
    assert set(row.accuracy) == set(text_augment_sets.METHODS) and row.labels == 5 and len(found.sentences()) == 1
    assert any("9999 is left out" in note for note in found.notes) and any("at best" in note for note in found.notes)
    again = text_augment_report.augmentation_report(data, run, tmp_path / "r", per_class=5, labels=(5,), seeds=2)
    assert again.rows == found.rows, "known answers are used"
    with pytest.raises(BadInput, match="other settings"):
        text_augment_report.augmentation_report(data, run, tmp_path / "r", per_class=6, labels=(5,), seeds=2)
    both = ["--report", tmp_path / "x", "--out", out]
    for words, text in ((["--per-class", 0], "--per-class"), (["--label", "none"], "labels"), (both, "give one")):
        code, _, err = call(capsys, "text", "augment", "reports", "--with", run, *words)
        assert code == 2 and text in err.strip().splitlines()[-1], err


def test_a_report_says_helps_only_with_evidence() -> None:
    def right(share: float) -> Any:
        return torch.rand(3, 800, generator=torch.Generator().manual_seed(int(share * 1000))) < share

    row = text_augment_report.row_of(50, {name: right(0.5 + 0.05 * i) for i, name in enumerate(text_augment_sets.METHODS[:4])} | {
        text_augment_sets.ONLY: right(0.3), text_augment_sets.BOTH: right(0.9)})  # fmt: skip
    assert row.best == text_augment_sets.NGRAM and row.verdict.word == "helps"
    worse = text_augment_report.row_of(50, {name: right(0.7) for name in text_augment_sets.METHODS[:4]} | {
        text_augment_sets.ONLY: right(0.3), text_augment_sets.BOTH: right(0.5)})  # fmt: skip
    assert worse.verdict.word == "does not help"
    said = text_augment_report.Augmentation([row, worse], 3, 800).sentences()
    assert "add synthetic texts" in said[0] and "do not add" in said[1]
    more = text_augment_report.Augmentation([row, worse], 3, 800, trained=9000, classes=6).sentences()
    assert "trained on 9,000 labelled texts, and this row has 300" in more[0] and "add synthetic" not in more[0]
    assert more[1] == said[1]


def test_a_row_of_labels_is_a_sample_of_each_class(run: Path) -> None:
    data = texts.read("reports").pick(range(0, 4000, 5))
    train, test = texts.split(data, (0.8, 0.2))
    model = open_model(run)
    task = text_augment_sets.Task(train, test, model, 7, 3, 1.0, 0)
    assert set(Counter(task.real.labels or ()).values()) == {7} and len(task.real) + len(task.rest) == len(train)
    assert len(task.texts(text_augment_sets.EDITS)) == 7 * 6 + 3 * 6 == len(task.texts(text_augment_sets.NGRAM))
    assert not set(task.rest.texts) & set(task.real.texts) - {t for t, n in Counter(train.texts).items() if n > 1}


def test_sequence_models_need_no_labels() -> None:
    assert sequence.LSTM(10, 3, 0, 4, 4, False, 0.0).label is None
