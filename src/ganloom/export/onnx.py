"""A trained generator as a file that needs no ganloom: ONNX, checked against torch before it counts as written.

The model has the inputs z (n, z_dim), and where the recipe has them code (n, numbers), c (n,), int64 labels, and truncation,
one number; the output x (n, C, H, W) in [-1, 1], n free. Noise inputs are the fixed ones. A code is InfoGAN's: each category
as one-hot numbers, then the continuous ones in [-1, 1]. A model that makes images from images has the one input c
(n, C, H, W) of the size it was trained at.
"""

import contextlib
import io
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

from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.precision import full_precision
from ganloom.gan import GAN
from ganloom.runs import checkpoint

MOST = 1e-4
"""The largest difference between the file and torch, of values in [-1, 1]."""
OPSET = 17


@dataclass(frozen=True)
class Exported:
    """What ``to_onnx`` wrote."""

    path: Path
    inputs: dict[str, list[int | str]]
    difference: float
    bytes: int


class Differs(GanloomError):
    """The file does not compute what the model does."""

    exit_code = 1


class _Sampler(nn.Module):
    """``gan.sample`` with positional inputs only, which is what a file can have."""

    def __init__(self, gan: GAN, truncated: str) -> None:
        super().__init__()
        self.gan, self.truncated, self.labelled, self.coded = gan, truncated, bool(_classes(gan)), _codes(gan)

    def forward(self, z: Tensor, *more: Tensor) -> Tensor:
        """z, code where there is one, c where there are labels, and truncation; images alone where it starts from such."""
        if self.gan.conditions_on == "images":
            return self.gan.sample(self.gan.z(1), z)
        given = list(more)
        z = torch.cat([z, given.pop(0)], 1) if self.coded else z
        c = given.pop(0) if self.labelled else None
        if self.truncated == "sample":
            out: Tensor = self.gan.sample(z, c, truncation=given.pop(0))  # type: ignore[call-arg]
            return out
        return self.gan.sample(z * given.pop(0), c)


