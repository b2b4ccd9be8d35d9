"""Diagnose a training: from its statistics to findings with a cause, a fix and a severity. Pure functions; nothing is trained."""

from ganloom.doctor.finding import GREEN, GREY, RED, YELLOW, Facts, Finding, command, light, sentence
from ganloom.doctor.rules.engine import RULES, examine, waiting

__all__ = [
    "GREEN",
    "GREY",
    "RED",
    "RULES",
    "YELLOW",
    "Facts",
    "Finding",
    "command",
    "examine",
    "light",
    "sentence",
    "waiting",
]
