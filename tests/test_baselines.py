"""The baselines: the recipes' conformance suite, and that each computes what its paper says."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from ganloom import recipes, testing
from ganloom.baselines import BASELINES, autoregressive, ddpm, vae
from ganloom.baselines.likelihood import discretised_logistic, quantise
from ganloom.errors import BadInput


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("baseline", list(BASELINES))
def test_baseline(baseline: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](baseline, tmp_path)
