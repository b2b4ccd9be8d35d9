"""Looks a model over before it trains: settings that contradict each other, each with one sentence why and what to change.

``lint(gan, data, cfg)`` knows no recipe by name. It reads modules, config, phases and optimizers, and calls each phase's
loss once on a few samples to hear which losses and penalties it uses. ``ganloom train`` stops at errors and says warnings.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, SGD, Adam
from ganloom.lint.inspect_model import Case, look
from ganloom.losses import LOSSES
from ganloom.nn.layers import MinibatchDiscrimination, MinibatchStddev
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
ONE_CENTRED = {"wgan_gp", "wgan_lp", "dragan"}
MOST_LAZY = 64
"""StyleGAN2 takes its penalties each 16th and 8th step; the gain is as large as the interval."""
FLAT = 0.2
"""Share of values at the ends of the range from which on grounds are flat (Fashion-MNIST: a half)."""
FASTEST = {SGD: 1.0}
"""Largest sensible learning rate by optimizer; of the others, which move a weight by about the rate, 0.02."""


class Finding(NamedTuple):
    """``level`` "error" (it cannot work) or "warning"; ``rule`` is the rule's name in the docs."""

    rule: str
    level: str
    text: str


Rule = Callable[[Case], Iterator[tuple[str, str]]]


def bounded_logits(case: Case) -> Iterator[tuple[str, str]]:
    """D ends in a sigmoid, tanh or softmax, but the losses take logits: hinge never passes its margin, logs saturate."""
    sure = [loss for name, loss in LOSSES.items() if name != "least_squares"]
    level = "error" if any(loss in sure for side, loss in case.losses if side == "d") else "warning"
    for name in sorted(case.bounded):
        yield level, f"D ends in a {name}, and its loss takes logits without bounds: take the {name} out of D"


def normed_critic(case: Case) -> Iterator[tuple[str, str]]:
    """BatchNorm in D under a gradient penalty: a sample's gradient then runs through its neighbours too."""
    if (case.penalties or case.differentiated) and case.has("D", *BATCH_NORMS):
        name = case.penalties[0] if case.penalties else "a gradient penalty"
        yield (
            "warning",
            (
                f"D has BatchNorm and is under {name}, which is on each sample's own gradient: leave the norm out of D, or put "
                "layer or instance norm there (Gulrajani et al. 2017, sec. 4)"
            ),
        )


