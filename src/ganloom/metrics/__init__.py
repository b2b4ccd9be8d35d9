"""Metrics as plain functions of features, the nets that make features, and one honest measurement of pictures."""

from ganloom.metrics.evaluate import (
    FLOOR,
    GENERATED,
    METRICS,
    NOISE,
    Measurement,
    Value,
    compare,
    count_name,
    measure,
    metric_name,
    quick,
)
from ganloom.metrics.extractor import Clock, Extractor
from ganloom.metrics.features import get
from ganloom.metrics.frechet import frechet_distance, frechet_from_stats, moments
from ganloom.metrics.inception import inception_score
from ganloom.metrics.intervals import bootstrap
from ganloom.metrics.kernel import kernel_distance
from ganloom.metrics.modes import Modes, mode_coverage
from ganloom.metrics.neighbours import expected_coverage, prdc
from ganloom.metrics.task import TaskNet, train_task_net

__all__ = [
    "FLOOR",
    "GENERATED",
    "METRICS",
    "NOISE",
    "Clock",
    "Extractor",
    "Measurement",
    "Modes",
    "TaskNet",
    "Value",
    "bootstrap",
    "compare",
    "count_name",
    "expected_coverage",
    "frechet_distance",
    "frechet_from_stats",
    "get",
    "inception_score",
    "kernel_distance",
    "measure",
    "metric_name",
    "mode_coverage",
    "moments",
    "prdc",
    "quick",
    "train_task_net",
]
