"""Measure an image-to-image model: against the true targets if the data has pairs, else by a domain classifier and its cycle.

Three rows that need no training are measured too: the copied input, the mean target, and the input with the histogram of
the targets.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.evaluation.measure import choose_all, measure_model, samples
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.lpips import lpips
from ganloom.metrics.statistics.translation import feature_distance, matched, paired_errors
from ganloom.recipes.base.translator import Translator

COPIED, MEAN, MATCHED = "copied input", "mean target", "histogram matched"
IMAGES = 1000
"""Largest number of images to compare, and of each domain to train the domain classifier."""
SHOWN = 3000
"""Images in the training of the domain classifier. It learns to separate two domains quickly or not at all."""


def measure_translator(model: GAN, data: datasets.Data, train: datasets.Data, **options: Any) -> metrics.Measurement:
    """Measure an image-to-image model: ``measure_model``, and l1, psnr, ssim and features (for pairs), called_b and cycle_l1.

    Args:
        model: The model.
        data: The images to measure on.
        train: The training images, for the mean, the histogram and the domain classifier.
        options: Fields of ``measure.Options``.

    Returns:
        The measurement, with a row for each trivial method.

    Raises:
        BadInput: As ``measure_model``.
    """
    measurement = measure_model(model, data, **options)
    count = min(IMAGES, options.get("n") or IMAGES, len(data))
    rows = torch.arange(count)
    x = model.inputs(data, rows)
    assert x is not None and train.inputs is not None
    x, fakes = x.cpu(), torch.cat(list(samples(model, count, options.get("seed", 0), x)))
    targets = train.get(torch.arange(min(IMAGES, len(train)))).cpu()
    copied = grid.alike(x, fakes.shape[1])
    sets = {
        metrics.GENERATED: fakes,
        COPIED: copied,
        MEAN: targets.mean(0, keepdim=True).expand(count, -1, -1, -1),
        MATCHED: matched(copied, targets),
    }
    values: dict[str, dict[str, metrics.Value]] = {row: {} for row in sets}
    if data.paired:
        truth = data.get(rows).cpu()
        extractor = choose_all(options.get("features", "auto"), data)[0]
        real = extractor(truth)
        for row, images in sets.items():
            values[row] |= paired_errors(images, truth)
            values[row][f"features_{extractor.name}"] = feature_distance(extractor(images), real)
            if options.get("lpips") is not None:
                net = options["lpips"]
                values[row][f"lpips_{net.name}"] = metrics.Value.mean_of(lpips(images, truth, net))
    if train.inputs.shape == train.shape:
        classifier = domain_classifier(train)
        for row, images in sets.items():
            values[row]["called_b"] = metrics.Value(float(called_b(classifier, images)))
    if isinstance(model, Translator) and model.both_ways:
        again = torch.cat([model.translate(part, reverse=True).cpu() for part in fakes.split(64)])
        values[metrics.GENERATED]["cycle_l1"] = paired_errors(again, x)["l1"]
    names = dict.fromkeys([*sets, *measurement.rows])
    joined = {row: {**measurement.rows.get(row, {}), **values.get(row, {})} for row in names}
    return replace(measurement, rows=joined)


def domain_classifier(train: datasets.Data) -> metrics.TaskNet:
    """Train a small net that classifies inputs (0) and targets (1).

    Args:
        train: The training images, with inputs.

    Returns:
        The net.
    """
    assert train.inputs is not None
    sets = [s.get(torch.arange(min(IMAGES, len(s)))).cpu() for s in (train.inputs, train)]
    labels = torch.cat([torch.full((len(s),), i) for i, s in enumerate(sets)])
    return metrics.train_task_net(torch.cat(sets), labels, samples=SHOWN)


@torch.no_grad()
def called_b(classifier: metrics.TaskNet, images: Tensor) -> float:
    """Compute the share of images that the classifier calls targets.

    Args:
        classifier: From ``domain_classifier``.
        images: Images in [-1, 1], (N, C, H, W).

    Returns:
        The share, in [0, 1].
    """
    net = classifier.net.eval()
    is_target = [
        net(to_size(to_channels(part, net.channels), net.size))[1].argmax(1) == 1 for part in images.split(256)
    ]
    return float(torch.cat(is_target).float().mean())
