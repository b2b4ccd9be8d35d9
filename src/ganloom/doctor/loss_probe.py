"""Compute the losses of D and G once on a batch, and measure what they do with D's logits, inputs, labels and latents.

The calls of the losses are noted by ``GAN.discriminate`` and ``GAN.generated`` (``scoring.Trace``). A model of a user's class
that calls its networks directly gives no notes; then only the gradients are measured. Without notes of G's calls in either
loss, D's calls with generated samples cannot be told from those with real ones, and are left out too. Nothing is updated.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.core import randomness
from ganloom.doctor import caption_probe
from ganloom.doctor.queries import Refused
from ganloom.doctor.two_samples import energy_distance
from ganloom.scoring import Generated, Scores, Trace

ROWS = 64
"""Most rows of the batch."""
SAME = 1e-4
"""Two batches are the same if they differ by less (root mean square)."""
PER_SIDE = ("_uses_", "_sign_", "_against_")
"""Parts of the names of figures about D's scores of reals or of fakes alone."""
Figures = dict[str, float]


@dataclass
class Calls:
    """What one phase's loss called, each call sorted by what it was given."""

    batch: Any
    expected: Tensor
    """The real data that D should get."""
    terms: dict[str, Tensor]
    made: list[tuple[Generated, tuple[Any, ...]]]
    """Generated samples, and the inputs of G beside z."""
    real: list[Scores] = field(default_factory=list)
    fake: list[tuple[Scores, Generated, tuple[Any, ...]]] = field(default_factory=list)
    """D's scores of fakes, with the samples they come from and the inputs that G got."""

    @property
    def total(self) -> Tensor | None:
        """The sum of the terms with a gradient."""
        graded = [value for value in self.terms.values() if value.requires_grad]
        return torch.stack([value.reshape(()) for value in graded]).sum() if graded else None


def measure(trainer: Any, seed: int, refused: Refused) -> Figures:
    """Return the figures of one evaluation of D's and of G's loss; random states and buffers are the caller's to restore."""
    figures: Figures = {}
    calls: dict[str, Calls] = {}
    for i, net in enumerate("DG"):
        phase = next(((k, p) for k, p in trainer.active if p.lazy == 1 and p.net.split()[0].split(".")[0] == net), None)
        if phase is None:
            continue
        with _kept(trainer.gan), torch.enable_grad(), _trainable(trainer.windows.parameters[phase[0]]) as parameters:
            randomness.seed_all(randomness.key(seed, "doctor", trainer.step, net))
            found = refused.unless(f"{net}'s loss", lambda p=phase[1], i=i: _calls(trainer, p, seed, i))  # type: ignore[misc]
            if found is None:
                continue
            calls[net] = found
            figures |= _gradients(net, found, parameters)
    # Without a note of G's call it is unknown which of D's inputs are fakes. D's loss may have none by a fault, G's cannot.
    told = any(found.made for found in calls.values())
    unknown = [net for net, found in calls.items() if not found.made and (net == "G" or not told)]
    figures = {name: v for name, v in figures.items() if name[0] not in unknown or not any(p in name for p in PER_SIDE)}
    if told and trainer.gan.conditions_on == "captions":
        figures |= caption_probe.inputs(trainer.gan, calls)
    return figures | _inputs(calls) if told else figures


