"""The benchmark of the defences: its parts, its table and sentences, and that it continues."""

import json
from pathlib import Path

import pytest
import torch
from commands import call

from ganloom.bench.robust import results, texts
from ganloom.bench.robust.benchmark import Run
from ganloom.core.errors import BadInput
from ganloom.robust.evaluation import MODEL, WITH_SPELLER


def made(defence: str, seed: int, shares: dict[str, float]) -> Run:
    """A run whose texts are right with given shares."""
    rng = torch.Generator().manual_seed(seed)

    def bits(share: float) -> str:
        return "".join("1" if value < share else "0" for value in torch.rand(400, generator=rng).tolist())

    attacks = {name: bits(share) for name, share in shares.items() if name != "clean"}
    fronts = {MODEL: attacks, WITH_SPELLER: {"characters": bits(shares["characters"])}}
    clean = {front: bits(shares["clean"]) for front in fronts}
    return Run(defence, seed, 9.0, 700, ["a", "b"], [0, 1] * 200, clean, fronts, 20.0)


RUNS = [
    *(made("none", seed, {"clean": 0.8, "characters": 0.3, "pgd 0.2": 0.4}) for seed in range(3)),
    *(made("fgm", seed, {"clean": 0.8, "characters": 0.3, "pgd 0.2": 0.7}) for seed in range(3)),
    *(made("augment", seed, {"clean": 0.7, "characters": 0.6, "pgd 0.2": 0.2}) for seed in range(3)),
]


def test_the_sentences_name_what_a_defence_does_not_help_against() -> None:
    fgm, augment, speller = results.verdicts(RUNS)
    assert fgm.startswith("fgm helps against pgd 0.2 (+") and "helps against characters" not in fgm.split(";")[0]
    assert augment.startswith("augment helps against characters (+") and "does not help against pgd 0.2 (-" in augment
    assert "costs clean accuracy (-" in augment and "costs" not in fgm
    assert speller.startswith("speller alone") and "attacks on embeddings bypass it" in speller


def test_the_table_has_means_over_seeds() -> None:
    rows = {row["defence"]: row for row in results.table_of(RUNS)}
    assert list(rows) == ["no defence", "fgm", "augment", "speller + no defence", "speller + fgm", "speller + augment"]
    own = [sum(map(int, run.hits[MODEL]["pgd 0.2"])) / 400 for run in RUNS if run.defence == "fgm"]
    assert rows["fgm"]["pgd 0.2"].startswith(f"{sum(own) / 3:.3f} ±") and rows["speller + fgm"]["pgd 0.2"] == "-"
    classes = results.by_class(RUNS, ["clean"])
    assert len(classes) == 6
    first = [sum(map(int, run.clean[MODEL][::2])) / 200 for run in RUNS if run.defence == "none"]
    assert classes[0] == {"class": "a", "defence": "no defence", "clean": f"{sum(first) / 3:.2f}"}


def test_parts_keep_the_splits_of_the_source(tmp_path: Path) -> None:
    rows = [
        {"text": f"{label} text {i}", "label": label, "split": split}
        for label in ("x", "y")
        for split, count in (("train", 900), ("validation", 120), ("test", 250))
        for i in range(count)
    ]
    for i, row in enumerate(rows):
        row["text"] += f" {row['split']} {i}"
    source = tmp_path / "d.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    test, validation = texts.load(str(source), "test"), texts.load(str(source), "validation")
    assert len(test.train) == 1400 and len(test.test) == 400 and len(validation.test) == 200
    assert all(" train " in text for text in test.train.texts) and all(" test " in text for text in test.test.texts)
    assert all(" validation " in text for text in validation.test.texts) and test.digest != validation.digest
    source.write_text("\n".join(json.dumps({"text": f"a {i}", "label": "x"}) for i in range(50)))
    with pytest.raises(BadInput, match="too few texts|classes"):
        texts.load(str(source), "test")


def test_the_command_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "bench", "robust", "reports", "--defences", "fgm", "--epochs", "1", "--n", "12", "--seeds", "0",
        "--out", tmp_path / "out",
    )  # fmt: skip
    code, said, err = call(capsys, *words, "--json")
    assert code == 0, err
    first = json.loads(said)
    assert [row["defence"] for row in first["rows"]] == ["no defence", "fgm", "speller + no defence", "speller + fgm"]
    page = (tmp_path / "out" / "robust.html").read_text()
    assert "default-src 'none'" in page and "By class" in page
    assert first["verdicts"][0].startswith("fgm ") and "cannot tell" not in " ".join(first["verdicts"])
    files = sorted((tmp_path / "out").glob("*-seed*.json"))
    times = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2
    code, said, err = call(capsys, *words)
    assert code == 0 and "wrote" in said and [file.stat().st_mtime_ns for file in files] == times, err
    files[0].write_text("{}")
    for more, message in (
        ((), "no result of this benchmark"),
        (("--out", files[0]), "is a file"),
        (("--defences", "fgn"), "--defences must be of"),
        (("--epochs", "0"), "--epochs"),
        (("--workers", "0"), "--workers"),
        (("--seeds", "x"), "seeds"),
        (("--part", "train"), "part"),
        (("--one",), "unknown option"),
    ):
        code, _, err = call(capsys, *words, *more)
        assert code == 2 and message in err and err.count("\n") == 1, err


@pytest.mark.slow
def test_defences_in_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The processes for defences find the results without a defence, which are made first."""
    words = (
        "bench", "robust", "reports", "--defences", "fgm", "augment", "--epochs", "1", "--n", "12", "--workers", "2",
        "--out", tmp_path / "out",
    )  # fmt: skip
    code, said, err = call(capsys, *words)
    logs = {file.name.split("-")[0] for file in (tmp_path / "out").glob("*.log")}
    assert code == 0 and "speller + augment" in said and logs == {"none", "fgm", "augment"}, err
    assert len([*(tmp_path / "out").glob("*-seed*.json")]) == 6
