"""The texts of the benchmark: about 700, 100 and 200 of each class to train on, to choose settings on, and to test on."""

import hashlib
import random
from dataclasses import dataclass

from ganloom.core.errors import BadInput
from ganloom.texts import corpora
from ganloom.texts.reading import read
from ganloom.texts.texts import SPLITS, Texts, split

SECTIONS = ("python", "perl", "haskell", "rust", "java", "javascript", "ruby", "science", "net", "games")
"""The classes of the Debian descriptions: ten sections of similar size."""
LARGEST = {"train": 700, "validation": 100, "test": 200}
"""Most texts of a class in each part."""
SHARES = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class Parts:
    """The texts of a benchmark.

    Attributes:
        train: To train on.
        test: To measure on: the validation or the test part.
        digest: Changes with the texts.
    """

    train: Texts
    test: Texts
    digest: str


def load(source: str, part: str) -> Parts:
    """Load the texts.

    Args:
        source: "debian", or what `texts.read` opens.
        part: "test" or "validation".

    Raises:
        BadInput: They cannot be read, or have no labels of two classes.
    """
    data = corpora.debian() if source == "debian" else read(source)
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; the benchmark needs a table with a column label, or class folders")
    found = _parts(data)
    names = _classes(data)
    chosen = {name: _some(found[name], names, name) for name in ("train", part)}
    train, test = chosen["train"], chosen[part]
    if len(train.classes) < 2 or len(test) < 2:
        raise BadInput(f"{data.name} has too few texts: {len(train)} to train on and {len(test)} to measure on")
    known = set(train.classes)
    test = test.pick([i for i, label in enumerate(test.labels or ()) if label in known])
    parts = repr([(list(one.texts), list(one.labels or ())) for one in (train, test)])
    return Parts(train, test, hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16])


def _parts(data: Texts) -> dict[str, Texts]:
    """The parts by the column split of the source, or at random by groups."""
    if data.splits is not None and set(SPLITS) <= set(data.splits):
        rows: dict[str, list[int]] = {name: [] for name in SPLITS}
        for i, name in enumerate(data.splits):
            if name in rows:
                rows[name].append(i)
        return {name: data.pick(own) for name, own in rows.items()}
    return dict(zip(SPLITS, split(data, SHARES, 0), strict=True))


def _classes(data: Texts) -> set[str]:
    """All classes, or the ten sections where the texts have them: those of Debian, also from a file."""
    classes = set(data.classes)
    return set(SECTIONS) if set(SECTIONS) <= classes and len(classes) > 20 else classes


def _some(data: Texts, classes: set[str], part: str) -> Texts:
    """At most ``LARGEST`` texts of each class, in random order."""
    order, counts, rows = list(range(len(data))), dict.fromkeys(classes, 0), []
    random.Random(f"robust {part}").shuffle(order)
    for i in order:
        label = (data.labels or ())[i]
        if label in classes and counts[label] < LARGEST[part]:
            counts[label] += 1
            rows.append(i)
    return data.pick(rows)
