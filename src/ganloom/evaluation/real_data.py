"""The real data that a model is measured on: other data that were given, or those of its run."""

from pathlib import Path
from typing import Any

from ganloom import data as datasets
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, kind_of_inputs
from ganloom.runs import manifest
from ganloom.runs.folder import Folder


def recorded_scales(path: Path | None) -> dict[str, Any] | None:
    """Return which numbers were black and white in the training images of a run or model/ folder; None for 8 bits."""
    described = {} if path is None else Folder(path).read("config.json")
    saved = described.get("data")
    source = saved.get("source") if isinstance(saved, dict) else None
    scales = source.get("scales_used") if isinstance(source, dict) else described.get("scales")
    return scales if isinstance(scales, dict) else None


def data_of(path: Path | None, data: Any, model: GAN, labels: Any = None) -> tuple[datasets.Data, str, list[str]]:
    """Open the real data in the shape of the model.

    Args:
        path: The run folder, or None.
        data: Whatever ``ganloom.data.open`` accepts. None: the training data of the run.
        model: The model.
        labels: See ``evaluate``.

    Returns:
        (data, where it comes from, warnings).

    Raises:
        BadInput: The data cannot be opened, or a model without a run folder has no training data.
    """
    if data is not None:
        if isinstance(data, datasets.Points):
            return data, data.name, []
        scales = recorded_scales(path)
        inputs = kind_of_inputs(model)
        if inputs is not None:
            channels = getattr(model.cfg, "in_channels", None)
            opened = datasets.open(
                data, shape=tuple(model.cfg.shape), inputs=inputs, in_channels=channels, scales=scales
            )
            return opened, opened.name, list(opened.notes)
        shape = tuple(model.generate(1).shape[1:])
        opened = datasets.open(data, shape=shape if len(shape) == 3 else None, labels=labels, scales=scales)
        return opened, opened.name, list(opened.notes)
    described = {} if path is None else Folder(path).read("config.json")
    saved = described.get("data")
    if not isinstance(saved, dict) or not saved:
        raise BadInput("this model has no run folder with its training data: give the images to compare with")
    assert path is not None
    opened = manifest.own_data(described, path)
    changed = f"the data {saved['name']} changed since training began: the row of real images is that of the new data"
    return opened, f"{opened.name} (training data)", [] if opened.fingerprint == saved["fingerprint"] else [changed]


def training_data(path: Path | None, data: Any, opened: Any, model: GAN) -> Any:
    """Return the training data of a model, where ``opened`` is what ``data_of`` made of ``data``.

    For a model without a run folder, the data that were given are taken for its training data.
    """
    return opened if data is None or path is None else data_of(path, None, model)[0]


def held_of(data: datasets.Data, path: Path | None) -> datasets.Data | None:
    """Return the images that belong to the data of a run and that its training did not draw; None if there are none."""
    held: datasets.Data | None = data.held or (None if path is None else manifest.held_out(data, path))
    return held
