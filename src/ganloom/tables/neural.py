"""CTGAN and TVAE as methods for tables: encode the rows, train the recipe with the Trainer, decode what it generates."""

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganloom import api
from ganloom.baselines import tvae
from ganloom.core import schedules
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.dataset import Facts
from ganloom.data.encoded_table import EncodedTable
from ganloom.gan import GAN
from ganloom.recipes import ctgan
from ganloom.report.progress import Report, stage
from ganloom.runs.folder import Folder
from ganloom.tables import differential_privacy, encoding
from ganloom.tables.column import Column
from ganloom.tables.differential_privacy import Target
from ganloom.tables.encoding import Encoding
from ganloom.tables.schema import Frame
from ganloom.training.callbacks import Callback

LEAST_STEPS, MOST_STEPS, EPOCHS = 3_000, 10_000, 300
"""A training has 300 epochs, but at least 3,000 steps and at most 10,000, unless the user gives the steps."""
MANY_ROWS = 2_000
"""With at least as many rows, CTGAN's learning rates fall to 0; see docs/tables.md."""


@dataclass
class Training:
    """How a network is trained.

    Attributes:
        steps: Number of steps; None: by the number of rows.
        minutes: Time limit.
        device: "auto", "cpu", "cuda" or "mps".
        console: The callback that shows the progress of the training; None: nothing is shown.
        progress: Called with (what, done, total).
        options: Settings of the recipe, by name.
        private: The differential privacy that is asked for; None: none.
    """

    steps: int | None = None
    minutes: float | None = None
    device: str = "cpu"
    console: Callback | None = None
    progress: Report = None
    options: dict[str, Any] = field(default_factory=dict)
    private: Target | None = None