def statistics_of_parts(case: Case) -> Iterator[tuple[str, str]]:
    """Statistics over samples (packs, groups of the standard deviation, minibatch discrimination, BatchNorm) that the
    micro-batch, or the batch, does not hold."""
    parts, n = case.parts, case.part
    what = "--micro-batch" if n < case.batch else "--batch-size"
    if not n:
        return
    if parts.pack > 1 and (n % parts.pack or case.batch % parts.pack):
        yield "error", f"--pack {parts.pack} needs batches that are multiples of it: {what} is {n}"
    groups = {m.group for m in case.gan.modules() if isinstance(m, MinibatchStddev)}
    for group in sorted(g for g in groups if (n // parts.pack) % g):
        yield (
            "warning",
            (
                f"D's standard deviation is over groups of {group} samples, and {what} {n} is no multiple of it: it will be over "
                f"{math.gcd(n // parts.pack, group)}; give a multiple of {group}"
            ),
        )
    if n < case.batch and case.has("D", MinibatchDiscrimination):
        yield (
            "warning",
            f"minibatch discrimination will compare {n} samples and not {case.batch}: leave --micro-batch out",
        )
    latents = case.gan.conditions_on != "images"  # one image's own pixels are statistics enough, pix2pix lives by it
    if n == 1 and latents and (case.has("G", *BATCH_NORMS) or case.has("D", *BATCH_NORMS)):
        yield "warning", f"BatchNorm over one sample forgets what the sample is: give a {what} above 1"


def clipped_and_penalised(case: Case) -> Iterator[tuple[str, str]]:
    """Weight clipping together with a gradient penalty: two bounds on one slope, and small weights cannot reach a slope of 1."""
    if case.clips and (case.penalties or case.differentiated):
        yield (
            "warning",
            "weights are clipped and the gradient is penalised too, two bounds that fight: keep one of them",
        )


def clipped_and_normed(case: Case) -> Iterator[tuple[str, str]]:
    """Weight clipping under spectral norm: each layer is divided by its norm, however small the clipped weights are."""
    if case.clips and case.spectral:
        yield "warning", "D has spectral norm, which undoes what clipping its weights does: keep one of them"


def spectral_and_one_centred(case: Case) -> Iterator[tuple[str, str]]:
    """Spectral norm in D with a penalty that draws the gradient's norm to 1: the norm already bounds the slope."""
    for name in sorted(ONE_CENTRED & set(case.penalties)):
        if case.spectral:
            yield (
                "warning",
                (
                    f"D has spectral norm, which bounds its slope, and {name} draws the slope to 1: one of them is enough, "
                    "or take a zero-centred penalty (r1)"
                ),
            )


def penalised_twice(case: Case) -> Iterator[tuple[str, str]]:
    """--penalty asks for a penalty that the recipe has already."""
    name = case.parts.penalty
    if case.penalties.count(name) > 1:
        yield (
            "warning",
            f"--penalty {name} is added to the {name} that the recipe has: change the recipe's weight instead",
        )


def momentum_and_clipping(case: Case) -> Iterator[tuple[str, str]]:
    """Adam with beta1 of 0.5 or more for a clipped critic: WGAN's authors found momentum unstable there."""
    for opt in _optimizers(case, "D"):
        if case.clips and isinstance(opt, Adam) and opt.betas[0] >= 0.5:
            yield (
                "warning",
                (
                    f"D's weights are clipped and its Adam has beta1 {opt.betas[0]:g}: momentum makes that unstable "
                    "(Arjovsky et al. 2017, sec. 4), take RMSprop or beta1 0"
                ),
            )
            return


def never_begins(case: Case) -> Iterator[tuple[str, str]]:
    """A stage whose window begins after the run's end."""
    total = case.cfg.total_kimg
    late = sorted(p.kimg[0] for p in case.phases if total is not None and p.kimg[0] >= total)
    if late:
        yield (
            "warning",
            (
                f"the run ends at {total:g} kimg, and stages that begin from {late[0]:g} to {late[-1]:g} kimg never train: give "
                "--total-kimg more, or shorten the stages"
            ),
        )


def schedule_outlasts(case: Case) -> Iterator[tuple[str, str]]:
    """Instance noise or top-k whose schedule ends after the run."""
    total, parts = case.cfg.total_kimg, case.parts
    if total is None:
        return
    if parts.instance_noise and parts.noise_kimg > total:
        left = parts.noise(total)
        yield (
            "warning",
            (
                f"--noise-kimg {parts.noise_kimg:g} is beyond the run's end at {total:g} kimg, so D never sees images as they "
                f"are (noise {left:.3g} is left): give less"
            ),
        )
    if parts.top_k < 1 and parts.top_k_kimg > total:
        yield "warning", f"--top-k-kimg {parts.top_k_kimg:g} is beyond the run's end at {total:g} kimg: give less"


def loud_noise(case: Case) -> Iterator[tuple[str, str]]:
    """Instance noise louder than the images."""
    if case.parts.instance_noise > 1:
        yield "warning", f"--instance-noise {case.parts.instance_noise:g} drowns images in [-1, 1]: 0.1 is usual"


def rare_penalty(case: Case) -> Iterator[tuple[str, str]]:
    """A lazy regulariser taken so rarely that its gain makes single steps violent."""
    for phase in case.phases:
        same = [p for p in case.phases if (p.net, p.opt, p.kimg) == (phase.net, phase.opt, phase.kimg)]
        if phase.lazy > MOST_LAZY and optimizers.gain(phase, same) > 1:
            yield (
                "warning",
                (
                    f'the regulariser of "{phase.net}" comes each {phase.lazy}th step with {phase.lazy} times its weight: '
                    "take it at least each 16th or so (--lazy)"
                ),
            )


def batch_beyond_data(case: Case) -> Iterator[tuple[str, str]]:
    """A batch that is larger than the data set shows each image several times in one step."""
    if case.images is not None and case.batch > case.images:
        yield (
            "warning",
            f"a batch of {case.batch} is larger than the data set of {case.images}: give a smaller --batch-size",
        )


def fast_optimizer(case: Case) -> Iterator[tuple[str, str]]:
    """A learning rate far beyond what GANs stand."""
    for net in ("G", "D"):
        for opt in _optimizers(case, net):
            most = FASTEST.get(type(opt), 0.02)
            if opt.lr > most:
                yield (
                    "warning",
                    (
                        f"the learning rate of {net} is {opt.lr:g} with {type(opt).__name__}, above {most:g}: GANs take 1e-4 to "
                        f"2e-3, so give --{net.lower()}-opt.lr less"
                    ),
                )
                break


def one_sided_flip(case: Case) -> Iterator[tuple[str, str]]:
    """Flips in DiffAugment leak: D cannot tell a mirrored fake, so G may draw text and faces mirrored."""
    policy = (*case.parts.diff_augment, *getattr(case.gan.cfg, "policy", ()))
    if "flip" in policy and not case.flipped:
        yield (
            "warning",
            (
                "D sees images mirrored at random and the data are not, so G may make mirrored ones: add --flip if left and "
                "right mean the same, or leave flip out of the augmentation"
            ),
        )


def flat_grounds(case: Case) -> Iterator[tuple[str, str]]:
    """Images with flat black or white grounds for a G without bounds, which can only meet them by exact sums."""
    if case.flat > FLAT and getattr(case.gan.cfg, "tanh", True) is False:
        yield (
            "warning",
            (
                f"{100 * case.flat:.0f} % of the images' values are exactly black or white and G has no bounds, so D tells "
                "fakes by their grounds for long: add --tanh"
            ),
        )


def few_for_top_k(case: Case) -> Iterator[tuple[str, str]]:
    """Top-k of a batch in which there is nothing to choose."""
    if case.parts.top_k < 1 and case.part and (case.part * case.parts.top_k < 1 or case.part == 1):
        yield (
            "error",
            f"--top-k {case.parts.top_k:g} of {case.part} sample leaves nothing to choose: give larger batches",
        )


def idle_settings(case: Case) -> Iterator[tuple[str, str]]:
    """A setting of a stabiliser that is off."""
    for name, part in case.parts.idle():
        yield (
            "warning",
            f"--{name.replace('_', '-')} says more about --{part.replace('_', '-')}, which is off: it does nothing",
        )


def parts_without_a_place(case: Case) -> Iterator[tuple[str, str]]:
    """A stabiliser that the recipe's losses refuse or give no chance to act, such as LeCam on an energy."""
    if case.fault:
        yield "error", case.fault


def losses_not_run(case: Case) -> Iterator[tuple[str, str]]:
    """The losses could not be run on a few samples, so that the rules on losses and penalties know nothing."""
    if case.failure:
        yield (
            "warning",
            f"{case.failure}: settings of the losses are not checked, and training may fail in the same way",
        )


RULES: tuple[Rule, ...] = (
    bounded_logits, normed_critic, statistics_of_parts, clipped_and_penalised, clipped_and_normed, spectral_and_one_centred,
    penalised_twice, momentum_and_clipping, never_begins, schedule_outlasts, loud_noise, rare_penalty, batch_beyond_data,
    fast_optimizer, one_sided_flip, flat_grounds, few_for_top_k, idle_settings, parts_without_a_place,
    losses_not_run,
)  # fmt: skip


def lint(gan: GAN, data: Any = None, cfg: TrainConfig | None = None) -> list[Finding]:
    """What is wrong with training ``gan`` on ``data`` so; without data the losses are not looked into."""
    case = Case(gan, gan.phases(), cfg or TrainConfig())
    if data is not None:
        case.images = len(data) if hasattr(data, "__len__") else None
        case.flipped = bool(getattr(data, "flip", False))
        look(case, data)
    return [Finding(rule.__name__, level, text) for rule in RULES for level, text in rule(case)]


def refuse(findings: list[Finding]) -> list[str]:
    """The warnings' texts; BadInput with the first error."""
    for finding in findings:
        if finding.level == "error":
            raise BadInput(finding.text)
    return [finding.text for finding in findings]


def _optimizers(case: Case, net: str) -> list[Any]:
    """The optimizers of a network's phases, those that cannot be found left to the Trainer's own complaint."""
    found = []
    for phase in case.phases:
        if phase.net.startswith(net):
            try:
                found.append(optimizers.resolve(case.gan, phase))
            except BadInput:
                continue
    return found
