"""Train a text classifier with a defence, save it, and load it."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_folder, write_new
from ganloom.core.randomness import key
from ganloom.robust.adversaries import Adversary, fgm, freelb, smart, vat
from ganloom.robust.attacks import random_typos
from ganloom.robust.classifiers import Architecture, TextClassifier, encode
from ganloom.robust.speller import Speller
from ganloom.texts.texts import Texts
from ganloom.texts.vocabulary import Vocabulary, build

Defence = Literal["none", "augment", "fgm", "vat", "freelb", "smart", "both"]
DEFENCES: tuple[Defence, ...] = get_args(Defence)
BATCH = 64
RATE = 2e-3
TYPOS, SHARE = 8, 0.2
"""Random damaged versions of a text of which the worst is trained on, and the share of their words that is damaged."""
WEIGHTS, SETTINGS = "model.safetensors", "robust.json"
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        network: In eval mode.
        vocabulary: Its words.
        classes: Names of the classes.
        defence: How it was trained.
        speller: Corrects the words of a text before they are read; None: off.
    """

    network: TextClassifier
    vocabulary: Vocabulary
    classes: list[str]
    defence: str = "none"
    speller: Speller | None = None

    def predict(self, texts: Sequence[str]) -> Tensor:
        """Class probabilities (N, classes) of texts."""
        if self.speller is not None:
            texts = [self.speller(text) for text in texts]
        with torch.no_grad():
            parts = [
                self.network(encode(self.vocabulary, texts[i : i + 512])).softmax(1) for i in range(0, len(texts), 512)
            ]
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))

    def numbers(self, labels: Sequence[str]) -> list[int]:
        """Labels as class numbers.

        Raises:
            BadInput: A label is no class of the model.
        """
        index = {name: i for i, name in enumerate(self.classes)}
        unknown = next((label for label in labels if label not in index), None)
        if unknown is not None:
            raise BadInput(f'the label "{unknown[:40]}" is no class of the model; it has {", ".join(self.classes[:8])}')
        return [index[label] for label in labels]


