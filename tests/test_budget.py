"""compare --budget: equal time for each model, one table, work that is there is not done again."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom import metrics, recipes, testing
from ganloom.apps import budget_plan, budget_training
from ganloom.apps.budget_table import Budgeted, Row, sheet
from ganloom.apps.compare import compare
from ganloom.apps.compare_budget import Countdown, Plan, compare_under_budget, folder_of, seconds_of
from ganloom.bench.doctor import faults
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.evaluation import model_costs
from ganloom.metrics import Value
from ganloom.recipes import presets


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("2s", 2), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("1.5m", 90), ("45", 45), (7.5, 7.5), ("1h2m3s", 3723)],
)
def test_budgets_are_read(said: str, seconds: float) -> None:
    assert seconds_of(said) == seconds


@pytest.mark.parametrize("said", ["10x", "", "m", "-3m", "0s", "1m1h", "1..5m", "soon", "inf"])
def test_bad_budgets_are_one_line(said: str) -> None:
    with pytest.raises(BadInput, match="--budget") as caught:
        seconds_of(said)
    assert "\n" not in str(caught.value)


@pytest.fixture
def data(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    path = tmp_path / "small.npz"
    np.savez(path, images=rng.integers(0, 256, (80, 16, 16, 1), dtype=np.uint8), labels=np.arange(80) % 3)
    return str(path)


def asked(data: str, *models: str, **changes: Any) -> Plan:
    options: dict[str, Any] = {"budget": 0.4, "n": 20, "k": 2, "features": "random"}
    return Plan(data, models, **(options | changes))


def test_one_table_of_all_models(data: str, tmp_path: Path) -> None:
    out, said = tmp_path / "out", io.StringIO()
    found = compare_under_budget(asked(data, "default", "VAE"), out, stream=said)
    assert [row.model for row in found.rows] == ["default", "vae"]
    assert [row.family for row in found.rows] == ["gan", "baseline"]
    for row in found.rows:
        assert row.ended == "healthy" and row.seconds >= 0.4 and row.kimg > 0 and row.cores > 0
        assert row.seconds < 5, "it ends at the budget"
        assert {"ms_sample_64", "ms_sample_1", "sharpness"} <= set(row.values)
        assert {"fd_random20", "precision_random20", "recall_random20", "coverage_random20"} <= set(row.values)
        assert row.values["fd_random20"].low is not None
        assert row.values["ms_sample_1"].value > 0
        assert 0 < row.generator < row.parameters
    assert "bits_per_dim" in found.rows[1].values and "bits_per_dim" not in found.rows[0].values
    assert found.rows[1].levels == 256 and "vae at most (a bound), of 256 levels" in found.markdown()
    text = "\n".join(found.lines())
    for words in ("real (other half)", "noise", "kimg trained", "ended", "bits per dimension", "threads"):
        assert words in text
    kept = json.loads((out / "compare.json").read_text())
    assert [row["model"] for row in kept["rows"]] == ["default", "vae"] and kept["plan"]["budget"] == 0.4
    assert (out / "compare.md").read_text().startswith("|  | default | vae | real (other half) | noise |\n|---|---:|")
    with Image.open(out / "compare.png") as image:
        assert image.height == 3 * (16 * 3 + 2) and image.width > 12 * 16 * 3
    assert "[1/2] default, seed 0" in said.getvalue() and "[2/2] vae" in said.getvalue()
    assert "left" in said.getvalue()
    # What it measured stands in the run folders too, where `ganloom compare RUN RUN` reads it.
    both = compare([out / "default-0", out / "vae-0"])
    assert both.rows[str(out / "vae-0")]["fd_random20"].value == found.rows[1].values["fd_random20"].value


def test_the_same_command_does_nothing_twice_and_takes_more_models(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = compare_under_budget(asked(data, "vae"), out, stream=io.StringIO())
    trained: list[str] = []
    really = budget_training.train
    monkeypatch.setattr(budget_training, "train", lambda name, *a, **k: trained.append(name) or really(name, *a, **k))
    again = compare_under_budget(asked(data, "vae", "gan"), out, stream=io.StringIO())
    assert trained == ["gan"]
    assert again.rows[0].to_dict() == first.rows[0].to_dict()
    with pytest.raises(BadInput, match=r"budget 0\.4, not 0\.5") as caught:
        compare_under_budget(asked(data, "vae", budget=0.5), out)
    assert "\n" not in str(caught.value)


def test_a_stopped_comparison_goes_on_where_it_was(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, plan = tmp_path / "out", asked(data, "vae", budget=1.2)
    check = Countdown._check

    def interrupted(self: Countdown, trainer: Any, spent: float) -> None:
        check(self, trainer, spent)
        if spent > 0.5:
            trainer.stop_requested = "SIGINT"  # what Ctrl-C does

    monkeypatch.setattr(Countdown, "_check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare_under_budget(plan, out, stream=io.StringIO())
    assert not (out / "vae-0" / "measured.json").exists()
    stopped = [json.loads(line) for line in (out / "vae-0" / "metrics.jsonl").read_text().splitlines()][-1]
    monkeypatch.setattr(Countdown, "_check", check)
    row = compare_under_budget(plan, out, stream=io.StringIO()).rows[0]
    assert row.ended == "healthy" and row.kimg > stopped["kimg"] and 1.2 <= row.seconds < 3
    assert "resumed from" in (out / "vae-0" / "events.jsonl").read_text()


def test_a_run_killed_before_its_first_checkpoint_begins_anew(data: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = asked(data, "vae")
    killed = out / "vae-0"
    killed.mkdir(parents=True)
    checked, opened = budget_plan.check(plan)
    (out / "asked.json").write_text(json.dumps(checked.kept(opened)))
    (killed / "run.json").write_text('{"state": "starting"}')
    assert compare_under_budget(plan, out, stream=io.StringIO()).rows[0].ended == "healthy"


def test_a_training_that_breaks_is_a_row(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganloom.baselines import vae

    loss = vae.VAE.loss

    def broken(self: Any, batch: Any) -> Any:
        terms = loss(self, batch)
        return terms | {"loss": terms["loss"] * (math.nan if self.kimg > 0.2 else 1.0)}

    monkeypatch.setattr(vae.VAE, "loss", broken)
    plan = asked(data, "vae", "gan", budget=3.0)
    found = compare_under_budget(plan, tmp_path / "out", stream=io.StringIO())
    assert [row.ended for row in found.rows] == ["nan", "healthy"] and not found.rows[0].values
    assert found.winners() == {} or set(found.winners().values()) <= {"gan"}
    line = next(line for line in found.lines() if line.startswith("ended"))
    assert line.split()[1] == "nan" and line.split()[2] in (
        "healthy",
        "yellow:",
        "red:",
        "classes",
    )  # as 3 s of training go
    assert compare_under_budget(plan, tmp_path / "out", stream=io.StringIO()).rows[0].ended == "nan", "not tried again"


@pytest.mark.slow
def test_the_doctor_says_how_a_run_ended(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that draws one latent ends in time, with finite weights, and is not healthy; one without findings is."""
    with np.load(data) as found:
        np.savez(data, images=found["images"])  # noise has no classes, and the doctor would say so
    really = budget_training.train
    monkeypatch.setattr(budget_training, "train", lambda *a, **k: really(*a, **(k | {"kimg_per_tick": 0.1})))
    with faults.find("no noise").inside(recipes.find("gan"), 0):
        found = compare_under_budget(asked(data, "gan", "vae", budget=4.0), tmp_path / "out", stream=io.StringIO())
    first = json.loads((tmp_path / "out" / "gan-0" / "doctor.json").read_text())["findings"][0]
    assert first["severity"] == "red" and first["name"] == "z ignored"
    assert [(row.ended, row.state) for row in found.rows] == [("healthy", "red: z ignored"), ("healthy", "healthy")]
    line = next(line for line in found.lines() if line.startswith("ended"))
    assert "red: z ignored" in line and line.rstrip().endswith("healthy")
    assert any("`ganloom doctor RUN`" in note for note in found.notes())
    assert Row.from_dict(json.loads(json.dumps(found.rows[0].to_dict()))) == found.rows[0]


