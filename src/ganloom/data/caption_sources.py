"""Where the captions of image files come from. The first kind that names images of the source is used:

1. ``metadata.jsonl``, ``metadata.csv`` (Hugging Face's imagefolder), ``captions.csv``, ``captions.json`` (COCO), ``dataset.json``
   (Karpathy) and tables with similar names: a column of file names and one of captions. Several files of one kind are joined.
2. a ``.txt`` or ``.caption`` file with the name of each image, beside it or in a folder of texts; each line is a caption.

Nothing is left out without a note: see ``Found``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ganloom.core.errors import BadInput
from ganloom.data.caption_files import NotCaptions, Pairs, decoded, is_table, parse
from ganloom.data.caption_words import LONGEST, cut, tidy
from ganloom.data.side_files import base_of, lines_of, whole

ReadFile = Callable[[str], bytes]
"""Reads a file of the source by its name. Raises OSError, or BadInput with a short reason."""


class NoCaptions(BadInput):
    """No image of a source has a caption."""


@dataclass
class Found:
    """The captions of N image files.

    Attributes:
        captions: For each image its captions, tidy and not empty; () for an image without.
        where: The files that they come from.
        notes: One line for each thing about them that the user should know.
    """

    captions: list[tuple[str, ...]]
    where: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(names: Sequence[str], others: Sequence[str], read: ReadFile, source: str) -> Found:
    """Find the captions of image files.

    Args:
        names: names of the N images under the source, with "/".
        others: names of the files that may hold captions, see `caption_files.may_hold_captions`.
        read: reads one of them.
        source: the folder or archive, for messages.

    Raises:
        BadInput: a file of captions is damaged, or no image has a caption.
    """
    notes: list[str] = []
    tables = sorted((name for name in others if is_table(name)), key=lambda name: (_rank(name), name))
    for rank in sorted({_rank(name) for name in tables}):
        found = _of_tables([name for name in tables if _rank(name) == rank], names, read, source, notes)
        if found is not None:
            unused = [name for name in tables if _rank(name) > rank]
            if unused:
                found.notes.append(f"{_listed(unused)} not read: the captions come from {found.where[0]}")
            found.notes = notes + found.notes
            return _checked(found, names, source)
    texts = [name for name in others if not is_table(name)]
    found = _of_texts(texts, names, read)
    found.notes = notes + found.notes
    return _checked(found, names, source)


def _rank(name: str) -> int:
    """Lower is used first: the kinds of tables in the order in which they are looked for."""
    base = base_of(name).lower()
    order = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
    return order.index(base) if base in order else len(order) + base.endswith(".json")


def _of_tables(tables: list[str], names: Sequence[str], read: ReadFile, source: str, notes: list[str]) -> Found | None:
    """The captions of all tables of one kind; None if they name none of the images. Adds a note on each that is not used."""
    captions: list[list[str]] = [[] for _ in names]
    found = Found([])
    unknown: list[str] = []
    for table in tables:
        folder = table.rpartition("/")[0]
        try:
            try:
                pairs = parse(base_of(table), read(table), names)
            except OSError as error:
                raise BadInput(error.strerror or "it cannot be opened") from None
        except NotCaptions as error:
            notes.append(f"{table} holds no captions: {error}")
            continue
        except BadInput as error:
            raise BadInput(f"{table} in {source} cannot be used: {error}") from None
        index = _index_of(pairs, folder, names)
        if not index:
            notes.append(f"{table} names none of the images")
            continue
        found.where.append(table)
        for name, caption in pairs:
            if name in index:
                captions[index[name]].append(caption)
            else:
                unknown.append(name)
    if not found.where:
        return None
    if unknown:
        missing = list(dict.fromkeys(unknown))
        found.notes.append(
            f"{found.where[0]}: captions of images that are not in the data are not used: {len(unknown):,}, such as that of "
            f"{missing[0]}"
        )
    found.captions = [tuple(own) for own in captions]
    return found


def _index_of(pairs: Pairs, folder: str, names: Sequence[str]) -> dict[str, int]:
    """Name in a table -> number of the image. Compared as they are, then by the last part, then without endings."""
    wanted = list(dict.fromkeys(name for name, _ in pairs))
    best: dict[str, int] = {}
    forms: tuple[Callable[[str], str], ...] = (
        whole,
        base_of,
        lambda name: _stem(whole(name)),
        lambda n: _stem(base_of(n)),
    )
    for form in forms:
        own: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            inside = name.removeprefix(f"{folder}/") if folder else name
            for key in {form(inside), form(name)}:
                own.setdefault(key, []).append(i)
        known = {name: own[form(name)][0] for name in wanted if len(own.get(form(name), ())) == 1}
        if len(known) > len(best):
            best = known
        if len(best) == len(wanted):
            break
    return best


def _of_texts(texts: Sequence[str], names: Sequence[str], read: ReadFile) -> Found:
    """The captions in the text files of the images' names."""
    place = _matching(texts, names)
    captions: list[tuple[str, ...]] = []
    found, undecoded = Found(captions), []
    for i in range(len(names)):
        lines: list[str] = []
        for text in place.get(i, ()):
            try:
                lines += list(lines_of(decoded(read(text)))) or [""]
                found.where.append(text)
            except (BadInput, OSError) as error:
                undecoded.append((text, str(error)))
        captions.append(tuple(lines))
    if undecoded:
        first, reason = undecoded[0]
        many = (
            f"{len(undecoded):,} files of captions such as {first}"
            if len(undecoded) > 1
            else f"the captions in {first}"
        )
        found.notes.append(f"{many} cannot be used: {reason}")
    used = {text for own in place.values() for text in own}
    unused = [text for text in texts if text not in used and base_of(text).lower() not in _KNOWN]
    if unused and used:
        found.notes.append(f"{len(unused):,} text files such as {unused[0]} have the name of no image: not used")
    return found


