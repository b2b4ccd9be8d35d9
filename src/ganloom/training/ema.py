"""Exponential moving average (EMA) of the networks that samples are drawn from.

The half-life is a number of images. A recipe gives it in kimg (``ema_kimg``) if its paper does; otherwise it is
``HALF_LIFE`` updates of G, converted to images by the batch size and the updates of D per update of G, so that it means the
same for every recipe. In a short run it is at most ``RAMP`` of the images drawn so far.
"""

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase
from ganloom.training import optimizers

HALF_LIFE = 1000
"""Updates of G after which a weight counts half, where the recipe gives no half-life. An update's decay is 0.9993."""
RAMP = 0.05
"""Largest half-life as a share of the images drawn so far."""
MOST_STEPS = 16
"""Largest number of steps between two updates of the EMA. Reading all weights in each step would cost a small network some
per cent of its time."""
PART = 32
"""The EMA is updated at least this many times per half-life."""


class EMA:
    """The averaged copy of a model.

    Args:
        gan: The model. Its children named in ``averaged`` are averaged; all others are shared with the copy.
        kimg: Half-life in thousands of images. None: ``HALF_LIFE`` updates of G.
        ramp: Largest half-life as a share of the images drawn so far. None: no limit.
        phases: The model's phases, from which the images per update of G follow.
    """

    def __init__(self, gan: GAN, kimg: float | None, ramp: float | None, phases: Sequence[Phase]) -> None:
        self.gan, self.ramp = gan, ramp
        self.model = average_of(gan)
        per_update, self._per_step = images_per_update(gan, phases)
        self.half_life = HALF_LIFE * per_update if kimg is None else kimg * 1000
        self.updated_at = 0
        """Images drawn when the EMA was last updated."""
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []
        self._counts: list[tuple[Tensor, Tensor]] = []
        self.bind()

    def bind(self) -> None:
        """Collect the tensors to average, and the whole numbers to copy; call it again after tensors were replaced."""
        modules = [(optimizers.find(self.model, name), optimizers.find(self.gan, name)) for name in self.gan.averaged]
        self._pairs = [(_floats(target), _floats(source)) for target, source in modules]
        self._counts = [
            (t, s)
            for target, source in modules
            for t, s in zip(target.buffers(), source.buffers(), strict=True)
            if not t.is_floating_point()
        ]

    def half_life_at(self, nimg: int) -> float:
        """The half-life in images after ``nimg`` images."""
        own = self.gan.average_kimg()
        if own is not None:
            return own * 1000
        return self.half_life if self.ramp is None else min(self.half_life, nimg * self.ramp)

    def due(self, step: int, nimg: int) -> bool:
        """Whether the EMA is updated after this step: every 16 steps, more often while the half-life is short."""
        steps = int(self.half_life_at(nimg) / (PART * self._per_step))
        return step % max(1, min(steps, MOST_STEPS)) == 0

    def weight(self, nimg: int) -> float:
        """The weight of the present weights in an update after ``nimg`` images; 0 if no image came since the last one."""
        since = nimg - self.updated_at
        return 1 - 0.5 ** (since / max(self.half_life_at(nimg), 1e-5)) if since else 0.0

    @torch.no_grad()
    def update(self, nimg: int, bad: Tensor | None = None) -> None:
        """Move the EMA towards the present weights.

        Args:
            nimg: Images drawn so far.
            bad: 0-d flag on the device; where it is 1, the EMA stays. None: it always moves.
        """
        weight = self.weight(nimg)
        self.updated_at = nimg
        if weight:
            self._move(weight if bad is None else weight * (1 - bad))

    @contextlib.contextmanager
    def current(self, nimg: int) -> Iterator[None]:
        """Inside, the EMA includes the steps since its last update; afterwards it is as before, so resume stays exact."""
        if not self.weight(nimg):
            yield
            return
        saved = [(t, t.clone()) for targets, _ in self._pairs for t in targets]
        with torch.no_grad():
            self._move(self.weight(nimg))
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in saved:
                    tensor.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged tensors, by their names in the model."""
        prefixes = tuple(f"{name}." for name in self.gan.averaged)
        return {name: t for name, t in self.model.state_dict().items() if prefixes and name.startswith(prefixes)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` returned.

        Raises:
            BadInput: If names are missing or unknown.
        """
        result = self.model.load_state_dict(dict(tensors), strict=False)
        prefixes = tuple(f"{name}." for name in self.gan.averaged)
        missing = [name for name in result.missing_keys if prefixes and name.startswith(prefixes)]
        if result.unexpected_keys or missing:
            raise BadInput("the checkpoint's EMA does not fit the model: was its config changed?")

    def _move(self, weight: float | Tensor) -> None:
        for targets, sources in self._pairs:
            if isinstance(weight, float):
                torch._foreach_lerp_(targets, sources, weight)
                continue
            for target, source in zip(targets, sources, strict=True):
                target.lerp_(source, weight)
        for target, source in self._counts:
            target.copy_(source)


def average_of(gan: GAN) -> GAN:
    """A copy of the model with its own ``averaged`` children; all other children are shared."""
    shared = {id(child): child for name, child in gan.named_children() if name not in gan.averaged}
    model: GAN = copy.deepcopy(gan, dict(shared))
    for name in gan.averaged:
        optimizers.find(model, name).eval().requires_grad_(False)
    return model


def images_per_update(gan: GAN, phases: Sequence[Phase]) -> tuple[float, float]:
    """Real images drawn per update of the averaged networks, and per step, in the last window of the phases."""
    last = max(phase.kimg[0] for phase in phases)
    active = [p for p in phases if p.kimg[0] <= last < p.kimg[1] and p.lazy == 1]
    batch = float(getattr(gan.cfg, "batch_size", 64) or 64)
    per_step = batch * (1 + sum(p.repeat - 1 for p in active))  # each phase begins with the step's first batch
    names = {net.split(".")[0] for net in gan.averaged}
    updates = [p.repeat for p in active if names & {net.split(".")[0] for net in p.net.split()}]
    return per_step / max([*updates, 1]), per_step


def with_pending(tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The EMA of a checkpoint, including the steps between its last update and the save.

    Args:
        tensors: The checkpoint's tensors "gan" and "ema".
        state: The checkpoint's numbers; "ema_pending" is the weight of the update still to be made.

    Returns:
        Tensors by their names in the model.
    """
    weight = float(state.get("ema_pending", 0.0))
    if not weight:
        return dict(tensors["ema"])
    gan = tensors["gan"]
    return {
        name: torch.lerp(mean, gan[name], weight) if mean.is_floating_point() else gan[name]
        for name, mean in tensors["ema"].items()
    }


def _floats(module: nn.Module) -> list[Tensor]:
    tensors: list[Tensor] = [p.detach() for p in module.parameters()]
    return tensors + [b for b in module.buffers() if b.is_floating_point()]
