"""`ganloom doctor` without a run: check the installation, the device, the disk, the data and the speed in a few seconds."""

import dataclasses
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganloom import __version__
from ganloom import data as datasets
from ganloom.api import prepare
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import GanloomError
from ganloom.data import cache
from ganloom.training.trainer import TrainConfig, Trainer

OK, WARN, BAD = "ok", "watch", "bad"
LITTLE_DISK, NO_DISK = 2e9, 2e8
"""Free bytes below which the checkpoints of a run may not fit, and below which nothing fits."""
SECONDS = 2.0
"""Seconds of training to measure the speed."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    state: str
    text: str


@dataclass(frozen=True)
class Report:
    """The results of all checks."""

    checks: list[Check]

    @property
    def exit_code(self) -> int:
        """1 if something is bad."""
        return 1 if any(c.state == BAD for c in self.checks) else 0

    def to_dict(self) -> dict[str, Any]:
        """The results as plain data."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The results as text."""
        return [f"{c.state:<6}{c.name:<10}{c.text}" for c in self.checks]


def check_up() -> Report:
    """Check everything that a training needs. Nothing is downloaded, and no file is left behind.

    Returns:
        The results.
    """
    return Report([_run(check) for check in (installation, device, disk, data, speed)])


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except (GanloomError, OSError, RuntimeError, MemoryError) as error:
        return Check(check.__name__, BAD, " ".join(str(error).split()) or type(error).__name__)


def installation() -> Check:
    """Check the versions and the installed extras."""
    import importlib.util

    extras = [name for name in ("tensorboard", "wandb", "efficientnet_lite_pytorch") if importlib.util.find_spec(name)]
    text = f"ganloom {__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    return Check("ganloom", OK, text + (f", with {', '.join(extras)}" if extras else ""))


def device() -> Check:
    """Check which device a run would use."""
    chosen = choose_device("auto")
    name = torch.cuda.get_device_name() if chosen.startswith("cuda") else platform.machine()
    threads = torch.get_num_threads()
    text = f"{chosen} ({name}), {threads} threads of {os.cpu_count()} cores"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 1.5 * (os.cpu_count() or 1):
        return Check("device", WARN, f"{text}; other programs use it too (load {load:.1f})")
    return Check("device", OK, text)


def disk() -> Check:
    """Check the free space here, and that a file can be written and renamed."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "a"
        path.write_bytes(b"x" * 2**20)
        path.rename(path.with_name("b"))
    free = shutil.disk_usage(".").free
    state = BAD if free < NO_DISK else WARN if free < LITTLE_DISK else OK
    return Check("disk", state, f"{free / 1e9:.1f} GB free in {Path.cwd()}")


def data() -> Check:
    """Check that the built-in data can be opened, and the size of the cache of decoded images."""
    opened = datasets.open("fashion-10k")
    folder = cache.root()
    files = folder.rglob("*") if folder is not None and folder.is_dir() else ()
    size = sum(p.stat().st_size for p in files if p.is_file())
    return Check("data", OK, f"fashion-10k opens ({len(opened)} images); cache {folder}: {size / 1e6:.0f} MB")


def speed() -> Check:
    """Measure training steps of the default recipe."""
    gan, opened = prepare("default", "fashion-10k")
    chosen = choose_device("auto")
    precision = choose_precision("auto", chosen, gan)
    trainer = Trainer(gan, opened, TrainConfig(device=chosen), device=chosen, bf16=precision == "bf16")
    for _ in range(3):
        trainer.train_step()
    start, before = time.perf_counter(), trainer.nimg
    while time.perf_counter() - start < SECONDS:
        trainer.train_step()
        trainer.stats.collect()  # waits for the device
    rate = (trainer.nimg - before) / (time.perf_counter() - start)
    minutes = 100_000 / rate / 60
    return Check("speed", OK, f"{rate:.0f} img/s with {precision}: `ganloom train` takes about {minutes:.0f} minutes")
