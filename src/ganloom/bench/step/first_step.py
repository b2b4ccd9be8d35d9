"""Measure the time from the command to the first training step, in a separate process."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ganloom.core.errors import GanloomError

TRIES = 2
"""Number of measurements; the first one fills the disk cache."""


def seconds(recipe: str, data: str, device: str) -> float:
    """Measure the time to the first training step. The run is then ended and its folder removed.

    Args:
        recipe: The recipe.
        data: The data.
        device: The device.

    Returns:
        The least number of seconds of `TRIES` measurements.
    """
    return min(_once(recipe, data, device) for _ in range(TRIES))


def _once(recipe: str, data: str, device: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ganloom", "train", recipe, data, "--device", device, "--json"]
        command += ["--kimg-per-tick", "0.001", "--total-kimg", "1e6", "--out", str(Path(folder) / "run")]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            row = process.stdout.readline()
            took = time.perf_counter() - start
            process.kill()
            if not row:
                raise GanloomError(f"training did not start: {process.stderr.read().strip()}")
    return took
