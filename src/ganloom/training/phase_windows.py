"""Which phases are active at the present time, with their optimizers, parameters and loss gains."""

import math

import torch
from torch import nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase, at, net_names
from ganloom.training import optimizers
from ganloom.training.optimizers import OptKey


class PhaseWindows:
    """The phases of a model by the clock.

    A phase is active in its window ``kimg``. When the set of active phases changes, optimizers are built for the new
    phases and dropped for the old ones; networks that no active phase trains are put into eval mode.

    Args:
        gan: The model.
        micro_batch: Samples per backward pass, or None for the whole batch.

    Raises:
        BadInput: If the phases leave a gap in time, name unknown networks or parameters, or do not fit ``micro_batch``.
    """

    def __init__(self, gan: GAN, micro_batch: int | None) -> None:
        self.gan = gan
        self.phases = gan.phases()
        self.active: list[tuple[int, Phase]] = []
        self.optimizers: dict[OptKey, torch.optim.Optimizer] = {}
        self.keys: dict[int, OptKey] = {}
        self.parameters: dict[int, list[nn.Parameter]] = {}
        self.gains: dict[int, float] = {}
        self._window = (0.0, 0.0)
        self._check(micro_batch)

    def set_clock(self, nimg: int) -> bool:
        """Activate the phases for ``nimg`` images drawn. Return True if the set of active phases changed."""
        kimg = nimg / 1000
        if self.active and self._window[0] <= kimg < self._window[1]:
            return False
        edges = [0.0, math.inf, *(edge for phase in self.phases for edge in phase.kimg)]
        self._window = max(e for e in edges if e <= kimg), min(e for e in edges if e > kimg)
        active = [(i, p) for i, p in enumerate(self.phases) if p.kimg[0] <= kimg < p.kimg[1]]
        if not active:
            raise BadInput(f"no phase of {type(self.gan).__name__} is active at {kimg} kimg: its windows leave a gap")
        if active == self.active:
            return False
        self.active = active
        self._enter()
        return True

    def reset(self) -> None:
        """Drop all optimizers; the next ``set_clock`` builds them again."""
        self.optimizers, self.active = {}, []

    def schedule(self, index: int, nimg: int, lr_factor: float) -> None:
        """Set learning rate and beta2 of the phase's optimizer for ``nimg`` images drawn."""
        _, opt, window = self.keys[index]
        beta2 = getattr(opt, "beta2", ())
        if not opt.schedule and not beta2 and lr_factor == 1.0:
            return
        kimg = nimg / 1000 - window[0]
        factor = opt.factor(kimg) * lr_factor
        for group in self.optimizers[self.keys[index]].param_groups:
            group["lr"] = group["base_lr"] * factor
            if beta2:
                group["betas"] = (group["betas"][0], at(beta2, kimg) ** group["pace"])

    def _enter(self) -> None:
        """Build what the active phases need, and set train and eval mode."""
        groups: dict[OptKey, list[Phase]] = {}
        self.keys = {}
        for index, phase in self.active:
            key = (phase.net, optimizers.resolve(self.gan, phase), phase.kimg)
            self.keys[index] = key
            groups.setdefault(key, []).append(phase)
        self.parameters = {i: [p for _, p in optimizers.named_parameters(self.gan, phase)] for i, phase in self.active}
        self.gains = {i: optimizers.gain(phase, groups[self.keys[i]]) for i, phase in self.active}
        self.optimizers = {
            key: self.optimizers.get(key)
            or optimizers.build(key[1], optimizers.named_parameters(self.gan, phases[0]), optimizers.pace(phases))
            for key, phases in groups.items()
        }
        self.gan.eval()
        self.gan.training = True
        for _, phase in self.active:
            for name in net_names(phase):
                optimizers.find(self.gan, name).train()
        _frozen_to_eval(self.gan)

    def _check(self, micro_batch: int | None) -> None:
        if not self.phases:
            raise BadInput(f"{type(self.gan).__name__}.phases() is empty: there is nothing to train")
        edge = 0.0
        for start, end in sorted(p.kimg for p in self.phases):
            if start > edge:
                raise BadInput(f"no phase is active between {edge} and {start} kimg: the windows leave a gap")
            edge = max(edge, end)
        for phase in self.phases:
            optimizers.resolve(self.gan, phase)
            for name in net_names(phase):
                optimizers.find(self.gan, name)
            if not optimizers.named_parameters(self.gan, phase):
                raise BadInput(f'phase "{phase.net}" has nothing left to train: freeze fewer layers with --freeze-d')
        self._check_groups()
        by = self.gan.splits_by
        if micro_batch is not None and by is not None and micro_batch % by:
            raise BadInput(f"--micro-batch must be a multiple of {by} for this recipe, got {micro_batch}")

    def _check_groups(self) -> None:
        """Each parameter group of an optimizer must name at least one parameter."""
        for opt in {optimizers.resolve(self.gan, phase) for phase in self.phases}:
            own = [p for p in self.phases if optimizers.resolve(self.gan, p) == opt]
            names = [name for p in own for name, _ in optimizers.named_parameters(self.gan, p)]
            for prefix, _ in opt.groups:
                if not any(optimizers.in_group(name, prefix) for name in names):
                    raise BadInput(f'opt.groups: no parameter is named "{prefix}...", they begin with {names[0]}')


def letter(phase: Phase) -> str:
    """The first network that a phase trains, such as "D": the prefix of its statistics."""
    return phase.net.split()[0].split(".")[0]


def _frozen_to_eval(gan: GAN) -> None:
    """Put modules whose parameters are all frozen into eval mode, so that their running statistics stay fixed too."""
    for name, module in gan.named_modules() if gan.frozen else ():
        own = [f"{name}.{part}" for part, _ in module.named_parameters()]
        if own and gan.frozen.issuperset(own):
            module.eval()
