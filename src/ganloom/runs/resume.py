"""Resume a run: model, data and settings from its folder, then training from its newest checkpoint."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom import recipes
from ganloom.core import config, json_files
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.doctor.callback import FILE
from ganloom.gan import GAN
from ganloom.report.progress import Report, part_of, stage
from ganloom.runs import manifest
from ganloom.runs.folder import Folder
from ganloom.runs.healing import own_class
from ganloom.runs.session import fit
from ganloom.training.callbacks import Callback
from ganloom.training.config import ENDLESS


def resume_run(
    path: Path,
    callbacks: Sequence[Callback],
    console: Callback | None,
    *,
    total_kimg: float | None,
    minutes: float | None = None,
    data: Any,
    gan: GAN | None,
    device: str | None,
    progress: Report = None,
) -> str:
    """Continue a run from its newest complete checkpoint; see ``ganloom.resume`` for the arguments.

    Returns:
        How the session ended; see ``session.fit``.
    """
    folder = Folder(path)
    folder.require()
    with folder.lock():
        described, _, doctor = (
            folder.read(name) for name in ("config.json", "run.json", FILE)
        )  # refuse damaged ones now
        cfg = manifest.train_config(described, path)
        if again := folder.without_checkpoint():
            _check_restart(folder, described)
        changes: dict[str, Any] = {}
        if total_kimg is not None or minutes is not None:  # the new length replaces the old one, in whatever unit
            total = ENDLESS if total_kimg is None else float(total_kimg)
            changes = {"total_kimg": total, "minutes": None if minutes is None else float(minutes)}
        changes |= {} if device is None else {"device": choose_device(device)}
        cfg = dataclasses.replace(cfg, **changes)
        if device is None:
            with json_files.blaming(path / "config.json", "a training that is not possible"):
                cfg = dataclasses.replace(cfg, device=choose_device(cfg.device))
        if gan is not None and doctor.get("heals"):  # healing changed settings: build the class with them
            gan = own_class(gan, cfg.seed)(described)
        module = None if gan is not None else recipes.LISTED.get(described.get("recipe", ""))
        gan = manifest.composed(gan or manifest.gan_of(described, cfg.seed, path), described, cfg.seed, path)
        build = manifest.rebuilder(module, gan, cfg, path)
        stage(progress, "opening the data")
        opened = manifest.reopen_data(described, data, path, part_of(progress, "reading the data"))
        if module is not None:
            manifest.check_fit(gan, opened, path)
        updates: dict[str, Any] = {"train": config.to_dict(cfg)} if changes else {}
        if data is not None and opened.source.get("source") is not None:  # remember the new place
            updates["data"] = {**described["data"], "source": opened.source}

        def accept() -> None:  # called when nothing can refuse any more: a refused resume changes no file
            folder.begin()
            folder.create()
            if updates:
                folder.update("config.json", **updates)

        return fit(folder, gan, opened, cfg, callbacks, console, build, resume=not again, accept=accept)


def _check_restart(folder: Folder, described: dict[str, Any]) -> None:
    """Check that a run without a checkpoint can start from its beginning with config.json alone."""
    if "init" in described:
        raise BadInput(
            f"{folder.path} ended before the weights of its --init were saved. Run the same `ganloom train` command again, "
            f"with --out {folder.path}"
        )
