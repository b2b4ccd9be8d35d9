"""ganloom text check|corpus|train|sample|evaluate|augment|judge ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom.cli import text_augment, text_judge, text_models
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.core.names import word_of
from ganloom.report.progress import Progress
from ganloom.texts import corpora
from ganloom.texts.check import check
from ganloom.texts.reading import read


@dataclasses.dataclass(frozen=True)
class Check:
    """Check texts before a training: lengths, vocabulary, duplicates, labels, and signs of a wrong encoding."""

    data: Annotated[str, Positional("DATA")]
    """A file with a text a line, .csv, .tsv, .jsonl, a folder of text files, class folders, or reports (built in)."""
    text: str | None = None
    """The column of texts. None: by its name (text, sentence, content, ...)."""
    label: str | None = None
    """The column of labels; none: no labels. None: by its name (label, class, category, ...)."""
    encoding: str = "utf-8"
    """Encoding of the files: utf-8, utf-16, cp1252, ..."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Write a labelled corpus as .jsonl, from what this machine has. Families of similar texts stay in one split.

    debian: one-line package descriptions with their section (from the package index; split by source package). bible: verses
    with their book (package bible-kjv). fortunes: quotations with their file (package fortunes). reports: built in.
    """

    corpus: Annotated[Literal["debian", "bible", "fortunes", "reports"], Positional("CORPUS")]
    """debian, bible, fortunes or reports."""
    out: str
    """A new .jsonl file."""
    classes: int | None = None
    """Keep only this number of classes, those with the most texts."""
    overwrite: bool = False
    """Replace an existing file."""
    json: bool = False
    """Print one JSON object on stdout."""


def _check(argv: Sequence[str]) -> None:
    args = parse(Check, argv, "text check")
    with Progress() as progress:
        progress("reading the texts")
        report = check(read(args.data, text=args.text, label=args.label, encoding=args.encoding))
    if args.json:
        print(json.dumps(report.to_dict()))
        return
    print("\n".join(report.lines()))
    print(following(["text", "judge", word_of(args.data), "GENERATED"]))


def _corpus(argv: Sequence[str]) -> None:
    args = parse(Corpus, argv, "text corpus")
    with Progress() as progress:
        progress(f"reading the corpus {args.corpus}")
        texts = corpora.write_corpus(args.corpus, args.out, overwrite=args.overwrite, classes=args.classes)
    if args.json:
        print(json.dumps({"file": args.out, "texts": len(texts), "classes": len(texts.classes)}))
        return
    print(f"wrote {args.out}: {len(texts):,} texts of {len(texts.classes)} classes")
    print(following(["text", "check", word_of(args.out)]))


SUBCOMMANDS: dict[str, Subcommand] = {
    "check": (Check, _check),
    "corpus": (Corpus, _corpus),
    "train": (text_models.Train, text_models.train),
    "sample": (text_models.Sample, text_models.sample),
    "evaluate": (text_models.Evaluate, text_models.evaluate),
    "augment": (text_augment.Arguments, text_augment.run),
    "judge": (text_judge.Arguments, text_judge.run),
}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("text", SUBCOMMANDS, argv)
