"""Measure whether synthetic texts of a text model help a classifier.

The classifiers are trained on real texts, on real texts with controls that need no generator (word dropping, pseudo-labels) or
only a simple one (n-grams), on synthetic texts, and on both, with several seeds. They are tested on texts that neither they nor
the model were trained on. Each answer is kept in OUT, so the same call continues a report that was stopped.
"""

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.apps.text_augment import check_classes
from ganloom.apps.text_augment_sets import BOTH, EDITS, METHODS, NGRAM, PSEUDO, REAL, Task
from ganloom.apps.text_models import check_temperature, open_model
from ganloom.baselines.mle import LanguageModel
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import replace_file
from ganloom.metrics.statistics.paired_seeds import Verdict, crossed_mean, judge
from ganloom.metrics.statistics.value import Value
from ganloom.report.progress import Report, stage
from ganloom.runs import manifest
from ganloom.runs.folder import Folder
from ganloom.texts.encoding import parts_of
from ganloom.texts.texts import Texts, normalised

ADVICE = {
    "helps": "add synthetic texts",
    "does not help": "do not add synthetic texts",
    "cannot tell": "there is no evidence for adding synthetic texts",
}
MOST_TEST = 1000
ANSWERS = "answers.json"


@dataclass(frozen=True)
class Row:
    """One number of labels.

    Attributes:
        labels: Real texts of each class.
        accuracy: Method -> share of the test texts that are classified correctly, with its interval over seeds and texts.
        best: The best method without synthetic texts.
        verdict: Real + synthetic compared with ``best``.
        against_real: Real + synthetic compared with real texts alone.
    """

    labels: int
    accuracy: dict[str, Value]
    best: str
    verdict: Verdict
    against_real: Verdict


@dataclass(frozen=True)
class Augmentation:
    """The result of ``augmentation_report``.

    Attributes:
        rows: One for each number of labels.
        seeds: Number of seeds.
        test: Number of test texts.
        notes: What the user should know.
        trained: Labelled texts that the text model was trained on.
        classes: Number of classes.
    """

    rows: list[Row]
    seeds: int
    test: int
    notes: list[str] = field(default_factory=list)
    trained: int = 0
    classes: int = 0

    def sentences(self) -> list[str]:
        """The verdicts in words."""
        found = []
        for row in self.rows:
            advice = ADVICE[row.verdict.word]
            own = row.labels * self.classes
            if row.verdict.word == "helps" and self.trained > own:
                advice = (
                    f"but the model was trained on {self.trained:,} labelled texts, and this row has {own:,}: train the "
                    "classifier on all of them instead"
                )
            found.append(
                f"{row.labels} labels a class: real + synthetic compared with {row.best}: {row.verdict}: {advice}. Compared with "
                f"{REAL} alone: {row.against_real}."
            )
        return found


