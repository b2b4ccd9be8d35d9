"""Surfaces of volumes as closed triangle meshes, and what can be said about a mesh."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, need

EXTRA = "mesh"
"""The extra that installs scikit-image and scipy."""
LEAST_PART = 0.02
"""A part with a smaller share of the volume is left out."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, with x to the right, y up and z to the front; seen from outside, corners run counter-clockwise.

    Attributes:
        vertices: float32 (V, 3).
        faces: int64 (F, 3), numbers of vertices.
        normals: float32 (V, 3), unit vectors to the outside.
        colours: float32 (V, 3), sRGB in [0, 1]; None without colours.
        parts_left_out: Number of small parts that were left out.
    """

    vertices: Floats
    faces: NDArray[np.int64]
    normals: Floats
    colours: Floats | None = None
    parts_left_out: int = 0

    def coloured(self, colours: Floats) -> "Mesh":
        """Return the mesh with colours (V, 3) in [0, 1]."""
        return replace(self, colours=np.clip(colours, 0, 1).astype(np.float32))

    def smooth_normals(self) -> Floats:
        """Return the mean of the normals of the faces at each vertex, weighted by their areas."""
        a, b, c = (self.vertices[self.faces[:, i]] for i in range(3))
        each = np.cross(b - a, c - a)
        total = np.zeros_like(self.vertices)
        for i in range(3):
            np.add.at(total, self.faces[:, i], each)
        unit: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
        return unit


@dataclass(frozen=True)
class Topology:
    """What is measured of a mesh.

    Attributes:
        watertight: Whether each edge belongs to two faces, with opposite directions.
        parts: Number of connected parts.
        largest: Share of the enclosed volume that the largest part has.
        euler: Euler number of the largest part: 2 for a ball, 0 for a ring.
        volume: Enclosed volume.
    """

    watertight: bool
    parts: int
    largest: float
    euler: int
    volume: float


def cleaned(occupancy: Floats, level: float, least_part: float = LEAST_PART) -> tuple[Floats, int]:
    """Fill cavities and leave out small parts of a volume; no view shows cavities.

    Args:
        occupancy: (S, S, S).
        level: A point with at least this value is inside.
        least_part: Least share of the inside that a part must have.

    Returns:
        The volume, and the number of parts that were left out.
    """
    ndimage = need("scipy.ndimage", EXTRA)
    inside = occupancy >= level
    labels, count = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())[1:]
    small = np.flatnonzero(sizes < least_part * sizes.sum()) + 1
    kept = inside & ~np.isin(labels, small)
    filled = ndimage.binary_fill_holes(kept)
    clean = np.where(inside & ~kept, 0.0, occupancy)
    clean = np.where(filled & ~kept, np.maximum(clean, (1 + level) / 2), clean)
    return clean.astype(np.float32), len(small)


def surface(occupancy: Floats, level: float, *, clean: bool = True) -> Mesh:
    """Return the surface of a volume by marching cubes.

    Args:
        occupancy: (S, S, S) in [0, 1] with the index [z, y, x], in the cube [-1, 1]^3. It is padded with empty points, so that
            the mesh is closed where the object reaches the border.
        level: A point with at least this value is inside.
        clean: Fill cavities, and leave out parts with less than ``LEAST_PART`` of the volume.

    Returns:
        A closed mesh.

    Raises:
        BadInput: If the volume is empty.
        MissingExtra: If scikit-image is not installed.
    """
    measure = need("skimage.measure", EXTRA)
    if not (occupancy >= level).any():
        raise BadInput(
            f"the volume is empty: its largest value is {float(occupancy.max()):.3g}, and a point is inside from {level:g} on. "
            "Train longer, or give a lower --level"
        )
    volume, left_out = cleaned(occupancy, level) if clean else (occupancy, 0)
    side = volume.shape[0]
    # a value that equals the level gives triangles without area, whose corners coincide
    volume = np.where(np.abs(volume - level) < 1e-4 * level, level * 1.0001, volume)
    vertices, faces, _, _ = measure.marching_cubes(np.pad(volume, 1), level)
    places = ((vertices[:, ::-1] - 0.5) / side * 2 - 1).astype(np.float32)
    mesh = Mesh(places, faces.astype(np.int64), np.zeros_like(places), None, left_out)
    if _volume(mesh.vertices, mesh.faces) < 0:
        mesh = replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, ::-1]))
    return replace(mesh, normals=mesh.smooth_normals())


def topology(mesh: Mesh) -> Topology:
    """Measure whether a mesh is closed and how many parts it has."""
    sparse = need("scipy.sparse", EXTRA)
    graph = need("scipy.sparse.csgraph", EXTRA)
    count = len(mesh.vertices)
    directed = np.concatenate([mesh.faces[:, [i, (i + 1) % 3]] for i in range(3)])
    forwards, backwards = directed[:, 0] * count + directed[:, 1], directed[:, 1] * count + directed[:, 0]
    watertight = len(np.unique(forwards)) == len(forwards) and bool(
        np.array_equal(np.sort(forwards), np.sort(backwards))
    )
    links = sparse.coo_matrix((np.ones(len(directed)), (directed[:, 0], directed[:, 1])), shape=(count, count))
    parts, of_vertex = graph.connected_components(links, directed=False)
    of_face = of_vertex[mesh.faces[:, 0]]
    volumes = np.array([abs(_volume(mesh.vertices, mesh.faces[of_face == part])) for part in range(parts)])
    largest = int(volumes.argmax())
    faces = mesh.faces[of_face == largest]
    edges = np.unique(np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1), axis=0)
    euler = len(np.unique(faces)) - len(edges) + len(faces)
    total = float(volumes.sum())
    return Topology(
        watertight, parts, float(volumes[largest]) / max(total, 1e-12), euler, _volume(mesh.vertices, mesh.faces)
    )


def _volume(vertices: Floats, faces: NDArray[np.int64]) -> float:
    """The signed volume that a closed mesh encloses; positive if its faces look outside."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)
