"""Measure a translator: against the truth where pairs are known, by a domain classifier and by its cycle where not.

Beside it stand what needs no training: the input copied, the mean target, and the input with the targets' histogram.
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
from ganloom.metrics.statistics.translation import feature_distance, matched, paired_errors
from ganloom.recipes.base.translator import Translator

COPIED, MEAN, MATCHED = "copied input", "mean target", "histogram matched"
IMAGES = 1000
"""At most so many are compared one by one, and so many of each domain train the domain classifier."""
SHOWN = 3000
"""Images that the domain classifier is shown in training: two domains are told apart soon, if at all."""


def measure_translator(model: GAN, data: datasets.Data, train: datasets.Data, **options: Any) -> metrics.Measurement:
    """``measure_model`` on ``data``, and the figures of translation: l1, psnr, ssim, features (of known pairs), domain, cycle.

    ``train``: the images of training, from which the mean, the histogram and the domain classifier are taken.
    """
    found = measure_model(model, data, **options)
    count = min(IMAGES, options.get("n") or IMAGES, len(data))
    rows = torch.arange(count)
    x = model.inputs(data, rows)
    assert x is not None and train.inputs is not None
    x, made = x.cpu(), torch.cat(list(samples(model, count, options.get("seed", 0), x)))
    some = train.get(torch.arange(min(IMAGES, len(train)))).cpu()
    like = grid.alike(x, made.shape[1])
    sets = {
        metrics.GENERATED: made,
        COPIED: like,
        MEAN: some.mean(0, keepdim=True).expand(count, -1, -1, -1),
        MATCHED: matched(like, some),
    }
    values: dict[str, dict[str, metrics.Value]] = {row: {} for row in sets}
    if data.paired:
        truth = data.get(rows).cpu()
        extractor = choose_all(options.get("features", "auto"), data)[0]
        real = extractor(truth)
        for row, images in sets.items():
            values[row] |= paired_errors(images, truth)
            values[row][f"features_{extractor.name}"] = feature_distance(extractor(images), real)
    if train.inputs.shape == train.shape:
        judge = domain_classifier(train)
        for row, images in sets.items():
            values[row]["called_b"] = metrics.Value(float(called_b(judge, images)))
    if isinstance(model, Translator) and model.both_ways:
        again = torch.cat([model.translate(part, reverse=True).cpu() for part in made.split(64)])
        values[metrics.GENERATED]["cycle_l1"] = paired_errors(again, x)["l1"]
    joined = {row: {**found.rows.get(row, {}), **values.get(row, {})} for row in dict.fromkeys([*sets, *found.rows])}
    return replace(found, rows=joined)


def domain_classifier(train: datasets.Data) -> metrics.TaskNet:
    """A small net that tells inputs (0) from targets (1), trained on the images of training."""
    assert train.inputs is not None
    sets = [s.get(torch.arange(min(IMAGES, len(s)))).cpu() for s in (train.inputs, train)]
    labels = torch.cat([torch.full((len(s),), i) for i, s in enumerate(sets)])
    return metrics.train_task_net(torch.cat(sets), labels, samples=SHOWN)


@torch.no_grad()
def called_b(judge: metrics.TaskNet, images: Tensor) -> float:
    """The share of images that the classifier takes for targets."""
    net = judge.net.eval()
    found = [net(to_size(to_channels(part, net.channels), net.size))[1].argmax(1) == 1 for part in images.split(256)]
    return float(torch.cat(found).float().mean())
