"""Attack by synonyms of WordNet (Ren et al. 2019, "PWWS", and Jin et al. 2020, "TextFooler", use it or word vectors like this).

WordNet is read from its own database files (wndb(5WN)): index.noun, data.noun, and so on. Debian has them in the package
wordnet-base; NLTK loads them as corpora/wordnet. Nothing is loaded from the network.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.robust.attacks import Attacked, Predict, greedy

PARTS = ("noun", "verb", "adj", "adv")
MISSING = (
    "WordNet is not installed: apt-get install wordnet-base, or set the variable WNSEARCHDIR to the folder with its files "
    "index.noun and data.noun"
)


def folders() -> list[Path]:
    """The folders in which WordNet may be: that of the variable WNSEARCHDIR, Debian's, and those of NLTK."""
    found = [as_path(os.environ["WNSEARCHDIR"])] if os.environ.get("WNSEARCHDIR") else []
    found += [Path("/usr/share/wordnet"), Path("/usr/local/WordNet-3.0/dict"), Path("/usr/local/share/wordnet")]
    roots = [Path(root) for root in os.environ.get("NLTK_DATA", "").split(os.pathsep) if root]
    roots += [Path.home() / "nltk_data", Path("/usr/share/nltk_data"), Path("/usr/local/share/nltk_data")]
    return found + [root / "corpora" / "wordnet" for root in roots]


def installed() -> Path | None:
    """The folder of WordNet, or None if it is not installed.

    Raises:
        BadInput: WNSEARCHDIR names a folder without it.
    """
    named = os.environ.get("WNSEARCHDIR")
    if named and not (as_path(named) / "index.noun").is_file():
        raise BadInput(
            f"the variable WNSEARCHDIR names {named}, which has no index.noun; give WordNet's folder, or unset it"
        )
    return next((folder for folder in folders() if (folder / "index.noun").is_file()), None)


def find() -> "WordNet | None":
    """Read WordNet; None if it is not installed.

    Raises:
        BadInput: WNSEARCHDIR names a folder without it, or its files are damaged.
    """
    folder = installed()
    return None if folder is None else WordNet(folder)


class WordNet:
    """The sets of synonyms of English words.

    Args:
        folder: Holds index.noun, data.noun, and the same for verb, adj and adv.

    Raises:
        BadInput: A file is missing or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = as_path(folder)
        self._sets: dict[str, list[tuple[str, ...]]] = {}
        for part in PARTS:
            try:
                self._read(part)
            except OSError as error:
                raise BadInput(
                    f"WordNet in {self.folder} is not complete: {error.strerror}: {error.filename}"
                ) from None
            except (ValueError, IndexError, KeyError):
                raise BadInput(f"WordNet in {self.folder} is damaged: index.{part} or data.{part}") from None

    def _read(self, part: str) -> None:
        members: dict[str, tuple[str, ...]] = {}
        for line in _lines(self.folder / f"data.{part}"):
            fields = line.split(" ")
            count = int(fields[3], 16)
            members[fields[0]] = tuple(fields[4 + 2 * i].split("(")[0].lower() for i in range(count))
        for line in _lines(self.folder / f"index.{part}"):
            fields = line.split()
            offsets = fields[len(fields) - int(fields[2]) :]
            self._sets.setdefault(fields[0], []).extend(members[offset] for offset in offsets)

    def __call__(self, word: str) -> list[str]:
        """Single words with a meaning of ``word``, the most common meanings first. A regular plural gives plurals."""
        found = self._of(word)
        if not found and word.endswith("s") and not word.endswith("ss"):
            found = [_plural(other) for other in self._of(word[:-1])]
        return [other for other in dict.fromkeys(found) if other != word]

    def _of(self, word: str) -> list[str]:
        return [other for group in self._sets.get(word, ()) for other in group if other.isalpha()]


def _lines(path: Path) -> list[str]:
    """The lines of a file without its licence, which is indented by two spaces."""
    return [line for line in path.read_text(encoding="latin-1").split("\n") if line and line[:2] != "  "]


def _plural(word: str) -> str:
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def synonyms(
    predict: Predict,
    texts: Sequence[str],
    labels: Sequence[int],
    wordnet: WordNet,
    *,
    share: float = 0.2,
    candidates: int = 30,
) -> Attacked:
    """Attack by synonyms, greedily: the most important words first, each with its worst synonym.

    A synonym of some meaning of a word need not fit its text, so not every attacked text still has its label.

    Args:
        predict: The classifier.
        texts: N texts.
        labels: N class numbers.
        wordnet: The synonyms.
        share: Share of a text's words that may be replaced, at least one word.
        candidates: Most synonyms that are tried for a word.
    """
    return greedy(predict, texts, labels, lambda word: wordnet(word)[:candidates], share=share, shortest=3)
