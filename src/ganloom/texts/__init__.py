"""Texts: reading files, tables and folders of texts, vocabularies, checks, corpora, and judging generated texts."""

from ganloom.texts.check import Report, check
from ganloom.texts.reading import BUILTIN, read
from ganloom.texts.texts import Texts, normalised, split
from ganloom.texts.vocabulary import Vocabulary, build, join, words

__all__ = [
    "BUILTIN",
    "Report",
    "Texts",
    "Vocabulary",
    "build",
    "check",
    "join",
    "normalised",
    "read",
    "split",
    "words",
]
