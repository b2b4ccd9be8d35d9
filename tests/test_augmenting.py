"""--augment: what auto decides, what each choice becomes in each kind of recipe, ADA on any recipe, and the preview."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import commands
import numpy as np
import pytest
import torch
from PIL import Image
from test_train import IMAGES, QUICK, assert_equal_runs

import ganloom
from ganloom import testing
from ganloom.api import prepare
from ganloom.apps import augment_preview
from ganloom.augment import policy
from ganloom.augment.ada import BGC
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import Stabilise
from ganloom.training.callbacks import Callback
from ganloom.training.trainer import TrainConfig, Trainer


class Rows(SimpleNamespace):
    kind, name, d_judges_images = "images", "photos", True

    def __len__(self) -> int:
        return self.n


@pytest.mark.parametrize(
    ("n", "kimg", "own", "said", "parts"),
    [
        (500, 100.0, {}, "diffaugment: D sees each of 500 images 200 times", {"diff_augment": ("translation",)}),
        (500, 500.0, {}, "diffaugment: D sees each of 500 images 1,000 times", {"diff_augment": policy.POLICY}),
        (500, 4.0, {}, "none: D sees each of 500 images 8 times, too few to memorise them", {}),
        (30000, 25000.0, {}, "none: 30,000 images are enough", {}),
        (29999, 25000.0, {"augment": "none"}, "ada: D sees each of 29,999 images 833 times", {}),
        (500, 500.0, {"augment": "none", "ada_kimg": 500.0}, "ada: D sees each of 500 images 1,000 times", {}),
        (500, 100.0, {"policy": ("colour",)}, "diffaugment (colour), the recipe's own: D sees each of 500", {}),
    ],
)
def test_auto_goes_by_the_number_of_images(
    n: int, kimg: float, own: dict[str, Any], said: str, parts: dict[str, Any]
) -> None:
    made = policy.choose("auto", own, Rows(n=n), kimg=kimg)
    assert made.text.startswith(said) and "\n" not in made.text
    assert made.parts == policy.OFF | parts
    assert made.config == {k: "none" for k in own if k == "augment"} | (
        {"augment": "ada"} if said.startswith("ada") else {}
    )


def test_auto_gives_ada_s_strength_time_to_rise() -> None:
    own, few = {"augment": "none", "ada_kimg": 500.0}, Rows(n=500)
    short = policy.choose("auto", own, few, kimg=240.0)
    assert short.config == {"augment": "ada", "ada_kimg": 16.0, "ada_parts": policy.MILD}
    assert short.text.startswith("ada: D sees each of 500 images 480 times")
    assert short.text.endswith("shift, scale, stretch only, rising within 16 kimg, because the run has 240 kimg")
    mine = policy.choose("auto", own, few, kimg=240.0, explicit={"ada_parts"})
    assert mine.config == {"augment": "ada", "ada_kimg": 16.0}  # what was given stands
    assert policy.choose("auto", own | {"ada_kimg": 200.0}, few, kimg=230.0).config == {"augment": "ada"}
    tuned = policy.choose("auto", own, few, kimg=230.0, tuned=True)  # from another run's weights it rises faster
    assert tuned.config == {"augment": "ada", "ada_kimg": policy.TUNED_KIMG}
    slow = policy.choose("ada", own | {"ada_kimg": 300.0}, few, kimg=230.0, tuned=True, explicit={"ada_kimg"})
    assert slow.config == {"augment": "ada"}  # the user's own stands
    assert policy.choose("ada", {}, few, kimg=230.0, tuned=True).parts["adaptive_kimg"] == policy.TUNED_KIMG
    assert "adaptive_kimg" not in policy.choose("ada", {}, few, kimg=9.0, tuned=True, explicit={"adaptive_kimg"}).parts


def test_auto_leaves_alone_what_cannot_be_augmented() -> None:
    for more, said in (
        ({"critic": False}, "none: augmentation changes the inputs of D"),
        ({"images_in": True}, "none: augmentation would change the output image"),
    ):
        assert policy.choose("auto", {}, Rows(n=99), kimg=100.0, **more).text.startswith(said)
        with pytest.raises(BadInput, match="--augment ada"):
            policy.choose("ada", {}, Rows(n=99), kimg=100.0, **more)
    with pytest.raises(BadInput, match='did you mean "ada"'):
        policy.choose("adda", {}, Rows(n=99), kimg=1.0)
    assert policy.choose(None, {}, Rows(n=99), kimg=1.0) == policy.Chosen()


def test_each_choice_in_each_kind_of_recipe() -> None:
    def made(recipe: str, **options: Any) -> Any:
        gan, _ = prepare(recipe, IMAGES, **{"width": 8, "batch_size": 8} | options)
        return gan

    assert made("stylegan2", augment="auto").cfg.augment == "ada"
    assert made("stylegan2", augment="none").ada is None
    both = made("stylegan2", augment="diffaugment")
    assert both.ada is None and both.parts.diff_augment == policy.POLICY
    assert made("r3gan", augment="ada", blocks=1).ada is not None
    assert made("fastgan", augment="none").cfg.policy == () and made("fastgan", augment="auto").cfg.policy
    assert made("dcgan", augment="ada").parts.adaptive == policy.TARGET
    assert made("dcgan", augment="none").stabilisers is None and made("dcgan").stabilisers is None
    with pytest.raises(BadInput, match="both set the augmentation of D's images. Omit one"):
        made("dcgan", augment="auto", diff_augment=("colour",))
    with pytest.raises(BadInput, match="both augment"):
        compose(testing.build("stylegan2", augment="ada"), Stabilise(adaptive=0.6))


def adaptive(recipe: str, target: float) -> Trainer:
    gan = compose(testing.build(recipe), Stabilise(adaptive=target, adaptive_kimg=0.2))
    return Trainer(gan, testing.make_data(), TrainConfig(), ema_kimg=0.05)


@pytest.mark.parametrize("recipe", ["dcgan", "default", "sngan"])
def test_ada_on_any_recipe_follows_the_signs(recipe: str) -> None:
    run = adaptive(recipe, 1.0)  # nothing is above this target, so p stays
    for _ in range(8):
        run.train_step()
    assert float(run.gan.adaptive.p) == 0.0
    run = adaptive(recipe, 0.6)
    run.gan.D.register_forward_hook(lambda m, i, o: o + 100)  # D is sure of everything
    for _ in range(9):
        run.train_step()
    updates = 9 * getattr(run.gan.cfg, "n_critic", 1)
    assert float(run.gan.adaptive.p) == pytest.approx(updates // 4 * 32 / 200)  # each 4th update by what it saw of 200
    assert "adaptive.p" in run.tensors()["gan"] and "D/adaptive_p" in run.stats.collect()


def test_ada_moves_what_d_sees_and_not_what_is_sampled() -> None:
    run, seen = adaptive("dcgan", 0.6), []
    run.gan.adaptive.p.fill_(1.0)
    run.gan.D.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach().clone()))
    x = run.ema.generate(2, seed=1)
    batch = run.gan.draw(run.data, run_rng())
    run.gan.loss_terms(run.phases[0], batch)
    assert seen[0].shape == batch.x.shape and not torch.equal(seen[0], batch.x)
    assert torch.equal(x, run.ema.generate(2, seed=1))


def run_rng() -> Any:
    from ganloom.core.randomness import Rng

    return Rng(0)


def test_a_loss_without_signs_is_refused() -> None:
    with pytest.raises(BadInput, match="gives no meaning: use --augment diffaugment"):
        ganloom.train("wgan-gp", IMAGES, "never", augment="ada", width=4)
    assert not Path("never").exists()


def test_resume_is_exact_with_ada(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"augment": "ada", "width": 4, "batch_size": 8, "console": Callback()} | QUICK
    ganloom.train("dcgan", IMAGES, tmp_path / "whole", total_kimg=0.4, **options)
    ganloom.train("dcgan", IMAGES, tmp_path / "cut", total_kimg=0.25, **options)
    ganloom.resume(tmp_path / "cut", total_kimg=0.4, console=Callback())
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
    assert capsys.readouterr().err.count("augment: ada") == 2


def test_the_command_says_what_auto_chose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "few.npz", images=IMAGES)
    with pytest.raises(SystemExit) as left:
        main(["train", "stylegan2", str(tmp_path / "few.npz"), "--augment", "auto", "--width", "8", "--z-dim", "6",
              "--batch-size", "8", "--out", str(tmp_path / "a"), "--total-kimg", "0.8", "--ada-kimg", "0.5",
              "--judge", "0", "--no-doctor"])  # fmt: skip
    said = capsys.readouterr()
    assert not left.value.code and "augment: ada: D sees each of 60 images 13 times" in said.err
    assert json.loads((tmp_path / "a" / "config.json").read_text())["config"]["augment"] == "ada"


# --------------------------------------------------------------------------------------------------------- the preview


def test_the_share_untouched_is_what_the_rates_say() -> None:
    x = torch.zeros(1, 3, 4, 4)
    assert augment_preview.share_untouched(x, BGC, 0.0) == 1.0
    # Flip, a quarter turn (none of four is none) and a shift leave (1 - p / 2)(1 - 3 p / 4)(1 - p) and what shifts by nothing.
    share = augment_preview.share_untouched(x, ("colour",), 0.5)
    assert share == pytest.approx(0.5**4 * 0.75, abs=0.03)  # five tints, of which inverting does so half the time
    shares = [augment_preview.share_untouched(x, BGC, p) for p in (0.2, 0.5, 1.0)]
    assert shares == sorted(shares, reverse=True) and shares[2] < 0.01


def test_preview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "few.npz", images=np.random.default_rng(0).integers(0, 256, (60, 16, 20, 3), dtype=np.uint8))

    def call(*argv: str) -> tuple[int, str, str]:
        return commands.call(capsys, "augment", *argv)

    few, out = str(tmp_path / "few.npz"), str(tmp_path / "sheet.png")
    code, text, _ = call("preview", few, "--out", out, "--n", "3", "--p", "0", "1")
    assert (
        not code
        and "p 1: 0.0% of images are not changed; above 0.8 it can leak" in text
        and "next: ganloom train" in text
    )
    sheet, leak = (np.asarray(Image.open(p)) for p in (out, tmp_path / "sheet-leak.png"))
    scale = (sheet.shape[1] - 2) // 7 - 2  # real, p 0, p 1, three parts, all: seven columns
    cells = [sheet[2 : 2 + scale * 16 // 20, 2 + i * (scale + 2) : 2 + i * (scale + 2) + scale] for i in range(7)]
    assert np.array_equal(cells[0], cells[1]) and all(not np.array_equal(cells[0], cell) for cell in cells[2:])
    assert leak.shape[1] == sheet.shape[1]
    code, text, err = call("preview", few, "--out", out)
    assert code == 2 and "already exists" in err
    code, text, _ = call("preview", few, "--out", str(tmp_path / "b.png"), "--json", "--p", "0.1")
    assert not code and 0 < json.loads(text)["untouched"]["0.1"] < 0.6
    faults = (
        (("preview", few, "--out", "x.png", "--p", "2"), "--p needs strengths"),
        (("preview", few, "--out", "x.png", "--parts", "blt"), 'did you mean "blit"'),
        (("preview", "ring", "--out", "x.png"), "set of points"),
        (("leak",), 'unknown command "augment leak"'),
    )
    for argv, said in faults:
        code, _, err = call(*argv)
        assert code == 2 and said in err and err.count("\n") == 1