def train_classifier(
    data: Texts,
    *,
    defence: Defence = "none",
    kind: Architecture = "cnn",
    size: float = 0.3,
    epochs: int = 8,
    width: int = 64,
    seed: int = 0,
    progress: Report | None = None,
) -> Classifier:
    """Train a classifier.

    Args:
        data: Texts with labels of at least two classes.
        defence: "augment" trains half on texts with typing errors, the worst of ``TYPOS`` random ones; "fgm", "vat", "freelb" and
            "smart" add the loss of `ganloom.robust.adversaries`; "both" is augment and fgm; "none".
        kind: "cnn" or "lstm".
        size: Relative size of the perturbation of the embeddings.
        epochs: Passes over the texts.
        width: Width of the network.
        seed: Seed of the weights, the order and the damage.
        progress: Called with (steps done, steps).

    Raises:
        BadInput: There are no labels, or only one class.
    """
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; name their column with --label COLUMN")
    if len(data.classes) < 2:
        raise BadInput(f"{data.name} has one class only; a classifier needs two")
    data.need(20, "a classifier")
    rng, classes = random.Random(f"classifier {seed}"), data.classes
    vocabulary = build(data.texts, least=2 if len(data) >= 500 else 1)
    steps, step = epochs * -(-len(data) // BATCH), 0
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(key(seed, "robust"))
        network = TextClassifier(len(vocabulary), len(classes), kind, width)
        classifier = Classifier(network, vocabulary, classes, defence)
        rows = list(zip(data.texts, classifier.numbers(data.labels), strict=True))
        adversary = _adversary(defence, network, size)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        for _ in range(epochs):
            rng.shuffle(rows)
            for i in range(0, len(rows), BATCH):
                for group in optimizer.param_groups:
                    group["lr"] = RATE * max(0.02, 1 - step / steps)
                loss = _loss(classifier, adversary, rows[i : i + BATCH], rng)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                step += 1
                if progress is not None:
                    progress(step, steps)
    network.eval()
    return classifier


def _adversary(defence: str, network: TextClassifier, size: float) -> Adversary | None:
    if defence in ("fgm", "both"):
        return fgm(network.head, F.cross_entropy, size=size)
    if defence == "freelb":
        return freelb(network.head, F.cross_entropy, size=size)
    if defence == "vat":
        return vat(network.head, size=size)
    return smart(network.head, size=size) if defence == "smart" else None


def _loss(
    classifier: Classifier, adversary: Adversary | None, rows: Sequence[tuple[str, int]], rng: random.Random
) -> Tensor:
    network, texts = classifier.network, [text for text, _ in rows]
    target = torch.tensor([label for _, label in rows])
    damaged = _worst_typos(classifier, texts, target, rng) if classifier.defence in ("augment", "both") else None
    network.train()
    embedded = network.embedded(encode(classifier.vocabulary, texts))
    loss = F.cross_entropy(network.head(embedded), target)
    if damaged is not None:
        loss = 0.5 * loss + 0.5 * F.cross_entropy(network(encode(classifier.vocabulary, damaged)), target)
    return loss if adversary is None else loss + adversary(embedded, target)


def _worst_typos(classifier: Classifier, texts: Sequence[str], target: Tensor, rng: random.Random) -> list[str]:
    """For each text, the random damage of ``TYPOS`` that the network is most wrong about."""
    classifier.network.eval()
    made = [random_typos(text, SHARE, rng) for text in texts for _ in range(TYPOS)]
    with torch.no_grad():
        logits = classifier.network(encode(classifier.vocabulary, made))
        loss = F.cross_entropy(logits, target.repeat_interleave(TYPOS), reduction="none").view(-1, TYPOS)
    return [made[TYPOS * i + j] for i, j in enumerate(loss.argmax(1).tolist())]


# ------------------------------------------------------------------------------------------------------------------ files


def save_classifier(classifier: Classifier, out: str | Path, training: Texts, *, overwrite: bool = False) -> Path:
    """Write a classifier to a folder, with the training texts' words for the speller.

    Raises:
        BadInput: The folder is not empty.
    """
    folder = new_folder(out, overwrite=overwrite)
    settings = {
        "kind": classifier.network.kind,
        "width": classifier.network.embedding.embedding_dim,
        "defence": classifier.defence,
        "classes": classifier.classes,
        "vocabulary": classifier.vocabulary.to_dict(),
        "training": list(training.texts),
    }
    weights = {name: value.contiguous() for name, value in classifier.network.state_dict().items()}
    write_new(folder / WEIGHTS, save(weights), overwrite=True)
    write_new(
        folder / SETTINGS, json.dumps(settings, ensure_ascii=False).encode("utf-8", "surrogatepass"), overwrite=True
    )
    return folder


def load_classifier(path: str | Path) -> tuple[Classifier, Speller]:
    """Read a classifier and the speller of its training texts.

    Raises:
        BadInput: The folder is damaged or is none of ours.
    """
    folder = as_path(path)
    if not (folder / SETTINGS).is_file():
        raise BadInput(f"{folder} is no robust classifier: it has no {SETTINGS}; train one with ganloom robust train")
    try:
        found = json_files.parse((folder / SETTINGS).read_bytes())
        vocabulary, classes = Vocabulary.from_dict(found["vocabulary"]), list(map(str, found["classes"]))
        network = TextClassifier(len(vocabulary), len(classes), found["kind"], int(found["width"]))
        network.load_state_dict(load_file(folder / WEIGHTS))
        training = list(map(str, found["training"]))
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        raise BadInput(
            f"{folder} is damaged ({str(error).splitlines()[0][:120]}); train the classifier again"
        ) from error
    return Classifier(network.eval(), vocabulary, classes, str(found["defence"])), Speller(training)
