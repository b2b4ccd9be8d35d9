"""Train a text model on texts, and draw texts from it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import api, recipes
from ganloom.apps import text_plans
from ganloom.baselines.mle import LanguageModel
from ganloom.core import class_names
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.randomness import key
from ganloom.report.progress import Report, part_of, stage
from ganloom.runs.folder import Folder, next_name
from ganloom.runs.load import load
from ganloom.texts.encoding import encode
from ganloom.texts.texts import Texts
from ganloom.texts.vocabulary import Kind
from ganloom.training.callbacks import Callback

BATCH = 256
"""Texts that are drawn at once."""
TICKS, CHECKPOINTS = 20, 5
"""Rows of statistics and checkpoints in a run, unless they are given."""


@dataclass(frozen=True)
class Tokens:
    """How texts become numbers.

    Attributes:
        kind: "word", "char" or "wordpiece".
        vocabulary: Largest number of tokens.
        length: Largest number of tokens in a text; None: by the texts.
    """

    kind: Kind = "word"
    vocabulary: int = 5000
    length: int | None = None


def train_texts(
    recipe: str,
    data: Texts,
    out: str | os.PathLike[str] | None = None,
    *,
    tokens: Tokens = Tokens(),
    small: bool = False,
    total_kimg: float | None = None,
    options: dict[str, Any] | None = None,
    console: Callback | None = None,
    progress: Report = None,
    seed: int = 0,
    **train: Any,
) -> api.Run:
    """Train a text model.

    Args:
        recipe: A name of ``recipes.TEXTS``.
        data: The texts. With labels of two or more classes, the model learns the classes too.
        out: The run folder. None: runs/RECIPE-NAME-NN.
        tokens: How texts become numbers.
        small: Use reduced settings for minutes on a CPU instead of the paper's.
        total_kimg: Length of the run, in thousands of texts; the stages are stretched to it.
        options: Fields of the recipe's config.
        console: The callback that prints the progress of the training.
        progress: Called with (what, done, total).
        seed: Seed of the split, the weights and the training.
        **train: Fields of TrainConfig, such as ``minutes`` and ``device``.

    Raises:
        BadInput: The texts or an option cannot be used.
        KeyboardInterrupt: Ctrl-C was pressed; everything is saved, and the message says how to continue.
    """
    name, module = recipes.plain(recipe), recipes.find_text(recipe)
    if out is not None:
        Folder(as_path(out)).check_startable()
    stage(progress, "encoding the texts")
    encoded = encode(with_classes(data), kind=tokens.kind, size=tokens.vocabulary, length=tokens.length, seed=seed)
    own: dict[str, Any] = {
        "vocabulary": len(encoded.vocabulary["tokens"]), "length": encoded.shape[0], "n_classes": encoded.n_classes,
    }  # fmt: skip
    chosen = text_plans.settings(name, module, (options or {}) | own, small=small, total_kimg=total_kimg)
    folder = as_path(out) if out is not None else next_name(Path("runs"), name, Path(data.name).stem)
    train = {
        "kimg_per_tick": max(chosen.total_kimg / TICKS, 0.001),
        "kimg_per_checkpoint": max(chosen.total_kimg / CHECKPOINTS, 0.001), "precision": "float32", **train,
    }  # fmt: skip
    return api.train(
        chosen.config, encoded, folder, total_kimg=chosen.total_kimg, seed=seed, judge=0, doctor=False, console=console,
        progress=progress, **train,
    )  # fmt: skip


def with_classes(data: Texts) -> Texts:
    """Texts whose labels are classes, or without labels if there is only one.

    Raises:
        BadInput: Most texts have a label of their own.
    """
    if data.labels is None:
        return data
    count = len(data.classes)
    if count > len(data) / 2:
        raise BadInput(
            f"{data.name} has {count:,} labels for {len(data):,} texts: this column is hardly a class. --label COLUMN names "
            "another, --label none ignores it"
        )
    if count > 1:
        return data
    notes = [*data.notes, f"all texts have the label {data.classes[0]}: it is ignored"]
    return Texts(data.texts, None, data.groups, data.splits, data.name, notes)


def open_model(run: str | os.PathLike[str], *, checkpoint: str = "latest", device: str = "cpu") -> LanguageModel:
    """Load a text model.

    Args:
        run: A run folder or its model/ folder.
        checkpoint: "latest" or the name of a checkpoint.
        device: "cpu", "cuda", "mps" or "auto".

    Raises:
        BadInput: There is no text model.
    """
    gan = load(run, checkpoint=checkpoint, device=choose_device(device))
    if not isinstance(gan, LanguageModel) or gan.tokens is None:
        raise BadInput(f"{as_path(run)} is no text model: train one with `ganloom text train RECIPE TEXTS`")
    return gan


def sample_texts(
    model: LanguageModel,
    n: int,
    *,
    temperature: float = 1.0,
    classes: Sequence[str] = (),
    seed: int = 0,
    unknown: bool = False,
    progress: Report = None,
) -> Texts:
    """Draw texts. Text i depends on ``seed + i`` alone.

    Args:
        model: The model.
        n: Number of texts; with several classes, of each.
        temperature: Divides the logits. Below 1: more probable and less varied texts.
        classes: Class names, or numbers. Empty: classes are drawn by their share of the training texts.
        seed: Seed of the first text.
        unknown: Whether the texts may have the token <unk>, for words outside of the vocabulary.
        progress: Called with (what, done, total).

    Returns:
        The texts, with labels if the model has classes. A text may be empty.

    Raises:
        BadInput: There is no such class, or an argument is out of range.
    """
    if n < 1:
        raise BadInput(f"--n must be at least 1, got {n}")
    check_temperature(temperature)
    names = class_list(model)
    if classes and not names:
        raise BadInput("--class: this model was trained without labels: leave it out")
    numbers = class_names.numbers(list(classes), names, "--class") if classes else []
    chosen = torch.tensor(numbers).repeat_interleave(n) if numbers else _drawn_classes(model, n, seed)
    count = n if chosen is None else len(chosen)
    each = part_of(progress, "drawing texts")
    rows = model.generate(count, seed=seed, c=chosen, batch=BATCH, temperature=temperature, unknown=unknown, each=each)
    labels = None if chosen is None else [names[i] for i in chosen.tolist()]
    return Texts(model.texts(rows), labels, name="generated texts")


def check_temperature(temperature: float) -> None:
    """Raise BadInput if texts cannot be drawn at a temperature."""
    if not 0.01 <= temperature <= 100:
        raise BadInput(f"--temperature must be from 0.01 to 100, got {temperature:g}")


def class_list(model: LanguageModel) -> list[str]:
    """The names of the model's classes; empty without."""
    count = int(model.cfg.n_classes)
    return class_names.complete(model.class_names, count) if count else []


def _drawn_classes(model: LanguageModel, n: int, seed: int) -> Tensor | None:
    """Classes by their share of the training texts; the class of text i depends on ``seed + i`` alone."""
    if not model.cfg.n_classes:
        return None
    weights = torch.tensor(model.class_counts or [1] * model.cfg.n_classes, dtype=torch.float64)
    generator, chosen = torch.Generator(), []
    for i in range(n):
        generator.manual_seed(key("class", seed + i))
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
    return torch.tensor(chosen)