def test_seeds_give_means_and_spreads(data: str, tmp_path: Path) -> None:
    found = compare_under_budget(asked(data, "vae", seeds=2, seed=3), tmp_path / "out", stream=io.StringIO())
    assert [row.seed for row in found.rows] == [3, 4]
    assert found.rows[0].values["fd_random20"] != found.rows[1].values["fd_random20"]
    assert "±" in "\n".join(found.lines()) and "over 2 trainings" in found.markdown()


def row(model: str, seed: int = 0, **values: Value) -> Row:
    return Row(model, seed, "gan", model, "healthy", 10.0, 5.0, values=values)


def test_winners_stand_apart() -> None:
    def found(*rows: Row) -> dict[str, str]:
        return Budgeted({"budget": 10.0, "features": ""}, list(rows), "here").winners()

    a, b = row("a", fd_x5=Value(3, 2.5, 3.5)), row("b", fd_x5=Value(2, 1.5, 2.4))
    assert found(a, b) == {"fd_x5": "b"}
    assert found(a, row("b", fd_x5=Value(2, 1.5, 2.6))) == {}
    assert found(a, row("b", fd_x5=Value(2))) == {}
    many = [row("a", s, coverage_x5=Value(v)) for s, v in ((0, 0.5), (1, 0.6))]
    assert found(*many, *(row("b", s, coverage_x5=Value(v)) for s, v in ((0, 0.7), (1, 0.9)))) == {"coverage_x5": "b"}
    assert found(*many, *(row("b", s, coverage_x5=Value(v)) for s, v in ((0, 0.5), (1, 0.9)))) == {}
    assert found(row("a", bits_per_dim=Value(3, 2.9, 3.1)), row("b", bits_per_dim=Value(2, 1.9, 2.1))) == {}


