"""Train a classifier with each defence and seed, attack it, and compare it with the one without a defence."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ganloom.bench.robust import texts
from ganloom.bench.tasks import make_in_processes, read_result
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.report.progress import Progress
from ganloom.robust import wordnet
from ganloom.robust.evaluation import MODEL, WITH_SPELLER, evaluate_classifier
from ganloom.robust.speller import Speller
from ganloom.robust.training import DEFENCES, Settings, Training

FRONTS = (MODEL, WITH_SPELLER)


@dataclass(frozen=True)
class Run:
    """The figures of one defence with one seed.

    Attributes:
        defence: The defence.
        seed: Seed of the training and of the character edits.
        seconds: CPU seconds of the training, on all threads.
        trained_on: Number of training texts.
        classes: The classes.
        labels: Number of the class of each test text.
        clean: Front ("the model", "speller + the model") -> for each test text, 1 if it is right and 0 if not.
        hits: Front -> attack -> the same, for the first test texts.
        queries: Mean queries of the character attack for a text.
    """

    defence: str
    seed: int
    seconds: float
    trained_on: int
    classes: list[str]
    labels: list[int]
    clean: dict[str, str]
    hits: dict[str, dict[str, str]]
    queries: float


@dataclass(frozen=True)
class Task:
    """One defence with one seed.

    Attributes:
        source: The texts.
        digest: Digest of the texts.
        part: The part to measure on.
        n: Most texts that are attacked.
        settings: How the classifier is trained.
        wordnet: Whether synonyms are an attack.
    """

    source: str
    digest: str
    part: str
    n: int
    settings: Settings
    wordnet: bool

    def file(self, out: Path) -> Path:
        """The file of the result in the folder ``out``."""
        what = {name: value for name, value in asdict(self).items() if name != "source"}
        digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
        one = self.settings
        return out / f"{one.defence}-{one.kind}-{self.part}-seed{one.seed}-{digest}.json"

    def log(self, out: Path) -> Path:
        """The file with the output of the process that makes the task."""
        return self.file(out).with_suffix(".log")

    def words(self, out: Path) -> list[object]:
        """The words after ``ganloom bench`` that make this task, and the one without a defence if it has no result yet."""
        one = self.settings
        return [
            "robust", self.source, "--part", self.part, "--n", self.n, "--defences", one.defence, "--seeds", one.seed,
            "--kind", one.kind, "--size", one.size, "--encoder", one.encoder, "--out", out, "--json",
            *([] if one.epochs is None else ["--epochs", one.epochs]),
        ]  # fmt: skip


def tasks_of(
    source: str,
    parts: texts.Parts,
    part: str,
    n: int,
    defences: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
) -> list[Task]:
    """Return the tasks in the order in which they are made, without repetitions; "none" is always one of the defences.

    Raises:
        BadInput: A defence does not exist.
    """
    unknown = next((name for name in defences if name not in DEFENCES), None)
    if unknown is not None:
        raise BadInput(f"--defences must be of {', '.join(DEFENCES)}, got {unknown}")
    known = wordnet.installed() is not None
    rows = dict.fromkeys(("none", *defences))
    return [
        Task(source, parts.digest, part, n, dataclasses.replace(settings, defence=name, seed=seed), known)  # type: ignore[arg-type]
        for name in rows
        for seed in dict.fromkeys(seeds)
    ]


def measure(tasks: Sequence[Task], parts: texts.Parts, out: Path, workers: int, progress: Progress) -> list[Run]:
    """Measure the tasks that have no result yet.

    Args:
        tasks: The tasks.
        parts: Their texts.
        out: Folder of the results, one file each.
        workers: Number of processes; with one, the work is done here.
        progress: Shows what is done.

    Returns:
        The results of all tasks, in their order.

    Raises:
        CheckFailed: A process failed.
    """
    plain = [task for task in tasks if task.settings.defence == "none"]  # first: every process reads their results
    for group in (plain, [task for task in tasks if task not in plain]):
        make_in_processes(group, out, workers, progress)
        for task in group:
            if not task.file(out).is_file():
                number = tasks.index(task) + 1
                progress.prefix = f"[{number}/{len(tasks)}] {task.settings.defence}, seed {task.settings.seed}: "
                run = _run(task, parts, progress)
                out.mkdir(parents=True, exist_ok=True)
                replace_file(task.file(out), (json.dumps(asdict(run)) + "\n").encode())
    progress.prefix = ""
    return [read_result(task.file(out), Run) for task in tasks]


def _run(task: Task, parts: texts.Parts, progress: Progress) -> Run:
    known = wordnet.find() if task.wordnet else None  # before the training: its files may be damaged
    began = time.process_time()
    training = Training(parts.train, task.settings)
    training.run(progress.part("training"))
    seconds = time.process_time() - began
    classifier, speller = training.classifier, Speller(parts.train.texts)
    found = evaluate_classifier(
        classifier, speller, parts.test, n=task.n, seed=task.settings.seed, wordnet=known, progress=progress
    )
    labels = classifier.numbers(parts.test.labels or ())
    clean = {}
    for front in FRONTS:
        model = classifier if front == MODEL else dataclasses.replace(classifier, speller=speller)
        clean[front] = _bits(
            [a == b for a, b in zip(model.predict(parts.test.texts).argmax(1).tolist(), labels, strict=True)]
        )
    hits = {row.name: {attack: _bits(hit) for attack, hit in row.hits.items() if attack != "clean"} for row in found}
    one = task.settings
    return Run(
        one.defence, one.seed, seconds, len(parts.train), classifier.classes, labels, clean, hits, found[0].queries
    )


def _bits(hit: Sequence[bool]) -> str:
    return "".join("1" if right else "0" for right in hit)
