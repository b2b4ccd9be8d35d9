"""ganloom robust train|evaluate ..."""

import dataclasses
import json
import random
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, shown, word_of
from ganloom.core.output_files import new_folder
from ganloom.report.progress import Progress
from ganloom.texts.reading import read
from ganloom.texts.texts import Texts, normalised, split

SHARES = (0.8, 0.2)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a text classifier with a defence against attacks, for about a minute on one CPU core.

    If DATA has a column split, its train part is used, otherwise 80 % of the texts; `robust evaluate` uses the rest. After a
    stop, `ganloom resume DIR` continues with the same result.
    """

    data: Annotated[str, Positional("DATA")]
    """Texts with labels: .csv, .tsv, .jsonl, class folders, or reports (built in)."""
    out: str
    """A new or empty folder."""
    defence: Literal["none", "augment", "fgm", "vat", "freelb", "smart", "both"] = "both"
    """augment: typing errors; fgm, vat, freelb, smart: perturbed embeddings; both: augment and fgm; none."""
    kind: Literal["cnn", "lstm", "chars", "sentence"] = "cnn"
    """cnn: convolutions over words; lstm: over words in both directions; chars: convolutions over characters; sentence: a layer
    on a frozen sentence encoder."""
    encoder: str = "minilm"
    """With --kind sentence: minilm, or the folder of a BERT model."""
    size: float = 0.3
    """Norm of a perturbation over that of the text's embeddings."""
    epochs: int | None = None
    """Passes over the texts. None: 8, and more on few texts, so that there are 800 steps; at most 50."""
    text: str | None = None
    """The column of texts. None: by its name."""
    label: str | None = None
    """The column of labels. None: by its name."""
    encoding: str = "utf-8"
    """Encoding of the files."""
    seed: int = 0
    """Seed of the split, the weights, the order and the damage."""
    overwrite: bool = False
    """Write into a folder that is not empty."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a classifier: clean, under character edits, word flips and perturbed embeddings, with and without a speller.

    The speller is not trained: an unknown word becomes the most frequent training word at one edit. It is always printed,
    because it is the method to beat.
    """

    model: Annotated[str, Positional("MODEL")]
    """A folder of `ganloom robust train`."""
    data: Annotated[str, Positional("DATA")]
    """Texts with labels: the data of the training, or others. Texts that were trained on are left out, and so are those of
    other splits than test, if there is a column split."""
    n: int = 500
    """Most texts."""
    share: float = 0.2
    """Share of the words of a text that may be attacked."""
    text: str | None = None
    """The column of texts. None: by its name."""
    label: str | None = None
    """The column of labels. None: by its name."""
    encoding: str = "utf-8"
    """Encoding of the files."""
    synonyms: bool = True
    """Also attack by synonyms, where WordNet is installed (Debian: wordnet-base)."""
    seed: int = 0
    """Seed of the character edits."""
    json: bool = False
    """Print one JSON object on stdout."""


def is_begun(folder: str) -> bool:
    """Whether a folder holds a text classifier, trained or begun."""
    return (as_path(folder) / "robust.json").is_file()


def parts(data: Texts, seed: int) -> tuple[Texts, Texts]:
    """The texts to train on and the others: by the splits of the source, or at random."""
    if data.splits is None:
        train, test = split(data, SHARES, seed)
        return train, test
    rows = {name: [i for i, own in enumerate(data.splits) if own == name] for name in ("train", "test")}
    if not rows["train"]:
        raise BadInput(f'{data.name}: no text has "train" in the column split; name some, or leave the column out')
    return data.pick(rows["train"]), data.pick(rows["test"])


def left_for_test(data: Texts, trained_on: set[str]) -> Texts:
    """The texts to measure on, in random order: those of the split "test", if there is one, without all that were trained on."""
    declared = data.splits if data.splits is not None and "test" in data.splits else ["test"] * len(data)
    rows = [i for i, text in enumerate(data.texts) if declared[i] == "test" and normalised(text) not in trained_on]
    if not rows:
        raise BadInput(f"{data.name}: the classifier was trained on all texts; give others to measure on")
    random.Random("robust evaluate").shuffle(rows)  # the texts may be sorted by class
    return data.pick(rows)


def _of_known_classes(test: Texts, classes: Sequence[str]) -> Texts:
    """The texts whose class was in the training; a class with few texts may be in the test part alone."""
    labels = test.labels or ()
    left = sorted({label for label in labels if label not in classes})
    if not left or all(label in left for label in labels):
        return test
    kept = [i for i, label in enumerate(labels) if label in classes]
    print(
        f"note: {len(test) - len(kept)} texts of classes without training texts were left out, such as {shown(left[0])}",
        file=sys.stderr,
    )
    return test.pick(kept)


