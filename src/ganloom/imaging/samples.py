"""A tensor of samples that a notebook shows as images."""

import base64
import html
import io
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganloom.imaging import grid

SHOWN = 64
"""Most images that a notebook shows."""
POINTS = 4096
"""Most points in a plot."""


class Samples(Tensor):
    """A tensor that a notebook shows as images (N, 1 to 4, H, W), or as a plot of points (N, 2).

    Its values and operations are those of a plain tensor. Every operation returns a plain tensor, as ``torch.nn.Parameter``
    does, and pickles and files hold a plain tensor too.
    """

    __torch_function__ = torch.nn.Parameter.__torch_function__

    @classmethod
    def of(cls, x: Tensor) -> Tensor:
        """Return ``x`` as samples; the memory is shared."""
        return x.as_subclass(cls)  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """Return samples, as ``torch.nn.Parameter(x)`` needs."""
        return self.of(super().detach())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(Tensor).__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.of(self.as_subclass(Tensor).__deepcopy__(memo))

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return repr(self.as_subclass(Tensor))

    def _repr_html_(self) -> str:
        x = self.as_subclass(Tensor).detach()
        size = " x ".join(map(str, x.shape))
        image, shown = _image(x)
        if image is None:
            return f"<pre>{html.escape(repr(x))}</pre>"
        what = "samples" if x.dim() == 4 else "points"
        some = "" if shown == len(x) else f", the first {shown} are shown"
        file = io.BytesIO()
        image.save(file, format="PNG")
        data = base64.b64encode(file.getvalue()).decode("ascii")
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{data}" alt="{len(x)} {what}" style="max-width:100%">'
            f"<figcaption>{len(x)} {what} ({size}){some}</figcaption></figure>"
        )


def _image(x: Tensor) -> tuple[Image.Image | None, int]:
    """The picture of a tensor and the number of samples in it; None for a tensor that is no picture."""
    if not len(x.shape) or not x.numel() or not x.is_floating_point():
        return None, 0
    if x.dim() == 4 and x.shape[1] in grid.MODES:
        return grid.grid(x[:SHOWN]), min(len(x), SHOWN)
    if x.dim() == 2 and x.shape[1] == 2:
        return grid.scatter(x[:POINTS]), min(len(x), POINTS)
    return None, 0
