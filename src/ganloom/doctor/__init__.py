"""The doctor: from statistics of a training to findings with a cause, a cure and a light. Pure functions; it trains nothing."""

from ganloom.doctor.finding import GREEN, RED, YELLOW, Facts, Finding, command, light, sentence
from ganloom.doctor.rules.engine import RULES, examine

__all__ = ["GREEN", "RED", "RULES", "YELLOW", "Facts", "Finding", "command", "examine", "light", "sentence"]
