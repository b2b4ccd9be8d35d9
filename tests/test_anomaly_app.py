"""`ganloom anomaly` from start to end: images and tables, resume, the report, and bad input."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image
from test_anomaly_scores import images

import ganloom
from ganloom.anomaly import csv_rows, detector, fitting
from ganloom.core.errors import BadInput, Interrupted
from ganloom.recipes import presets
from ganloom.training.callbacks import Callback

SHORT = ("--total-kimg", "0.3")


def write(folder: Path, x: torch.Tensor, ending: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = ((x + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for i, image in enumerate(pixels):
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(folder / f"{i:03d}{ending}")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normal images, a test set with masks, and a detector (ROOT/run) whose training data are gone."""
    root = tmp_path_factory.mktemp("anomaly")
    write(root / "good", images(80))
    write(root / "test" / "good", images(20, 1))
    write(root / "test" / "moved", images(20, 2).roll(6, 3))
    broken = images(10, 3)
    broken[:, :, 6:10, 6:10] = -1.0
    write(root / "test" / "hole", broken)
    for kind, count in (("moved", 20), ("hole", 10)):
        mask = torch.full((count, 1, 16, 16), -1.0)
        mask[:, :, 6:10, 6:10] = 1.0
        write(root / "test" / "ground_truth" / kind, mask)
    fitting.fit(root / "good", root / "run", total_kimg=0.3, console=Callback())
    shutil.rmtree(root / "good")
    return root


