"""Judge generated texts: replaced-token detector, classifiers, MAUVE, Frechet distance, diversity, copies."""

from ganloom.texts.judge.judgement import Judgement, Row, judge
from ganloom.texts.judge.mauve import mauve

__all__ = ["Judgement", "Row", "judge", "mauve"]
