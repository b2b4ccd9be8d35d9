"""Sort the files of a folder or an archive: images, files that look like images but are not read, and all others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ganloom.core import class_names
from ganloom.data import file_kinds
from ganloom.data.caption_files import may_hold_captions
from ganloom.data.label_files import looks_like_labels


class Entry(NamedTuple):
    """One file: its name under the source with "/", its size in bytes, and a stamp that changes when the file does.

    The stamp is the modification time in nanoseconds, or the CRC of an archive's member.
    """

    name: str
    size: int
    stamp: int


@dataclass
class FoundFiles:
    """The files of a source, sorted by what they are.

    Args:
        entries: the images.
        bad: (name, reason) of files that look like images and are not read.
        own: folders that ganloom wrote; they are left out.
        empty: folders without files and folders.
        by_content: images without an ending, which are used.
        misnamed: images with the ending of something else, which are not used.
        idx: files with the name of an IDX file, which are not read beside images.
        labels: files that may hold labels, see `label_files.looks_like_labels`.
        captions: files that may hold captions, see `caption_files.may_hold_captions`.
    """

    entries: list[Entry] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    by_content: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    idx: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)

    def add(self, name: str, entry: Callable[[], Entry | str], start: Callable[[], bytes]) -> None:
        """Add a file.

        Args:
            name: its name under the source, with "/".
            entry: returns its entry, or the reason why it cannot be read.
            start: returns its first bytes; called only if the ending says nothing.
        """
        if may_hold_captions(name):
            self.captions.append(name)
        reason = file_kinds.why_not_read(name)
        if reason is not None:
            self.bad.append((name, reason))
        elif file_kinds.is_idx_name(name):
            self.idx.append(name)
        elif file_kinds.is_image(name):
            self._add_image(name, entry())
        elif looks_like_labels(name):
            self.labels.append(name)
        elif file_kinds.is_to_sniff(name) and file_kinds.content_kind(start()) is not None:
            if file_kinds.is_used_by_content(name):
                self.by_content.append(name)
                self._add_image(name, entry())
            else:
                self.misnamed.append(name)

    def notes(self) -> list[str]:
        """Return a line for the user for each kind of file or folder that is left out, or used although it has no ending."""
        notes = file_kinds.left_out_notes(sorted(self.bad))
        if self.own:
            what = "ganloom wrote (runs or generated images); give such a folder itself as DATA to use it"
            first = min(self.own)
            notes.append(
                f"left out {first}, which {what}"
                if len(self.own) == 1
                else f"left out {len(self.own)} folders such as {first}, which {what}"
            )
        if self.empty:
            what = "is empty and no class" if len(self.empty) == 1 else "are empty and no classes"
            notes.append(f"{class_names.listing(sorted(self.empty))} {what}")
        if self.by_content:
            notes.append(f"{_files(self.by_content)} no ending of an image, but the content of one: used")
        if self.misnamed:
            notes.append(
                f"{_files(self.misnamed)} the content of an image, but another ending: not used; rename to use it"
            )
        if self.idx and self.entries:
            first = min(self.idx)
            folder = first.rpartition("/")[0] or "DIR"
            notes.append(f"not used beside images: IDX files such as {first}; mnist:{folder} opens them")
        return notes

    def _add_image(self, name: str, entry: Entry | str) -> None:
        if isinstance(entry, str):
            self.bad.append((name, entry))
        else:
            self.entries.append(entry)


def _files(names: list[str]) -> str:
    return f"{names[0]} has" if len(names) == 1 else f"{len(names)} files such as {min(names)} have"
