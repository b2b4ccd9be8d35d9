"""Flags that people guess: each one is accepted, or answered with the right flag in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call

from ganloom import data as datasets
from ganloom import recipes
from ganloom.cli import guesses, order, spellings, train
from ganloom.cli.compare import Arguments as CompareArguments
from ganloom.cli.parse import parse
from ganloom.cli.plan import Arguments as PlanArguments
from ganloom.cli.resume import Arguments as ResumeArguments
from ganloom.cli.sample import Arguments as SampleArguments
from ganloom.cli.translate import Arguments as TranslateArguments
from ganloom.core.errors import BadInput


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("--kimg 3", {"total_kimg": 3.0}),
        ("--kimg=3", {"total_kimg": 3.0}),
        ("--total_kimg 3", {"total_kimg": 3.0}),
        ("--batch 8", {"batch_size": 8}),
        ("--bs 8", {"batch_size": 8}),
        ("--batchSize 8", {"batch_size": 8}),
        ("--size 64", {"shape": (64,)}),
        ("--resolution 64", {"shape": (64,)}),
        ("--image-size 64", {"shape": (64,)}),
        ("--imageSize 64", {"shape": (64,)}),
        ("--shape 64", {"shape": (64,)}),
        ("--shape 64 48", {"shape": (64, 48)}),
        ("--shape 64x48", {"shape": (64, 48)}),
        ("--shape 3 64", {"shape": (3, 64, 64)}),
        ("--shape 3 64 48", {"shape": (3, 64, 48)}),
        ("--gpu", {"device": "cuda"}),
        ("--gpu 1", {"device": "cuda:1"}),
        ("--cuda", {"device": "cuda"}),
        ("--cpu", {"device": "cpu"}),
        ("--no-cuda", {"device": "cpu"}),
        ("--manualSeed 7", {"seed": 7}),
        ("--random-seed 7", {"seed": 7}),
        ("--nz 32", {"z_dim": 32}),
        ("--latent-dim 32", {"z_dim": 32}),
        ("--ngf 32", {"width": 32}),
        ("--amp", {"precision": "bf16"}),
        ("--minutes 2", {"minutes": 2.0}),
        ("--hours 2", {"minutes": 120.0}),
    ],
)
def test_guesses_of_settings(words: str, settings: dict[str, Any]) -> None:
    command = train.read(["dcgan", "fashion-10k", *words.split()])
    assert command.settings == settings and (command.options.recipe, command.options.data) == ("dcgan", "fashion-10k")


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("-o runs/x", {"out": "runs/x"}),
        ("--output runs/x", {"out": "runs/x"}),
        ("--output-dir=runs/x", {"out": "runs/x"}),
        ("--name x", {"out": "runs/x"}),
        ("--epochs 10", {"epochs": 10.0}),
        ("--num-epochs 10", {"epochs": 10.0}),
        ("--niter 10", {"steps": 10}),
        ("--iterations 10", {"steps": 10}),
        ("--steps 10", {"steps": 10}),
        ("--mirror", {"flip": True}),
        ("--pretrained runs/y", {"init": "runs/y"}),
    ],
)
def test_guesses_of_options(words: str, options: dict[str, Any]) -> None:
    command = train.read(["dcgan", "fashion-10k", *words.split()])
    assert {name: getattr(command.options, name) for name in options} == options


@pytest.mark.parametrize("recipe", [name for name in recipes.LISTED if name not in ("r3gan",)])
def test_one_learning_rate_is_for_all_optimizers(recipe: str) -> None:
    settings = train.read([recipe, "--lr", "0.5"]).settings
    assert settings and all(value == 0.5 if name == "lr" else value.lr == 0.5 for name, value in settings.items())
    assert settings.keys() >= {"g_opt", "d_opt"} or recipe not in recipes.RECIPES


@pytest.mark.parametrize(
    ("words", "recipe", "data"),
    [
        ("--data DIR/x", "default", "DIR/x"),
        ("--data DIR/x --model dcgan", "dcgan", "DIR/x"),
        ("--recipe dcgan --dataset fashion-10k", "dcgan", "fashion-10k"),
        ("dcgan --data-dir DIR/x", "dcgan", "DIR/x"),
        ("DIR/x dcgan", "dcgan", "DIR/x"),
        ("fashion-10k wgan_gp --bs 3", "wgan-gp", "fashion-10k"),
        ("wgan-gp fashion-10k", "wgan-gp", "fashion-10k"),
        ("fashion-10k", "default", "fashion-10k"),
    ],
)
@pytest.mark.parametrize("prog", ["train", "plan"])
def test_recipe_and_data_in_any_order(words: str, recipe: str, data: str, prog: str) -> None:
    kinds: dict[str, Any] = {"train": train.Options, "plan": PlanArguments}
    command = train.read(words.split(), kinds[prog], prog)
    assert (command.options.recipe, command.options.data) == (recipe, data)


def test_order_of_other_commands() -> None:
    assert order.recipe_and_data("fashion-10k", None) == ("default", "fashion-10k")
    assert order.recipe_and_data("fashion-10k", "dcgan") == order.recipe_and_data("dcgan", "fashion-10k")
    with pytest.raises(BadInput, match="DATA is missing"):
        order.recipe_and_data("dcgan", None)
    for words in (["fashion-10k", "dcgan", "vae"], ["dcgan", "vae", "fashion-10k"], ["dcgan", "fashion-10k", "vae"]):
        assert order.data_and_models(words) == ("fashion-10k", ["dcgan", "vae"])
    assert order.data_and_models(["a/b", "dcgan --small"]) == ("a/b", ["dcgan --small"])


@pytest.mark.parametrize("guess", sorted(guesses.ANSWERS.keys() - {"--epochs", "--steps", "--minutes", "--seeds"}))
def test_answered_guesses_of_train_are_one_line(guess: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "train", "dcgan", "fashion-10k", guess, "3")
    assert code == 2 and not out and err.count("\n") == 1, err
    assert guesses.ANSWERS[guess] in err or "unknown option" not in err


@pytest.mark.parametrize("guess", guesses.RESUME)
def test_resume_is_a_command(guess: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "train", "dcgan", guess, "runs/my run")
    assert code == 2 and "`ganloom resume 'runs/my run'`" in err and err.count("\n") == 1


def test_every_guess_that_names_a_flag_of_train_is_read() -> None:
    flags = {flag.name: flag for section in train._sections("dcgan", recipes.find("dcgan")) for flag in section.flags}
    known = {name: flag for name, flag in flags.items() if not flag.positional}
    positionals = {flag.positional: flag for flag in flags.values() if flag.positional}
    for target, names in guesses.RENAMED.items():
        for name in names:
            meant = guesses.meaning(name, ["1"], known, positionals)
            if target in known and name not in known:
                assert meant is not None and (meant.words or meant.answer), name
    everything = [*(n for names in guesses.RENAMED.values() for n in names), *guesses.ANSWERS]
    assert all(name.startswith("-") and name == guesses.plain(name) for name in everything)


def test_guesses_of_other_commands() -> None:
    args = parse(SampleArguments, "--run r --num-samples 5 --class 3 --psi 0.7 -s 4 -o x".split(), "sample")
    assert (args.run, args.n, args.c, args.truncation, args.seed, args.out) == ("r", 5, ("3",), 0.7, 4, "x")
    other = parse(TranslateArguments, "r --input a -o b --gpu".split(), "translate")
    assert (other.run, other.source, other.out, other.device) == ("r", "a", "b", "cuda")
    compared = parse(CompareArguments, "fashion-10k vae --minutes 3".split(), "compare")
    assert compared.budget == "3m" and parse(CompareArguments, "a b --time 90s".split(), "compare").budget == "90s"
    assert parse(ResumeArguments, "r --kimg 3".split(), "resume").total_kimg == 3
    with pytest.raises(BadInput, match="--total-kimg"):
        parse(ResumeArguments, "r --epochs 3".split(), "resume")
    with pytest.raises(BadInput, match=r'did you mean "--truncation"'):
        parse(SampleArguments, "r --trunct 3".split(), "sample")
    with pytest.raises(BadInput, match=r'did you mean "--batch-size"'):
        train.read(["dcgan", "--bacth", "3"])


@pytest.mark.parametrize("words", [[], ["x"], ["1", "2", "3", "4"], ["3", "x"]])
def test_bad_shapes(words: list[str]) -> None:
    with pytest.raises(BadInput, match="--shape"):
        spellings.read_shape(words)


def test_a_shape_without_channels_gets_those_of_the_data(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), np.uint8)
    assert datasets.full_shape(images, 16) == (3, 16, 16) and datasets.full_shape(images, (16, 8)) == (3, 16, 8)
    assert datasets.full_shape(images[..., :1], (16,)) == (1, 16, 16)
    assert datasets.full_shape(images, (1, 4, 5)) == (1, 4, 5) and datasets.full_shape(images, None) is None
    assert datasets.full_shape("ring", (2,)) == (2,)
    with pytest.raises(BadInput, match="--shape 0"):
        datasets.full_shape(images, 0)
    from ganloom.api import prepare

    gan, data = prepare("dcgan", images, shape=16, width=4)
    assert gan.cfg.shape == data.shape == (3, 16, 16)
