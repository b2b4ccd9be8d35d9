"""Statistics of features, feature nets, and the measurement of generated images."""

from ganloom.metrics.classification_accuracy import classification_accuracy_score
from ganloom.metrics.evaluate import Row, compare, measure, measure_rows, noise_row, quick
from ganloom.metrics.extractors.by_name import get
from ganloom.metrics.extractors.extractor import Clock, Extractor, Progress
from ganloom.metrics.extractors.task import TaskNet, train_task_net
from ganloom.metrics.figures import METRICS, MORE
from ganloom.metrics.measurement import (
    FLOOR,
    GENERATED,
    NOISE,
    ONE_CLASS,
    Measurement,
    count_name,
    join,
    metric_name,
)
from ganloom.metrics.path_length import PathLength, path_length
from ganloom.metrics.statistics.diversity import pair_distance, vendi_score
from ganloom.metrics.statistics.frechet import Moments, frechet_distance, frechet_from_stats, moments
from ganloom.metrics.statistics.gaussian_kernel import gaussian_mmd
from ganloom.metrics.statistics.inception_score import inception_score
from ganloom.metrics.statistics.infinity import Extrapolation, frechet_infinity
from ganloom.metrics.statistics.intervals import bootstrap
from ganloom.metrics.statistics.intra_class import intra_class_distance
from ganloom.metrics.statistics.kernel import kernel_distance
from ganloom.metrics.statistics.modes import Modes, mode_coverage
from ganloom.metrics.statistics.neighbours import expected_coverage, improved_precision_recall, prdc
from ganloom.metrics.statistics.precision_recall_curve import PrecisionRecallCurve, precision_recall_curve
from ganloom.metrics.statistics.sharpness import laplacian_variance
from ganloom.metrics.statistics.sliced import sliced_wasserstein
from ganloom.metrics.statistics.ssim import ms_ssim, ms_ssim_diversity
from ganloom.metrics.statistics.translation import paired_errors
from ganloom.metrics.statistics.value import Value

__all__ = [
    "FLOOR",
    "GENERATED",
    "METRICS",
    "MORE",
    "NOISE",
    "ONE_CLASS",
    "Clock",
    "Extractor",
    "Extrapolation",
    "Measurement",
    "Modes",
    "Moments",
    "PathLength",
    "PrecisionRecallCurve",
    "Progress",
    "Row",
    "TaskNet",
    "Value",
    "bootstrap",
    "classification_accuracy_score",
    "compare",
    "count_name",
    "expected_coverage",
    "frechet_distance",
    "frechet_from_stats",
    "frechet_infinity",
    "gaussian_mmd",
    "get",
    "improved_precision_recall",
    "inception_score",
    "intra_class_distance",
    "join",
    "kernel_distance",
    "laplacian_variance",
    "measure",
    "measure_rows",
    "metric_name",
    "mode_coverage",
    "moments",
    "ms_ssim",
    "ms_ssim_diversity",
    "noise_row",
    "pair_distance",
    "paired_errors",
    "path_length",
    "prdc",
    "precision_recall_curve",
    "quick",
    "sliced_wasserstein",
    "train_task_net",
    "vendi_score",
]
