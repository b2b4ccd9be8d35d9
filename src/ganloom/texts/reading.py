"""Open texts: a file with a text a line, a table, a folder of text files, class folders, or a built-in corpus."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.texts.decoding import read_text
from ganloom.texts.reports_corpus import reports
from ganloom.texts.tables import ENDINGS, Columns, read_table
from ganloom.texts.texts import LONGEST, Texts, too_long

BUILTIN = {"reports": reports}
"""Name -> function that returns the texts."""
TEXT_ENDINGS = (".txt", ".text", ".md", "")


def read(
    source: str | os.PathLike[str] | Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
) -> Texts:
    """Read texts.

    Args:
        source: One of

            - a text file: each line is a text, empty lines are left out;
            - a table: .csv, .tsv, .jsonl, or .json with an array of objects;
            - a folder of folders: each folder is a class, each file in it is one text;
            - a folder of files: each file is one text;
            - "reports", the built-in corpus;
            - a sequence of strings.
        labels: With a sequence of strings: their class names.
        text: The column of texts in a table. None: by its name (text, sentence, content, ...).
        label: The column of labels in a table. None: by its name (label, class, category, ...). "none": no labels.
        encoding: The encoding of the files.

    Returns:
        The texts, at least one.

    Raises:
        BadInput: There is no such file, it is no text, or a column is missing.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _from_strings(source, labels)
    if labels is not None:
        raise BadInput("labels are given with a sequence of strings; for a file, name the column: label=...")
    path = as_path(source)
    if isinstance(source, str) and source in BUILTIN and not path.exists():
        _no_columns(text, label, f"{source} is built in")
        return _labelled(BUILTIN[source](), label)
    if path.is_dir():
        _no_columns(text, label, f"{path} is a folder")
        return _labelled(_from_folder(path, encoding), label)
    if not path.exists():
        raise BadInput(
            f"{path} does not exist{did_you_mean(os.fspath(source), BUILTIN)}; give a file, a folder, or reports"
        )
    if not path.is_file():
        raise BadInput(f"{path} is no file and no folder")
    content, ending = read_text(path, encoding), path.suffix.lower()
    if ending in ENDINGS:
        return read_table(content, ending, str(path), Columns(text, label))
    _no_columns(text, label, f"{path} has one text a line")
    return _from_lines(content, str(path))


def _labelled(texts: Texts, label: str | None) -> Texts:
    """The texts, without their labels if ``label`` is "none"."""
    return replace(texts, labels=None) if label == "none" else texts


def _no_columns(text: str | None, label: str | None, reason: str) -> None:
    """Refuse names of columns for data that has none; they would be ignored."""
    if text is not None or label not in (None, "none"):
        flag = f"--text {text}" if text is not None else f"--label {label}"
        raise BadInput(f"{flag}: {reason} and has no columns; give a .csv, .tsv or .jsonl file")


def _from_strings(source: Sequence[str], labels: Sequence[str] | None) -> Texts:
    texts = list(source)
    for i, value in enumerate(texts):
        if not isinstance(value, str) or not value.strip():
            raise BadInput(
                f"text {i} is {'empty' if isinstance(value, str) else f'no string but {type(value).__name__}'}"
            )
        if len(value) > LONGEST:
            raise BadInput(f"text {i} has {len(value):,} characters; at most {LONGEST:,} are used")
    if not texts:
        raise BadInput("there are no texts; give at least one")
    return Texts(texts, None if labels is None else list(map(str, labels)))


def _from_lines(content: str, name: str) -> Texts:
    texts: list[str] = []
    empty = 0
    lines = content.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST:
            raise BadInput(
                f"{too_long(f'{name} line {number}', len(line))}. Split it into sentences or paragraphs, one a line"
            )
        if line.strip():
            texts.append(line.strip())
        else:
            empty += 1
    if not texts:
        raise BadInput(f"{name} has only empty lines; give one text a line")
    return Texts(texts, name=name, notes=[f"{empty} empty lines were left out"] if empty else [])


def _from_folder(path: Path, encoding: str) -> Texts:
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        found, notes = _files(path, encoding)
        if not found:
            raise BadInput(
                f"{path} has no text files ({', '.join(TEXT_ENDINGS[:3])}); give a file with one text a line"
            )
        return Texts(found, name=str(path), notes=notes)
    nested = [f.name for f in folders if any(p.is_dir() and not p.name.startswith(".") for p in f.iterdir())]
    if nested:
        raise BadInput(
            f"{path}/{nested[0]} has folders in it; give the folder whose folders are the classes, {path / nested[0]}"
        )
    texts: list[str] = []
    labels: list[str] = []
    all_notes: list[str] = []
    for folder in folders:
        found, notes = _files(folder, encoding)
        texts, labels, all_notes = texts + found, labels + [folder.name] * len(found), all_notes + notes
        if not found:
            all_notes.append(f"the folder {folder.name} has no text files and is no class")
    if not texts:
        raise BadInput(
            f"the folders in {path} have no text files ({', '.join(TEXT_ENDINGS[:3])}); put one text in each file"
        )
    loose = [p.name for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
    if loose:
        all_notes.append(f"{len(loose)} files beside the class folders were left out, such as {sorted(loose)[0]}")
    return Texts(texts, labels, name=str(path), notes=all_notes)


def _files(folder: Path, encoding: str) -> tuple[list[str], list[str]]:
    """(the texts of the files in a folder, notes). An empty file or one that is no text is left out with a note."""
    texts: list[str] = []
    bad: list[str] = []
    others: list[str] = []
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        if file.suffix.lower() not in TEXT_ENDINGS and not file.suffix[1:].isdigit():
            others.append(file.name)
            continue
        try:
            content = read_text(file, encoding).strip()
            if len(content) > LONGEST:
                raise BadInput(too_long(file.name, len(content)))
            texts.append(content)
        except BadInput as error:
            bad.append(str(error))
    notes = [f"{len(bad)} of the files in {folder.name} were left out; the first: {bad[0]}"] if bad else []
    notes += [f"{len(others)} files in {folder.name} are no text files, such as {others[0]}"] if others else []
    return texts, notes