class Neural:
    """A network for tables.

    Args:
        name: "ctgan" or "tvae".
        columns: The columns to learn.
        training: How it is trained.
        folder: The run folder of ``fit``, in which a stopped training continues. None: a temporary one.

    Attributes:
        privacy: The differential privacy of the training as JSON values, after ``encode``; None: none.
    """

    def __init__(self, name: str, columns: list[Column], training: Training, folder: Path | None = None) -> None:
        self.name, self.columns, self.training, self.folder = name, columns, training, folder
        self.encoding: Encoding | None = None
        self.gan: GAN | None = None
        self.privacy: dict[str, Any] | None = None
        # With a seed that others know, they could compute the noise of differential privacy.
        self._secret = None if training.private is None else differential_privacy.secret_seed()

    def encode(self, frame: Frame, seed: int) -> EncodedTable:
        """Learn the encoding of rows, and encode them."""
        stage(self.training.progress, f"encoding the table for {self.name}")
        if self.training.private is not None:
            self._plan(self.training.private, len(next(iter(frame.values()))))
            self.encoding = encoding.of_schema(self.columns)
        else:
            self.encoding = encoding.learn(self.columns, frame, seed)
        seed = seed if self._secret is None else self._secret
        rows = self.encoding.encode(frame, seed)
        return EncodedTable(rows, self.encoding.layout, Facts("table"))

    def fit(self, frame: Frame, target: str | None = None, seed: int = 0) -> "Neural":
        """Learn rows, or continue to; ``target`` has no effect.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        data = self.encode(frame, seed)
        if self.folder is not None:
            run = Folder(self.folder)
            if not (self.folder / "config.json").is_file() or run.without_checkpoint():
                self.train(data, self.folder, seed)
                return self
            if run.read("run.json").get("state") != "finished":
                training = self.training
                api.resume(self.folder, console=training.console or Callback(), progress=training.progress)
            self.gan = api.load(self.folder, device=self.training.device)
            return self
        with tempfile.TemporaryDirectory(prefix="ganloom-table-") as temporary:
            self.train(data, Path(temporary) / self.name, seed)
        return self

    def train(self, data: EncodedTable, folder: Path, seed: int) -> None:
        """Train in a new run folder, and load the model."""
        training = self.training
        config = self._config(data)
        seed = seed if self._secret is None else self._secret
        steps = self.privacy["steps"] if self.privacy else self._steps(len(data), config.batch_size)
        total = steps * config.batch_size / 1000
        api.train(
            config, data, folder, total_kimg=total, kimg_per_tick=max(total / 20, 0.001),
            kimg_per_checkpoint=max(total / 4, 0.001), seed=seed, device=training.device, judge=0, doctor=False,
            minutes=training.minutes, console=training.console or Callback(), progress=training.progress,
        )  # fmt: skip
        self.gan = api.load(folder, device=training.device)

    def _plan(self, target: Target, rows: int) -> None:
        """Find the noise of a training with differential privacy."""
        options, steps = self.training.options, self.training.steps or differential_privacy.STEPS
        batch = int(options.get("batch_size", min(differential_privacy.BATCH, max(rows // 4, 1))))
        clip = float(options.get("dp_clip", differential_privacy.CLIP))
        self.privacy = differential_privacy.plan(target, rows, batch, steps, clip).to_dict() | {"batch": batch}

    def _config(self, data: EncodedTable) -> Any:
        options = dict(self.training.options)
        rows, layout = len(data), data.layout
        if self.privacy is not None:
            found = self.privacy
            options |= {"dp_noise": found["noise"], "dp_clip": found["clip"], "dp_steps": found["steps"]}
            options["batch_size"] = found["batch"]
            if self.name == "tvae":
                return tvae.Config(layout=layout, **options)
            ones = (1,) * len(data.counts)  # frequencies are not private, and not used
            # Noise grows with the number of weights, so D is smaller.
            plain: dict[str, Any] = {"conditional": False, "pac": 1, "d_widths": (128, 128), "dropout": 0.0}
            return ctgan.Config(layout=layout, counts=ones, **(plain | options))
        if self.name == "tvae":
            return tvae.Config(layout=layout, **({"batch_size": min(500, max(rows // 2, 1))} | options))
        pac = int(options.pop("pac", 10))
        most = int(options.pop("batch_size", min(500, max(rows // 2, 1))))
        config = ctgan.Config(
            layout=layout,
            counts=tuple(int(c) for c in data.counts),
            pac=pac,
            batch_size=max(most // pac, 1) * pac,
            **options,
        )
        return config if rows < MANY_ROWS else self._settling(config, rows)

    def _settling(self, config: ctgan.Config, rows: int) -> ctgan.Config:
        """Let the learning rates of CTGAN fall to 0 after a third of the training, unless the user gives the optimizers."""
        total = self._steps(rows, config.batch_size) * config.batch_size / 1000
        falling = {
            name: dataclasses.replace(getattr(config, name), schedule=schedules.linear(total / 3, total))
            for name in ("g_opt", "d_opt")
            if name not in self.training.options
        }
        return dataclasses.replace(config, **falling)

    def _steps(self, rows: int, batch: int) -> int:
        return self.training.steps or default_steps(rows, batch)

    def sample(self, n: int, rng: np.random.Generator, given: dict[str, Any] | None = None) -> Frame:
        """Draw n rows.

        Args:
            n: Number of rows.
            rng: Source of the seed.
            given: Values of categorical columns; the condition of CTGAN is the first of them.
        """
        assert self.gan is not None and self.encoding is not None
        c = None
        for name, value in (given or {}).items() if self.name == "ctgan" else ():
            number = self.encoding.condition(name, value)
            if number is not None:
                c = torch.full((n,), number)
                break
        rows = self.gan.generate(n, seed=int(rng.integers(2**31)), c=c, batch=4096)
        return self.encoding.decode(rows.cpu().numpy())


def default_steps(rows: int, batch: int) -> int:
    """The steps of a training for a number of rows."""
    return int(min(max(LEAST_STEPS, EPOCHS * rows / batch), MOST_STEPS))


def check_method(name: str, known: Sequence[str]) -> None:
    """Raise BadInput if a method is unknown."""
    if name not in known:
        raise BadInput(f'--method must be one of {", ".join(known)}, got "{name}"{did_you_mean(name, known)}')
