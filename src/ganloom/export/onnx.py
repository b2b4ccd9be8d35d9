"""Export a trained generator to ONNX. The file is compared with torch before it is written.

Inputs of the file are z (n, z_dim) and truncation, a scalar; also code (n, code_dim) and c (n,), int64 labels, if the recipe
has them. The output is x (n, C, H, W) in [-1, 1]. n is free. The entry "classes" of the file's metadata is a JSON list with the
names of the labels. Noise inputs of the network are fixed. A code is InfoGAN's: each category as one-hot numbers, then the
continuous codes in [-1, 1]. An image-to-image model has only the input c (n, C, H, W), at the size of its training.
"""

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.class_names import complete
from ganloom.core.errors import BadInput, GanloomError, need
from ganloom.core.output_files import new_file, write_new
from ganloom.core.precision import full_precision
from ganloom.gan import GAN

MAX_DIFFERENCE = 1e-4
"""Largest accepted difference between the file and torch, for values in [-1, 1]."""
OPSET = 17


@dataclass(frozen=True)
class Exported:
    """The file that `to_onnx` wrote: its path, inputs with their shapes, difference to torch, and size in bytes."""

    path: Path
    inputs: dict[str, list[int | str]]
    difference: float
    bytes: int


class Differs(GanloomError):
    """The file does not compute the same values as the model (exit code 1)."""

    exit_code = 1


class _Sampler(nn.Module):
    """``gan.sample`` with positional inputs only, as an ONNX file needs."""

    def __init__(self, gan: GAN, truncated: str) -> None:
        super().__init__()
        self.gan, self.truncated, self.coded = gan, truncated, _codes(gan)
        self.labelled = bool(_classes(gan)) or gan.conditions_on == "captions"

    def forward(self, z: Tensor, *more: Tensor) -> Tensor:
        """Take z, code and c if the model has them, and truncation; or only images for an image-to-image model."""
        if self.gan.conditions_on == "images":
            return self.gan.sample(self.gan.z(1), z)
        inputs = list(more)
        z = torch.cat([z, inputs.pop(0)], 1) if self.coded else z
        c = inputs.pop(0) if self.labelled else None
        if self.truncated == "sample":
            out: Tensor = self.gan.sample(z, c, truncation=inputs.pop(0))  # type: ignore[call-arg]
            return out
        return self.gan.sample(z * inputs.pop(0), c)


def to_onnx(gan: GAN, path: str | Path, *, check: bool = True, overwrite: bool = False) -> Exported:
    """Write the sampling of a model as an ONNX file.

    Args:
        gan: The model. It is set to eval mode.
        path: The file, which must not exist.
        check: Compare the file with torch before it is written.
        overwrite: Replace an existing file.

    Returns:
        The path, the inputs, and the largest difference to torch.

    Raises:
        BadInput: The path exists, or the model cannot be exported.
        MissingExtra: onnx or onnxruntime is not installed.
        Differs: The difference is more than `MAX_DIFFERENCE`. Nothing is written.
    """
    with _quiet():
        onnx, runtime = need("onnx", "onnx"), need("onnxruntime", "onnx")
    if gan.not_onnx:
        raise BadInput(f"{type(gan).__name__} cannot be exported: {gan.not_onnx}")
    path = new_file(path, overwrite=overwrite)
    gan = gan.eval().requires_grad_(False)
    sampler = _Sampler(gan, _truncation(gan)).eval()
    names, values = _inputs(gan, sampler, 3, 0)
    with full_precision(), torch.random.fork_rng(devices=[]), _quiet():
        sampler(*values)  # values that are computed once, such as means of w, become constants of the graph
        model = _traced(sampler, names, values)
        model = _with_classes(onnx, model, gan)
        onnx.checker.check_model(onnx.load_from_string(model))
    difference = _difference(runtime, model, gan, sampler) if check else 0.0
    if not difference <= MAX_DIFFERENCE:
        raise Differs(
            f"the exported model differs from torch by {difference:.1e}, more than {MAX_DIFFERENCE:.0e}: nothing was written"
        )
    write_new(path, model, overwrite=overwrite)
    shapes: dict[str, list[int | str]] = {
        name: [] if name == "truncation" else ["n", *value.shape[1:]] for name, value in zip(names, values, strict=True)
    }
    return Exported(path, shapes, difference, len(model))


def _traced(sampler: _Sampler, names: list[str], values: list[Tensor]) -> bytes:
    data: Any = io.BytesIO()
    free = {name: {0: "n"} for name in [*names, "x"] if name != "truncation"}
    with _rules():
        torch.onnx.export(
            sampler, tuple(values), data, input_names=names, output_names=["x"], dynamic_axes=free, opset_version=OPSET,
            dynamo=False,
        )  # fmt: skip
    content: bytes = data.getvalue()
    return content


def _with_classes(onnx: Any, model: bytes, gan: GAN) -> bytes:
    """Write the names of the classes into the file's metadata, as a JSON list under "classes": label i is the i-th name.

    For a model with captions, "captions" is a JSON object with the name and the digest of the text encoder, and the vocabulary:
    with the encoder words, number i of c is the i-th word, counted from 1; otherwise c is the encoder's sentence vector.
    """
    entries = {"classes": json.dumps(complete(gan.class_names, _classes(gan)))} if _classes(gan) else {}
    if gan.conditions_on == "captions":
        record = gan.data_record()
        entries["captions"] = json.dumps({key: record.get(key) for key in ("encoder", "digest", "vocabulary")})
    if not entries:
        return model
    loaded = onnx.load_from_string(model)
    onnx.helper.set_model_props(loaded, entries)
    content: bytes = loaded.SerializeToString()
    return content


