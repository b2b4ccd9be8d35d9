"""Robust text classifiers: adversarial losses for any model with input embeddings, attacks with a budget, a speller."""

from ganloom.robust.adversaries import fgm, freelb, smart, vat
from ganloom.robust.attacks import characters, hotflip, pgd
from ganloom.robust.speller import Speller

__all__ = ["Speller", "characters", "fgm", "freelb", "hotflip", "pgd", "smart", "vat"]