def to_onnx(gan: GAN, path: str | Path, *, check: bool = True) -> Exported:
    """Write ``gan``'s sampling as ONNX to ``path``, which must be new. Raises Differs above ``MOST``, with nothing written."""
    onnx, runtime = _needed("onnx"), _needed("onnxruntime")
    path = Path(path)
    if path.exists():
        raise BadInput(f"{path} is there already: choose another --out, nothing is overwritten")
    gan = gan.eval().requires_grad_(False)
    sampler = _Sampler(gan, _truncation(gan)).eval()
    names, values = _inputs(gan, sampler, 3, 0)
    with full_precision(), torch.random.fork_rng(devices=[]), _quiet():
        sampler(*values)  # what is computed once and kept, such as means of w, is a constant of the graph
        model = _written(sampler, names, values)
        onnx.checker.check_model(onnx.load_from_string(model))
    difference = _difference(runtime, model, gan, sampler) if check else 0.0
    if not difference <= MOST:
        raise Differs(
            f"the exported model differs from torch by {difference:.1e}, more than {MOST:.0e}: nothing was written"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.replace_file(path, model)
    shapes: dict[str, list[int | str]] = {
        name: [] if name == "truncation" else ["n", *value.shape[1:]] for name, value in zip(names, values, strict=True)
    }
    return Exported(path, shapes, difference, len(model))


def _written(sampler: _Sampler, names: list[str], values: list[Tensor]) -> bytes:
    data: Any = io.BytesIO()
    free = {name: {0: "n"} for name in [*names, "x"] if name != "truncation"}
    with _rules():
        torch.onnx.export(
            sampler, tuple(values), data, input_names=names, output_names=["x"], dynamic_axes=free, opset_version=OPSET,
            dynamo=False,
        )  # fmt: skip
    made: bytes = data.getvalue()
    return made


@contextlib.contextmanager
def _rules() -> Iterator[None]:
    """Rules of our own for what torch's cannot write: they ask for shapes that computed weights and maps do not carry."""
    take = torch.onnx.symbolic_helper.parse_args
    rules = {
        "aten::_convolution": take(*"v v v is is is i is i i i i i".split())(_convolution),  # type: ignore[arg-type]
        "aten::instance_norm": take(*"v v v v v b f f b".split())(_instance_norm),  # type: ignore[arg-type]
        "aten::adaptive_avg_pool2d": take("v", "is")(_adaptive_mean),
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
    """(x - mean) / sqrt(variance + eps) of each map."""
    if not weight.node().mustBeNone() or not own:
        raise BadInput("instance norm with weights or running statistics cannot be exported")
    away = g.op("Sub", x, g.op("ReduceMean", x, axes_i=[2, 3], keepdims_i=1))
    power = g.op("ReduceMean", g.op("Mul", away, away), axes_i=[2, 3], keepdims_i=1)
    more = g.op("Add", power, g.op("Constant", value_t=torch.tensor(eps)))
    return g.op("Div", away, g.op("Sqrt", more))


def _adaptive_mean(g: Any, x: Any, size: list[int]) -> Any:
    """Means over areas as products with one matrix a side."""
    sides = x.type().sizes()
    if sides is None or None in sides[2:]:
        raise BadInput("adaptive pooling of maps whose size is not known cannot be exported")
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
    """ONNX's Conv or ConvTranspose without the kernel's shape, which it reads off the weight.

    torch's own rule asks for that shape, and has it only of stored weights; many of ours are computed.
    """
    inputs = [x, weight] + ([] if bias.node().mustBeNone() else [bias])
    kwargs = {"strides_i": stride, "pads_i": padding * 2, "dilations_i": dilation, "group_i": groups}
    if not transposed:
        return g.op("Conv", *inputs, **kwargs)
    extra = {"output_padding_i": output_padding} if any(output_padding) else {}
    return g.op("ConvTranspose", *inputs, **kwargs, **extra)


def _needed(name: str) -> Any:
    import importlib

    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError:
        raise BadInput(f'exporting needs {name}, which is not here: pip install "ganloom[onnx]"') from None


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Tracing and its libraries warn of what they do by design."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.simplefilter("ignore")
        return found


def _classes(gan: GAN) -> int:
    return int(getattr(gan.cfg, "n_classes", 0) or 0)


def _codes(gan: GAN) -> int:
    """Numbers at the end of a latent that are a code."""
    return int(getattr(gan.cfg, "code_dim", 0) or 0)


def _truncation(gan: GAN) -> str:
    """Where truncation enters: in "sample", or as a factor of "z"."""
    return "sample" if gan.sample_options.truncation else "z"


def split(gan: GAN, z: Tensor) -> dict[str, Tensor]:
    """Latents (n, z_dim) as the file's inputs: z, and code where there is one."""
    codes = _codes(gan)
    return {"z": z[:, :-codes], "code": z[:, -codes:]} if codes else {"z": z}


def _inputs(gan: GAN, sampler: _Sampler, n: int, seed: int) -> tuple[list[str], list[Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if gan.conditions_on == "images":
            return ["c"], [torch.rand(n, int(gan.cfg.in_channels), *gan.cfg.shape[1:]) * 2 - 1]
        made = split(gan, gan.z(n).float())
        if sampler.labelled:
            made["c"] = torch.arange(n) % _classes(gan)
        made["truncation"] = torch.tensor(1.0 - 0.3 * (seed % 2))
    return list(made), list(made.values())


def _difference(runtime: Any, model: bytes, gan: GAN, sampler: _Sampler) -> float:
    """The largest difference to torch over three batch sizes, with truncation and without."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 0
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    taken = {entry.name for entry in session.get_inputs()}
    worst = 0.0
    for seed, n in enumerate((1, 4, 7)):
        names, values = _inputs(gan, sampler, n, seed)
        with torch.no_grad(), full_precision():
            expected = sampler(*values).numpy()
        feed = {name: value.numpy() for name, value in zip(names, values, strict=True) if name in taken}
        found = session.run(None, feed)[0]
        if found.shape != expected.shape:
            raise Differs(f"the exported model gives {list(found.shape)} where torch gives {list(expected.shape)}")
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst
