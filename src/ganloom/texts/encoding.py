"""Prepare texts for a model: split them, build a vocabulary from the training part, and encode all parts as numbers."""

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts
from ganloom.data.encoded_texts import HELD, EncodedTexts
from ganloom.texts.texts import SPLITS, Texts, split
from ganloom.texts.vocabulary import EOS, PAD, UNK, Kind, Vocabulary, build

SHARES = (0.8, 0.1, 0.1)
"""Shares of the parts train, validation and test, where the source has no splits."""
LEAST = 20
"""Fewest texts to train a model on."""
LONGEST: dict[Kind, int] = {"word": 64, "char": 256, "wordpiece": 96}
"""Largest length in tokens that is chosen from the texts; --length sets another."""
MOST: int = 1024
"""Largest length in tokens."""
WHAT: dict[Kind, str] = {"word": "words", "char": "characters", "wordpiece": "word pieces"}
"""What the tokens are, for messages."""


def encode(
    data: Texts, *, kind: Kind = "word", size: int = 5000, length: int | None = None, seed: int = 0
) -> EncodedTexts:
    """Encode texts.

    Args:
        data: At least ``LEAST`` texts. If the source has the splits train and test, they are used.
        kind: Tokens are "word" (words and punctuation marks), "char" (characters) or "wordpiece" (frequent parts of words).
        size: Largest number of tokens in the vocabulary; others are unknown.
        length: Largest number of tokens in a text. None: that of 95 % of the texts, at most ``LONGEST``. Longer texts are cut.
        seed: Seed of the split.

    Returns:
        The training texts, with the others as ``validation`` and ``test``. A row ends with the end token, if there is room.

    Raises:
        BadInput: There are too few texts, or an argument is out of range.
    """
    data.need(LEAST, "a text model")
    if size < 10:
        raise BadInput(f"--vocabulary {size}: give at least 10 tokens")
    if length is not None and not 1 <= length <= MOST:
        raise BadInput(f"--length {length}: give 1 to {MOST} tokens")
    parts = parts_of(data, seed)
    train = parts["train"].need(LEAST, "the training part")
    vocabulary = build(train.texts, kind, size=size, lower=kind != "char")
    tokens = {name: [vocabulary.encode(text) for text in part.texts] for name, part in parts.items()}
    counts = sorted(len(row) for row in tokens["train"])
    if length is None:
        length = max(1, min(counts[int(0.95 * (len(counts) - 1))], LONGEST[kind]))
    classes = data.classes if data.labels is not None else None
    numbers = {label: number for number, label in enumerate(classes or ())}
    notes = [*data.notes, *_notes(tokens["train"], length, vocabulary)]
    if not len(parts["validation"]):
        notes.append("no texts are held out for validation: the last weights are kept, not the best ones")
    made: dict[str, EncodedTexts] = {}
    for name in (*HELD, "train"):
        if name in parts and len(parts[name]):
            own = parts[name].labels
            labels = None if own is None else np.array([numbers[label] for label in own], np.int64)
            facts = Facts(data.name, labels=labels, classes=classes, notes=notes)
            held = {part: made[part] for part in HELD if part in made} if name == "train" else {}
            made[name] = EncodedTexts(_rows(tokens[name], length), facts, vocabulary.to_dict(), **held)
    return made["train"]


def parts_of(data: Texts, seed: int) -> dict[str, Texts]:
    """The parts train, validation and test: the splits of the source, or a random split.

    A source without a split for validation lends a tenth of its training texts.

    Args:
        data: The texts.
        seed: Seed of a random split.
    """
    if data.splits is not None and {"train", "test"} <= set(data.splits):
        rows = {name: [i for i, own in enumerate(data.splits) if own == name] for name in SPLITS}
        found = {name: data.pick(chosen) for name, chosen in rows.items()}
        if not rows["validation"]:
            found["train"], found["validation"] = split(found["train"], (1 - SHARES[1], SHARES[1]), seed)
        return found
    return dict(zip(SPLITS, split(data, SHARES, seed), strict=True))


def _rows(tokens: list[list[int]], length: int) -> np.ndarray:
    rows = np.full((len(tokens), length + 1), PAD, np.int32)
    for row, numbers in zip(rows, tokens, strict=True):
        cut = numbers[:length]
        row[: len(cut)] = cut
        row[len(cut)] = EOS
    return rows


def _notes(tokens: list[list[int]], length: int, vocabulary: Vocabulary) -> list[str]:
    cut, total = sum(len(row) > length for row in tokens), max(1, sum(map(len, tokens)))
    unknown = sum(number == UNK for row in tokens for number in row)
    what = WHAT[vocabulary.kind]
    notes = [f"{len(tokens):,} texts to train on, {len(vocabulary):,} different {what}, at most {length} in a text"]
    notes += [f"{cut:,} texts are longer and are cut; --length sets another length"] if cut else []
    notes += [f"{unknown / total:.1%} of the {what} are unknown; --vocabulary keeps more"] if unknown else []
    return notes
