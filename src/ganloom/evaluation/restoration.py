"""Measure a super-resolution model on crops: errors and distances to the true crops, beside bicubic and Lanczos."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.randomness import Rng, measurement_seed
from ganloom.evaluation.measure import choose_all
from ganloom.gan import GAN
from ganloom.imaging import levels
from ganloom.metrics.statistics.translation import feature_distance, paired_errors
from ganloom.nn.perceptual import Perceptual

METHODS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
"""The classical methods that are measured too."""
CROPS = 256
"""Largest number of crops."""
PART = 16


class Restoration(metrics.Measurement):
    """A measurement whose table has a line about the crops instead of one about samples."""

    def lines(self) -> list[str]:
        """A plain-text table, the protocol, and a sentence that says whether the model is better than bicubic."""
        p = self.protocol
        table = [line for line in super().lines() if " generated and " not in line]
        about = (
            f"{p['n_fake']} crops of {p['shape'][1]} x {p['shape'][2]} pixels at random places of {p['photographs']} photographs "
            f"({p['split']}), reduced by {p['scale']}; distances in {p['backbone']} features; brackets: 95 % intervals over the "
            "crops"
        )
        return [*table, about, self._verdict()]

    def _verdict(self) -> str:
        own, other = self.rows[metrics.GENERATED], self.rows["bicubic"]
        gain = own["psnr"].value - other["psnr"].value
        name = next(name for name in own if name.startswith("perceptual_"))
        share = own[name].value / max(other[name].value, 1e-12)
        fidelity = f"{abs(gain):.2f} dB {'better' if gain > 0 else 'worse'} than bicubic"
        look = f"its features are {abs(1 - share):.0%} {'nearer to' if share < 1 else 'farther from'} those of the true crops"
        return f"the model's PSNR is {fidelity}; {look}"


def measure_restoration(model: GAN, data: datasets.Data, **options: Any) -> metrics.Measurement:
    """Measure a super-resolution model.

    Args:
        model: The model.
        data: Photographs, as crops.
        options: Fields of ``measure.Options``: n (the number of crops, at most `CROPS`), features, seed, split, progress.

    Returns:
        psnr, ssim, l1, perceptual_NET (mean squared distance of feature maps) and features_NET (distance of pooled features)
        for the model and for each of `METHODS`.
    """
    count = max(1, min(CROPS, int(options.get("n") or CROPS)))
    seed, features, report = options.get("seed", 0), options.get("features", "auto"), options.get("progress")
    extractor = choose_all(features, data)[0]
    net = Perceptual("random" if extractor.name.startswith(("task", "fashion")) else extractor.name)
    sets: dict[str, list[Tensor]] = {metrics.GENERATED: [], **{name: [] for name in METHODS}}
    truth = []
    for start in range(0, count, PART):
        rng = Rng(measurement_seed(seed), start, start)
        x = data.draw(min(PART, count - start), rng).x.cpu()
        c = model.degraded(x, rng, slice(0, None))  # type: ignore[operator]
        truth.append(x)
        sets[metrics.GENERATED].append(model.generate(c=c.to(model.device)).cpu())
        for name, method in METHODS.items():
            sets[name].append(_resized(c, tuple(x.shape[2:]), method))
        if report is not None:
            report("enlarging crops", min(start + PART, count), count)
    true = torch.cat(truth)
    real = extractor(true)
    rows = {name: _distances(torch.cat(parts), true, real, extractor, net) for name, parts in sets.items()}
    protocol = {
        "backbone": extractor.name, "sha8": extractor.sha8, "size": extractor.size, "n_fake": count, "n_real": count,
        "split": options.get("split") or data.name, "k": 0, "expected_coverage": float("nan"), "note": "",
        "shape": list(data.shape), "scale": int(model.cfg.scale), "photographs": len(data),
    }  # fmt: skip
    return Restoration(rows, protocol)


def _distances(
    made: Tensor, true: Tensor, real: Tensor, extractor: metrics.Extractor, net: Perceptual
) -> dict[str, metrics.Value]:
    parts = [net.distance(a[None], b[None]).reshape(1) for a, b in zip(made, true, strict=True)]
    return {
        **paired_errors(made, true),
        f"perceptual_{extractor.name}": metrics.Value.mean_of(torch.cat(parts)),
        f"features_{extractor.name}": feature_distance(extractor(made), real),
    }


def _resized(x: Tensor, size: tuple[int, ...], method: Image.Resampling) -> Tensor:
    """Resize images (N, C, h, w) in [-1, 1] channel by channel, rounded to 8 bits."""
    result = np.empty((len(x), x.shape[1], *size), np.uint8)
    for i, image in enumerate(x.add(1).mul(127.5).round().numpy()):
        for j, channel in enumerate(image.astype(np.uint8)):
            result[i, j] = np.asarray(Image.fromarray(channel).resize((size[1], size[0]), method))
    return levels.from_levels(torch.from_numpy(result))
