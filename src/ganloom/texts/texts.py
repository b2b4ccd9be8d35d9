"""A set of texts with labels, groups and splits: what all parts of the package work on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganloom.core.errors import BadInput

LONGEST = 100_000
"""Longest text, in characters. A longer one is a whole document, not a text to train on."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Texts:
    """Texts in the order of their source.

    Attributes:
        texts: N strings, none of them empty.
        labels: N class names, or None.
        groups: N names of families whose members must stay on one side of a split, or None.
        splits: N names of splits as the source declares them, or None.
        name: Where the texts are from, for messages.
        notes: One line for each thing that the user should know, such as lines that were left out.
    """

    texts: Sequence[str]
    labels: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    name: str = "the texts"
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for what, values in (("labels", self.labels), ("groups", self.groups), ("splits", self.splits)):
            if values is not None and len(values) != len(self.texts):
                raise BadInput(
                    f"{self.name}: {len(self.texts)} texts, but {len(values)} {what}; give one for each text"
                )

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def classes(self) -> list[str]:
        """The class names, sorted; empty without labels."""
        return sorted(set(self.labels or ()))

    def pick(self, rows: Sequence[int]) -> "Texts":
        """The texts of some rows, in the order of ``rows``."""

        def of(values: Sequence[str] | None) -> list[str] | None:
            return None if values is None else [values[i] for i in rows]

        return Texts([self.texts[i] for i in rows], of(self.labels), of(self.groups), of(self.splits), self.name)

    def need(self, count: int, purpose: str) -> "Texts":
        """Return the texts, if there are enough of them.

        Raises:
            BadInput: There are fewer than ``count``.
        """
        if len(self) < count:
            texts = "1 text" if len(self) == 1 else f"{len(self)} texts"
            raise BadInput(f"{self.name} has {texts}; {purpose} needs at least {count}, one a line or a row")
        return self


def too_long(where: str, size: int) -> str:
    """The message on a text of more than ``LONGEST`` characters."""
    return f"{where}: a text of {size:,} characters; at most {LONGEST:,} are read"


def normalised(text: str) -> str:
    """A text in lower case with single spaces: what counts as a duplicate."""
    return " ".join(text.lower().split())


def split(texts: Texts, shares: Sequence[float], seed: int = 0) -> list[Texts]:
    """Split texts at random so that no group and no duplicate is on two sides.

    Groups that share a duplicate count as one group. A side is a function of the group (or, without groups, of the normalised
    text) and the seed, so a text keeps its side when other texts are added, unless they link its group to another.

    Args:
        texts: What to split.
        shares: The share of each part; they sum to 1. The sizes of the parts vary at random around these shares.
        seed: Another seed gives another split.

    Returns:
        The parts, in the order of ``shares``.
    """
    plain = [normalised(text) for text in texts.texts]
    families = plain if texts.groups is None else _families(texts.groups, plain)
    rows: list[list[int]] = [[] for _ in shares]
    for i, family in enumerate(families):
        rows[_side(family, shares, seed)].append(i)
    return [texts.pick(part) for part in rows]


def _families(groups: Sequence[str], plain: Sequence[str]) -> list[str]:
    """A name for each text: its group, or the first name of the groups that duplicates link to it."""
    parent: dict[str, str] = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first: dict[str, str] = {}
    for group, text in zip(groups, plain, strict=True):
        a, b = sorted((root(group), root(first.setdefault(text, group))))
        parent[b] = a
    return [root(group) for group in groups]


def _side(key: str, shares: Sequence[float], seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    position, total = int.from_bytes(digest, "little") / 2**64 * sum(shares), 0.0
    for side, share in enumerate(shares):
        total += share
        if position < total:
            return side
    return len(shares) - 1
