"""From a phase's optimizer description to a torch optimizer, and its pace under lazy regularisation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, SGD, Adam, Opt, Phase, RMSprop, net_names

OptKey = tuple[str, Opt, tuple[float, float]]


def resolve(gan: GAN, phase: Phase) -> Opt:
    """The phase's optimizer, or the config's for its first network."""
    if phase.opt is not None:
        return phase.opt
    name = "d_opt" if phase.net.startswith("D") else "g_opt"
    opt = getattr(gan.cfg, name, None)
    if not isinstance(opt, Adam | RMSprop | SGD):
        raise BadInput(f'phase "{phase.net}" names no optimizer and the config has no {name}: give one of them')
    return opt


def find(gan: GAN, dotted: str) -> nn.Module:
    """The child of ``gan`` that a phase names."""
    try:
        return gan.get_submodule(dotted)
    except AttributeError:
        raise BadInput(f'a phase trains "{dotted}", but {type(gan).__name__} has no such network') from None


def named_parameters(gan: GAN, phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """All parameters that a phase updates, by their full name, each once; frozen ones are left out."""
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for net in net_names(phase):
        for name, parameter in find(gan, net).named_parameters():
            found.setdefault(id(parameter), (f"{net}.{name}", parameter))
    return [(name, parameter) for name, parameter in found.values() if name not in gan.frozen]


def pace(phases: Sequence[Phase]) -> float:
    """Factor on the learning rate (and power of the betas) of an optimizer that also takes lazy steps.

    The optimizer steps oftener than once a step, so each of its steps is shortened by main / (main + sum 1 / lazy)
    (Karras et al. 2019, arXiv:1912.04958, appendix B, for any number of lazy phases). 1 without an every-step phase.
    """
    main = sum(phase.repeat for phase in phases if phase.lazy == 1)
    lazy = sum(phase.repeat / phase.lazy for phase in phases if phase.lazy > 1)
    return main / (main + lazy) if main else 1.0


def norm(grads: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients as one vector (0-d); on a CPU by dot products, in half the time of torch's reduction."""
    if all(g.is_cpu and g.dtype == torch.float32 and g.is_contiguous() for g in grads):
        return torch.stack([torch.dot(v, v) for v in (g.view(-1) for g in grads)]).sum().sqrt()
    return torch.nn.utils.get_total_norm(grads)


def gain(phase: Phase, phases: Sequence[Phase]) -> float:
    """Factor on a lazy phase's loss, so that its mean strength is that of a phase run each step."""
    return float(phase.lazy) if any(other.lazy == 1 for other in phases) else 1.0


def base_lr(opt: Opt, name: str) -> float:
    """The learning rate of one parameter before schedule and pace."""
    for prefix, factor in opt.groups:
        if in_group(name, prefix):
            return opt.lr * factor
    return opt.lr


def in_group(name: str, prefix: str) -> bool:
    """Whether a parameter belongs to a group: its name begins so, with or without its network's."""
    return name.startswith(prefix) or name.split(".", 1)[-1].startswith(prefix)


class FusedAdam(torch.optim.Adam):
    """torch's fused Adam with a second way to take the same step, ``update``, that gathers nothing anew.

    ``Adam.step`` collects parameters, moments and options in Python each time, which costs a small network 2 % of its
    step. ``update`` keeps the lists and calls torch's functional ``adam`` on them: the same kernel, the same bits.
    """

    _lists: list[tuple[dict[str, Any], list[nn.Parameter], list[list[Tensor]]]] | None = None

    def update(self, refuse: Tensor | None) -> None:
        """One step, unless the flag (0-d, 1.0 = refuse) says no; the flag is read on the device."""
        lists = self._lists or []
        grads = [[p.grad for p in params] for _, params, _ in lists]
        if not lists or any(grad is None for some in grads for grad in some):
            self.grad_scale, self.found_inf = None, refuse
            self.step()
            self._lists = self._gather()
            return
        with torch.no_grad():
            for (group, params, (means, squares, steps)), some in zip(lists, grads, strict=True):
                adam(
                    params,  # type: ignore[arg-type]
                    some,  # type: ignore[arg-type]
                    means,
                    squares,
                    [],
                    steps,
                    foreach=False,
                    fused=True,
                    found_inf=refuse,
                    amsgrad=False,
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    lr=group["lr"],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=False,
                )

    def _gather(self) -> list[tuple[dict[str, Any], list[nn.Parameter], list[list[Tensor]]]] | None:
        """The lists, once every parameter has its moments."""
        if any(p not in self.state for group in self.param_groups for p in group["params"]):
            return None
        names = ("exp_avg", "exp_avg_sq", "step")
        return [
            (group, group["params"], [[self.state[p][name] for p in group["params"]] for name in names])
            for group in self.param_groups
        ]

    def load_state_dict(self, state_dict: Any) -> None:
        """As torch's; the moments are then other tensors."""
        super().load_state_dict(state_dict)
        self._lists = None


def build(opt: Opt, parameters: Sequence[tuple[str, nn.Parameter]], ratio: float) -> torch.optim.Optimizer:
    """A torch optimizer; each group remembers its unscheduled rate as ``base_lr``."""
    by_lr: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters:
        by_lr.setdefault(base_lr(opt, name) * ratio, []).append(parameter)
    groups: list[dict[str, Any]] = [{"params": ps, "lr": lr, "base_lr": lr, "pace": ratio} for lr, ps in by_lr.items()]
    fused = all(p.device.type in ("cpu", "cuda", "mps") for _, p in parameters)
    common: dict[str, Any] = {"lr": opt.lr * ratio, "weight_decay": opt.weight_decay}
    if isinstance(opt, Adam):
        betas = (float(opt.betas[0] ** ratio), float(opt.betas[1] ** ratio))
        kind = FusedAdam if fused else torch.optim.Adam
        return kind(groups, betas=betas, eps=opt.eps, fused=fused, **common)
    if isinstance(opt, RMSprop):
        return torch.optim.RMSprop(groups, alpha=opt.alpha, eps=opt.eps, momentum=opt.momentum, foreach=True, **common)
    return torch.optim.SGD(groups, momentum=opt.momentum, fused=fused, **common)


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat tensors, named by the parameter's place."""
    flat = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                flat[f"{index}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return flat


def load_state_tensors(optimizer: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Put back what ``state_tensors`` gave, in each parameter's own memory layout."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, field = name.split(".", 1)
        parameter = parameters[int(index)]
        # A moment must have its parameter's strides: fused kernels walk both in memory order.
        like = torch.empty_like(parameter) if value.shape == parameter.shape and value.dim() else None
        state.setdefault(int(index), {})[field] = value.clone() if like is None else like.detach().copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def step(optimizer: torch.optim.Optimizer, refuse: Tensor | None) -> None:
    """Take one optimizer step, unless the flag on the device refuses it; a fused optimizer reads the flag itself.

    Args:
        optimizer: A torch optimizer.
        refuse: 0-d float tensor, 1.0 to refuse the step. None: take it.
    """
    if isinstance(optimizer, FusedAdam):
        optimizer.update(refuse)
    elif optimizer.defaults.get("fused"):
        optimizer.grad_scale, optimizer.found_inf = None, refuse  # type: ignore[attr-defined]
        optimizer.step()
    elif refuse is None or not bool(refuse):
        optimizer.step()
