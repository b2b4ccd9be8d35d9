"""Robust text classifiers: adversarial losses for any model with input embeddings, attacks with a budget, a speller."""

from ganloom.robust.adversaries import fgm, freelb, smart, vat
from ganloom.robust.attacks import characters, hotflip, pgd
from ganloom.robust.speller import Speller
from ganloom.robust.wordnet import WordNet, synonyms

__all__ = ["Speller", "WordNet", "characters", "fgm", "freelb", "hotflip", "pgd", "smart", "synonyms", "vat"]