def test_scores_csv_and_heat_maps(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, maps = tmp_path / "scores.csv", tmp_path / "maps"
    code, text, err = call(
        capsys, "anomaly", "score", made / "run", made / "test" / "moved", "--out", out, "--heatmaps", maps
    )
    assert code == 0 and "are above the threshold" in text, err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 20 and list(rows[0]) == ["file", "score", "threshold", "p_value", "anomaly"]
    assert all((float(r["score"]) > float(r["threshold"])) == (r["anomaly"] == "yes") for r in rows)
    assert all(0 < float(r["p_value"]) <= 1 for r in rows) and rows[3]["file"] == "003.png"
    pictures = sorted(maps.glob("*.png"))
    assert [p.name for p in pictures] == [r["file"] for r in rows]
    with Image.open(pictures[0]) as image:
        assert image.width == 2 * image.height
    single = json.loads(
        call(capsys, "anomaly", "score", made / "run", made / "test" / "moved" / "003.png", "--json")[1]
    )
    assert single["rows"][0]["score"] == float(rows[3]["score"]), "an image alone has the same score"
    code, _, err = call(capsys, "anomaly", "score", made / "run", made / "test" / "moved", "--out", out)
    assert code == 2 and "already exists" in err


def test_evaluation_shows_the_controls_and_fills_the_report(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, err = call(capsys, "anomaly", "evaluate", made / "run", made / "test")
    assert code == 0, err
    for name in (
        "rotations",
        "d-features",
        "minus-d",
        "knn-pixels",
        "knn-pooled",
        "pca",
        "random-d",
        "noise-d",
        "worthless",
    ):
        assert name in text, name
    assert "20 normal samples; anomalies: hole 10, moved 20" in text and "AUROC of the pixels" in text
    assert text.count(" *") == 1 and ("helps" in text or "help:" in text or "Cannot tell" in text)
    result = json.loads((made / "run" / "anomaly" / "evaluation.json").read_text())
    rows = {row["score"]: row for row in result["rows"]}
    assert rows["knn-pixels"]["auroc"] > 0.9 and rows["knn-pixels"]["control"] and not rows["rotations"]["control"]
    assert result["pixel_auroc"] > 0.5 and set(rows["pca"]["auroc_of_kind"]) == {"hole", "moved"}
    page = (made / "run" / "report.html").read_text()
    assert (
        "ROC of" in page
        and "The most unusual ones" in page
        and "knn-pooled" in page
        and page.count("data:image/png") >= 4
    )


def test_python_in_the_manner_of_scikit_learn(made: Path) -> None:
    found = ganloom.Anomaly.load(made / "run")
    x = ((images(5, 9) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    scores = found.score(x)
    assert scores.shape == (5,) and np.array_equal(found.score_samples(x), -scores)
    assert set(found.predict(x)) <= {-1, 1} and np.array_equal(found.predict(x) == -1, scores > found.threshold_)
    assert found.heat_maps(x).shape == (5, 16, 16) and found.p_values(x).max() <= 1
    assert found.score_ in found.reason_ and "no anomaly was used" in found.reason_
    assert np.array_equal(found.score(np.repeat(x, 3, 3)), scores), "colours become grey, as in training"
    assert np.isfinite(found.score(np.repeat(np.repeat(x, 4, 1), 4, 2))).all(), "another size is resized"
    with pytest.raises(BadInput, match="learned nothing"):
        ganloom.Anomaly().score(x)


def test_the_same_seed_gives_the_same_scores_and_a_stopped_fit_too(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, new = write(tmp_path / "good", images(80)), made / "test" / "moved"

    class Stop(Callback):
        def on_step(self, trainer: Any) -> None:
            trainer.stop_requested = "SIGINT" if trainer.step == 2 else trainer.stop_requested

    with pytest.raises(Interrupted, match="ganloom resume"):
        fitting.fit(good, tmp_path / "run", total_kimg=0.3, console=Callback(), callbacks=[Stop()])
    code, _, err = call(capsys, "anomaly", "score", tmp_path / "run", new)
    assert code == 2 and "is not finished" in err and "ganloom resume" in err
    code, text, err = call(capsys, "resume", tmp_path / "run")
    assert code == 0 and "chose " in text and "anomaly score" in text, err
    assert "the highest score of the 16 normal samples" in text and "only 16 normal samples" in err  # too few for 5 %
    whole, stopped = (ganloom.Anomaly.load(path / "run") for path in (made, tmp_path))
    assert whole.threshold_ == stopped.threshold_ and whole.reason_ == stopped.reason_
    for name in whole.detector_.hold_out:
        assert np.array_equal(whole.score(str(new), name), stopped.score(str(new), name)), name


def test_ctrl_c_while_scores_are_chosen_says_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, run = write(tmp_path / "good", images(80)), tmp_path / "run"
    chosen = fitting.complete

    def stopped(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "complete", stopped)
    code, _, err = call(capsys, "anomaly", "fit", good, "--out", run, "--total-kimg", 0.1)
    assert code == 130 and f"stopped by Ctrl-C, saved. Continue with: ganloom resume {run}" in err
    monkeypatch.setattr(fitting, "open_run", stopped)
    code, _, err = call(capsys, "resume", run)
    assert code == 130 and f"Continue with: ganloom resume {run}" in err
    monkeypatch.undo()
    assert fitting.complete is chosen
    code, out, err = call(capsys, "resume", run)
    assert code == 0 and "threshold" in out, err
    monkeypatch.setattr(fitting, "_complete", stopped)
    code, _, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "plain", "--method", "knn-pooled")
    assert code == 130 and "stopped by Ctrl-C; nothing is saved yet" in err


@pytest.mark.slow
def test_a_run_that_trained_longer_gets_a_new_threshold(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(made / "run", tmp_path / "run")
    write(made / "good", images(80))
    before = detector.read(run)["checkpoint"]
    assert call(capsys, "resume", run, "--total-kimg", "0.5")[0] == 0
    assert detector.read(run)["checkpoint"] != before and not fitting.is_pending(run)
    shutil.rmtree(made / "good")


@pytest.mark.parametrize("method", ["pca", pytest.param("knn-pooled", marks=pytest.mark.slow)])
def test_a_control_as_the_method_trains_nothing(
    method: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good", images(60))
    code, text, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "run", "--method", method)
    assert code == 0 and f"{method} was asked for" in text and not (tmp_path / "run" / "checkpoints").exists(), err
    code, text, _ = call(capsys, "anomaly", "evaluate", tmp_path / "run", made / "test")
    assert code == 0 and "no GAN beside the controls" in text and (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("method", ["f-anogan", pytest.param("ganomaly", marks=pytest.mark.slow)])
def test_the_published_methods(method: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good", images(60))
    code, text, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "run", "--method", method, *SHORT)
    assert code == 0 and f"{method} was asked for" in text, err
    found = ganloom.Anomaly.load(tmp_path / "run").detector_
    assert "rebuilt" in found.map_areas and found.score == method and f"{method}-residual" in found.hold_out


# --------------------------------------------------------------------------------------------------------------- tables


def table(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    return np.stack([first * 100, first * 100 + rng.normal(size=n), rng.normal(size=n) * 1e-3 + 5], 1)


def write_csv(path: Path, rows: np.ndarray, header: str = "a,b,c", separator: str = ",") -> Path:
    lines = ([header] if header else []) + [separator.join(f"{v!r}" for v in map(float, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_csv(tmp_path / "train.csv", table(120))
    code, _, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "run", *SHORT)
    assert code == 0, err
    test = tmp_path / "test"
    test.mkdir()
    write_csv(test / "good.csv", table(40, 1))
    broken = table(40, 2)
    broken[:, 1] += 30.0  # each column alone looks normal
    write_csv(test / "apart.csv", broken[:, [2, 0, 1]], "c,a,b")  # another order of the columns
    code, text, err = call(capsys, "anomaly", "evaluate", tmp_path / "run", test)
    assert code == 0 and "40 normal samples; anomalies: apart 40" in text and "knn-pooled" not in text, err
    rows = {r["score"]: r["auroc"] for r in json.loads((tmp_path / "run/anomaly/evaluation.json").read_text())["rows"]}
    assert max(rows.values()) > 0.8 and {"rotations", "d-features", "pca", "knn-pixels"} <= set(rows)
    code, _, err = call(capsys, "anomaly", "score", tmp_path / "run", test / "good.csv", "--heatmaps", tmp_path / "m")
    assert code == 2 and "for images" in err
    found = ganloom.Anomaly.load(tmp_path / "run")
    assert np.array_equal(found.score(table(40, 1)), found.score(str(test / "good.csv"))), (
        "an array is as good as a file"
    )


@pytest.mark.parametrize(
    ("text", "encoding", "rows"),
    [
        ("a;b\n1;2\n3;4\n", "utf-8", [[1, 2], [3, 4]]),
        ("1,2\n3,4\n", "utf-8", [[1, 2], [3, 4]]),
        ("größe\tb\r\n1\t2\r\n\r\n3\t4\r\n", "latin-1", [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1e3,-2\n", "utf-8", [[1000, -2]]),
        ("a,b\n1,2\n", "utf-16", [[1, 2]]),
        ("a;b\n1,5;-0,25\n3;4.5\n", "utf-8", [[1.5, -0.25], [3, 4.5]]),
    ],
)
def test_csv_files(text: str, encoding: str, rows: list, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    assert csv_rows.read(path).rows.tolist() == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,a\n1,2\n", "the column a twice"),
        ("a,b\n1\n", "line 2: 1 values, but the first line has 2"),
        ("a,b\n1,\n", "line 2, column b: the value is missing"),
        ("a,b\n1,x\n", 'line 2, column b: "x" is not a finite number'),
        ("a,b\n1,inf\n", "not a finite number"),
        ("a,b\n1,2\n3,4\n5,6\n", "has 3 rows: give at least 10"),
    ],
)
def test_bad_csv_files_are_a_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(text)
    code, _, err = call(capsys, "anomaly", "fit", tmp_path / "t.csv", "--out", tmp_path / "run")
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1 and not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------------------------- bad input


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    code, _, err = call(capsys, "anomaly", *argv)
    assert code == 2 and "Traceback" not in err, err
    return err.strip().splitlines()[-1]


def test_bad_normal_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, empty, run = write(tmp_path / "one", images(1)), tmp_path / "empty", tmp_path / "run"
    empty.mkdir()
    assert "has 1 image: give at least 10" in refused(capsys, "fit", one, "--out", run)
    assert "empty" in refused(capsys, "fit", empty, "--out", run)
    assert "nowhere" in refused(capsys, "fit", tmp_path / "nowhere", "--out", run)
    good = write(tmp_path / "good", images(20))
    assert "did you mean" in refused(capsys, "fit", good, "--out", run, "--method", "f-anogn")
    assert "--alpha" in refused(capsys, "fit", good, "--out", run, "--alpha", "5")
    assert "trains nothing" in refused(capsys, "fit", good, "--out", run, "--method", "pca", "--total-kimg", "1")
    assert not run.exists()


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good", images(20))
    (good / "broken.png").write_bytes(b"no image")
    code, _, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "run", "--method", "pca")
    assert code == 0 and "broken.png: not an image" in err


def test_bad_test_sets_and_runs(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, test = made / "run", made / "test"
    assert "no folder good/" in refused(capsys, "evaluate", run, test / "moved")
    only = tmp_path / "only"
    shutil.copytree(test / "good", only / "good")
    assert "has only good" in refused(capsys, "evaluate", run, only)
    (only / "bad").mkdir()
    assert "bad" in refused(capsys, "evaluate", run, only)
    assert "there is no run" in refused(capsys, "score", tmp_path / "no", test)
    assert "holds no detector" in refused(capsys, "score", test, test)
    csv_file = write_csv(tmp_path / "t.csv", table(20))
    assert "is a table" in refused(capsys, "score", run, csv_file)
    assert "--score must be one of" in refused(capsys, "score", run, test / "good", "--score", "f-anogan")
    pixels = ((images(30) + 1) * 127).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    options: dict[str, Any] = dict(total_kimg=0.01, width=4, batch_size=8, judge=0, grid=4, doctor=False)
    ganloom.train("dcgan", pixels, tmp_path / "gan", console=Callback(), **options)
    assert "is a run of dcgan" in refused(capsys, "score", tmp_path / "gan", test / "good")
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "anomaly" / "rows.safetensors").write_bytes(b"nothing")
    assert "rows.safetensors" in refused(capsys, "score", damaged, test / "good")
    (damaged / "anomaly" / "detector.json").write_text("{")
    assert "detector.json" in refused(capsys, "score", damaged, test / "good")


def test_larger_images_get_a_shorter_training() -> None:
    whole = presets.plan("ss-gan").options["total_kimg"]
    lengths = [
        fitting.length_for("ss-gan", shape) for shape in ((1, 28, 28), (3, 16, 16), (3, 64, 48), (3, 256, 256), (9,))
    ]
    assert lengths[0] == lengths[1] == lengths[4] == whole and lengths[3] == whole / 4 < lengths[2] < whole


def test_a_small_hold_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good", images(20))
    code, _, err = call(capsys, "anomaly", "fit", good, "--out", tmp_path / "run", "--method", "pca")
    assert code == 0 and "only 4 normal samples were held out" in err


def test_a_run_of_ganloom_train_is_a_detector_too(made: Path, tmp_path: Path) -> None:
    good = ((images(60) + 1) * 127).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    options: dict[str, Any] = dict(total_kimg=0.05, width=4, batch_size=8, judge=0, doctor=False, console=Callback())
    ganloom.train("ganomaly", good, tmp_path / "run", held_out=0.3, **options)
    assert ganloom.Anomaly.load(tmp_path / "run").score_ == "ganomaly"
    ganloom.train("ganomaly", good, tmp_path / "none", **options)
    with pytest.raises(BadInput, match="--held-out"):
        ganloom.Anomaly.load(tmp_path / "none")
