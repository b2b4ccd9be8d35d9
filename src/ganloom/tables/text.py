"""Make identifiers and free texts that look like those of a column and are none of them.

Identifiers: each cell becomes a template: its characters by class (capital letter, small letter, digit, other letter); marks
stay. A new cell fills a template with characters that the column uses. Words that many rows share are kept if several rows
have the same ones, such as the end of mail addresses, and if other characters are left to fill. Free texts: see
``sentences``. A salted hash of each original cell is kept, so that no original is ever written.
"""

import functools
import hashlib
import itertools
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ganloom.tables import sentences
from ganloom.tables.sentences import SHARED, Sentences

MOST_TEMPLATES = 200
"""Most templates that are kept of a column."""
FREE = 4
"""Digits that all cells begin with are kept if at least this many characters follow."""
TRIES = 10
"""Cells that are tried before a template gets one more character."""
_WORD = "abcdefghijklmnopqrstuvwxyz"
"""Letters for a text whose words are all shared."""
_CLASSES = (("A", str.isupper), ("a", str.islower), ("9", str.isdigit), ("w", str.isalpha))


@dataclass(frozen=True)
class TextPattern:
    """What is kept of a column of identifiers or texts."""

    templates: tuple[str, ...] = ()
    """Templates of cells, with each character of a class replaced by the name of the class; other characters are escaped. Of free
    texts: templates of the words that are not shared."""
    weights: tuple[int, ...] = ()
    """How many cells or words have each template."""
    alphabets: tuple[tuple[str, str], ...] = ()
    """(class, its characters)."""
    words: tuple[str, ...] = ()
    """Words that many rows have."""
    prefix: str = ""
    """What all cells begin with."""
    unique: bool = False
    """Whether no two cells are equal."""
    salt: str = ""
    hashes: tuple[int, ...] = ()
    """Salted hashes of the original cells."""
    sentences: Sentences | None = None
    """What is kept of free texts."""

    def make(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return n new cells; none equals an original one, and none another if the column is unique."""
        proposals = self._identifiers(n, rng) if self.sentences is None else self._texts(n, self.sentences, rng)
        taken, made = set(self.hashes), []
        for cell_of in proposals:
            code, cell = 0, ""
            for attempt in range(100 * TRIES):
                cell = cell_of(attempt)
                code = _hash(cell, self.salt)
                if code not in taken:
                    break
            if self.unique:
                taken.add(code)
            made.append(cell)
        return made

    def _identifiers(self, n: int, rng: np.random.Generator) -> Iterator[Callable[[int], str]]:
        """For each of n cells, a function from the number of the attempt to a cell."""
        weights = np.array(self.weights, float)
        chosen = rng.choice(len(self.templates), n, p=weights / weights.sum())
        alphabets = dict(self.alphabets)
        extra: Counter[int] = Counter()  # characters that a template got because its own cells are all taken

        def cell_of(place: int, attempt: int) -> str:
            extra[place] += attempt > 0 and attempt % TRIES == 0
            return self.prefix + self._fill(_longer(self.templates[place], extra[place]), alphabets, rng)

        return (functools.partial(cell_of, place) for place in chosen.tolist())

    def _texts(self, n: int, learned: Sentences, rng: np.random.Generator) -> Iterator[Callable[[int], str]]:
        """The same for free texts."""
        alphabets = dict(self.alphabets)
        template = sentences.drawer(zip(self.templates, self.weights, strict=True), rng)

        def other() -> str:
            return self._fill(template()[0], alphabets, rng)

        make = learned.maker(other, rng)

        def cell_of(attempt: int) -> str:
            text = make(attempt >= TRIES)
            return f"{text} {other()}" if attempt >= 2 * TRIES else text  # all texts of so few words may be taken

        return itertools.repeat(cell_of, n)

    def _fill(self, template: str, alphabets: dict[str, str], rng: np.random.Generator) -> str:
        out, i = [], 0
        while i < len(template):
            char = template[i]
            if char == "\\":
                out.append(template[i + 1])
                i += 2
                continue
            if char == "W":
                word, _, rest = template[i + 1 :].partition(";")
                out.append(self.words[int(word)])
                i = len(template) - len(rest)
                continue
            letters = alphabets[char]
            out.append(letters[int(rng.integers(len(letters)))])
            i += 1
        return "".join(out)


def pattern_of(cells: Sequence[str], free_text: bool) -> TextPattern:
    """Learn the pattern of a column.

    Args:
        cells: The cells without missing ones.
        free_text: The cells are sentences. Else they are identifiers, of which words are kept that a tenth of the cells have.
    """
    salt = secrets.token_hex(8)
    distinct = list(dict.fromkeys(cells))
    unique, hashes = len(distinct) == len(cells), tuple(sorted(_hash(cell, salt) for cell in distinct))
    if free_text:
        learned, others = sentences.learn(cells)
        shapes = _common(_template(word, {}) for word in (others or {_WORD: 1}))
        alphabets = _alphabets(others or [_WORD])
        return TextPattern(*shapes, alphabets, unique=unique, salt=salt, hashes=hashes, sentences=learned)
    prefix = _common_prefix(distinct)
    rest = [cell[len(prefix) :] for cell in cells]
    counts = Counter(word for cell in dict.fromkeys(rest) for word in dict.fromkeys(_words(cell)) if not word.isdigit())
    least = max(SHARED, len(distinct) // 10)
    words = [word for word, count in counts.most_common(2000) if count >= least]
    numbers = {word: i for i, word in enumerate(words)}
    together = Counter(_known(cell, numbers) for cell in rest)
    none: dict[str, int] = {}
    kept = [numbers if _may_keep(cell, numbers, together) else none for cell in rest]
    templates = _common(_template(cell, known) for cell, known in zip(rest, kept, strict=True))
    free = (part for cell, known in zip(rest, kept, strict=True) for part in _parts(cell) if part not in known)
    return TextPattern(*templates, _alphabets(free), tuple(words), prefix, unique, salt, hashes)


def _common(templates: Iterable[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The most common templates and their numbers."""
    common = Counter(templates).most_common(MOST_TEMPLATES)
    return tuple(template for template, _ in common), tuple(count for _, count in common)


def _alphabets(cells: Iterable[str]) -> tuple[tuple[str, str], ...]:
    letters: dict[str, set[str]] = {}
    for char in {char for cell in cells for char in cell}:
        letters.setdefault(_class_of(char), set()).add(char)
    return tuple((name, "".join(sorted(chars))) for name, chars in sorted(letters.items()) if name)


def _parts(cell: str) -> list[str]:
    """The words of a cell, and each of its other characters."""
    return re.findall(r"\w+|\W", cell)


def _words(cell: str) -> list[str]:
    return re.findall(r"\w+", cell)


def _known(cell: str, numbers: dict[str, int]) -> tuple[str, ...]:
    """The shared words of a cell in their order."""
    return tuple(word for word in _words(cell) if word in numbers)


def _may_keep(cell: str, numbers: dict[str, int], together: Counter[tuple[str, ...]]) -> bool:
    """Whether the shared words of a cell say nothing of a single row: several rows have all of them, and the cell has others."""
    known = _known(cell, numbers)
    return together[known] >= SHARED and len(known) < len(_words(cell))


def _hash(cell: str, salt: str) -> int:
    digest = hashlib.blake2b(cell.encode("utf-8", "surrogatepass"), digest_size=6, key=salt.encode()).digest()
    return int.from_bytes(digest, "little")


def _class_of(char: str) -> str:
    return next((name for name, test in _CLASSES if test(char)), "")


def _template(cell: str, words: dict[str, int]) -> str:
    out = []
    for part in _parts(cell):
        if part in words:
            out.append(f"W{words[part]};")
        else:
            out += [_class_of(char) or f"\\{char}" for char in part]
    return "".join(out)


def _longer(template: str, count: int) -> str:
    """A template with more characters, for one whose every cell may be taken: its last class of characters is repeated."""
    place, i = -1, 0
    while i < len(template):
        if template[i] == "\\":
            i += 2
        elif template[i] == "W":
            i = template.index(";", i) + 1
        else:
            place, i = i, i + 1
    if place < 0:
        return template + "\\x" * count
    return template[:place] + template[place] * count + template[place:]


def _common_prefix(cells: Sequence[str]) -> str:
    """What all cells begin with, up to the last mark that is no letter and no digit, such as "CUST-", or to the last digit."""
    first, last = min(cells), max(cells)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    shared = first[:length]
    cut = max((i + 1 for i, char in enumerate(shared) if not char.isalnum()), default=0)
    letters = re.match(r"[^\W\d]+(?=\d)", first)  # "K00123"
    if not cut and letters and all(cell.startswith(letters[0]) for cell in cells):
        cut = len(letters[0])
    if cut < len(shared) and shared[cut:].isdecimal() and min(map(len, cells)) - len(shared) >= FREE:
        cut = len(shared)  # such as the 0 of phone numbers
    return shared[:cut] if len(cells) > 1 else ""
