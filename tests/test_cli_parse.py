"""From words to values: what was given, which recipe is meant, how schedules are written."""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from commands import call

from ganloom import recipes
from ganloom.cli import schedules, train
from ganloom.cli.flags import Flag, Positional, Section
from ganloom.cli.parse import parse, parse_given
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, constant, cosine, inverse, linear


@dataclasses.dataclass(frozen=True)
class Arguments:
    """An example."""

    first: Annotated[str, Positional("FIRST")]
    """The first."""
    others: Annotated[tuple[str, ...], Positional("OTHER")] = ()
    """All others."""
    number: float = 1.0
    """A number."""
    size: tuple[int, int] | None = None
    """Two numbers."""
    names: tuple[str, ...] = ("a",)
    """Several names."""
    mode: Literal["one", "two"] = "one"
    """A choice."""
    sure: bool | None = None
    """Yes, no, or unknown."""
    flip: bool = True
    """A switch."""
    opt: Adam = Adam()
    """Nested."""


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("x", {}),
        ("x y z", {"others": ("y", "z")}),
        ("--number -1 x", {"number": -1.0}),
        ("--number=-1e-3 x", {"number": -1e-3}),
        ("x --number 1.0", {"number": 1.0}),  # equal to the default: given all the same
        ("--size 3 4 x", {"size": (3, 4)}),
        ("--size None x", {"size": None}),
        ("x --names", {"names": ()}),
        ("x --names b c --flip", {"names": ("b", "c"), "flip": True}),
        ("--no-flip x", {"flip": False}),
        ("--flip --no-flip x", {"flip": False}),
        ("--mode two x", {"mode": "two"}),
        ("--sure False x", {"sure": False}),
        ("--opt.lr 2 x", {"opt": Adam(2.0)}),
        ("--opt.lr 2 --opt.betas 0 0.9 x", {"opt": Adam(2.0, betas=(0.0, 0.9))}),
        ("--number 2 -- x --number", {"number": 2.0, "others": ("--number",)}),
    ],
)
def test_values_and_what_was_given(words: str, fields: dict[str, Any]) -> None:
    args, given = parse_given(Arguments, words.split(), "example")
    assert args == Arguments("x", **fields)
    assert given == {"first", *fields}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "FIRST is missing"),
        ("x --nubmer 3", 'unknown option --nubmer (did you mean "--number"?)'),
        ("x -q", "unknown option -q"),
        ("x --number", "--number needs 1 value, got 0"),
        ("x --number two", '--number cannot be "two": give FLOAT'),
        ("x --size 3", "--size cannot be"),
        ("x --mode three", '--mode must be one of one, two, got "three"'),
        ("x --sure perhaps", '--sure must be one of True, False, None, got "perhaps"'),
        ("x --opt.betas 0.5", "--opt.betas needs 2 values, got 1: 0.5"),
        ("x --opt.betas 0 2", "betas must be in"),
    ],
)
def test_faults_name_the_flag(words: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(Arguments, words.split(), "example")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_help_is_as_wide_as_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    with pytest.raises(SystemExit) as left:
        parse(Arguments, ["--help"], "example")
    out = capsys.readouterr().out
    assert not left.value.code and out.startswith("usage: ganloom example FIRST [OTHER ...] [OPTIONS]\n")
    assert max(map(len, out.splitlines())) <= 70
    for line in (
        "--mode {one,two}",
        "--flip, --no-flip",
        "(default: on)",
        "--opt.lr FLOAT",
        "(default: 0.0002)",
        "-h, --help",
    ):
        assert line in out


# ----------------------------------------------------------------------------------------------------------------- train


@pytest.mark.parametrize(
    ("words", "recipe", "data"),
    [
        ("", "default", "fashion-10k"),
        ("dcgan", "dcgan", "fashion-10k"),
        ("DCGAN ring", "dcgan", "ring"),
        ("wgan_gp", "wgan-gp", "fashion-10k"),
        ("shapes", "default", "shapes"),
        ("a/b", "default", "a/b"),
        ("--out gan dcgan x", "dcgan", "x"),
        ("--small stylegan2", "stylegan2", "fashion-10k"),
        ("--flip --out gan --shape 3 16 16 cgan x", "cgan", "x"),
        ("--shape 3 16 16 a/b", "default", "a/b"),
        ("--out=gan a/b", "default", "a/b"),
    ],
)
def test_the_recipe_is_found_by_its_own_flags(words: str, recipe: str, data: str) -> None:
    command = train.read(words.split())
    assert (command.options.recipe, command.options.data) == (recipe, data)
    assert command.module is recipes.find(recipe)


def test_the_recipe_of_the_run_that_init_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"recipe": "wgan-gp", "config": {}}')
    for words in (
        ["--init", str(tmp_path)],
        [f"--init={tmp_path}", "--gp-weight", "3"],
        ["--init", str(tmp_path), "a/b"],
    ):
        assert train.read(words).options.recipe == "wgan-gp"
    assert train.read(["dcgan", "--init", str(tmp_path)]).options.recipe == "dcgan"
    assert train.read(["--init", str(tmp_path / "gone")]).options.recipe == "default"


