"""One training session in a run folder: signals, checkpoints, the best one, and what is written at the end."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import safetensors.torch

from ganloom.core.errors import GanloomError
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder, file_error, versions
from ganloom.training.nan_guard import NonFinite, bad_state
from ganloom.training.trainer import Callback, Trainer

STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 0}
"""Exit code by the signal that stopped a run."""


class Session:
    """Runs a Trainer in its folder: ``fit`` saves, keeps the best, and leaves the folder ready for ``resume``."""

    def __init__(
        self, folder: Folder, trainer: Trainer, judged: Callable[[], tuple[str, float] | None], report: Callback
    ) -> None:
        self.folder, self.trainer, self.report = folder, trainer, report
        self.judged = judged
        self.best: tuple[str, float] | None = None
        trainer.run_dir = folder.path
        trainer.on_event = self._event
        trainer.save = self.save
        trainer.go_back = self._go_back

    def fit(self) -> str:
        """Train to the end or to a signal; returns "finished" or the signal's name."""
        self.folder.update("run.json", state="running", started=time.time(), exit_reason=None)
        reason, state = "error", "failed"
        try:
            with stop_signals(self.trainer):
                back = self.trainer.cfg.nan_policy == "rollback" or self.trainer.cfg.heal
                if back and not checkpoint.names(self.folder.checkpoints):
                    self.save()  # there must be something to go back to
                reason = self.trainer.fit()
            state = "finished" if reason == "finished" else "stopped"
        except NonFinite as error:
            reason = "nan"
            self._event("nan", str(error))
            raise
        except BrokenPipeError:  # whoever read the progress is gone
            raise
        except OSError as error:
            reason = "disk"
            raise file_error(error) from error
        finally:
            with contextlib.suppress(OSError, GanloomError):  # the disk may be what failed
                self.folder.update("run.json", state=state, exit_reason=reason, finished=time.time())
                if reason in STOPPED and state == "stopped":
                    self._event("signal", f"stopped by {reason}, saved at kimg {self.trainer.nimg / 1000:g}")
            self.report.on_end(self.trainer, reason)  # once more: only now does run.json say how it ended
        return reason

    def save(self) -> None:
        """Write a checkpoint and the model folder; one that is not finite is never written."""
        trainer = self.trainer
        fault = bad_state(trainer.gan) or bad_state(trainer.ema)
        if fault:
            raise NonFinite(f"{fault} at kimg {trainer.nimg / 1000:g}: not saved, the last checkpoint is good")
        state = trainer.state() | {"versions": versions()}
        found = self.judged()
        if found:
            state["judged"] = list(found)
        name = checkpoint.name_of(trainer.nimg)
        checkpoint.save(self.folder.checkpoints, name, trainer.tensors(), state)
        if found and (self.best is None or self.best[0] != found[0] or found[1] < self.best[1]):
            self.best = found
            checkpoint.mark_best(self.folder.checkpoints, name)
        checkpoint.prune(self.folder.checkpoints, trainer.cfg.keep)
        write_model(self.folder, trainer)

    def load(self) -> checkpoint.Loaded:
        """Put the trainer where the newest whole checkpoint left it."""
        for name in checkpoint.sweep(self.folder.checkpoints):
            self._event("warning", f"removed {name}, left by a save that was killed")
        loaded = checkpoint.load(self.folder.checkpoints)
        for line in loaded.skipped:
            self._event("warning", f"{line}; using {loaded.path.name} instead")
        self.trainer.load_state(loaded.tensors, loaded.state)
        self.best = self._best_so_far()
        return loaded

    def _best_so_far(self) -> tuple[str, float] | None:
        name = checkpoint.pointer(self.folder.checkpoints, "best")
        if name is None:
            return None
        try:
            found = checkpoint.read(self.folder.checkpoints / name, only=lambda part: False).state.get("judged")
        except checkpoint.CheckpointError:
            return None
        return (str(found[0]), float(found[1])) if found else None

    def _go_back(self) -> bool:
        if not checkpoint.names(self.folder.checkpoints):
            return False
        loaded = checkpoint.load(self.folder.checkpoints)
        self.trainer.load_state(loaded.tensors, loaded.state)
        return True

    def _event(self, kind: str, text: str, more: dict[str, Any] | None = None) -> None:
        with contextlib.suppress(OSError):
            self.folder.event(kind, text, self.trainer.nimg / 1000, more)
        if kind in ("warning", "nan", "init", "augment"):
            print(f"{kind}: {text}", file=sys.stderr)


def write_model(folder: Folder, trainer: Trainer) -> None:
    """model/: the averaged networks and the config, all that ``load`` needs; each file is replaced whole."""
    folder.model.mkdir(exist_ok=True)
    weights = trainer.average() or trainer.gan.state_dict()
    averaged = {name: t.cpu().contiguous() for name, t in weights.items()}
    config = folder.read("config.json")
    described: dict[str, Any] = {
        name: config[name] for name in ("format", "recipe", "config", "stabilise", "init") if name in config
    }
    described |= {
        "kimg": trainer.nimg / 1000,
        "data": config.get("data", {}).get("name"),
        "classes": config.get("classes"),
    }
    card = _card(described, trainer.gan.conditions_on == "images")
    checkpoint.replace_file(folder.model / "G.safetensors", safetensors.torch.save(averaged))
    checkpoint.replace_file(folder.model / "README.md", card.encode())
    Folder(folder.model).write("config.json", described)


def _card(described: dict[str, Any], translates: bool) -> str:
    use = (
        "y = gan.translate(x)  # (N, C, H, W) float32 in [-1, 1], any height and width"
        if translates
        else "x = gan.generate(16, seed=0)  # (16, C, H, W) float32 in [-1, 1]"
    )
    recipe, data, kimg = described.get("recipe"), described.get("data"), described["kimg"]
    return (
        f"# {recipe} trained on {data}\n\n"
        f"A generator trained with ganloom ({recipe}) on {kimg:g} thousand images of {data}. The weights are the average "
        "over training (EMA).\n\n"
        "```python\nimport ganloom\n\n"
        'gan = ganloom.load("path/to/this/folder")\n'
        f"{use}\n```\n\n"
        "What it makes is synthetic. It follows its training data, gaps and biases included; the licence of the data "
        "applies to what may be done with it.\n"
    )


@contextlib.contextmanager
def stop_signals(trainer: Trainer) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGUSR1 ask the trainer to save and stop; a second one leaves at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if trainer.stop_requested:
            os._exit(128 + number)
        trainer.stop_requested = name

    numbers = [getattr(signal, name) for name in STOPPED if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
