"""The classes of a model and of the data that it is measured on: matched by name, see ``core.class_names``."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom.core import class_names
from ganloom.core.class_names import Match
from ganloom.gan import GAN


def match_classes(model: GAN, data: datasets.Data) -> Match | None:
    """Match the classes of the data with those that the model was trained on.

    Args:
        model: The model.
        data: The data.

    Returns:
        For each class of the data its number in the model, and a sentence if the lists differ. None if the model takes no
        labels, or the data have none.
    """
    count = int(getattr(model.cfg, "n_classes", 0) or 0)
    if not count or data.labels is None or model.conditions_on == "images":
        return None
    found = class_names.match(class_names.complete(model.class_names, count), data.class_names, "the model", "the data")
    if model.drawn_classes is None:
        return found
    trained, untrained = set(model.drawn_classes), [data.class_names[j] for j in data.classes_with_rows]
    untrained = [
        name for j, name in zip(data.classes_with_rows, untrained, strict=True) if found.numbers[j] not in trained
    ]
    text = f"the model was not trained on images of {class_names.listing(untrained)}" if untrained else ""
    return Match(tuple(i if i in trained else -1 for i in found.numbers), "; ".join(filter(None, (found.text, text))))


def labels_of(model: GAN, data: datasets.Data, picks: Any) -> Tensor | None:
    """Return the labels of rows as numbers of the model's classes.

    Args:
        model: The model.
        data: The data.
        picks: Indices of rows.

    Returns:
        (N,) int64, -1 for a class that the model does not have; None if no class is in both.
    """
    found = match_classes(model, data)
    if found is None or not found.any or data.labels is None:
        return None
    return torch.from_numpy(np.asarray(found.numbers, np.int64)[data.labels[picks]])


def conditions_of(model: GAN, data: datasets.Data, picks: Any) -> Tensor | None:
    """Choose the conditions of samples: labels of rows of the data, or the inputs of an image-to-image model.

    Args:
        model: The model.
        data: The data.
        picks: Indices of rows, one for each sample.

    Returns:
        Labels (N,), matched by name; for rows of a class that the model does not have, those of other rows. Inputs
        (N, C, H, W) for an image-to-image model, codes of the rows' captions for a text-to-image model. None without labels,
        or if no class is in both.
    """
    if model.conditions_on == "images" or (model.conditions_on == "captions" and isinstance(data, datasets.Captioned)):
        return model.inputs(data, picks)
    labels = labels_of(model, data, picks)
    if labels is None or not bool((labels >= 0).any()):
        return None
    known = labels[labels >= 0]
    missing = labels < 0
    labels[missing] = known[torch.arange(int(missing.sum())) % len(known)]
    return labels
