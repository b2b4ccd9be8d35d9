"""`ganloom bench captions`: which tasks there are, the table and what must be reached, a result is made once."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

from ganloom.bench.captions import benchmark, task
from ganloom.bench.captions.task import Result
from ganloom.core.errors import BadInput
from ganloom.data import shapes
from ganloom.evaluation import captions
from ganloom.metrics import matcher
from ganloom.runs.folder import Folder

SMALL = "shapes:240,varied,seen"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "STEPS", 5)
    monkeypatch.setattr(captions, "VARIED", 4)


def kinds(*words: Any) -> list[str]:
    return [f"{one.label} {one.seed}" for one in benchmark.tasks_of(SMALL, 16, *words, 20)]


def test_the_plan_is_made_of_all_and_the_ablations_of_the_first() -> None:
    both, every = ("df-gan", "gan-cls"), tuple(task.VARIANTS)
    assert kinds(both, ("words", "minilm"), every, (0,)) == [
        "df-gan, words 0", "df-gan, minilm 0", "gan-cls, words 0", "gan-cls, minilm 0", "df-gan, words, no-near 0",
        "df-gan, words, no-contrast 0", "df-gan, words, no-mismatch 0",
    ]  # fmt: skip
    assert kinds(("df-gan", "df-gan"), ("words",), ("plan",), (1, 0, 1)) == ["df-gan, words 1", "df-gan, words 0"]
    turned = kinds(both[::-1], ("words",), ("no-contrast", "no-near"), (0,))
    assert turned == ["df-gan, words, no-contrast 0", "gan-cls, words, no-near 0"], "gan-cls has no contrastive term"
    with pytest.raises(BadInput, match="no-contrast: gan-cls does not have what it leaves out"):
        kinds(("gan-cls",), ("words",), ("no-contrast",), (0,))
    (one,) = benchmark.tasks_of(SMALL, 16, ("df-gan",), ("words",), ("no-near",), (3,), 20, 0.5)
    words = list(map(str, one.words(Path("out"))))
    again = benchmark.tasks_of(
        words[2], 16, ("df-gan",), ("words",), (words[words.index("--variants") + 1],), (3,), 20, 0.5
    )
    assert again == [one] and "--total-kimg" in words, "a worker makes the same task"


def result(label: tuple[str, str, str], seed: int, joint: float, control: float = 0.1) -> Result:
    def row(value: float) -> dict[str, dict[str, float]]:
        return {
            name: {"value": value} for name in ("joint", "colour", "shape", "size", "place", "r_precision", "centre")
        }

    sets = ("training captions", "unseen combinations", "unseen templates")
    rows = {name: {"generated": row(joint), "real": row(1.0), "chance": row(0.0)} for name in sets}
    rows["unseen combinations"]["nearest training image"] = row(control)
    return Result(*label, seed, "shapes:9,seen", 160.0, 600.0, rows, dict.fromkeys(sets, 9), {"fd": 2.0}, {"fd": 1.0})


def test_the_table_has_means_worst_seeds_and_controls() -> None:
    plan, ablation = ("df-gan", "words", "plan"), ("df-gan", "words", "no-near")
    results = [result(plan, 0, 0.99), result(plan, 1, 0.79), result(ablation, 0, 0.05)]
    table = {row["images"]: row for row in benchmark.table_of(results)}
    assert list(table) == ["df-gan, words", "df-gan, words, no-near", "real images", "nearest training image", "chance"]
    assert table["df-gan, words"]["joint"] == "0.890 (0.790)" and table["df-gan, words"]["seeds"] == "2"
    assert table["df-gan, words, no-near"]["unseen"] == "0.050" and table["df-gan, words"]["CPU s"] == "600"
    assert table["nearest training image"]["joint"] == "" and table["nearest training image"]["unseen"] == "0.100"
    assert table["real images"]["fd"] == "1.000" and table["chance"]["fd"] == "" and "synonyms" not in table["chance"]
    first, second = benchmark.verdicts(results)
    assert first.startswith(
        "df-gan, words, worst of 2 seeds: 2 of 5 figures reach what they must; not: joint of training captions"
    )
    assert "0.790 (must be at least 0.8)" in first and "colour" in first and "no-near" not in first + second
    assert (
        second
        == "df-gan, words: better than the nearest training image for unseen combinations (joint 0.790 against 0.100)"
    )
    (good, control) = benchmark.verdicts([result(plan, 0, 0.99, control=0.995)])
    assert good == "df-gan, words: 5 of 5 figures reach what they must" and "not better" in control
    assert benchmark.verdicts([result(("gan-cls", "words", "plan"), 0, 0.0)])[0].startswith(
        "gan-cls, words: not better"
    )
    assert "worst seed" in benchmark.legend(results)


def test_the_command_makes_each_result_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "bench", "captions", "--data", SMALL, "--size", 16, "--recipes", "df-gan", "--encoders", "words", "--variants", "no-near",
        "--seeds", 0, "--n", 20, "--out", tmp_path, "--total-kimg", 0.064,
    ]  # fmt: skip
    code, text, err = call(capsys, *words)
    assert code == 0 and "df-gan, words, no-near" in text and "nearest training image" in text, err
    (file,) = (tmp_path / "results").iterdir()
    made = Result(**json.loads(file.read_text()))
    assert (
        made.kimg == 0.064
        and made.cpu_seconds > 0
        and 0 <= (made.value("unseen combinations", "generated", "joint") or 0)
    )
    (run,) = (tmp_path / "runs").iterdir()
    assert Folder(run).read("config.json")["config"]["near"] == 0.0
    monkeypatch.setattr(task, "finished", lambda *a, **k: pytest.fail("a result is made once"))
    code, text, err = call(capsys, *words, "--json")
    assert code == 0 and json.loads(text)["results"] == [dataclasses.asdict(made)], err
    file.write_text("{}")
    code, _, err = call(capsys, *words)
    assert code == 2 and "Remove it, and run the command again" in err


def test_other_data_have_held_out_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    factors = shapes.factors(260, 3)
    texts = [shapes.caption(*row) for row in zip(*(factors[name].tolist() for name in shapes.WORDS), strict=True)]
    np.savez(tmp_path / "own.npz", images=shapes.render(factors, (3, 16, 16)), captions=np.array(texts))
    out = tmp_path / "out"
    code, text, err = call(
        capsys, "bench", "captions", "--data", tmp_path / "own.npz", "--size", 16, "--recipes", "gan-cls", "--encoders", "words",
        "--variants", "plan", "--seeds", 1, "--n", 20, "--out", out, "--total-kimg", 0.064,
    )  # fmt: skip
    assert code == 0 and "pixels held" in text and "nearest training image for held-out captions (pixels" in text, err
    (file,) = (out / "results").iterdir()
    assert file.name.startswith("own.npz-") and json.loads(file.read_text())["captions"]["held-out captions"] == 20


def test_bad_input_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (("--recipes", "dcgan"), "they must be of gan-cls, df-gan"),
        (("--recipes", "dfgan"), '(did you mean "df-gan"?)'),
        (("--encoders", "nothing"), "--encoder nothing"),
        (("--variants", "no-nears"), '(did you mean "no-near"?)'),
        (("--seeds", -1), "whole numbers from 0"),
        (("--n", 3), "--n must be at least 20"),
        (("--size", 2), "--size"),
        (("--data", "fashion-10k", "--encoders", "words"), "captions"),
        (("--data", "shapes:60", "--encoders", "words"), "60 images are too few"),
        (("--data", SMALL, "--encoders", "words", "--workers", 0), "--workers"),
    ):
        more = () if "--encoders" in words else ("--encoders", "words")
        code, _, err = call(capsys, "bench", "captions", "--out", tmp_path, *words, *more)
        assert code == 2 and said in err and "Traceback" not in err, (words, err)
