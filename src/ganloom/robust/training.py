"""Train a text classifier with a defence. Every random number is a function of the seed and the step, so a training can be
stopped after any step and continued with the same result."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.randomness import key
from ganloom.networks.text_encoder import Sentences
from ganloom.robust.adversaries import Adversary, fgm, freelb, smart, vat
from ganloom.robust.attacks import typos
from ganloom.robust.classifiers import Architecture, Classifier, TextClassifier
from ganloom.texts.texts import Texts
from ganloom.texts.vocabulary import build, words

Defence = Literal["none", "augment", "fgm", "vat", "freelb", "smart", "both"]
DEFENCES: tuple[Defence, ...] = get_args(Defence)
BATCH = 64
RATE = 2e-3
LEAST_EPOCHS, LEAST_STEPS, MOST_EPOCHS = 8, 800, 50
"""Bounds of ``usual_epochs``; below the number of steps a classifier has not learned rare classes yet."""
TYPOS: dict[str, int] = {"cnn": 8, "lstm": 8, "chars": 2, "sentence": 1}
"""Random damaged versions of a text of which the worst is trained on, by the kind of the network."""
SHARE = 0.2
"""Share of a text's words that is damaged."""
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained.

    Attributes:
        defence: "augment" trains half on texts with typing errors, the worst of ``TYPOS`` random ones; "fgm", "vat", "freelb"
            and "smart" add the loss of `ganloom.robust.adversaries`; "both" is augment and fgm; "none".
        kind: "cnn", "lstm", "chars" or "sentence".
        size: Relative size of the perturbation of the embeddings.
        epochs: Passes over the texts. None: see ``usual_epochs``.
        width: Width of the network.
        seed: Seed of the weights, the order and the damage.
        encoder: With "sentence": "minilm", or the folder of a BERT model.
    """

    defence: Defence = "none"
    kind: Architecture = "cnn"
    size: float = 0.3
    epochs: int | None = None
    width: int = 64
    seed: int = 0
    encoder: str = "minilm"


def usual_epochs(n: int) -> int:
    """Return how many passes over ``n`` texts a training makes: 8, and more on few texts, so that it has enough steps."""
    return max(LEAST_EPOCHS, min(MOST_EPOCHS, -(-LEAST_STEPS // -(-n // BATCH))))


def encoder_of(settings: Settings) -> Sentences | None:
    """The sentence encoder of the kind "sentence"; None for the others.

    Raises:
        BadInput: The folder holds no encoder.
    """
    return Sentences(settings.encoder) if settings.kind == "sentence" else None


class _Stopped(Exception):
    """The training was asked to stop while the texts were encoded."""


class Training:
    """A training that can be stopped after each step.

    Args:
        data: Texts with labels of at least two classes.
        settings: How to train.

    Attributes:
        step: Steps that are done.
        steps: Steps of the whole training.
        classifier: What is trained; its network is in eval mode after the last step.

    Raises:
        BadInput: There are no labels, only one class, or too few texts.
        MissingExtra: The sentence encoder is not installed.
    """

    def __init__(self, data: Texts, settings: Settings) -> None:
        check(data)
        self.settings, self.data = settings, data
        encoder = encoder_of(settings)
        if settings.kind == "chars":
            vocabulary = build(data.texts, "char")
        else:
            vocabulary = build(data.texts, least=2 if len(data) >= 500 else 1)
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(key(settings.seed, "robust"))
            inputs = len(vocabulary) if encoder is None else encoder.width
            network = TextClassifier(inputs, len(data.classes), settings.kind, settings.width)
        self.classifier = Classifier(network, vocabulary, data.classes, settings.defence, encoder=encoder)
        self._targets = torch.tensor(self.classifier.numbers(data.labels or ()))
        self._words = [words(text.lower()) for text in data.texts]
        self._adversary = _adversary(settings.defence, network, settings.size)
        self._optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        self._vectors: Tensor | None = None
        self.step, self.in_epoch = 0, -(-len(data) // BATCH)
        self.steps = (settings.epochs or usual_epochs(len(data))) * self.in_epoch

    def run(self, progress: Report | None = None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the end, or until ``stop`` returns true after a step. Return whether it is finished."""
        order: list[int] = []
        with torch.random.fork_rng():
            if self.step < self.steps and self.classifier.encoder is not None:
                try:
                    self._encode(self.classifier.encoder, progress, stop)
                except _Stopped:
                    return False
            while self.step < self.steps:
                epoch, place = divmod(self.step, self.in_epoch)
                if place == 0 or not order:
                    order = list(range(len(self.data)))
                    random.Random(f"order {self.settings.seed} {epoch}").shuffle(order)
                self._update(order[place * BATCH : (place + 1) * BATCH])
                self.step += 1
                if progress is not None:
                    progress(self.step, self.steps)
                if self.step < self.steps and stop():
                    return False
        self.classifier.network.eval()
        return True

    def _encode(self, encoder: Sentences, progress: Report | None, stop: Callable[[], bool]) -> None:
        """Compute the sentence vectors of all texts, which can take minutes."""

        def each(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)
            if stop():
                raise _Stopped

        self._vectors = encoder.codes(self.data.texts, each)[:, None]
        if self.step == 0:
            self.classifier.network.standardise(self._vectors)

    def _update(self, rows: Sequence[int]) -> None:
        torch.default_generator.manual_seed(key(self.settings.seed, "robust", self.step))
        for group in self._optimizer.param_groups:
            group["lr"] = RATE * max(0.02, 1 - self.step / self.steps)
        loss = self._loss(rows)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.classifier.network.parameters(), 5.0)
        self._optimizer.step()

    def _loss(self, rows: Sequence[int]) -> Tensor:
        network, target = self.classifier.network, self._targets[list(rows)]
        damaged = self._worst_typos(rows, target) if self.settings.defence in ("augment", "both") else None
        network.train()
        if self._vectors is not None:
            tokens = self._vectors[list(rows)]
        else:
            tokens = self.classifier.encode([self.data.texts[i] for i in rows])
        embedded = network.embedded(tokens)
        loss = F.cross_entropy(network.head(embedded), target)
        if damaged is not None:
            loss = 0.5 * loss + 0.5 * F.cross_entropy(network(self.classifier.encode(damaged)), target)
        return loss if self._adversary is None else loss + self._adversary(embedded, target)

    def _worst_typos(self, rows: Sequence[int], target: Tensor) -> list[str]:
        """For each text, the one of some random damages that the network is most wrong about."""
        count = TYPOS[self.settings.kind]
        rng = random.Random(f"damage {self.settings.seed} {self.step}")
        made = [" ".join(typos(self._words[i], SHARE, rng)) for i in rows for _ in range(count)]
        if count == 1:
            return made
        self.classifier.network.eval()
        loss = F.cross_entropy(self.classifier.logits(made), target.repeat_interleave(count), reduction="none")
        return [made[count * i + j] for i, j in enumerate(loss.view(-1, count).argmax(1).tolist())]

    # ----------------------------------------------------------------------------------------------------------- state

    def state(self) -> dict[str, Tensor]:
        """All that is needed to continue: the step, the weights, and the moments of the optimizer."""
        found = {"step": torch.tensor(self.step)}
        found |= {f"model.{name}": value.contiguous() for name, value in self.classifier.network.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            found |= {f"adam.{number}.{name}": value.contiguous() for name, value in moments.items()}
        return found

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what ``state`` returned.

        Raises:
            BadInput: It is of another training.
        """
        try:
            step = int(state["step"])
            if not 0 <= step < self.steps:
                raise ValueError(f"step {step} of {self.steps}")
            weights = {name.removeprefix("model."): value for name, value in state.items() if name[:6] == "model."}
            self.classifier.network.load_state_dict(weights)
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                if name.startswith("adam."):
                    _, number, what = name.split(".", 2)
                    moments.setdefault(int(number), {})[what] = value
            parameters = list(self.classifier.network.parameters())
            sizes = {i: one["exp_avg"].shape for i, one in moments.items()}
            if step and sizes != {i: p.shape for i, p in enumerate(parameters)}:
                raise ValueError("moments of other sizes")
            found = self._optimizer.state_dict()
            found["state"] = moments
            self._optimizer.load_state_dict(found)
        except (KeyError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"the saved training does not fit its settings ({str(error).splitlines()[0][:120]})"
            ) from error
        self.step = step


def check(data: Texts) -> None:
    """Raise BadInput unless there are enough texts with labels of at least two classes."""
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; name their column with --label COLUMN")
    if len(data.classes) < 2:
        raise BadInput(f"{data.name} has one class only; a classifier needs two")
    data.need(20, "a classifier")


def train_classifier(
    data: Texts,
    *,
    defence: Defence = "none",
    kind: Architecture = "cnn",
    size: float = 0.3,
    epochs: int | None = None,
    width: int = 64,
    seed: int = 0,
    encoder: str = "minilm",
    progress: Report | None = None,
) -> Classifier:
    """Train a classifier; see ``Settings`` for the arguments.

    Args:
        data: Texts with labels of at least two classes.
        defence: See ``Settings``.
        kind: See ``Settings``.
        size: See ``Settings``.
        epochs: See ``Settings``.
        width: See ``Settings``.
        seed: See ``Settings``.
        encoder: See ``Settings``.
        progress: Called with (steps done, steps).

    Raises:
        BadInput: There are no labels, or only one class.
    """
    training = Training(data, Settings(defence, kind, size, epochs, width, seed, encoder))
    training.run(progress)
    return training.classifier


def _adversary(defence: str, network: TextClassifier, size: float) -> Adversary | None:
    if defence in ("fgm", "both"):
        return fgm(network.head, F.cross_entropy, size=size)
    if defence == "freelb":
        return freelb(network.head, F.cross_entropy, size=size)
    if defence == "vat":
        return vat(network.head, size=size)
    return smart(network.head, size=size) if defence == "smart" else None
