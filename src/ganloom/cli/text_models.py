"""ganloom text train|sample|evaluate ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ganloom import recipes
from ganloom.cli import help_page
from ganloom.cli.flags import Positional, Section
from ganloom.cli.messages import following, table
from ganloom.cli.parse import Words, parse, show, split, values
from ganloom.cli.spellings import SPELLINGS
from ganloom.core.errors import BadInput
from ganloom.core.names import printable, word_of
from ganloom.core.output_files import new_file, write_new
from ganloom.report.progress import Progress
from ganloom.texts.tables import table_text

FROM_TEXTS = frozenset({"vocabulary", "length", "n_classes", "fixed_length"})
"""Fields of a recipe's config that come from the texts."""
ENDINGS = (".txt", ".csv", ".jsonl")


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a text model: mle (maximum likelihood), or a text GAN that begins with it: seqgan, relgan, maligan, residual-energy.

    Research found that maximum likelihood with a temperature beats text GANs; `ganloom text evaluate` prints both. Of texts with
    labels, the model learns the classes. A tenth of the texts decides which weights are kept, and a tenth is for the evaluation.
    """

    recipe: Annotated[str, Positional("RECIPE")]
    """mle, seqgan, relgan, maligan or residual-energy."""
    data: Annotated[str, Positional("DATA")]
    """A file with a text a line, .csv, .tsv, .jsonl, a folder of text files, class folders, or reports (built in)."""
    out: str | None = None
    """The run folder; it must be new or empty. None: runs/RECIPE-DATA-NN."""
    small: bool = False
    """Settings for minutes on a CPU instead of those of the paper, which need a GPU."""
    tokens: Literal["word", "wordpiece", "char"] = "word"
    """Tokens are words and punctuation marks, WordPiece's frequent parts of words, or characters."""
    vocabulary: int = 5000
    """Largest number of different tokens; rarer ones are unknown."""
    length: int | None = None
    """Longest text in tokens; longer ones are cut. None: 95 % of the texts fit, at most 64 words, 96 pieces or
    256 characters."""
    total_kimg: float | None = None
    """Length of the run, in thousands of texts shown; its stages are stretched to it. None: that of the recipe."""
    minutes: float | None = None
    """Stop after this many minutes of training. None: no limit."""
    text: str | None = None
    """The column of texts. None: by its name."""
    label: str | None = None
    """The column of labels; none: no labels. None: by its name."""
    encoding: str = "utf-8"
    """Encoding of the files."""
    seed: int = 0
    """Seed of the split, the weights and the training."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print the statistics as JSON lines on stdout."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Draw texts from a trained text model. Without --out, they are printed, a text a line."""

    run: Annotated[str, Positional("RUN")]
    """A run folder of `ganloom text train`, or its model/ folder."""
    n: int = 20
    """Number of texts; with --class, of each class."""
    temperature: float = 1.0
    """Below 1: more probable and less varied texts."""
    class_: tuple[str, ...] = ()
    """Classes, by name or number. None: by their share of the training texts."""
    out: str | None = None
    """A new file: .txt, a text a line; .csv or .jsonl, with the class of each text."""
    unknown: bool = False
    """Allow the token <unk>, which stands for words outside of the vocabulary."""
    seed: int = 0
    """Seed of the first text; text i has the seed SEED + i."""
    checkpoint: str = "latest"
    """latest, or the name of a checkpoint."""
    device: str = "cpu"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace an existing file."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a text model on the test texts of its run, with maximum likelihood at several temperatures and real texts.

    Likelihood of the test texts, BLEU against them (quality), self-BLEU and distinct-2 (variety), and copies of training texts.
    A lower temperature always raises BLEU, so a model is compared with maximum likelihood at equal self-BLEU.
    """

    run: Annotated[str, Positional("RUN")]
    """A run folder of `ganloom text train`."""
    n: int = 500
    """Texts to draw, at most as many as there are test texts."""
    temperature: float = 1.0
    """Temperature of the model."""
    seed: int = 0
    """Seed of the texts."""
    checkpoint: str = "latest"
    """latest, or the name of a checkpoint."""
    device: str = "cpu"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON object on stdout."""


def train(argv: Sequence[str]) -> None:
    """Read the command line with the flags of the recipe, train, print where the run is."""
    name, sections, words = _recipe(argv)
    if words.help:
        show(help_page.full("ganloom text train", _about(name), sections))
    if name:
        recipes.find_text(name)
    flags = [flag for section in sections for flag in section.flags]
    given = values(words, flags, f"ganloom text train {name} --help")
    args, options = sections[0].build(given), sections[1].given(given) if len(sections) > 1 else {}
    from ganloom.apps.text_models import Tokens, train_texts
    from ganloom.texts.reading import read
    from ganloom.training.callbacks import Console

    with Progress() as progress:
        progress("reading the texts")
        data = read(args.data, text=args.text, label=args.label, encoding=args.encoding)
        run = train_texts(
            args.recipe, data, args.out, tokens=Tokens(args.tokens, args.vocabulary, args.length), small=args.small,
            total_kimg=args.total_kimg, options=options, console=Console(json=args.json, progress=progress),
            progress=progress, seed=args.seed, device=args.device, minutes=args.minutes,
        )  # fmt: skip
    if args.json:
        print(json.dumps({"run": str(run.path), "reason": run.reason, "report": str(run.path / "report.html")}))
        return
    print(f"wrote {printable(run.path)}: report.html, samples/, model/, checkpoints/")
    print(following(["text", "sample", word_of(run.path)], ["text", "evaluate", word_of(run.path)]))


