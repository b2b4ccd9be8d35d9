"""Labelled corpora that a Debian machine has: package descriptions, the King James Bible, fortunes.

Each function returns texts with labels, groups (families that must not be on two sides of a split) and splits. The texts are
read from the machine's own files; nothing is loaded from the network.
"""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_file, write_new
from ganloom.texts.decoding import decode
from ganloom.texts.reports_corpus import reports
from ganloom.texts.tables import table_text
from ganloom.texts.texts import LONGEST, Texts, normalised, split

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
FAMILY = 3
"""Largest number of texts of a source package: some have hundreds of nearly equal descriptions."""
FORTUNES = Path("/usr/share/games/fortunes")


def debian() -> Texts:
    """One-line descriptions of Debian or Ubuntu packages, labelled with their section; a group is a source package.

    Raises:
        BadInput: The machine has no package index.
    """
    listing = _output(["apt-cache", "dumpavail"], "apt-cache is missing: this corpus needs Debian or Ubuntu")
    found = list(debian_packages(listing))
    if not found:
        raise BadInput("the package index is empty: run `apt-get update` as root once, then this command again")
    return _corpus(found, "debian", limit=FAMILY)


def debian_packages(listing: str) -> Iterator[tuple[str, str, str]]:
    """(description, section, source package) of each package in the output of ``apt-cache dumpavail``."""
    for paragraph in listing.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.split("\n") if line[:1].isalpha() and ": " in line)
        text = fields.get("Description-en", fields.get("Description", ""))
        section = fields.get("Section", "").rsplit("/", 1)[-1]
        source = fields.get("Source", fields.get("Package", "")).split(" ")[0]
        if text and section and source:
            yield text, section, source


def bible(command: str = "bible") -> Texts:
    """Verses of the King James Bible, labelled with their book; a group is a chapter.

    Args:
        command: The program of the package bible-kjv.

    Raises:
        BadInput: The package is not installed.
    """
    verses = _output(
        [command, "-f", "Ge1:1-Re22:21"], "the program bible is missing: apt-get install bible-kjv bible-kjv-text"
    )
    found = list(bible_verses(verses))
    if not found:
        raise BadInput("the program bible printed no verses: apt-get install bible-kjv-text")
    return _corpus(found, "bible")


def bible_verses(listing: str) -> Iterator[tuple[str, str, str]]:
    """(verse, book, chapter) of each line of the program ``bible -f``."""
    for line in listing.split("\n"):
        match = re.fullmatch(r"((\d?[A-Za-z]+)\d+):\d+ (.+)", line.strip())
        if match:
            yield match[3], match[2], match[1]


def fortunes(folder: str | Path = FORTUNES) -> Texts:
    """Fortunes, labelled with their file; each is a group of its own.

    Args:
        folder: The folder of the files.

    Raises:
        BadInput: The package is not installed.
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder} is missing: apt-get install fortunes fortunes-min")
    found = [
        row for file in sorted(folder.iterdir()) if file.suffix == "" and file.is_file() for row in _fortunes_of(file)
    ]
    if not found:
        raise BadInput(f"{folder} has no fortunes: apt-get install fortunes fortunes-min")
    return _corpus(found, "fortunes")


def _fortunes_of(file: Path) -> Iterator[tuple[str, str, str]]:
    for entry in re.split(r"(?m)^%\n?", decode(file.read_bytes(), str(file))):
        text = " ".join(entry.split())
        if text:
            yield text, file.name, normalised(text)


def _built_in() -> Texts:
    texts = reports()
    return _corpus(zip(texts.texts, texts.labels or (), map(normalised, texts.texts), strict=True), "reports")


CORPORA: dict[str, Callable[[], Texts]] = {"debian": debian, "bible": bible, "fortunes": fortunes, "reports": _built_in}


def write_corpus(name: str, out: str, *, overwrite: bool = False, classes: int | None = None) -> Texts:
    """Write a corpus as JSON lines with the keys text, label, group and split.

    Args:
        name: One of ``CORPORA``.
        out: A new .jsonl file.
        overwrite: Replace an existing file.
        classes: Keep only the classes with the most texts. None: all.

    Returns:
        What was written.

    Raises:
        BadInput: The corpus is not on this machine, or the file exists.
    """
    file = new_file(out, (".jsonl",), overwrite=overwrite)
    texts = CORPORA[name]()
    if classes is not None:
        labels = list(texts.labels or ())
        counts = Counter(labels)
        if not 2 <= classes <= len(counts):
            raise BadInput(f"--classes {classes}: give 2 to {len(counts)}, the number of classes of {name}")
        largest = sorted(counts, key=lambda label: (-counts[label], label))[:classes]
        texts = texts.pick([i for i, label in enumerate(labels) if label in largest])
    columns = zip(texts.texts, texts.labels or (), texts.groups or (), texts.splits or (), strict=True)
    rows = [dict(zip(("text", "label", "group", "split"), row, strict=True)) for row in columns]
    write_new(file, table_text(rows, ".jsonl").encode("utf-8"), overwrite=overwrite)
    return texts


def _corpus(rows: Iterable[tuple[str, str, str]], name: str, limit: int | None = None) -> Texts:
    """Texts without duplicates, at most ``limit`` of a group, with splits by group."""
    seen: set[str] = set()
    of_group: dict[str, int] = {}
    kept: list[tuple[str, str, str]] = []
    for text, label, group in rows:
        plain = normalised(text)
        if plain in seen or len(text) > LONGEST or (limit is not None and of_group.get(group, 0) >= limit):
            continue
        seen.add(plain)
        of_group[group] = of_group.get(group, 0) + 1
        kept.append((text, label, group))
    texts, labels, groups = (list(column) for column in zip(*kept, strict=True))
    parts = split(Texts(texts, labels, groups, name=name), list(SHARES.values()))
    side = {text: part for part, of in zip(SHARES, parts, strict=True) for text in of.texts}
    return Texts(texts, labels, groups, [side[text] for text in texts], name)


def _output(command: list[str], missing: str) -> str:
    if shutil.which(command[0]) is None:
        raise BadInput(missing)
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
    text = done.stdout.decode("utf-8", errors="replace")
    if done.returncode and not text:
        raise BadInput(f"`{' '.join(command)}` failed: {done.stderr.decode('utf-8', errors='replace').strip()[:200]}")
    return text
