"""A data set of images with captions: a batch holds images, a caption of each, and a mismatched caption of each."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.caption_words import vocabulary, words_of
from ganloom.data.dataset import Facts
from ganloom.data.images import Images

POOL = 256
"""Captions of this many other images are compared to find one that differs in few words."""
COMPARED = 24
"""Words of a caption that are compared."""


class CaptionBatch(NamedTuple):
    """A batch of N images with captions.

    Attributes:
        x: Images (N, C, H, W) float32 in [-1, 1].
        c: For each image one of its captions. From ``Captioned.draw``: its number in ``Captioned.texts``, int64 (N,). From
            ``TextConditional.draw``: its code, (N, ...).
        wrong: For each image a caption of another image, in the form of ``c``.
        mismatched: float32 (N,): 0 where no caption with another meaning was found; ``wrong`` is ``c`` there.
        group: int64 (N,), equal for captions ``c`` with equal meaning.
        wrong_group: The same of ``wrong``.
    """

    x: Tensor
    c: Tensor
    wrong: Tensor
    mismatched: Tensor
    group: Tensor
    wrong_group: Tensor


class Captioned(Images):
    """N images, each with one or more captions.

    Args:
        rows: uint8 (N, H, W, C), not copied.
        facts: What is known about the rows; ``captions`` must be there.
        sha256: SHA-256 of the rows, if it is known.
        held: Opens a hold-out set that training never draws; None if there is none.

    Attributes:
        texts: The distinct captions.
        near: Share of mismatched captions that differ in few words from the right one; the recipe sets it.
    """

    def __init__(
        self,
        rows: NDArray[np.uint8],
        facts: Facts,
        sha256: str | None = None,
        held: "Callable[[], Captioned] | None" = None,
    ) -> None:
        super().__init__(rows, facts, sha256)
        self._open_held = held
        numbers: dict[str, int] = {}
        of_rows = [[numbers.setdefault(text, len(numbers)) for text in own] for own in all_captions(facts)]
        if not all(of_rows):
            raise BadInput(f"{facts.name}: {sum(not own for own in of_rows)} images have no caption")
        self.texts = tuple(numbers)
        self._count = torch.tensor([len(own) for own in of_rows])
        self._start = self._count.cumsum(0) - self._count
        self._numbers = torch.tensor([number for own in of_rows for number in own])
        groups = facts.caption_groups
        self._groups = torch.tensor([own[0] for own in of_rows]) if groups is None else torch.from_numpy(groups.copy())
        self._words: Tensor | None = None
        self._codes: dict[str, Tensor] = {}

    @property
    def held(self) -> "Captioned | None":
        """The hold-out set that training never draws, or None. It is opened on each access."""
        return self._open_held() if self._open_held is not None else None

    @property
    def vocabulary(self) -> list[str]:
        """The words of all captions, the most common first."""
        return vocabulary(self.texts)

    def draw(self, n: int, rng: torch.Generator, alike: int = 1, near: float = 0.0) -> CaptionBatch:  # type: ignore[override]
        """Draw the next global batch of ``n``, or this process's rows of it, see ``Data.draw``.

        Args:
            n: Size of the global batch.
            rng: See ``Data.draw``.
            alike: Ignored: there are no labels.
            near: Share of mismatched captions that differ in few words from the right one; the others are random.
        """
        picks, flips = self._next_rows(n, rng)
        chosen = torch.rand(n, generator=rng)
        pool = torch.randint(len(self), (n, POOL), generator=rng)
        which = torch.rand(n, POOL, generator=rng)
        wants_near = torch.rand(n, generator=rng) < near
        world, rank = getattr(rng, "world", 1), getattr(rng, "rank", 0)
        chosen, pool, which, wants_near = (part[rank::world] for part in (chosen, pool, which, wants_near))
        right = self._caption(picks, chosen)
        place, found = self._mismatched(picks, right, pool, which, wants_near)
        rows = torch.where(found, pool.gather(1, place[:, None])[:, 0], picks)
        wrong = torch.where(found, self._caption(pool, which).gather(1, place[:, None])[:, 0], right)
        fields = right, wrong, found.float(), self._groups[picks], self._groups[rows]
        return CaptionBatch(self._gather(picks, flips), *(field.to(self.device) for field in fields))

    def captions_of(self, rows: Any) -> list[str]:
        """Return the first caption of each of some rows."""
        return [self.texts[self._numbers[self._start[i]]] for i in self.picks(rows).tolist()]

    def drawn_captions(self, rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return one caption of each row, chosen by u (n,) in [0, 1): its number in ``texts``, and the group of the row."""
        return self._caption(rows, u), self._groups[rows]

    def codes(self, key: str, encode: Callable[[Sequence[str]], Tensor]) -> Tensor:
        """Return what an encoder makes of all texts, (texts, ...) on ``device``; computed once.

        Args:
            key: Names the encoder.
            encode: Called with the texts.
        """
        if key not in self._codes:
            self._codes = {key: encode(self.texts)}
        self._codes[key] = self._codes[key].to(self.device)
        return self._codes[key]

    def _caption(self, rows: Tensor, u: Tensor) -> Tensor:
        """One caption of each row, chosen by u in [0, 1)."""
        counts = self._count[rows]
        return self._numbers[self._start[rows] + (u * counts).long().clamp(max=counts - 1)]

    def _mismatched(
        self, picks: Tensor, right: Tensor, pool: Tensor, which: Tensor, wants_near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The place in the pool of a mismatched caption for each row, and whether there is one."""
        captions = self._caption(pool, which)
        valid = (self._groups[pool] != self._groups[picks][:, None]) & (captions != right[:, None])
        similar = torch.zeros(pool.shape)
        if bool(wants_near.any()):
            rows = torch.nonzero(wants_near).flatten()
            similar[rows] = self._overlap(right[rows], captions[rows])
        score = torch.where(valid, similar, torch.full_like(similar, -1.0))
        return score.argmax(1), valid.any(1)

    def _overlap(self, one: Tensor, others: Tensor) -> Tensor:
        """Words in common of captions (n,) with captions (n, k), as the cosine of their sets of words: (n, k) in [0, 1]."""
        words = self._word_numbers()
        a, b = words[one][:, None, :, None], words[others][:, :, None, :]
        common = ((a == b) & (a > 0)).any(3).sum(2).float()
        lengths = (words > 0).sum(1).float().clamp_min(1.0)
        cosine: Tensor = common / (lengths[one][:, None] * lengths[others]).sqrt()
        return cosine

    def _word_numbers(self) -> Tensor:
        """The distinct words of each text as numbers from 1, padded with 0: int64 (texts, COMPARED)."""
        if self._words is None:
            numbers: dict[str, int] = {}
            rows = [list(dict.fromkeys(words_of(text)))[:COMPARED] for text in self.texts]
            width = max(1, *(len(row) for row in rows))
            table = [[numbers.setdefault(word, len(numbers) + 1) for word in row] for row in rows]
            self._words = torch.tensor([row + [0] * (width - len(row)) for row in table])
        return self._words

    def _rows_sha256(self) -> str:
        digest = hashlib.sha256("\0".join(self.texts).encode("utf-8", "surrogatepass"))
        for numbers in (self._count, self._numbers, self._groups):
            digest.update(numbers.numpy().astype("<i8").tobytes())
        return f"{super()._rows_sha256()} captions {digest.hexdigest()}"

    def with_facts(self, facts: Facts) -> "Captioned":
        """Return a data set of the same rows, which are not copied, with other facts."""
        return Captioned(self.rows, facts, self._sha256, self._open_held)

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts, held=self._open_held)


def all_captions(facts: Facts) -> list[tuple[str, ...]]:
    """Return the distinct captions of each row, empty ones left out."""
    first = facts.captions or []
    others = facts.other_captions or [()] * len(first)
    return [
        tuple(text for text in dict.fromkeys((one, *more)) if text) for one, more in zip(first, others, strict=True)
    ]