def test_a_lost_class_is_said() -> None:
    assert (
        row("a", least_class=Value(0.05)).state == "classes lost"
        and row("a", least_class=Value(0.5)).state == "healthy"
    )
    ill = {"red: mode collapse": "red: mode collapse", "yellow: D memorises": "classes lost", "": "classes lost"}
    for finding, state in ill.items():
        assert replace(row("a", least_class=Value(0.05)), finding=finding).state == state
        assert replace(row("a", least_class=Value(0.5)), finding=finding).state == (finding or "healthy")
    broken = Row("a", 0, "gan", "a", "nan", 1.0, 1.0, values={"least_class": Value(0.0)}, finding="red: diverged")
    assert broken.state == "nan" and row("a").state == "healthy"
    said = Budgeted({"budget": 10.0, "features": ""}, [row("a", least_class=Value(0.05))], "here").lines()
    assert any("0.1 of its real share" in line for line in said)


def test_rows_survive_json() -> None:
    made = row("a", fd_x5=Value(3, 2.5, 3.5))
    assert Row.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    broken = Row.from_dict(json.loads(json.dumps(Row("a", 0, "gan", "r", "nan", math.nan, 0.0).to_dict())))
    assert math.isnan(broken.seconds) and math.isnan(broken.speed)


# ------------------------------------------------------------------------------------------------------------- figures


def test_images_are_drawn_once_and_as_the_model_draws_them() -> None:
    model, heard = testing.build("vae"), []
    kept = model_costs.CachedSamples(model, 10, lambda what, done, total: heard.append((what, done, total)))
    c = torch.arange(10) % 3
    a = kept.generate(10, seed=5, c=c)
    assert torch.allclose(a, model.generate(10, seed=5, c=c), atol=1e-6)
    calls = len(heard)
    assert torch.equal(kept.generate(4, seed=8, c=c[3:7]), a[3:7]) and len(heard) == calls
    assert torch.equal(kept.images, a) and heard[-1] == ("samples", 10, 10)


