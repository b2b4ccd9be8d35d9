"""Measure 3D objects against held-out objects of a built-in set."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganloom import metrics
from ganloom.bench.volumes import overlap
from ganloom.bench.volumes.reader import Reader
from ganloom.bench.volumes.subjects import Known, Subject
from ganloom.core.errors import BadInput
from ganloom.data import solid_objects
from ganloom.report.progress import Report, part_of, stage
from ganloom.volumes import meshes
from ganloom.volumes.objects import HELD_OUT

AZIMUTHS = 8
UNSEEN = (-20.0, 60.0)
"""Elevations in degrees that no training image has."""
SAMPLES = 2400
"""Images of the Frechet distance, generated and real."""
TARGETS = 150
"""Held-out objects."""
MESHES = 48
"""Objects whose surfaces are measured."""


@dataclass(frozen=True)
class Truth:
    """What objects are compared with.

    Attributes:
        name: The set.
        reader: Reads the class of a view.
        targets: Volumes of held-out objects, bool (M, 32, 32, 32).
        kinds: Their classes (M,).
        features: Features of real images, of objects that are not held out, for the Frechet distance.
    """

    name: str
    reader: Reader
    targets: Tensor
    kinds: Tensor
    features: Tensor

    @property
    def elevation(self) -> float:
        """The middle of the elevations of the set, in radians."""
        return solid_objects.SETS[self.name].cameras.middle


def truth_of(name: str, reader: Reader, samples: int = SAMPLES, targets: int = TARGETS) -> Truth:
    """Render the held-out objects of a set.

    Args:
        name: "silhouettes" or "primitives3d".
        reader: Reads the class of a view of that set.
        samples: Real images of the Frechet distance.
        targets: Held-out objects.
    """
    held_out = Known(name, HELD_OUT, targets)
    return Truth(
        name, reader, held_out.volumes()[0] > 0.5, held_out.kinds(), features_of(held_out.samples(samples))
    )  # fmt: skip


def features_of(images: Tensor) -> Tensor:
    """Return the features of images in the net of random weights at 32 px."""
    return metrics.get("random", size=32)(images)


def measure(subject: Subject, truth: Truth, samples: int = SAMPLES, progress: Report = None) -> dict[str, float]:
    """Measure objects.

    Returns:
        ``fd``: Frechet distance of random views, in the net of random weights at 32 px.
        ``recall``: mean over held-out objects of the best overlap with one of the objects.
        ``precision``: mean over the objects of the best overlap with a held-out one; one blob is good at it.
        ``least_share``: share of the rarest class, by the views.
        ``agree``, ``agree_all``: share of 8 views around an object whose class is that of the majority; share of objects where
        all 8 agree.
        ``agree-20``, ``agree60``: share of views from elevations of no training image whose class is that of the seen ones.
        ``same_class``: share of objects whose nearest held-out volume has the class that their views have.
        ``watertight``, ``largest_part``, ``euler2``: of their meshes.
    """
    stage(progress, "drawing and comparing views")
    result = {"fd": metrics.frechet_distance(truth.features, features_of(subject.samples(samples)))}
    kinds = _agreement(subject, truth, result, progress)
    counts = torch.bincount(kinds, minlength=len(solid_objects.SETS[truth.name].classes))
    result["least_share"] = float(counts.min()) / subject.count
    occupancy, level = subject.volumes()
    solid = torch.stack([torch.from_numpy(_solid(volume.numpy(), level)) for volume in occupancy])
    table = overlap.best_overlaps(solid, truth.targets, each=part_of(progress, "overlap with held-out objects"))
    result |= {"recall": float(table.amax(0).mean()), "precision": float(table.amax(1).mean())}
    result["same_class"] = float((truth.kinds[table.argmax(1)] == kinds).float().mean())
    return result | _mesh_figures(occupancy[:MESHES].numpy(), level, progress)


def _agreement(subject: Subject, truth: Truth, result: dict[str, float], progress: Report) -> Tensor:
    """Add how often views of an object have one class; return the class of each object."""
    each = part_of(progress, "reading classes of views")
    kinds = torch.zeros(subject.count, dtype=torch.long)
    for number, degrees in enumerate((None, *UNSEEN)):
        elevation = truth.elevation if degrees is None else math.radians(degrees)
        around = torch.arange(AZIMUTHS) * (2 * math.pi / AZIMUTHS)
        read = truth.reader.classes(subject.views(around, elevation)).view(-1, AZIMUTHS)
        if degrees is None:
            kinds = read.mode(1).values
            result["agree_all"] = float((read == kinds[:, None]).all(1).float().mean())
        result["agree" if degrees is None else f"agree{degrees:g}"] = float((read == kinds[:, None]).float().mean())
        if each is not None:
            each(number + 1, 1 + len(UNSEEN))
    return kinds


def _solid(occupancy: meshes.Floats, level: float) -> meshes.Floats:
    """The inside of an object without cavities and small parts, 0 or 1; empty for an empty volume."""
    return (meshes.cleaned(occupancy, level)[0] >= level).astype(np.float32)


def _mesh_figures(volumes: meshes.Floats, level: float, progress: Report) -> dict[str, float]:
    """Shares of closed meshes and of balls, and the mean share of the largest part. An empty volume counts 0."""
    each = part_of(progress, "measuring meshes")
    rows = []
    for number, volume in enumerate(volumes):
        try:
            found = meshes.topology(meshes.surface(volume, level))
            rows.append((float(found.watertight), found.largest, float(found.euler == 2)))
        except BadInput:  # an empty volume
            rows.append((0.0, 0.0, 0.0))
        if each is not None:
            each(number + 1, len(volumes))
    closed, largest, balls = np.array(rows).mean(0)
    return {"watertight": float(closed), "largest_part": float(largest), "euler2": float(balls)}


def blobs(name: str, truth: Truth, objects: int = 60) -> dict[str, dict[str, float]]:
    """Measure the overlap of blobs: the mean of all real objects over all turns, and the means of the classes.

    Returns:
        "one mean blob" and "class-mean blobs" -> ``recall`` and ``precision``.
    """
    real = Known(name, 0, objects)
    volumes, kinds = real.volumes()[0], real.kinds()
    parts = {
        "one mean blob": overlap.mean_volume(volumes),
        "class-mean blobs": torch.cat([overlap.mean_volume(volumes[kinds == kind]) for kind in kinds.unique()]),
    }
    tables = {key: overlap.best_blobs(part, truth.targets) for key, part in parts.items()}
    return {key: {"recall": float(t.amax(0).mean()), "precision": float(t.amax(1).mean())} for key, t in tables.items()}
