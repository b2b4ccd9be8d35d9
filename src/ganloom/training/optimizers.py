"""Build torch optimizers from the descriptions in phases, and scale their rates for lazy regularisation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, SGD, Adam, Opt, Phase, RMSprop, net_names

OptKey = tuple[str, Opt, tuple[float, float]]


def resolve(gan: GAN, phase: Phase) -> Opt:
    """Return the optimizer description of a phase: its own, or the config's ``d_opt`` or ``g_opt``.

    Raises:
        BadInput: If neither exists.
    """
    if phase.opt is not None:
        return phase.opt
    name = "d_opt" if phase.net.startswith("D") else "g_opt"
    opt = getattr(gan.cfg, name, None)
    if not isinstance(opt, Adam | RMSprop | SGD):
        raise BadInput(f'phase "{phase.net}" names no optimizer, and the config has no {name}. Add one of them')
    return opt


def find(gan: GAN, dotted: str) -> nn.Module:
    """Return the network of ``gan`` with this dotted name.

    Raises:
        BadInput: If there is no such network.
    """
    try:
        return gan.get_submodule(dotted)
    except AttributeError:
        raise BadInput(f'a phase trains "{dotted}", but {type(gan).__name__} has no such network') from None


def named_parameters(gan: GAN, phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """Return (full name, parameter) for all parameters that a phase updates.

    Each parameter is listed once. Frozen ones are left out.
    """
    parameters: dict[int, tuple[str, nn.Parameter]] = {}
    for net in net_names(phase):
        for name, parameter in find(gan, net).named_parameters():
            parameters.setdefault(id(parameter), (f"{net}.{name}", parameter))
    return [(name, parameter) for name, parameter in parameters.values() if name not in gan.frozen]


def pace(phases: Sequence[Phase]) -> float:
    """Compute the factor on the learning rate (and the exponent of the betas) of an optimizer with lazy phases.

    Lazy phases add optimizer steps, so each step is scaled by main / (main + sum 1 / lazy) (Karras et al. 2019,
    arXiv:1912.04958, appendix B, for any number of lazy phases).

    Args:
        phases: All phases that share the optimizer.

    Returns:
        The factor in (0, 1]; 1 if no phase runs every step.
    """
    main = sum(phase.repeat for phase in phases if phase.lazy == 1)
    lazy = sum(phase.repeat / phase.lazy for phase in phases if phase.lazy > 1)
    return main / (main + lazy) if main else 1.0


def norm(grads: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm (0-d) of all gradients as one vector.

    On a CPU it is computed by dot products, which takes half the time of torch's function.
    """
    if all(g.is_cpu and g.dtype == torch.float32 and g.is_contiguous() for g in grads):
        return torch.stack([torch.dot(v, v) for v in (g.view(-1) for g in grads)]).sum().sqrt()
    return torch.nn.utils.get_total_norm(grads)


def gain(phase: Phase, phases: Sequence[Phase]) -> float:
    """Return the factor on the loss of a lazy phase.

    With it, the phase has the same mean strength as if it ran every step. 1 if none of ``phases``, which share the
    optimizer, runs every step.
    """
    return float(phase.lazy) if any(other.lazy == 1 for other in phases) else 1.0


def base_lr(opt: Opt, name: str) -> float:
    """Return the learning rate of the parameter ``name``, without schedule and pace."""
    for prefix, factor in opt.groups:
        if in_group(name, prefix):
            return opt.lr * factor
    return opt.lr


def in_group(name: str, prefix: str) -> bool:
    """Return whether a parameter's name, with or without its network, starts with the group's prefix."""
    return name.startswith(prefix) or name.split(".", 1)[-1].startswith(prefix)


class FusedAdam(torch.optim.Adam):
    """torch's fused Adam with a faster method, ``update``, for the same step.

    ``Adam.step`` collects parameters, moments and options in Python each time, which takes 2 % of the step of a small
    network. ``update`` stores these lists and calls torch's functional ``adam``: same kernel, same result bit for bit.
    """

    _lists: list[tuple[dict[str, Any], list[nn.Parameter], list[list[Tensor]]]] | None = None

    def update(self, refuse: Tensor | None) -> None:
        """Take one step.

        Args:
            refuse: Flag (0-d) that is read on the device; the step is skipped if it is 1.0. None to take the step.
        """
        lists = self._lists or []
        grads = [[p.grad for p in params] for _, params, _ in lists]
        if not lists or any(grad is None for group_grads in grads for grad in group_grads):
            self.grad_scale, self.found_inf = None, refuse
            self.step()
            self._lists = self._gather()
            return
        with torch.no_grad():
            for (group, params, (means, squares, steps)), group_grads in zip(lists, grads, strict=True):
                adam(
                    params,  # type: ignore[arg-type]
                    group_grads,  # type: ignore[arg-type]
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
        """Collect the lists; None until every parameter has moments."""
        if any(p not in self.state for group in self.param_groups for p in group["params"]):
            return None
        names = ("exp_avg", "exp_avg_sq", "step")
        return [
            (group, group["params"], [[self.state[p][name] for p in group["params"]] for name in names])
            for group in self.param_groups
        ]

    def load_state_dict(self, state_dict: Any) -> None:
        """Load a state as torch does, and drop the stored lists because the moments are new tensors."""
        super().load_state_dict(state_dict)
        self._lists = None


def build(opt: Opt, parameters: Sequence[tuple[str, nn.Parameter]], ratio: float) -> torch.optim.Optimizer:
    """Build a torch optimizer.

    Args:
        opt: Description of the optimizer.
        parameters: (name, parameter) pairs.
        ratio: Factor of ``pace`` on the learning rates, and exponent of Adam's betas.

    Returns:
        The optimizer. Each parameter group stores its learning rate without schedule as ``base_lr``.
    """
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
    """Return the state of an optimizer as "INDEX.NAME" -> tensor, by the index of the parameter."""
    flat = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                flat[f"{index}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return flat


def load_state_tensors(optimizer: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Load what ``state_tensors`` returned, in each parameter's memory layout."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, field = name.split(".", 1)
        parameter = parameters[int(index)]
        # A moment must have the strides of its parameter: fused kernels read both in memory order.
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
