"""The classifiers of `ganloom augment report`: which are trained, on which images, and what is kept of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.apps.augment_classifier import BATCH, Pool, Training, pool_of, predict, train
from ganloom.apps.augment_models import CHUNK, ClassModel
from ganloom.apps.augment_rows import BOTH, CLASSIC, METHODS, NOISE, ONLY, REAL, Row, better_of_real, row_of, stacked
from ganloom.apps.augment_split import Labels, Split, Trained, rows_of
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.core.randomness import key
from ganloom.report.progress import Report

STEPS = (300, 600)
"""Least and most steps of a classifier."""
MOST_GENERATED = 60_000
"""Most images that are generated for one seed, unless the user says how many."""
SHOWN = 8
"""Images of a class in the pictures."""


@dataclass(frozen=True)
class Options:
    """How to make a report.

    Args:
        labels: Numbers of labels of a class; "all": all that there are.
        seeds: Number of trainings of each classifier.
        seed: The first seed.
        per_class: Number of generated images of a class; None: as many as real ones, 1,000 to 6,000.
        steps: Steps of each classifier, of 128 images; None: by the number of real images, 300 to 600.
        truncation: Truncation of the generated images.
        flip: The classic augmentation mirrors images too.
    """

    labels: tuple[int | str, ...] = (20, 100, "all")
    seeds: int = 3
    seed: int = 0
    per_class: int | None = None
    steps: int | None = None
    truncation: float = 1.0
    flip: bool = False

    def counts(self) -> list[int | None]:
        """The numbers of labels, None for all. Raises BadInput."""
        for flag, value in (("--seeds", self.seeds), ("--per-class", self.per_class), ("--steps", self.steps)):
            if value is not None and value < 1:
                raise BadInput(f"{flag} must be at least 1, got {value}")
        if not self.truncation >= 0:
            raise BadInput(f"--truncation must not be negative, got {self.truncation}")
        if not self.labels:
            raise BadInput("--labels: give numbers of labels of a class, such as 20 100 all")
        return [_count(word) for word in self.labels]


def _count(word: int | str) -> int | None:
    if str(word).strip().lower() == "all":
        return None
    try:
        count = int(word)
    except ValueError:
        raise BadInput(f'--labels takes numbers and all, such as 20 100 all, got "{word}"') from None
    if count < 1:
        raise BadInput(f"--labels must be at least 1, got {count}")
    return count


@dataclass(frozen=True)
class Job:
    """A classifier to be trained."""

    seed: int
    method: str
    row: Labels
    steps: int

    @property
    def name(self) -> str:
        """The name of its file."""
        row = f"model-{self.row.model}" if self.method == ONLY else f"labels-{self.row.name}"
        return f"{METHODS.index(self.method)}-{row}-seed-{self.seed}.json"


class _Saved(TypedDict):
    """A file of finished predictions."""

    classes: list[int]


@dataclass
class Work:
    """The images of a report, and the classifiers that are trained on them."""

    split: Split
    models: list[ClassModel]
    trained: list[Trained]
    numbers: list[tuple[int, ...]]
    rows: list[Labels]
    options: Options
    folder: Path | None
    progress: Report

    def plan(self) -> dict[str, Any]:
        """What decides the result, as JSON values."""
        test = hashlib.sha256(self.split.test.tobytes() + self.split.labels.tobytes()).hexdigest()
        models = [f"{model.name} {model.gan.kimg} {_digest(model)}" for model in self.models]
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self.options).items()}
        options["labels"] = list(map(str, self.options.labels))
        kept = {"data": self.split.data.fingerprint, "test": test, "models": models, **options}
        return kept | {"augmentation": "of the better one of real and real + classic"}

    def steps_of(self, row: Labels) -> int:
        """Steps of the classifiers of a row: four epochs of its real images, within bounds."""
        if self.options.steps is not None:
            return self.options.steps
        assert self.split.data.labels is not None
        n = len(self.split.rows) if row.per_class is None else row.per_class * len(self.split.data.classes_with_rows)
        return min(STEPS[1], max(STEPS[0], round(4 * n / BATCH)))

    @property
    def _seeds(self) -> range:
        return range(self.options.seed, self.options.seed + self.options.seeds)

    def jobs(self) -> Iterator[Job]:
        """All classifiers: those of real images, then the others seed by seed.

        The one of generated images alone is the same for all rows of a model.
        """
        for seed in self._seeds:
            for row in self.rows:
                for method in (REAL, CLASSIC):
                    yield Job(seed, method, row, self.steps_of(row))
        most = max(map(self.steps_of, self.rows))
        for seed in self._seeds:
            for model in dict.fromkeys(row.model for row in self.rows):
                yield Job(seed, ONLY, next(row for row in self.rows if row.model == model), most)
            for row in self.rows:
                for method in (BOTH, NOISE):
                    yield Job(seed, method, row, self.steps_of(row))

    def _classic_helps(self, row: Labels, found: Mapping[str, Tensor | None]) -> bool:
        """Whether real + classic is better than real in a row: then generated images have classic augmentation too."""
        labels = torch.from_numpy(self.split.labels)
        names = {m: [Job(seed, m, row, self.steps_of(row)).name for seed in self._seeds] for m in (REAL, CLASSIC)}
        answers = {m: [answer for name in of if (answer := found[name]) is not None] for m, of in names.items()}
        return better_of_real({m: stacked(some, labels) for m, some in answers.items()}) == CLASSIC

    def answers(self) -> dict[str, Tensor]:
        """Train all classifiers that are not there yet; job name -> predicted class of each test image."""
        jobs = list(self.jobs())
        found = {job.name: self._read(job) for job in jobs}
        left = [job for job in jobs if found[job.name] is None]
        total, done = sum(job.steps for job in jobs), sum(job.steps for job in jobs if found[job.name] is not None)
        generated: dict[tuple[int, int], Pool] = {}
        test = pool_of(self.split.test, self.split.labels)
        for job in left:
            if job.method in (ONLY, BOTH) and (job.row.model, job.seed) not in generated:
                generated = {k: v for k, v in generated.items() if k[1] == job.seed}
                generated[job.row.model, job.seed] = self._generate(job.row.model, job.seed)
            pool = generated.get((job.row.model, job.seed))
            classic = job.method in (CLASSIC, ONLY) or (job.method != REAL and self._classic_helps(job.row, found))
            predicted = predict(self._train(job, pool, classic, done, total), test)
            self._write(job, predicted)
            found[job.name] = predicted
            done += job.steps
        return {name: one for name, one in found.items() if one is not None}

    def _train(self, job: Job, generated: Pool | None, classic: bool, done: int, total: int) -> Any:
        def each(step: int) -> None:
            if self.progress is not None:
                self.progress("training classifiers (steps)", done + step, total)

        how = Training(
            job.steps, key(job.seed, "augmentation") % 2**31, classic, self.options.flip, noise=job.method == NOISE
        )
        if job.method == ONLY:
            assert generated is not None
            return train(generated, None, self.split.data.n_classes, how, each)
        real = self._real(job.row, job.seed)
        second = {BOTH: generated, NOISE: real}.get(job.method)
        return train(real, second, self.split.data.n_classes, how, each)

    def _real(self, row: Labels, seed: int) -> Pool:
        assert self.split.data.labels is not None
        rows = rows_of(self.split, row, self.trained[row.model], seed)
        return pool_of(self.split.data.rows[rows], self.split.data.labels[rows])

    def _generate(self, model: int, seed: int) -> Pool:
        """Generate images of each class, with seeds that no other seed of the report has."""
        classes, n = self.split.data.classes_with_rows, self._per_class()
        images, labels = list[NDArray[np.uint8]](), list[NDArray[np.int64]]()
        first = key("augment report", seed) % 2**31
        for place, label in enumerate(classes):
            for i in range(0, n, CHUNK):
                if self.progress is not None:
                    self.progress(f"generating images, seed {seed}", place * n + i, len(classes) * n)
                count = min(CHUNK, n - i)
                drawn = self.models[model].draw(
                    self.numbers[model][label], count, first + place * n + i, self.options.truncation
                )
                images.append(pool_of(drawn, np.full(count, label)).x.numpy())
                labels.append(np.full(count, label, np.int64))
        return Pool(torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(labels)))

    def _per_class(self) -> int:
        """Number of generated images of a class."""
        classes = len(self.split.data.classes_with_rows)
        mean = len(self.split.rows) // classes
        return self.options.per_class or max(1, min(max(1000, mean), 6000, MOST_GENERATED // classes))

    # ---- finished classifiers
    def _read(self, job: Job) -> Tensor | None:
        file = None if self.folder is None else self.folder / "rows" / job.name
        if file is None or not file.exists():
            return None
        saved = json_files.read(file, _Saved, fix="Delete this file: it is measured again")
        if len(saved["classes"]) != len(self.split.test):
            raise BadInput(
                f"{file} is damaged: {len(saved['classes'])} answers for {len(self.split.test)} test images. Delete it"
            )
        return torch.tensor(saved["classes"])

    def _write(self, job: Job, predicted: Tensor) -> None:
        if self.folder is not None:
            (self.folder / "rows").mkdir(exist_ok=True)
            replace_file(self.folder / "rows" / job.name, json.dumps({"classes": predicted.tolist()}).encode())

    def row(self, row: Labels, answers: dict[str, Tensor], labels: Tensor) -> Row:
        """Build a row of the report from the predictions."""
        jobs = [job for job in self.jobs() if (job.row.model == row.model if job.method == ONLY else job.row == row)]
        right = {
            method: stacked([answers[job.name] for job in jobs if job.method == method], labels) for method in METHODS
        }
        sizes = [len(rows_of(self.split, row, self.trained[row.model], seed)) for seed in self._seeds]
        return row_of(
            row, self.models[row.model].name, sum(sizes) / len(sizes), right, labels, self.split.data.class_names
        )

    def pictures(self) -> list[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Class name, some of its real images and some generated ones, for the first 20 classes."""
        found = []
        assert self.split.data.labels is not None
        model = self.rows[-1].model
        for label in self.split.data.classes_with_rows[:20]:
            rows = self.split.rows[self.split.data.labels[self.split.rows] == label][:SHOWN]
            drawn = self.models[model].draw(
                self.numbers[model][label], SHOWN, self.options.seed, self.options.truncation
            )
            found.append((self.split.data.class_names[label], self.split.data.rows[rows], drawn))
        return found


def _digest(model: ClassModel) -> str:
    """A digest of the weights."""
    digest = hashlib.sha256()
    for name, value in model.gan.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).to(torch.float64).numpy().tobytes())
    return digest.hexdigest()[:16]
