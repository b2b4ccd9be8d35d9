"""Open images with captions: files with captions beside them, and other images whose captions are known."""

import os

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.core.names import printable
from ganloom.data import caption_sources, store
from ganloom.data.caption_words import cut, tidy, words_of
from ganloom.data.captioned import Captioned, all_captions
from ganloom.data.dataset import Facts
from ganloom.data.file_index import Listing, list_files
from ganloom.data.image_folders import open_listing
from ganloom.data.images import Images
from ganloom.data.open_options import Options

_SIDES = {"left", "right"}


def open_caption_files(root: str, options: Options, use_cache: bool, progress: store.Progress) -> Captioned:
    """Open a folder or an archive of images with captions, see `caption_sources`. Images without a caption are left out.

    Args:
        root: the folder, or a zip archive.
        options: the options of ``open``; "source" is set to the absolute path.
        use_cache: keep the decoded images in the cache.
        progress: called with (done, total) while images are decoded.

    Raises:
        BadInput: no image can be read or has a caption, or a file of captions is damaged.
    """
    options["labels"] = False
    listing = list_files(root, use_labels=False)
    try:
        found = captions_of_listing(listing)
    except BadInput:
        listing.close()
        raise
    chosen = [i for i, own in enumerate(found.captions) if own]
    listing.entries = [listing.entries[i] for i in chosen]
    captions = {entry.name: found.captions[i] for entry, i in zip(listing.entries, chosen, strict=True)}
    options["source"] = os.path.abspath(root)
    images = open_listing(listing, os.path.basename(options["source"]), options, use_cache, progress)
    bad = {path for path, _ in images.bad_files}
    kept = [own for name, own in captions.items() if listing.path(name) not in bad]
    facts = images.facts
    facts.captions, facts.other_captions = [own[0] for own in kept], _others(kept)
    facts.notes += found.notes
    return _finished(Captioned(images.rows, facts, images._sha256))


def captions_of_listing(listing: Listing) -> caption_sources.Found:
    """Find the captions of listed files. Raises BadInput if there are none, or a file of captions is damaged."""
    assert listing.read is not None
    found = caption_sources.find(listing.names(), listing.captions, listing.read, listing.root)
    found.notes = list(map(printable, found.notes))
    return found


def captioned(images: Images, from_labels: bool = False) -> Captioned:
    """Return images as a data set with captions. Rows without a caption are left out, with a note.

    Args:
        images: the images.
        from_labels: the names of their classes are the captions, where there are no others: those of (images, texts).

    Raises:
        BadInput: there are no captions.
    """
    if isinstance(images, Captioned):
        return images
    facts = images.facts
    if from_labels and facts.captions is None and facts.labels is not None and facts.classes is not None:
        facts.captions = [facts.classes[label] for label in facts.labels.tolist()]
    if facts.captions is None:
        raise BadInput(
            f"{images.name} has no captions: give a folder with metadata.jsonl, captions.csv or a .txt file beside each image, "
            "an .npz with an array captions, or the built-in set shapes or emoji"
        )
    _tidy(facts)
    own = all_captions(facts)
    kept = np.array([i for i, texts in enumerate(own) if texts], np.int64)
    if not len(kept):
        raise BadInput(f"{images.name}: all captions are empty")
    rows = images.rows
    if len(kept) < len(own):
        facts = facts.take(kept)
        facts.notes.append(f"{len(own) - len(kept):,} of {len(own):,} images have an empty caption: they are left out")
        rows = images.rows[kept]
    facts.labels = facts.classes = None
    return _finished(Captioned(rows, facts, images._sha256 if rows is images.rows else None))


def _tidy(facts: Facts) -> None:
    """Bring the captions to one line each, and cut very long ones, with a note."""
    assert facts.captions is not None
    tidied = [tidy(text) for text in facts.captions]
    shorter = [cut(text) for text in tidied]
    long = sum(a != b for a, b in zip(tidied, shorter, strict=True))
    facts.captions = shorter
    if facts.other_captions is not None:
        facts.other_captions = [tuple(cut(tidy(text)) for text in own) for own in facts.other_captions]
    if long:
        facts.notes.append(f"{long:,} captions are very long: only their first words are used")


def _others(captions: list[tuple[str, ...]]) -> list[tuple[str, ...]] | None:
    others = [own[1:] for own in captions]
    return others if any(others) else None


def _finished(data: Captioned) -> Captioned:
    """Add a note where mirroring contradicts the captions."""
    if data.flip:
        sided = sum(not _SIDES.isdisjoint(words_of(text)) for text in data.texts)
        if sided:
            data.facts.notes.append(
                f"--flip mirrors images but not their captions, and {sided:,} captions say left or right: leave it out"
            )
    return data
