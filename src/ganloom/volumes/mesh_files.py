"""Write meshes as files: GLB (binary glTF 2.0), OBJ and PLY, all with colours of vertices."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.volumes.meshes import Mesh

GREY = 0.72
"""Brightness of a mesh without colours."""


def glb(mesh: Mesh) -> bytes:
    """Return a GLB file: positions, normals, linear colours and triangles."""
    colours = np.full_like(mesh.vertices, GREY) if mesh.colours is None else mesh.colours
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    parts: list[tuple[NDArray[Any], int, str, int]] = [
        (mesh.vertices.astype("<f4"), 5126, "VEC3", 34962), (mesh.normals.astype("<f4"), 5126, "VEC3", 34962),
        (linear.astype("<f4"), 5126, "VEC3", 34962), (mesh.faces.astype("<u4").ravel(), 5125, "SCALAR", 34963),
    ]  # fmt: skip
    views, accessors, content = list[dict[str, Any]](), list[dict[str, Any]](), b""
    for number, (array, kind, form, target) in enumerate(parts):
        views.append({"buffer": 0, "byteOffset": len(content), "byteLength": array.nbytes, "target": target})
        accessors.append({"bufferView": number, "componentType": kind, "count": len(array), "type": form})
        content += array.tobytes()
    accessors[0] |= {"min": mesh.vertices.min(0).tolist(), "max": mesh.vertices.max(0).tolist()}
    primitive = {"attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}, "indices": 3, "material": 0}
    described = {
        "asset": {"version": "2.0", "generator": "ganloom"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}}],
        "buffers": [{"byteLength": len(content)}], "bufferViews": views, "accessors": accessors,
    }  # fmt: skip
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    content += b"\0" * (-len(content) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(content), 0x004E4942) + content
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def obj(mesh: Mesh) -> bytes:
    """Return an OBJ file; the colour of a vertex follows its position, which most programs read."""
    rows = mesh.vertices if mesh.colours is None else np.concatenate([mesh.vertices, mesh.colours], 1)
    lines = ["# ganloom"]
    lines += ["v " + " ".join(f"{value:.6g}" for value in row) for row in rows.tolist()]
    lines += ["vn " + " ".join(f"{value:.4g}" for value in row) for row in mesh.normals.tolist()]
    lines += ["f " + " ".join(f"{i}//{i}" for i in row) for row in (mesh.faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode()


def ply(mesh: Mesh) -> bytes:
    """Return a binary PLY file with normals, and 8-bit colours if the mesh has colours."""
    fields = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    columns = [*mesh.vertices.T, *mesh.normals.T]
    if mesh.colours is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        columns += [*np.rint(mesh.colours * 255).T]
    vertices = np.empty(len(mesh.vertices), dtype=fields)
    for (name, _), column in zip(fields, columns, strict=True):
        vertices[name] = column
    faces = np.empty(len(mesh.faces), dtype=[("n", "u1"), ("i", "<i4", 3)])
    faces["n"], faces["i"] = 3, mesh.faces
    lines = ["ply", "format binary_little_endian 1.0", "comment ganloom", f"element vertex {len(vertices)}"]
    lines += [f"property {'uchar' if kind == 'u1' else 'float'} {name}" for name, kind in fields]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    return ("\n".join(lines) + "\n").encode() + vertices.tobytes() + faces.tobytes()


WRITERS: dict[str, Callable[[Mesh], bytes]] = {"glb": glb, "obj": obj, "ply": ply}
"""Format -> writer, which returns the file's content."""