def test_sharpness_falls_with_blur_and_is_1_for_real_images() -> None:
    x = torch.rand(50, 2, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert model_costs.sharpness(x, x).value == pytest.approx(1.0)
    found = model_costs.sharpness(blurred, x)
    assert found.value < 0.5 and found.low is not None and found.low < found.value < (found.high or 0)
    assert torch.equal(metrics.laplacian_variance(torch.full((3, 1, 8, 8), 0.3)).round(decimals=9), torch.zeros(3))
    step = torch.zeros(1, 1, 3, 4)
    step[..., 2:] = 1.0  # Laplacian of an edge: +1 before it, -1 behind it
    assert metrics.laplacian_variance(step).item() == pytest.approx(1.0)


def test_class_shares_tell_a_dropped_class() -> None:
    assert model_costs.classes_apart([10, 20, 30], [20, 40, 60]) == (0.0, 1.0)
    apart, least = model_costs.classes_apart([0, 50, 50], [33, 33, 33])
    assert apart == pytest.approx(1 / 3) and least == 0
    assert model_costs.classes_apart([5, 0], [0, 5]) == (1.0, 0.0)


def test_timing_counts_a_sample() -> None:
    model = testing.build("vae")
    assert 0 < model_costs.milliseconds(model, 64) < model_costs.milliseconds(model, 1)


def test_a_sheet_has_a_row_a_name() -> None:
    x = torch.zeros(4, 3, 10, 8)
    made = sheet([("real", x), ("a longer name", x)])
    assert made.mode == "RGB" and made.height == 2 * (10 * 16 + 2) and made.width > 4 * 8 * 16 + 60


# ------------------------------------------------------------------------------------------------------------- command


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as done:
        main(["compare", *argv])
    assert done.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_bad_input_is_one_line_and_trains_nothing(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    at = ["--out", str(out), "--n", "20", "--k", "2"]
    assert 'got "10x"' in refused(capsys, "--budget", "10x", data, "vae", *at)
    assert 'did you mean "vae"' in refused(capsys, "--budget", "1s", data, "vaee", *at)
    assert "DATA and one or more models" in refused(capsys, "--budget", "1s", data, *at)
    assert "nowhere" in refused(capsys, "--budget", "1s", str(tmp_path / "nowhere"), "vae", *at)
    assert "vae is named twice" in refused(capsys, "--budget", "1s", data, "vae", "vae", *at)
    assert "--seeds must be at least 1" in refused(capsys, "--budget", "1s", data, "vae", "--seeds", "0", *at)
    assert "k = 30 needs" in refused(capsys, "--budget", "1s", data, "vae", "--out", str(out), "--n", "20", "--k", "30")
    assert "points" in refused(capsys, "--budget", "1s", "ring", "gan", *at)
    assert "--seeds needs --budget" in refused(capsys, "--seeds", "2", "runs/a", "runs/b")
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("")
    assert "choose another" in refused(capsys, "--budget", "1s", data, "vae", *at)


def test_the_command(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["compare", "--budget", "0.3s", data, "vae", "--out", str(tmp_path / "out"), "--n", "20", "--k", "2"]
    for extra in ([], ["--json"]):
        with pytest.raises(SystemExit) as done:
            main([*argv, "--features", "random", *extra])
        assert done.value.code == 0
        out = capsys.readouterr().out
        assert "fd_random20" in out
    assert json.loads(out)["rows"][0]["model"] == "vae"


def test_a_model_takes_flags(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    at = ["--out", str(out), "--n", "20", "--k", "2"]
    narrow = "dcgan --width 4 --g-opt.lr 0.001"
    with pytest.raises(SystemExit) as done:
        main(["compare", "--budget", "0.3s", data, narrow, "r3gan --small", *at, "--features", "random", "--json"])
    assert done.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["family"]) for row in found["rows"]] == [(narrow, "gan"), ("r3gan --small", "gan")]
    settings = json.loads((out / "dcgan-width-4-g-opt.lr-0.001-0" / "config.json").read_text())["config"]
    assert settings["width"] == 4 and settings["g_opt"]["lr"] == 0.001 and settings["d_opt"]["lr"] == 2e-4
    small = json.loads((out / "r3gan-small-0" / "config.json").read_text())["config"]
    assert small["width"] == presets.plan("r3gan").options["width"]
    assert small["decay_kimg"] == presets.plan("r3gan").options["decay_kimg"], "the budget is no length to stretch to"
    at[1] = str(tmp_path / "none")
    for words, said in (
        ("dcgann --small", 'did you mean "dcgan"'), ("dcgan --widht 4", "--widht"), ("dcgan 'x", "quotation"),
        ("'dcgan small'", 'unknown recipe "dcgan small"'),
        ("dcgan --out here", "--out is not a setting of a model"), ("dcgan photos", '"photos" is not a setting of a model'),
        ("dcgan --seed 3", "--seed is set by the comparison"), ("dcgan --width 0", "--width"),
    ):  # fmt: skip
        assert said in refused(capsys, "--budget", "1s", data, words, *at)
    twice = refused(capsys, "--budget", "1s", data, "dcgan --width 4", "dcgan  --width 4", *at)
    assert "is named twice" in twice and not (tmp_path / "none").exists()


def test_the_folder_is_named_after_the_command() -> None:
    assert folder_of("fashion-10k", "10m") == Path("runs/compare-fashion-10k-10m")
    assert folder_of("photos/cats/", "1.5h") == Path("runs/compare-cats-1.5h")


def test_recipes_lists_the_baselines_apart(capsys: pytest.CaptureFixture[str]) -> None:
    for extra in ([], ["--json"]):
        with pytest.raises(SystemExit):
            main(["recipes", *extra])
        out = capsys.readouterr().out
        if extra:
            found = json.loads(out)
            assert [row["recipe"] for row in found["baselines"]] == ["vae", "ddpm", "autoregressive"]
            assert "vae" not in [row["recipe"] for row in found["recipes"]]
        else:
            assert out.index("wgan-gp") < out.index("baselines") < out.index("Variational autoencoder")
