"""The folder of a robust classifier: train in it with saved states, continue, save and load."""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ganloom.core import json_files
from ganloom.core.errors import BadInput, Interrupted, Terminated
from ganloom.core.names import as_path, command_line, word_of
from ganloom.core.output_files import new_folder, replace_file, write_new
from ganloom.core.stop_signals import STOPPED, handled, spoken
from ganloom.robust.classifiers import KINDS, Classifier, TextClassifier
from ganloom.robust.speller import Speller
from ganloom.robust.training import DEFENCES, Report, Settings, Training, encoder_of
from ganloom.texts.texts import Texts, normalised
from ganloom.texts.vocabulary import Vocabulary

SETTINGS, WEIGHTS, STATE = "robust.json", "model.safetensors", "training.safetensors"
EVERY = 30.0
"""Seconds between two saved states."""


def train_in(
    out: str | Path, data: Texts, settings: Settings, *, overwrite: bool = False, progress: Report | None = None
) -> Classifier:
    """Train a classifier in a folder; ``resume_in`` continues a training that was stopped.

    Args:
        out: A new or empty folder.
        data: The training texts; they are kept in the folder.
        settings: How to train.
        overwrite: Whether the folder may hold files.
        progress: Called with (steps done, steps).

    Raises:
        BadInput: The data cannot be trained on, or the folder is not empty.
        KeyboardInterrupt: Ctrl-C was pressed; the state is saved, and the message says how to continue.
        SystemExit: The same after another signal.
    """
    folder = new_folder(out, overwrite=overwrite)
    training = Training(data, settings)
    for name in (WEIGHTS, STATE):
        (folder / name).unlink(missing_ok=True)
    _write_settings(folder, settings, training.classifier, data)
    return _run(folder, training, progress)


def resume_in(path: str | Path, *, progress: Report | None = None) -> tuple[Classifier, int, bool]:
    """Continue a training, with the same result as without the stop.

    Returns:
        (the classifier, its number of training texts, whether there was anything to do).

    Raises:
        BadInput: The folder is damaged or is none of ours.
        KeyboardInterrupt: Ctrl-C was pressed; the state is saved.
        SystemExit: The same after another signal.
    """
    folder = as_path(path)
    found = _read_settings(folder)
    if (folder / WEIGHTS).is_file():
        return load_classifier(folder)[0], len(found["training"]), False
    try:
        settings = _settings(found)
        data = Texts(list(map(str, found["training"])), list(map(str, found["labels"])), name=str(folder))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    encoder_of(settings)  # without its encoder, the folder is not damaged
    try:
        training = Training(data, settings)
        if (folder / STATE).is_file():
            training.load_state(load_file(folder / STATE))
    except (ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error
    return _run(folder, training, progress), len(data), True


def _run(folder: Path, training: Training, progress: Report | None) -> Classifier:
    """Train to the end, saving the state from time to time and when a signal stops it. A second signal ends at once."""
    asked: list[int] = []
    saved = time.monotonic()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)

    def stop() -> bool:
        nonlocal saved
        if asked or time.monotonic() - saved > EVERY:
            replace_file(folder / STATE, save(training.state()))
            saved = time.monotonic()
        return bool(asked)

    with handled(tuple(STOPPED), handle):
        finished = training.run(progress, stop)
        if finished:
            _write_weights(folder, training.classifier)
    if not finished:
        name = signal.Signals(asked[0]).name
        text = f"stopped by {spoken(name)} at step {training.step} of {training.steps}, saved; next: "
        text += command_line(["ganloom", "resume", word_of(folder)])
        raise Interrupted(text) if name == "SIGINT" else Terminated(STOPPED[name], text)
    (folder / STATE).unlink(missing_ok=True)
    return training.classifier


