"""Run another project's script in a separate process with default malloc: `python -m ganloom.bench.step.worker NAME`.

The thresholds of malloc cannot be reset, so the script runs in another process, in turns with this one. It reads a line
"step 12" or "sample 12", and prints the seconds. It computes nothing while it waits.
"""

import contextlib
import os
import subprocess
import sys
from types import TracebackType

from ganloom.bench.step.timing import Contestant, clock


class Shipped:
    """The process, as a context manager.

    Args:
        name: The project.
        device: The device.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        self.command = [sys.executable, "-m", "ganloom.bench.step.worker", name, device]

    def __enter__(self) -> "Shipped":
        environment = {**os.environ, "GANLOOM_MALLOC": "0"}
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=1 if kind else 60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def contestant(self, what: str) -> Contestant:
        """A contestant that runs in the process.

        Args:
            what: "step" or "sample".
        """

        def run(n: int) -> float:
            assert self.process.stdin is not None and self.process.stdout is not None
            answer = ""
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(f"{what} {n}\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
            if not answer:
                raise OSError(f"the process of the script ended: {' '.join(self.command)}")
            return float(answer)

        return run


def main(name: str, device: str) -> None:
    """Answer lines until the input ends.

    Args:
        name: The project.
        device: The device.
    """
    from ganloom.bench.step.contenders import run_of
    from ganloom.core.hardware import wait

    run = run_of(name, device)
    work = {"step": run.step, "sample": run.sample}
    for line in sys.stdin:
        what, n = line.split()
        print(clock(work[what], lambda: wait(device))(int(n)), flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