def _recipe(argv: Sequence[str]) -> tuple[str, list[Section], Words]:
    """(the recipe, the sections of flags, the words): the first positional argument, which may follow flags of the recipe."""
    own = Section("text train", Train, spellings=SPELLINGS)
    for word in argv:
        name = recipes.plain(word)
        if name in recipes.TEXTS:
            sections = [own, Section(f"recipe {name}", recipes.TEXTS[name].Config, None, FROM_TEXTS, SPELLINGS)]
            words = split(argv, [flag for section in sections for flag in section.flags])
            if words.help or word in [*words.flags.get(("recipe",), []), *words.positionals][:1]:
                return name, sections, words
    words = split(argv, own.flags)
    return recipes.plain(words.positionals[0]) if words.positionals else "", [own], words


def _about(name: str) -> str:
    about = " ".join((Train.__doc__ or "").split())
    if name in recipes.TEXTS:
        about += "\n\n" + (recipes.TEXTS[name].__doc__ or "").split("\n\n")[0]
    return about


def sample(argv: Sequence[str]) -> None:
    """Draw texts, print or write them."""
    args = parse(Sample, argv, "text sample")
    out = None if args.out is None else new_file(args.out, ENDINGS, overwrite=args.overwrite)
    from ganloom.apps.text_models import open_model, sample_texts

    with Progress() as progress:
        progress("loading the model")
        model = open_model(args.run, checkpoint=args.checkpoint, device=args.device)
        made = sample_texts(
            model, args.n, temperature=args.temperature, classes=args.class_, seed=args.seed, unknown=args.unknown,
            progress=progress,
        )  # fmt: skip
    lines = [" ".join(text.split()) for text in made.texts]
    labels = list(made.labels) if made.labels is not None else None
    if out is not None:
        write_new(out, _content(lines, labels, out).encode("utf-8", "backslashreplace"), overwrite=args.overwrite)
    if args.json:
        print(json.dumps({"texts": lines, "classes": labels, "file": None if out is None else str(out)}))
        return
    if out is None:
        for i, line in enumerate(lines):
            print(printable(line if labels is None else f"{labels[i]}: {line}"))
    else:
        print(f"wrote {printable(out)}: {len(lines)} texts")
    empty = sum(not line for line in lines)
    if empty:
        print(f"note: {empty} of the {len(lines)} texts are empty", file=sys.stderr)
    print(
        following(
            ["text", "judge", "REAL", word_of(out)] if out is not None else ["text", "evaluate", word_of(args.run)]
        )
    )


def _content(lines: Sequence[str], labels: Sequence[str] | None, out: Path) -> str:
    if out.suffix.lower() == ".txt":
        return "".join(f"{line}\n" for line in lines)
    rows = [{"text": line} | ({} if labels is None else {"label": labels[i]}) for i, line in enumerate(lines)]
    return table_text(rows, out.suffix.lower())


def evaluate(argv: Sequence[str]) -> None:
    """Measure a model, print the table and the verdict."""
    args = parse(Evaluate, argv, "text evaluate")
    if args.n < 20:
        raise BadInput(f"--n {args.n}: give at least 20")
    from ganloom.apps.text_evaluation import evaluate_run

    with Progress() as progress:
        found = evaluate_run(
            args.run, n=args.n, temperature=args.temperature, seed=args.seed, checkpoint=args.checkpoint, device=args.device,
            progress=progress,
        )  # fmt: skip
    if args.json:
        print(json.dumps(dataclasses.asdict(found)).replace("NaN", "null"))
        return
    print(table([_cells(row) for row in found.rows]))
    print(f"{found.texts} texts in each row; NLL: nats per token of the test texts, with its standard error")
    for line in [*(f"note: {note}" for note in found.notes), *found.verdict]:
        print(line)
    run = word_of(args.run)
    print(following(["text", "sample", run, "--n", 1000, "--out", "generated.txt"]))


def _cells(row: Any) -> dict[str, str]:
    def shown(value: float) -> str:
        return "-" if value != value else f"{value:.3f}"

    return {
        "texts": row.name,
        "T": "-" if row.temperature != row.temperature else f"{row.temperature:g}",
        "NLL": shown(row.nll) if row.nll != row.nll else f"{row.nll:.3f} ± {row.nll_error:.3f}",
        **{f"BLEU-{n}": shown(value) for n, value in row.bleu.items()},
        **{f"self-BLEU-{n}": shown(value) for n, value in row.self_bleu.items()},
        "distinct-2": shown(row.distinct),
        "copies": shown(row.copies),
        "empty": shown(row.empty),
    }