def augmentation_report(
    data: Texts,
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    per_class: int = 200,
    labels: Sequence[int] = (20, 50, 200),
    seeds: int = 3,
    temperature: float = 1.0,
    seed: int = 0,
    progress: Report = None,
) -> Augmentation:
    """Measure whether synthetic texts help a classifier.

    Args:
        data: The labelled texts that the model was trained on, or others with the same classes.
        run: The run folder of the text model.
        out: A folder for the answers; if it holds those of the same report, they are used.
        per_class: Synthetic texts of each class, and texts of each class that the controls add.
        labels: Numbers of real texts of each class. Numbers that the data do not have are left out.
        seeds: Number of trainings of each classifier.
        temperature: Of the model.
        seed: The first seed.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The data and the model do not fit, or there are too few texts.
        KeyboardInterrupt: Ctrl-C was pressed; the same call continues.
    """
    check_temperature(temperature)
    if min(seeds, per_class) < 1 or not labels or min(labels) < 1:
        raise BadInput("--seeds, --per-class and --labels must be at least 1")
    stage(progress, "loading the model")
    model = open_model(run)
    check_classes(data, model)
    folder = Folder(as_path(run))
    described = folder.read("config.json")
    train, test, notes = _parts(data, model, manifest.own_data(described, folder.path), int(described["train"]["seed"]))
    counts = [train.labels.count(name) for name in data.classes]  # type: ignore[union-attr]
    sizes = [size for size in dict.fromkeys(labels) if size <= min(counts)]
    if not sizes:
        raise BadInput(f"the smallest class has {min(counts)} texts to train on: give --labels of at most that")
    notes += [
        f"--labels {size} is left out: the smallest class has {min(counts)}" for size in labels if size not in sizes
    ]
    trained = int(described["data"]["size"])
    notes += [
        f"the model was trained on {trained:,} labelled texts, the row of {size} labels has {size * len(counts)}: the row shows "
        "what synthetic texts can do at best, not what a model of these labels does"
        for size in sizes
        if size * len(counts) < trained
    ]
    plan = {
        "labels": sizes, "per_class": per_class, "temperature": temperature, "seed": seed, "data": data.name,
        "run": os.fspath(as_path(run)), "test": len(test),
    }  # fmt: skip
    answers = _Answers(as_path(out), plan)
    total, done = len(sizes) * seeds * len(METHODS), 0
    rows = []
    for size in sizes:
        right: dict[str, list[Tensor]] = {name: [] for name in METHODS}
        for number in range(seed, seed + seeds):
            task = Task(train, test, model, size, per_class, temperature, number)
            for method in METHODS:
                if progress is not None:
                    progress(f"training classifiers, {size} labels a class: {method}", done, total)
                right[method].append(answers.get(f"{size} {number} {method}", lambda m=method, t=task: t.right(m)))  # type: ignore[misc]
                done += 1
        rows.append(row_of(size, {name: torch.stack(found) for name, found in right.items()}))
    return Augmentation(rows, seeds, len(test), notes, trained, len(counts))


def row_of(labels: int, right: dict[str, Tensor]) -> Row:
    """Build a row from method -> (seeds, N), whether each test text is classified correctly."""
    accuracy = {name: crossed_mean(found.double()).within(0.0, 1.0) for name, found in right.items()}
    best = max((REAL, EDITS, PSEUDO, NGRAM), key=lambda name: accuracy[name].value)
    return Row(labels, accuracy, best, judge(right[BOTH], right[best]), judge(right[BOTH], right[REAL]))


def _parts(data: Texts, model: LanguageModel, encoded: Any, seed: int) -> tuple[Texts, Texts, list[str]]:
    """(texts to train on, texts to test on, notes): the split of the run, without test texts that the model was trained on."""
    parts = parts_of(data, seed)
    assert model.tokens is not None
    known = set(map(normalised, model.texts(encoded.get(slice(None)))))
    test = parts["test"]
    rows = [
        i
        for i, text in enumerate(test.texts)
        if normalised(model.tokens.decode(model.tokens.encode(text, encoded.shape[0] - 1))) not in known
    ]
    chosen = test.pick(random.Random(seed).sample(rows, min(len(rows), MOST_TEST)))
    notes = (
        [f"{len(test) - len(rows)} test texts that the model was trained on are left out"]
        if len(rows) < len(test)
        else []
    )
    if len(chosen) < 20:
        raise BadInput(
            f"{data.name} has {len(chosen)} texts that the model was not trained on; 20 are needed to test on"
        )
    return parts["train"], chosen, notes


class _Answers:
    """The answers of classifiers, kept in a file.

    Args:
        folder: Where the file is.
        plan: The settings; answers of other settings are refused.
    """

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.file, self.plan = folder / ANSWERS, plan
        self.known: dict[str, list[int]] = {}
        if self.file.exists():
            content = json_files.read(self.file)
            if content.get("plan") != json.loads(json.dumps(plan)):
                raise BadInput(f"{folder} holds a report with other settings. Choose another --report folder")
            self.known = dict(content.get("right", {}))
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} is not an empty folder and no such report. Choose another --report folder")
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """The known answers, or those that are computed now and kept."""
        if name not in self.known:
            self.known[name] = compute().int().tolist()
            replace_file(self.file, json.dumps({"plan": self.plan, "right": self.known}).encode())
        return torch.tensor(self.known[name])