def test_settings_that_equal_the_default_are_given() -> None:
    default = recipes.find("dcgan").Config()
    words = f"dcgan --z-dim {default.z_dim} --batch-size 3 --seed 0 --pack 1 --no-small --d-opt.lr {default.d_opt.lr}"
    command = train.read(words.split())
    assert command.settings == {"z_dim": default.z_dim, "batch_size": 3, "seed": 0, "pack": 1, "d_opt": default.d_opt}
    assert command.given == {"recipe", "small"}


def test_augment_is_one_flag_for_every_recipe() -> None:
    for recipe in ("dcgan", "stylegan2"):
        assert train.read([recipe, "--augment", "diffaugment"]).settings == {"augment": "diffaugment"}
        flags = [flag.name for section in train._sections(recipe, recipes.find(recipe)) for flag in section.flags]
        assert flags.count("--augment") == 1 and len(flags) == len(set(flags))


def test_every_flag_of_every_recipe_reads_its_own_default() -> None:
    for recipe in recipes.LISTED:
        for section in train._sections(recipe, recipes.find(recipe)):
            for flag in section.flags:
                assert flag.value(_written(flag)) == flag.default, f"{recipe} {flag.name}"
                assert flag.help or not flag.path, f"{recipe} {flag.name} has no help"
                assert len(flag.default_text) <= 80, f"{recipe} {flag.name}: {flag.default_text}"


def _written(flag: Flag) -> list[str]:
    return flag.spec.str_from_instance(flag.default)


def test_a_setting_that_the_command_line_cannot_read_is_named() -> None:
    kind = dataclasses.make_dataclass("Config", [("hook", object, None)])
    with pytest.raises(BadInput, match="hook"):
        _ = Section("recipe", kind).flags


# ------------------------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("text", "knots"),
    [
        ("constant", constant()),
        ("constant()", constant()),
        ("linear(133.5, 267)", linear(133.5, 267.0)),
        ("linear(0,200,0.1)", linear(0.0, 200.0, 0.1)),
        ("cosine(0, 200)", cosine(0.0, 200.0)),
        ("cosine(10, 200, 0.25)", cosine(10.0, 200.0, 0.25)),
        ("inverse(40)", inverse(40.0)),
        ("6 1 12 0.5 24 0", ((6.0, 1.0), (12.0, 0.5), (24.0, 0.0))),
        ("-1 0.5", ((-1.0, 0.5),)),
    ],
)
def test_schedules_have_short_forms(text: str, knots: tuple[tuple[float, float], ...]) -> None:
    assert schedules.read(text.split(" ") if text[0] in "-6" else [text]) == knots
    again = schedules.write(knots)
    assert schedules.read(again.split() if again[0] in "-6" else [again]) == knots, again
    command = train.read(["dcgan", "--g-opt.schedule", *([text] if text[0] not in "-6" else text.split())])
    assert command.settings["g_opt"].schedule == knots


def test_schedules_that_no_builder_makes() -> None:
    bent = tuple((t, factor * 0.9) for t, factor in cosine(0.0, 200.0))
    assert schedules.write(bent) == "33 knots from 0.9 at 0 kimg to 0 at 200 kimg"
    scaled = tuple((t * 0.1, factor) for t, factor in cosine(0.0, 100.0))
    assert schedules.write(scaled) == "cosine(0, 10)", "rounding does not matter"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cosin(1, 2)"], 'did you mean "cosine"'),
        (["linear(1)"], "has 1 numbers"),
        (["linear(2, 1)"], "must start before it ends"),
        (["linear(0, nan)"], "finite"),
        (["inverse(0)"], "above 0"),
        (["linear(a, b)"], "cannot be"),
        (["1", "2", "3"], "pairs of numbers"),
        (["1", "x"], "cannot be"),
    ],
)
def test_schedules_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        schedules.read(words)


@pytest.mark.parametrize("group", ["anomaly", "augment", "bench", "data", "latent", "robust", "table", "text"])
def test_a_command_with_subcommands_lists_them(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = importlib.import_module(f"ganloom.cli.{group}").SUBCOMMANDS
    for words in ([], ["--help"]):
        code, text, _ = call(capsys, group, *words)
        listed = [line.split()[0] for line in text.splitlines() if re.match(r"  \S", line)]
        assert code == 0 and listed == list(known)
        assert all((kind.__doc__ or "").split()[0] in text for kind, _ in known.values())
    for words, why in ((["--out", "x"], "needs a command before --out"), (["chek"], "unknown command")):
        code, _, err = call(capsys, group, *words)
        assert code == 2 and why in err and f"`ganloom {group} --help` lists the commands" in err
