"""Send rows of statistics to TensorBoard or Weights & Biases."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from ganloom.core.errors import need
from ganloom.report.number_format import number
from ganloom.training.callbacks.base import Callback, Row


class TensorBoard(Callback):
    """Writes the rows as TensorBoard scalars over nimg.

    Args:
        log_dir: Folder of the log; None for RUN/tensorboard.
    """

    def __init__(self, log_dir: str | Path | None = None) -> None:
        need("tensorboard", "tensorboard")
        self._log_dir = log_dir
        self._writer: Any = None

    def on_start(self, trainer: Any) -> None:
        log_dir = self._log_dir or (Path(trainer.run_dir) / "tensorboard" if trainer.run_dir is not None else None)
        writer = need("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer = writer(log_dir=None if log_dir is None else str(log_dir), purge_step=trainer.start_nimg)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if self._writer is not None:
            for name, value in _scalars(row).items():
                self._writer.add_scalar(name, value, row["nimg"])
            self._writer.flush()

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._writer is not None:
            self._writer.close()


class Wandb(Callback):
    """Sends the rows and the settings of the training and the recipe to Weights & Biases.

    Without this callback, ganloom sends no data.

    Args:
        project: Name of the project.
    """

    def __init__(self, project: str) -> None:
        self._wandb, self._project = need("wandb", "wandb"), project
        self._run: Any = None

    def on_start(self, trainer: Any) -> None:
        settings = {"train": trainer.cfg, "recipe": getattr(trainer.gan, "cfg", None)}
        config = {
            name: dataclasses.asdict(cfg)
            for name, cfg in settings.items()
            if dataclasses.is_dataclass(cfg) and not isinstance(cfg, type)
        }
        name = None if trainer.run_dir is None else Path(trainer.run_dir).name
        self._run = self._wandb.init(project=self._project, name=name, config=config)

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._run.log(_scalars(row), step=row["nimg"])

    def on_end(self, trainer: Any, reason: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=1 if reason in ("failed", "nan") else 0)


def _scalars(row: Row) -> dict[str, float]:
    """Return the finite numbers of a row."""
    return {name: value for name, v in row.items() if not math.isnan(value := number(v))}
