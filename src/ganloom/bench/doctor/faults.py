"""All faults of the benchmark by name, and the data that they are put into."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom.bench.doctor import (
    faults_data,
    faults_known,
    faults_labels,
    faults_losses,
    faults_networks,
    faults_optimisers,
    faults_procedure,
)
from ganloom.bench.doctor.fault import Fault as Fault
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.images import Images
from ganloom.data.translation_sets import recoloured
from ganloom.gan import GAN, kind_of_inputs

FAULTS: tuple[Fault, ...] = (
    *faults_known.FAULTS,
    *faults_data.FAULTS,
    *faults_labels.FAULTS,
    *faults_networks.FAULTS,
    *faults_losses.FAULTS,
    *faults_optimisers.FAULTS,
    *faults_procedure.FAULTS,
)
NAMES = {fault.name: fault for fault in FAULTS}


def find(name: str) -> Fault:
    """Return a fault by its name.

    Raises:
        BadInput: There is no such fault.
    """
    if name not in NAMES:
        raise BadInput(f'--fault: there is no fault "{name}"{did_you_mean(name, NAMES)}; use {", ".join(NAMES)}')
    return NAMES[name]


def chosen(names: Sequence[str], half: str = "both") -> tuple[str, ...]:
    """Return the names of the faults that are meant by names, families, "all" or "none", of one half or both.

    Raises:
        BadInput: There is no such fault.
    """
    if tuple(names) == ("none",):
        return ()
    meant: list[Fault] = []
    for name in names:
        family = [f for f in FAULTS if f.family == name]
        meant += FAULTS if name == "all" else family or [find(name)]
    return tuple(f.name for f in meant if half in ("both", f.half))


def open_data(fault: Fault | None, side: int, seed: int, gan: GAN) -> Any:
    """Open fashion-10k, changed by the fault.

    Args:
        fault: The fault, or None.
        side: Height and width of the images.
        seed: The seed of the run.
        gan: The class of the recipe. An image-to-image recipe gets these images and recoloured ones.

    Returns:
        The data.
    """
    data = datasets.open("fashion-10k", shape=(1, side, side))
    kind = kind_of_inputs(gan)
    if kind == "crops":
        data = datasets.open(data, inputs=kind, shape=(1, side, side))
    elif kind == "volumes":
        data = datasets.open("silhouettes:300", inputs=kind, shape=(1, side, side))
    elif kind is not None:
        assert isinstance(data, Images)
        images = np.repeat(data.rows, 3, axis=3), recoloured(data.rows[..., 0])
        data = datasets.open(images, inputs=kind, shape=(3, side, side))
    return data if fault is None else fault.data(data, seed)
