"""Old import path of ``ganloom.evaluation``; use ``ganloom.evaluate`` or ``ganloom.evaluation.evaluate``."""

from ganloom.evaluation.evaluate import choose_features, evaluate, measure_model

__all__ = ["choose_features", "evaluate", "measure_model"]
