"""ganloom bench recipes: rows of several seeds, images, processes, going on, and the pages made of them."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import commands
import pytest
from PIL import Image

from ganloom.apps.run_cache import finished
from ganloom.bench.recipes import benchmark, gallery_page, job, pages, recipe_page, rows, small_page, task, workers
from ganloom.bench.recipes.times import Countdown, Times
from ganloom.metrics.extractors import by_name
from ganloom.recipes import RECIPES, find, presets
from ganloom.stabilisers.config import Stabilise

DOCS = Path(__file__).resolve().parent.parent / "docs"
SPEED = rows.Speed(123.0, "a machine", 1, 0.1, "float32", "2")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "N", 60)
    monkeypatch.setattr(job, "speed", lambda task: SPEED)


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    return commands.call(capsys, "bench", "recipes", *argv)


def flags(folder: Path, *more: object) -> list[object]:
    return ["--out", folder / "docs", "--runs", folder / "runs", *more]


def test_rows_of_seeds_images_and_pages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = flags(tmp_path, "--total-kimg", "0.2", "--seeds", "4", "5")
    code, out, err = call(capsys, *given, "--recipe", "cgan", "--json")
    (row,) = json.loads(out)["recipes"]
    assert code == 0 and row["recipe"] == "cgan" and row["kimg"] >= 0.2 and row["speed"]["img_per_s"] == 123
    assert row["command"] == "ganloom train cgan fashion-10k --small --total-kimg 0.2 --seed 4" in err
    assert "2 trainings: about" in err and "of processor time" in err and "left" in err
    one, two = row["seeds"]
    assert (one["seed"], two["seed"]) == (4, 5) and one["figures"]["fd"] != two["figures"]["fd"]
    values = [each["figures"]["fd"][0] for each in (one, two)]
    assert row["figures"]["fd"] == [pytest.approx(sum(values) / 2, rel=1e-3), min(values), max(values)]
    assert row["figures"]["fd"][0] > row["floor"]["fd"][0]
    assert set(one["classes"]["shares"]) == set(find_classes()) and 0 <= one["classes"]["read"] <= 1
    assert one["classes"]["read_real"] > 0.8 and sum(one["classes"]["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert one["light"] in ("green", "yellow", "red", "grey") and row["cpu_minutes"] > 0
    assert row["digest"] == task.Task("cgan", kimg=0.2).digest and row["settings"]["width"] > 0
    for kind in ("recipes", "gallery"):
        with Image.open(tmp_path / "docs" / "images" / kind / "cgan.png") as image:
            assert image.size[0] > 150

    monkeypatch.setattr(job, "make", lambda *args, **kwargs: pytest.fail("the row is there for that command"))
    assert call(capsys, *given, "--recipe", "CGAN", "--json")[0] == 0
    monkeypatch.undo()

    page = (tmp_path / "docs" / "recipes" / "cgan.md").read_text()
    assert row["command"] in page and "123 images a second" in page and "![samples of cgan]" in page
    assert f"{row['figures']['coverage'][0]:.3g}" in page and "| `z_dim` |" in page and "## Departures" in page
    assert "mean of 2 seeds [smallest, largest]" in page and "| 4 |" in page and "| 5 |" in page
    assert recipe_page.FORMER in page and "total_kimg 0.2, now" in page, "that is not the length of the plan"
    gallery = (tmp_path / "docs" / "gallery.md").read_text()
    assert "| 2014 | [cgan]" in gallery and "images/gallery/cgan.png" in gallery and row["command"] in gallery
    assert json.loads(pages.measured(tmp_path / "docs"))["cgan"]["img_per_s"] == 123
    assert "| [cgan](recipes/cgan.md) |" in recipe_page.recipes(rows.kept(tmp_path / "docs"))


def find_classes() -> list[str]:
    from ganloom import data

    return data.open("fashion-10k").class_names


def pretend(one: task.Task, path: Path, n: int = 0, timed: bool = True, show: Any = None) -> rows.Row:
    """Make the files of a measured training without a training; seed 3 fails."""
    if one.seed == 3:
        raise benchmark.BadInput("no luck")
    row = made(one.recipe, 0.5, data=one.source, speed=SPEED if timed else None, settings=one.settings())
    row = dataclasses.replace(
        row, seed=one.seed, command=one.command, seeds=(trained(one.seed, 0.5, command=one.command),)
    )
    path.mkdir(parents=True, exist_ok=True)
    (path / job.RESULT).write_text(json.dumps(row.to_dict()))
    for name in (job.SHEET, job.STRIP):
        (path / name).write_bytes(one.command.encode())
    return row


def test_seeds_are_added_and_a_failure_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "make", pretend)
    given = flags(tmp_path, "--recipe", "gan", "dcgan")
    assert call(capsys, *given, "--seed", "2")[0] == 0
    code, out, err = call(capsys, *given, "--seeds", "1", "3")
    assert code == 1 and "gan, seed 3: no luck" in err and "FAILED" in err and "dcgan" in out
    row = rows.kept(tmp_path / "docs")["gan"]
    assert [one.seed for one in row.seeds] == [1, 2] and row.failed == {"3": "no luck"} and row.speed == SPEED
    assert (tmp_path / "docs" / "images" / "recipes" / "gan.png").read_bytes().endswith(b"--seed 1")
    assert "**Seed 3 has no result: no luck.**" in (tmp_path / "docs" / "recipes" / "gan.md").read_text()
    code, _, err = call(capsys, *given, "--seeds", "4")
    assert code == 0 and [one.seed for one in rows.kept(tmp_path / "docs")["dcgan"].seeds] == [1, 2, 4]
    assert (tmp_path / "docs" / "images" / "recipes" / "gan.png").read_bytes().endswith(b"--seed 1"), "still seed 1"
    shutil.rmtree(tmp_path / "runs")
    code, _, err = call(capsys, *given, "--seeds", "1", "2", "5")
    assert code == 0 and "2 trainings" in err, "a seed that is in the row is not trained again, even without its run"
    assert [one.seed for one in rows.kept(tmp_path / "docs")["gan"].seeds] == [1, 2, 4, 5]
    assert (tmp_path / "docs" / "images" / "recipes" / "gan.png").read_bytes().endswith(b"--seed 1"), "still seed 1"
    plan = presets.plan("gan")
    monkeypatch.setitem(presets.PLANS, "gan", dataclasses.replace(plan, options={**plan.options, "batch_size": 48}))
    code, _, err = call(capsys, *given, "--seeds", "1", "2")
    assert code == 0 and "2 trainings" in err and "dcgan" not in err, "only the recipe with another plan"
    assert [one.seed for one in rows.kept(tmp_path / "docs")["gan"].seeds] == [1, 2], "without those of the former plan"
    mine = tmp_path / "docs" / "images" / "gallery" / "dcgan.png"
    mine.write_bytes(b"mine")
    code, _, err = call(capsys, *given, "--seeds", "6")
    assert code == 2 and "dcgan.png was not written by ganloom" in err and mine.read_bytes() == b"mine"


@pytest.mark.slow
def test_a_translator_is_measured_on_its_own_data_beside_what_needs_no_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = presets.Plan({**presets.plan("cyclegan").options, "width": 4, "d_width": 4}, "Small.", "unpaired-fashion")
    monkeypatch.setitem(presets.PLANS, "cyclegan", small)
    code, out, err = call(capsys, *flags(tmp_path, "--total-kimg", "0.02", "--recipe", "cyclegan", "--seed", "1"))
    assert code == 0 and "ganloom train cyclegan unpaired-fashion --small" in err, err
    assert "cyclegan" in out and "l1" in out
    row = json.loads((tmp_path / "docs" / "results" / "recipes.json").read_text())["recipes"][0]
    assert set(row["trivial"]) == {"copied input", "mean target", "histogram matched"}
    assert {"l1", "psnr", "ssim", "called_b", "cycle_l1"} <= set(row["figures"]) and row["settings"]["width"] == 4
    assert 0.5 < row["trivial"]["copied input"]["l1"][0] < 1, "white on black against dark blue on cream"
    with Image.open(tmp_path / "docs" / "images" / "recipes" / "cyclegan.png") as image:
        assert image.size[0] == 12 * 29 + 1, "input, translation and truth, four times a row"
    with Image.open(tmp_path / "docs" / "images" / "gallery" / "cyclegan.png") as image:
        assert image.size[1] < 100
    assert rows.Row.from_dict(row).to_dict() == rows.kept(tmp_path / "docs")["cyclegan"].to_dict()

    page = (tmp_path / "docs" / "recipes" / "cyclegan.md").read_text()
    assert "| L1 from the truth |" in page and "| copied input | mean target | histogram matched |" in page
    assert json.loads(pages.measured(tmp_path / "docs"))["cyclegan"]["l1"] == row["figures"]["l1"][0]
    assert "L1 0." in (tmp_path / "docs" / "gallery.md").read_text()


@pytest.mark.slow
def test_other_data_has_rows_and_pages_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_name, "TASK_SAMPLES", 500)
    given = flags(tmp_path, "--recipe", "gan", "dcgan", "--total-kimg", "0.1", "--seed", "1")
    code, _, err = call(capsys, *given, "--data", "shapes:400", "--shape", "3", "16", "16")
    assert code == 0 and "ganloom train dcgan shapes:400 --small --shape 3 16 16 --total-kimg 0.1 --seed 1" in err, err
    kept = rows.kept(tmp_path / "docs", "shapes-400-16")
    assert set(kept) == {"gan", "dcgan"} and kept["gan"].shape == (3, 16, 16) and kept["gan"].classes == 6
    assert not rows.kept(tmp_path / "docs"), "the rows of the plans' data are others"
    page = (tmp_path / "docs" / "colour.md").read_text()
    assert "## shapes:400 at 16 x 16" in page and "images/gallery-shapes-400-16/gan.png" in page
    assert "images/recipes-shapes-400-16/dcgan.png" in page and "RGB, 6 classes" in page
    assert "[colour.md](../colour.md)" in (tmp_path / "docs" / "recipes" / "gan.md").read_text()
    monkeypatch.setattr(job, "make", pretend)
    assert call(capsys, *given, "--data", "digits")[0] == 0
    assert "## digits at 28 x 28" in (tmp_path / "docs" / "more-data.md").read_text()
    assert json.loads(pages.small_data(tmp_path / "docs")) == {"sets": []}, "a shorter training is not the plan"
    monkeypatch.setattr(pages, "differences", lambda row: [])
    sets = json.loads(pages.small_data(tmp_path / "docs"))["sets"]
    assert [one["data"] for one in sets] == ["digits", "shapes:400"] and len(sets[1]["recipes"]) == 2
    best = [one["coverage"][0] for one in sets[1]["recipes"]]
    assert best == sorted(best, reverse=True)


@pytest.mark.slow
def test_processes_stop_with_a_save_and_the_same_command_continues(tmp_path: Path) -> None:
    """Ctrl-C reaches only the command, which stops its processes once; the finished seed is not trained again."""
    words = "bench recipes --recipe gan --seeds 1 2 --workers 2 --total-kimg 200"
    command = [
        sys.executable,
        "-m",
        "ganloom",
        *words.split(),
        "--out",
        str(tmp_path / "o"),
        "--runs",
        str(tmp_path / "r"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    folders = [task.Task("gan", kimg=200.0, seed=seed).folder(tmp_path / "r") for seed in (1, 2)]
    deadline = time.monotonic() + 200
    while not all((folder / "metrics.jsonl").exists() for folder in folders) and process.poll() is None:
        assert time.monotonic() < deadline, "the processes do not train"
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "stopping 2 trainings" in said, said
    assert "Run the same command again to continue" in said and "2 trainings: about" in said and "Traceback" not in said
    for folder in folders:
        assert json.loads((folder / "run.json").read_text())["state"] == "stopped"
        assert json.loads((folder / "run.json").read_text())["cpu_seconds"] > 0
        assert workers.Job(task.Task("gan", kimg=200.0), folder, 60, False, 1).trained() > 0
    config = json.loads((folders[0] / "config.json").read_text())
    done = json.loads((folders[0] / "metrics.jsonl").read_text().splitlines()[-1])["kimg"]
    config["train"]["total_kimg"] = done + 0.1
    (folders[0] / "config.json").write_text(json.dumps(config))
    row = job.make(task.Task("gan", kimg=200.0, seed=1), folders[0], 60, False)
    assert done <= row.kimg < done + 1, "it went on from its checkpoint"
    assert job.saved(folders[0]) == row and job.saved(folders[1]) is None


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"total_kimg": 0.3, "batch_size": 50}
    whole = finished("gan", "fashion-10k", tmp_path / "whole", **options)
    assert finished("gan", "fashion-10k", tmp_path / "whole", **options).path == whole.path
    finished("gan", "fashion-10k", tmp_path / "cut", **{**options, "total_kimg": 0.1})
    described = json.loads((tmp_path / "cut" / "run.json").read_text())
    (tmp_path / "cut" / "run.json").write_text(json.dumps({**described, "state": "stopped"}))
    config = json.loads((tmp_path / "cut" / "config.json").read_text())
    config["train"]["total_kimg"] = 0.3
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config))
    assert finished("gan", "fashion-10k", tmp_path / "cut", **options).metrics[-1]["kimg"] == pytest.approx(0.3)


def trained(seed: int, coverage: float, **more: Any) -> rows.Trained:
    values = dict.fromkeys(recipe_page.WORDS, (9.0, 8.0, 10.0)) | {"coverage": (coverage, coverage, coverage)}
    fields = {"kimg": 60.0, "seconds": 50.0, "cpu_seconds": 60.0, "measure_seconds": 30.0, "figures": values}
    return rows.Trained(**{**fields, "seed": seed, "command": f"c {seed}", "classes": None, "light": "green",
                           "findings": (), **more})  # fmt: skip


def made(recipe: str, *coverages: float, **more: Any) -> rows.Row:
    """A row as if it had been measured with the present plan."""
    found = tuple(trained(seed, coverage) for seed, coverage in enumerate(coverages, 1))
    now = task.Task(recipe)
    fields: dict[str, Any] = {
        "recipe": recipe, "command": now.command, "seed": 1, "kimg": 60.0, "seconds": 50.0, "threads": 1,
        "precision": "float32", "torch": "2", "parameters": {"G": 1, "D": 1}, "figures": rows.over_seeds(found),
        "floor": dict.fromkeys(recipe_page.WORDS, (0.9, 0.8, 1.0)), "image": "", "data": now.source,
        "protocol": {"backbone": "fashion", "n_fake": 2000, "k": 5}, "shape": (1, 28, 28), "images": 10, "classes": 10,
        "digest": now.digest, "settings": now.settings(), "cpu_minutes": 1.0, "seeds": found,
    }  # fmt: skip
    return rows.Row(**{**fields, **more})


def test_a_seed_under_half_of_the_mean_is_said() -> None:
    row = made("dcgan", 0.6, 0.7, 0.1)
    assert row.figures["coverage"] == (pytest.approx(0.4667), 0.1, 0.7) and row.weak == (3,)
    assert "seed 3 has less than half of the mean coverage" in recipe_page.recipe("dcgan", row)
    assert not made("dcgan", 0.6, 0.7, 0.5).weak


def test_rows_know_when_their_plan_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = made("dcgan", 0.5)
    assert not rows.differences(row)
    plan = presets.plan("dcgan")
    for options, said in (
        ({"width": 48}, "width 32, now 48"),
        ({"total_kimg": 7.0}, "now 7.0"),
        ({"g_opt.lr": 1e-5}, f"g_opt.lr {plan.options['g_opt.lr']}, now 1e-05"),
    ):
        monkeypatch.setitem(presets.PLANS, "dcgan", dataclasses.replace(plan, options={**plan.options, **options}))
        (text,) = rows.differences(row)
        assert said in text and task.Task("dcgan").digest != row.digest
        assert f"**{recipe_page.FORMER}** ({text})" in recipe_page.recipe("dcgan", row)
        assert f"{recipe_page.FORMER}: dcgan." in recipe_page.recipes({"dcgan": row})
        assert "(out of date)" in gallery_page.gallery({"dcgan": row})
    monkeypatch.setitem(presets.PLANS, "dcgan", plan)
    without = {key: value for key, value in row.settings.items() if key != "z_dim"}
    assert not rows.differences(dataclasses.replace(row, settings=without)), "a setting that the recipe got later"
    without = {key: value for key, value in row.settings.items() if key != "width"}
    assert rows.differences(dataclasses.replace(row, settings=without)), "but the plan sets this one"


def test_rows_of_earlier_versions_are_read_and_named(tmp_path: Path) -> None:
    old = made("dcgan", 0.5).to_dict()
    new = ("data", "shape", "images", "classes", "digest", "settings", "cpu_minutes", "seeds", "failed")
    old = {key: value for key, value in old.items() if key not in new}
    same = presets.command("dcgan", presets.plan("dcgan").options, 1)
    for line, said in ((same, "measured by an earlier version"), ("ganloom train dcgan x", "another one")):
        row = rows.Row.from_dict({**old, "command": line})
        assert said in rows.differences(row)[0] and not row.weak and row.smallest is None and row.read is None
        page = recipe_page.recipe("dcgan", row)
        assert line in page and recipe_page.FORMER in page and "0.8 minutes with one thread" in page
        assert "not drawn yet" in gallery_page.gallery({"dcgan": row})


def test_the_time_comes_from_earlier_rows() -> None:
    row = made("dcgan", 0.5, 0.5)
    times = Times({}, {"dcgan": row})
    length = task.Task("dcgan").length
    assert times.training(task.Task("dcgan")) == pytest.approx(length)
    larger = Times({}, {"dcgan": row}, (3, 56, 56))
    assert larger.training(task.Task("dcgan", "x")) == pytest.approx(4 * length), "by the number of pixels"
    assert times.measuring(task.Task("dcgan")) == 30
    tasks = [task.Task("dcgan", seed=seed) for seed in range(4)]
    assert "4 trainings: about" in times.sentence(tasks, 1) and "with 2 workers" in times.sentence(tasks, 2)
    countdown = Countdown(times, tasks, 2)
    assert countdown.left([0.0] * 4) != countdown.left([1.0, 1.0, 0.0, 0.0])


def test_which_recipes_are_measured_if_none_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganloom.evaluation import measure

    suites: list[benchmark.Suite] = []
    monkeypatch.setattr(benchmark, "measure", lambda suite, *args, **more: suites.append(suite) or benchmark.Outcome())
    monkeypatch.setattr(measure, "effnet_installed", lambda: False)
    _, _, err = call(capsys, *flags(tmp_path))
    assert "left out: projected-gan" in err and 'pip install "ganloom[effnet]"' in err
    measured = {name for name in RECIPES if presets.plan(name).benchmark == "recipes"}
    assert set(suites[0].recipes) == measured - {"projected-gan"} and tuple(suites[0].seeds) == (1, 2, 3)
    assert {"default", "biggan", "cyclegan"} <= measured and not {
        "df-gan",
        "eg3d",
        "lama",
        "srgan",
        "ss-gan",
    } & measured
    monkeypatch.setattr(measure, "effnet_installed", lambda: True)
    _, _, err = call(capsys, *flags(tmp_path, "--data", "emoji", "--shape", "32"))
    assert "left out" not in err and "projected-gan" in suites[1].recipes and "cyclegan" not in suites[1].recipes
    assert suites[1].name == "emoji-32" == rows.name_of("emoji", (3, 32, 32)) and rows.name_of("a/b:c", None) == "a-b-c"


# ---------------------------------------------------------------------------------------------- the docs of this checkout


def test_no_figure_is_older_than_its_plan_unless_it_is_declared() -> None:
    """If a plan changes: run `ganloom bench recipes --out docs`, or declare in docs/results/out-of-date.txt what is old."""
    found, said = pages.out_of_date(DOCS), pages.declared(DOCS)
    missing = [f"{name}: {'; '.join(texts)}" for name, texts in found.items() if name not in said]
    assert not missing, f"figures of a former plan, not declared in docs/{pages.DECLARED}:\n" + "\n".join(missing)
    assert set(said) <= set(found), f"{pages.DECLARED}: up to date, remove {sorted(set(said) - set(found))}"


def test_every_page_says_whether_its_figures_are_those_of_a_former_plan() -> None:
    for name, row in rows.kept(DOCS).items():
        assert (recipe_page.FORMER in recipe_page.recipe(name, row)) is (name in pages.out_of_date(DOCS)), name


def test_the_declared_list_only_gets_shorter(tmp_path: Path) -> None:
    rows.keep(tmp_path, made("dcgan", 0.5))
    rows.keep(tmp_path, made("gan", 0.5, settings={**task.Task("gan").settings(), "total_kimg": 1.0}))
    (tmp_path / pages.DECLARED).write_text("# why\ndcgan\ngan\n")
    pages.write(tmp_path)
    assert pages.declared(tmp_path) == ["gan"] and (tmp_path / pages.DECLARED).read_text().startswith("# why")
    mine = tmp_path / "recipes" / "gan.md"
    mine.write_text("my own notes")
    with pytest.raises(benchmark.BadInput, match=r"gan\.md was not written by ganloom"):
        pages.write(tmp_path)


def test_the_page_of_small_plans_keeps_what_is_written_by_hand() -> None:
    page = f"# Title\n\nBy hand.\n\n{small_page.START}\nold\n{small_page.END}\nThe end.\n"
    filled = small_page.filled(page, {})
    assert filled.startswith("# Title\n\nBy hand.") and filled.endswith("The end.\n") and "old" not in filled
    assert (
        presets.plan("dcgan").why in filled and "not measured yet" in filled and "cyclegan" not in filled.split("|")[0]
    )
    assert "| [eg3d](recipes/eg3d.md) | see [3d.md](3d.md) |" in filled, "another benchmark measures it"
    assert small_page.filled("no marks", {}) == "no marks"


def test_bad_input_is_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for flags, said in (
        (["--recipe", "dcgann"], "dcgan"),
        (["--kimg", "0"], "--total-kimg"),
        (["--speed"], "no row for"),
        (["--recipe", "gan", "--workers", "0"], "--workers"),
        (["--recipe", "gan", "--data", "no-such-set"], "no-such-set"),
        (["--shape", "32"], "--data"),
        (["--recipe", "vae"], "ganloom compare"),
    ):
        code, _, err = call(capsys, "--out", str(tmp_path), "--runs", str(tmp_path), *flags)
        assert code == 2 and said in err and "Traceback" not in err, err


def test_every_recipe_has_a_plan_that_its_config_takes_and_a_page() -> None:
    for name, module in RECIPES.items():
        assert name in presets.PLANS
        benchmark_page = presets.BENCHMARKS[presets.plan(name).benchmark]
        assert f"ganloom bench {presets.plan(name).benchmark}" in (DOCS / benchmark_page).read_text()
        options = {
            k: v
            for k, v in presets.keywords(find(name), presets.plan(name).options).items()
            if k not in ("total_kimg", "flip", "precision")
        }
        parts = {k: options.pop(k) for k in [f.name for f in dataclasses.fields(Stabilise)] if k in options}
        module.Config(**options)
        assert not Stabilise(**parts).idle()
        assert "\nAbout: " in (module.__doc__ or ""), f"{name}: five sentences on what it is"
