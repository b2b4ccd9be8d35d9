"""Shared settings: a cache of its own for each test run, and one thread: the networks of the tests are tiny."""

import os

import pytest
import torch

from ganloom.report.progress import Progress


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["GANLOOM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _patient_progress() -> None:
    """On a busy machine, lines of progress would appear between the lines that tests count; test_progress tests them."""
    Progress.FIRST = 600.0