def _calls(trainer: Any, phase: Any, seed: int, i: int) -> Calls:
    """Compute a phase's loss and sort D's calls into those of reals and of fakes."""
    gan, data = trainer.gan, trainer.data
    # Other images and labels at each probe, so that what is particular to one batch is not found twice.
    draw = 7 + i + 2 * trainer.step
    batch = gan.draw(data, randomness.Rng(seed, draw, draw * max(1, len(data) // 16)))
    rows = len(batch[0])
    if rows > ROWS and gan.stabilisers is None:
        batch = type(batch)(*(None if v is None else v[:ROWS] for v in batch))
    expected = gan.reals(batch)
    trace = gan.trace = Trace()
    try:
        terms = gan.loss_terms(phase, batch)
    finally:
        gan.trace = None
    found = Calls(batch, expected, terms, trace.generated)
    for scores in trace.scored:
        if scores.x.requires_grad and scores.x.is_leaf:
            continue  # a penalty's call
        source = _source(scores, trace.generated, expected)
        if source is not None:
            found.fake.append((scores, *source))
        elif scores.x.shape == expected.shape:
            found.real.append(scores)
    return found


def _source(scores: Scores, made: Sequence[Any], real: Tensor) -> tuple[Generated, tuple[Any, ...]] | None:
    """Return the generated samples that a call of D was given, None for real data.

    Stabilisers and faults change samples after G, so the nearer of the two, generated or real, counts.
    """
    x = scores.x.detach()
    same = [(_gap(x, g.x), j) for j, (g, _) in enumerate(made) if g.x.shape == x.shape]
    if not same:
        return None
    gap, j = min(same)
    if scores.source is None and x.shape == real.shape and _gap(x, real) <= gap:
        return None
    source: tuple[Generated, tuple[Any, ...]] = made[j]
    return source


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a.detach() - b.detach()).float().square().mean().sqrt())


def _gradients(net: str, calls: Calls, parameters: list[Tensor]) -> Figures:
    """Measure the signs of the loss's slopes at D's logits, and the share of the terms that do not come from D's logits."""
    total, figures = calls.total, Figures()
    if total is None:
        return {f"{net}_grad": 0.0}
    sides: dict[str, list[Scores]] = {"real": calls.real, "fake": [scores for scores, _, _ in calls.fake]}
    others = [v.reshape(()) for name, v in calls.terms.items() if v.requires_grad and not name.startswith("adv")]
    adversarial = [v.reshape(()) for name, v in calls.terms.items() if v.requires_grad and name.startswith("adv")]
    if others and adversarial:
        own = _norm(
            torch.autograd.grad(torch.stack(adversarial).sum(), parameters, retain_graph=True, allow_unused=True)
        )
        other = _norm(torch.autograd.grad(torch.stack(others).sum(), parameters, retain_graph=True, allow_unused=True))
        figures[f"{net}_other_grad"] = other / own if own > 0 else math.inf
    known = bool(calls.real or calls.fake)
    if net == "D" and known:
        figures["D_bounded"] = float(any(_is_bounded(s.first) for s in [*calls.real, *sides["fake"]]))
    for side, scores in sides.items():
        if net == "G" and side == "real":
            continue
        slopes = _slopes(torch.stack(adversarial).sum() if adversarial else total, scores)
        if known:
            figures[f"{net}_uses_{side}"] = float(slopes is not None)
        if slopes is not None and slopes.numel():
            figures[f"{net}_sign_{side}"] = float(slopes.sign().mean())
            if net == "D":  # a descent step raises the logits of reals and lowers those of fakes
                against = slopes > 0 if side == "real" else slopes < 0
                figures[f"D_against_{side}"] = float(against.float().mean())
    return figures


BOUNDED = ("Sigmoid", "Tanh", "Pow", "Abs", "Softmax", "Relu", "Hardtanh", "Clamp")
"""Operations whose results have a bound, as torch names their gradients."""
PASSED = (
    "View",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Mul",
    "Div",
    "Add",
    "Sub",
    "Flatten",
    "Unsafe",
    "Alias",
    "Select",
    "Slice",
)
"""Operations behind which a bound can be hidden."""


def _is_bounded(logits: Tensor) -> bool:
    """Return whether the last operation that computed the logits, up to a scale and a shape, is a bounded function."""
    node: Any = logits.grad_fn
    while node is not None:
        name = node.name()
        if name.startswith(BOUNDED):
            return True
        if not name.startswith(PASSED) or not node.next_functions:
            return False
        node = node.next_functions[0][0]
    return False


def _slopes(total: Tensor, scores: list[Scores]) -> Tensor | None:
    """Return the gradient of the loss at the logits, None if the loss does not depend on them."""
    logits = [t for s in scores for t in (s.logits if isinstance(s.logits, tuple) else (s.logits,)) if t.requires_grad]
    if not logits:
        return None
    grads = torch.autograd.grad(total, logits, retain_graph=True, allow_unused=True)
    given = [g.flatten() for g in grads if g is not None]
    return torch.cat(given).float() if given else None


def _norm(grads: Sequence[Tensor | None]) -> float:
    return math.sqrt(sum(float(g.float().square().sum()) for g in grads if g is not None))


def _inputs(calls: dict[str, Calls]) -> Figures:
    """Compare what D was given with the data, with what G made, and with the labels that G was given."""
    figures: Figures = {}
    fakes = [one for found in calls.values() for one in found.fake]
    d = calls.get("D")
    if d is not None and d.real:
        figures["D_real_change"] = max(_gap(s.x, d.expected) for s in d.real)
        c = getattr(d.batch, "c", None)
        if c is not None and d.real[0].inputs:
            figures["c_real_differs"] = _differing(d.real[0].inputs[0], c)
    if fakes:
        figures["D_fake_change"] = max(_gap(s.x, made.x) for s, made, _ in fakes)
        shares = [_differing(s.inputs[0], inputs[0]) for s, _, inputs in fakes if s.inputs and inputs]
        if shares:
            figures["c_fake_differs"] = max(shares)
        kinds = [
            _kinds(inputs[0]) for found in calls.values() if _mixed(found) for _, _, inputs in found.fake if inputs
        ]
        if shares and any(kinds):  # without labels a recipe gives None
            figures["c_fake_kinds"] = float(min(filter(None, kinds)))
    figures |= _latents(calls)
    if "D" in calls and "G" in calls and calls["D"].made and calls["G"].made:
        a, b = (calls[net].made[0][0].x.detach().float().flatten(1).cpu() for net in "DG")
        if a.shape[1:] == b.shape[1:]:
            figures["fakes_gap"] = energy_distance(a, b)
            # Two small batches differ in their labels, and so do the fakes with these labels. The reals show how much.
            reals = (calls[net].expected.detach().float().flatten(1).cpu() for net in "DG")
            figures["reals_gap"] = energy_distance(*reals)
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _kinds(c: Any) -> int:
    """Return the number of different labels; 0 if there are none."""
    return len(torch.unique(c)) if isinstance(c, Tensor) else 0


def _mixed(found: Calls) -> bool:
    """Whether the batch may show several labels: those of the real images are not all equal, or it has none.

    Small batches of data with one large class can have one label by chance, and many recipes give G the labels of the batch.
    """
    return _kinds(getattr(found.batch, "c", None)) != 1


def _differing(a: Any, b: Any) -> float:
    """Return the share of labels that differ, NaN if they are no labels of the same samples."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape or a.is_floating_point():
        return math.nan
    return float((a != b).float().mean())


def _latents(calls: dict[str, Calls]) -> Figures:
    """Measure the size of the latents, and the share that occurs again, in one call of G or in the other network's step."""
    first = [found.made[0][0].z for found in calls.values() if found.made]
    plain = [z.detach().flatten(1).float().cpu() for z in first if isinstance(z, Tensor) and z.is_floating_point()]
    if not plain or any(z.shape[1] != plain[0].shape[1] or not z.numel() for z in plain):
        return {}
    z = torch.cat(plain)
    return {
        "z_repeated": 1 - len(torch.unique(z, dim=0)) / len(z),
        "z_values": float(z.shape[1]),
        "z_trained": z.square().mean().sqrt().item(),
    }


@contextmanager
def _trainable(parameters: list[Any]) -> Iterator[list[Any]]:
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield parameters
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


@contextmanager
def _kept(gan: Any) -> Iterator[None]:
    """Restore the plain values that a loss of a user's class may change, such as a counter or a list."""
    kept = {
        name: copy.deepcopy(value)
        for name, value in vars(gan).items()
        if not name.startswith("_") and isinstance(value, int | float | str | list | dict | set)
    }
    try:
        yield
    finally:
        for name, value in kept.items():
            object.__setattr__(gan, name, value)