_KNOWN = ("readme.txt", "license.txt", "licence.txt", "classes.txt", "labels.txt", "requirements.txt", "list.txt")
"""Text files that are no captions and need no note."""


def _matching(texts: Sequence[str], names: Sequence[str]) -> dict[int, list[str]]:
    """Number of an image -> its text files: beside it, else in the same sub-folder of another folder, else by the name alone."""
    best: dict[int, list[str]] = {}
    for form in (_stem, lambda name: _stem(name.partition("/")[2] or name), lambda name: _stem(base_of(name))):
        own: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            own.setdefault(form(name), []).append(i)
        known: dict[int, list[str]] = {}
        for text in texts:
            for i in own.get(form(text), ()) if form is _stem or len(own.get(form(text), ())) == 1 else ():
                known.setdefault(i, []).append(text)
        if len(known) > len(best):
            best = known
    return best


def _checked(found: Found, names: Sequence[str], source: str) -> Found:
    """Tidy the captions; add notes on empty and on very long ones, and on images without a caption."""
    empty, lengths, kept = [], [], []
    for name, own in zip(names, found.captions, strict=True):
        tidied = [tidy(caption) for caption in own]
        empty += [name for caption in tidied if not caption]
        full = [caption for caption in tidied if caption]
        lengths += [(caption.count(" ") + 1, name) for caption in full if caption.count(" ") >= LONGEST]
        kept.append(tuple(dict.fromkeys(map(cut, full))))
    found.captions = kept
    if empty:
        one = len(empty) == 1
        found.notes.append(
            f"{len(empty):,} {'caption is' if one else 'captions are'} empty, such as that of {empty[0]}: not used"
        )
    if lengths:
        longest, name = max(lengths)
        found.notes.append(
            f"{len(lengths):,} captions have more than {LONGEST} words, the longest {longest:,} ({name}): only the first "
            f"{LONGEST} are used"
        )
    without = [name for name, own in zip(names, kept, strict=True) if not own]
    if len(without) == len(names):
        more = f" ({'; '.join(found.notes[:2])})" if found.notes else ""
        raise NoCaptions(
            f"{source} has no captions for its {len(names):,} images{more}; put metadata.jsonl or captions.csv (columns "
            "file_name and text) there, or a .txt file beside each image"
        )
    if without:
        found.notes.append(
            f"{len(without):,} of {len(names):,} images have no caption, such as {without[0]}: they are left out"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{len(names)} files such as {names[0]} are"


def _stem(name: str) -> str:
    head, slash, base = name.rpartition("/")
    return head + slash + (base.rpartition(".")[0] or base)
