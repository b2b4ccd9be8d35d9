"""How long a user waits for the first training step: from the command to the step's row, in a process of its own."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ganloom.core.errors import GanloomError


def seconds(recipe: str, data: str, device: str, tries: int = 2) -> float:
    """The shortest of ``tries``, of which the first warms the disk; the run is then ended and its folder removed."""
    return min(_once(recipe, data, device) for _ in range(tries))


def _once(recipe: str, data: str, device: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ganloom", "train", recipe, data, "--device", device, "--json"]
        command += ["--kimg-per-tick", "0.001", "--total-kimg", "1e6", "--out", str(Path(folder) / "run")]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            row = process.stdout.readline()
            took = time.perf_counter() - begun
            process.kill()
            if not row:
                raise GanloomError(f"no first step: {process.stderr.read().strip()}")
    return took