def save_classifier(classifier: Classifier, out: str | Path, training: Texts, *, overwrite: bool = False) -> Path:
    """Write a classifier to a folder, with the training texts for the speller.

    Raises:
        BadInput: The folder is not empty.
    """
    folder = new_folder(out, overwrite=overwrite)
    network = classifier.network
    encoder = "minilm" if classifier.encoder is None else classifier.encoder.name
    settings = Settings(kind=network.kind, width=network.width, encoder=encoder)
    _write_settings(folder, settings, classifier, training)
    _write_weights(folder, classifier)
    return folder


def _write_weights(folder: Path, classifier: Classifier) -> None:
    weights = {name: value.contiguous() for name, value in classifier.network.state_dict().items()}
    write_new(folder / WEIGHTS, save(weights), overwrite=True)


def _write_settings(folder: Path, settings: Settings, classifier: Classifier, training: Texts) -> None:
    found: dict[str, Any] = dataclasses.asdict(settings) | {
        "defence": classifier.defence,
        "classes": classifier.classes,
        "vocabulary": classifier.vocabulary.to_dict(),
        "training": list(training.texts),
        "labels": list(training.labels or ()),
    }
    if classifier.encoder is not None:
        found["encoder_digest"] = classifier.encoder.digest()
    content = json.dumps(found, ensure_ascii=False).encode("utf-8", "surrogatepass")
    write_new(folder / SETTINGS, content, overwrite=True)


def _read_settings(folder: Path) -> dict[str, Any]:
    if not (folder / SETTINGS).is_file():
        raise BadInput(f"{folder} is no robust classifier: it has no {SETTINGS}; train one with ganloom robust train")
    try:
        found = json_files.parse((folder / SETTINGS).read_bytes())
        if not isinstance(found, dict):
            raise ValueError(f"{SETTINGS} is no object")
    except (ValueError, OSError) as error:
        raise _damaged(folder, error) from error
    return found


def _settings(found: dict[str, Any]) -> Settings:
    epochs = None if found["epochs"] is None else int(found["epochs"])
    settings = Settings(
        found["defence"], found["kind"], float(found["size"]), epochs, int(found["width"]), int(found["seed"]),
        str(found["encoder"]),
    )  # fmt: skip
    if settings.kind not in KINDS or settings.defence not in DEFENCES or not 1 <= settings.width <= 4096:
        raise ValueError(f"{SETTINGS} has settings that do not exist")
    if settings.epochs is not None and settings.epochs < 1:
        raise ValueError(f"{SETTINGS} has no epochs")
    return settings


def load_classifier(path: str | Path) -> tuple[Classifier, Speller]:
    """Read a classifier and the speller of its training texts.

    Raises:
        BadInput: The folder is damaged, is none of ours, or its training is not finished.
    """
    folder = as_path(path)
    found = _read_settings(folder)
    if not (folder / WEIGHTS).is_file():
        raise BadInput(f"the training of {folder} is not finished; continue it with ganloom resume {word_of(folder)}")
    try:
        settings = _settings(found)
        vocabulary, classes = Vocabulary.from_dict(found["vocabulary"]), list(map(str, found["classes"]))
        training = list(map(str, found["training"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    encoder = encoder_of(settings)
    try:
        inputs = len(vocabulary) if encoder is None else encoder.width
        network = TextClassifier(inputs, len(classes), settings.kind, settings.width)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error
    if encoder is not None and encoder.digest() != found.get("encoder_digest"):
        raise BadInput(f"{folder} was trained with another version of the encoder {encoder.name}; train it again")
    return Classifier(network.eval(), vocabulary, classes, settings.defence, encoder=encoder), Speller(training)


def training_texts(path: str | Path) -> set[str]:
    """The texts that the classifier of a folder was trained on, normalised."""
    return {normalised(str(text)) for text in _read_settings(as_path(path)).get("training", ())}


def _damaged(folder: Path, error: Exception) -> BadInput:
    reason = (str(error) or type(error).__name__).splitlines()[0][:120]
    return BadInput(f"{folder} is damaged ({reason}); train the classifier again")