@contextlib.contextmanager
def _rules() -> Iterator[None]:
    """Register export rules for operations whose rules in torch need shapes that computed weights do not have."""
    parse = torch.onnx.symbolic_helper.parse_args
    rules = {
        "aten::_convolution": parse(*"v v v is is is i is i i i i i".split())(_convolution),  # type: ignore[arg-type]
        "aten::instance_norm": parse(*"v v v v v b f f b".split())(_instance_norm),  # type: ignore[arg-type]
        "aten::adaptive_avg_pool2d": parse("v", "is")(_adaptive_mean),
    }
    for name, rule in rules.items():
        torch.onnx.register_custom_op_symbolic(name, rule, OPSET)  # type: ignore[attr-defined, arg-type]
    try:
        yield
    finally:
        for name in rules:
            torch.onnx.unregister_custom_op_symbolic(name, OPSET)  # type: ignore[attr-defined]


def _instance_norm(
    g: Any, x: Any, weight: Any, bias: Any, mean: Any, var: Any, own: bool, rate: float, eps: float, *_: Any
) -> Any:
    """Compute (x - mean) / sqrt(variance + eps) for each map."""
    if not weight.node().mustBeNone() or not own:
        raise BadInput("instance norm with weights or running statistics cannot be exported")
    centred = g.op("Sub", x, g.op("ReduceMean", x, axes_i=[2, 3], keepdims_i=1))
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), axes_i=[2, 3], keepdims_i=1)
    stable = g.op("Add", variance, g.op("Constant", value_t=torch.tensor(eps)))
    return g.op("Div", centred, g.op("Sqrt", stable))


def _adaptive_mean(g: Any, x: Any, size: list[int]) -> Any:
    """Compute means over areas as products with one matrix per axis."""
    sides = x.type().sizes()
    if sides is None or None in sides[2:]:
        raise BadInput("adaptive pooling of maps of unknown size cannot be exported")
    down, across = (
        F.adaptive_avg_pool1d(torch.eye(side)[None], out)[0].t() for side, out in zip(sides[2:], size, strict=True)
    )
    rows = g.op("MatMul", g.op("Constant", value_t=down.contiguous()), x)
    return g.op("MatMul", rows, g.op("Constant", value_t=across.t().contiguous()))


def _convolution(
    g: Any,
    x: Any,
    weight: Any,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: int,
    output_padding: list[int],
    groups: int,
    *flags: int,
) -> Any:
    """Write Conv or ConvTranspose without the kernel's shape, which ONNX takes from the weight.

    The rule in torch needs that shape, which it knows for stored weights only. Many of ganloom's weights are computed.
    """
    inputs = [x, weight] + ([] if bias.node().mustBeNone() else [bias])
    kwargs = {"strides_i": stride, "pads_i": padding * 2, "dilations_i": dilation, "group_i": groups}
    if not transposed:
        return g.op("Conv", *inputs, **kwargs)
    extra = {"output_padding_i": output_padding} if any(output_padding) else {}
    return g.op("ConvTranspose", *inputs, **kwargs, **extra)


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Ignore warnings: tracing and its libraries warn about things that are intended here."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        return entered


def _classes(gan: GAN) -> int:
    return int(getattr(gan.cfg, "n_classes", 0) or 0)


def _codes(gan: GAN) -> int:
    """Return how many numbers at the end of a latent are a code."""
    return int(getattr(gan.cfg, "code_dim", 0) or 0)


def _truncation(gan: GAN) -> str:
    """Return where truncation is applied: in "sample", or as a factor of "z"."""
    return "sample" if gan.sample_options.truncation else "z"


def split(gan: GAN, z: Tensor) -> dict[str, Tensor]:
    """Split latents into the inputs of the file.

    Args:
        gan: The model.
        z: (n, z_dim) latents.

    Returns:
        "z", and "code" if the model has one.
    """
    codes = _codes(gan)
    return {"z": z[:, :-codes], "code": z[:, -codes:]} if codes else {"z": z}


def _inputs(gan: GAN, sampler: _Sampler, n: int, seed: int) -> tuple[list[str], list[Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if gan.conditions_on == "images":
            return ["c"], [torch.rand(n, *gan.input_shape()) * 2 - 1]
        inputs = split(gan, gan.z(n).float())
        if sampler.labelled:
            captioned = gan.conditions_on == "captions"
            inputs["c"] = gan.code_example(n) if captioned else torch.arange(n) % _classes(gan)
        inputs["truncation"] = torch.tensor(1.0 - 0.3 * (seed % 2))
    return list(inputs), list(inputs.values())


def _difference(runtime: Any, model: bytes, gan: GAN, sampler: _Sampler) -> float:
    """Return the largest difference to torch over three batch sizes, with and without truncation."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 0
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    used = {entry.name for entry in session.get_inputs()}
    worst = 0.0
    for seed, n in enumerate((1, 4, 7)):
        names, values = _inputs(gan, sampler, n, seed)
        with torch.no_grad(), full_precision():
            expected = sampler(*values).numpy()
        feed = {name: value.numpy() for name, value in zip(names, values, strict=True) if name in used}
        output = session.run(None, feed)[0]
        if output.shape != expected.shape:
            raise Differs(f"the exported model gives {list(output.shape)} where torch gives {list(expected.shape)}")
        worst = max(worst, float(np.abs(output - expected).max()))
    return worst