def _train(argv: Sequence[str]) -> None:
    args = parse(Train, argv, "robust train")
    if (args.epochs is not None and args.epochs < 1) or not 0 < args.size <= 2:
        raise BadInput("give --epochs of at least 1 and --size between 0 and 2")
    if args.encoder != "minilm" and args.kind != "sentence":
        raise BadInput("--encoder has an effect with --kind sentence only")
    new_folder(args.out, overwrite=args.overwrite)
    from ganloom.robust.folder import train_in
    from ganloom.robust.training import Settings

    with Progress() as progress:
        progress("reading the texts")
        data = _read(args)
        train, test = parts(data, args.seed)
        settings = Settings(args.defence, args.kind, args.size, args.epochs, seed=args.seed, encoder=args.encoder)
        classifier = train_in(
            args.out, train, settings, overwrite=args.overwrite,
            progress=progress.part(f"training with the defence {args.defence}"),
        )  # fmt: skip
    facts = {"model": args.out, "classes": classifier.classes, "trained_on": len(train), "left": len(test)}
    _print_trained(facts, args.json, args.data)


def resume(folder: str, *, as_json: bool) -> None:
    """Continue the training of a folder for `ganloom resume`, and print what it has made."""
    from ganloom.robust.folder import resume_in

    with Progress() as progress:
        classifier, trained_on, some = resume_in(folder, progress=progress.part("training"))
    if not some:
        print(f"{folder} is complete: nothing is left to train", file=sys.stderr)
    _print_trained({"model": folder, "classes": classifier.classes, "trained_on": trained_on}, as_json, "DATA")


def _print_trained(facts: dict[str, Any], as_json: bool, data: str) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    print(
        f"wrote {facts['model']}: a classifier of {len(facts['classes'])} classes, trained on {facts['trained_on']:,} texts"
    )
    print(following(["robust", "evaluate", word_of(facts["model"]), word_of(data)]))


def _read(args: Train | Evaluate) -> Texts:
    data = read(args.data, text=args.text, label=args.label, encoding=args.encoding)
    for note in data.notes if data.labels is not None else ():
        print(f"note: {note}", file=sys.stderr)
    return data


def _evaluate(argv: Sequence[str]) -> None:
    args = parse(Evaluate, argv, "robust evaluate")
    if args.n < 1 or not 0 < args.share <= 1:
        raise BadInput("give --n of at least 1 and --share between 0 and 1")
    from ganloom.robust.evaluation import ATTACKS, evaluate_classifier
    from ganloom.robust.folder import load_classifier, training_texts
    from ganloom.robust.wordnet import MISSING, find

    with Progress() as progress:
        progress("loading the model")
        classifier, speller = load_classifier(args.model)
        data = _read(args)
        test = _of_known_classes(left_for_test(data, training_texts(args.model)), classifier.classes)
        wordnet = find() if args.synonyms else None
        found = evaluate_classifier(
            classifier, speller, test, n=args.n, share=args.share, seed=args.seed, wordnet=wordnet, progress=progress
        )
    if args.json:
        print(json.dumps({"defence": classifier.defence, "results": [row.to_dict() for row in found]}))
        return
    print(
        f"{found[0].count} texts, defence {classifier.defence}, {found[0].queries:.0f} queries a text for character edits"
    )
    cells = [
        {"attack": attack} | {row.name: f"{row.shares[attack]:.3f}" if attack in row.shares else "-" for row in found}
        for attack in ATTACKS
        if attack in found[0].shares
    ]
    print(table(cells))
    names = list(found[0].by_class["clean"])
    print(
        table(
            [
                {"class": shown(name, 24)}
                | {a: f"{found[0].by_class[a][name]:.2f}" for a in ("clean", "characters", "pgd 0.2")}
                for name in names[:20]
            ]
        )
    )
    print("no defence is trained on two edits a word, nor on a pgd above its --size; the speller is not trained")
    if args.synonyms and wordnet is None:
        print(f"the attack by synonyms was left out: {MISSING}")
    print(following(["bench", "robust", word_of(args.data)]))


SUBCOMMANDS: dict[str, Subcommand] = {"train": (Train, _train), "evaluate": (Evaluate, _evaluate)}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("robust", SUBCOMMANDS, argv)
