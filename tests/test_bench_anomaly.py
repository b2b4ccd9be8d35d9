"""`ganloom bench anomaly`: the split, the table, a result is made once, a stopped task is continued."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

from ganloom.anomaly import fitting
from ganloom.bench.anomaly import benchmark, task


def test_the_split_never_trains_on_what_it_tests() -> None:
    train, test, anomalous = task.split("fashion-10k", 3)
    assert len(train) == 700 and (~anomalous).sum() == 300 and anomalous.sum() == 9 * 75
    digests = {row.tobytes() for row in train}
    assert not digests & {row.tobytes() for row in test[~anomalous]}


def test_the_table_is_the_mean_over_seeds_and_classes() -> None:
    def result(normal: int, seed: int, area: float) -> dict[str, Any]:
        scores = {"rotations": area, "d-features": 0.5, "pca": 0.75}
        return {
            "class": normal,
            "seed": seed,
            "recipe": "ss-gan",
            "cpu_seconds": 10 + seed,
            "chosen": "pca",
            "auroc": scores,
        }

    rows = benchmark.table([result(0, 0, 0.8), result(0, 1, 0.9), result(4, 0, 0.6)])
    by_name = {row["score"]: row for row in rows}
    assert by_name["rotations"]["class 0"] == "0.850" and by_name["rotations"]["mean"] == "0.725"
    assert by_name["rotations"]["CPU s"] == "10" and by_name["pca"]["CPU s"] == "control" and rows[-1]["score"] == "pca"
    assert by_name[benchmark.DEFAULT]["mean"] == "0.750" and "d-features (ss-gan)" in by_name


def test_the_command_and_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = task.split("fashion-10k", 0)
    rng = np.random.default_rng(0)
    few = rng.permutation(len(small[1]))[:60]
    monkeypatch.setattr(task, "split", lambda data, normal: (small[0][:60], small[1][few], small[2][few]))
    args = (
        "bench",
        "anomaly",
        "--out",
        tmp_path,
        "--classes",
        0,
        "--seeds",
        0,
        "--recipes",
        "ss-gan",
        "--data",
        "fashion-10k",
    )
    code, text, err = call(capsys, *args, "--total-kimg", 0.1)
    assert code == 0 and "knn-pooled" in text and "rotations" in text and benchmark.DEFAULT in text, err
    (file,) = (tmp_path / "results").iterdir()
    before = json.loads(file.read_text())
    assert before["cpu_seconds"] > 0 and before["chosen"] in before["auroc"] and before["train"] == 60
    monkeypatch.setattr(fitting, "fit", lambda *a, **k: pytest.fail("a result is made once"))
    code, text, err = call(capsys, *args, "--total-kimg", 0.1, "--json")
    assert code == 0 and json.loads(text)["results"] == [before], err


def test_bad_input_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (("--classes", 10), "--classes"),
        (("--recipes", "dcgan"), "--recipes must be of"),
        (("--data", "cifar"), "--data must be"),
        (("--workers", 0), "--workers"),
        (("--seeds", -1), "--seeds"),
    ):
        code, _, err = call(capsys, "bench", "anomaly", "--out", tmp_path, *words)
        assert code == 2 and said in err and "Traceback" not in err, err


def test_a_task_that_is_named_twice_is_made_once() -> None:
    tasks = benchmark.tasks_of([3, 3, 5], [0, 0], ["ss-gan"], "fashion-10k")
    assert [(one.normal, one.seed) for one in tasks] == [(3, 0), (5, 0)]
