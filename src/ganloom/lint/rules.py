"""The lint: rules that check a model, its data and its settings before training.

``lint(gan, data, cfg)`` does not know any recipe by name. It reads modules, config, phases and optimizers, and computes the loss
of each phase once on a few samples to record which losses and penalties it uses. ``ganloom train`` stops at errors and prints
warnings.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, SGD, Adam
from ganloom.lint.inspect_model import BATCH_NORMS, Case, run_losses
from ganloom.losses import LOSSES
from ganloom.nn.layers import MinibatchDiscrimination, MinibatchStddev
from ganloom.stabilisers.config import Stabilise
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig

ONE_CENTRED = {"wgan_gp", "wgan_lp", "dragan"}
MOST_LAZY = 64
"""Largest interval of a lazy regularizer. StyleGAN2 uses 16 and 8 steps. The loss is multiplied by the interval."""
FLAT = 0.2
"""Share of exactly black or white values from which ``flat_grounds`` warns (Fashion-MNIST: a half)."""
FASTEST = {SGD: 1.0}
"""Largest sensible learning rate by optimizer. All others have 0.02, because they change a weight by about the learning rate."""


class Finding(NamedTuple):
    """One result of the lint.

    Attributes:
        rule: Name of the rule.
        level: "error" (training cannot work) or "warning".
        text: One line: what is wrong and what to change.
    """

    rule: str
    level: str
    text: str


Rule = Callable[[Case], Iterator[tuple[str, str]]]


def bounded_logits(case: Case) -> Iterator[tuple[str, str]]:
    """D ends in a sigmoid, tanh or softmax, but the losses need logits.

    With bounded logits a hinge loss never passes its margin, and logarithmic losses saturate.
    """
    need_logits = [loss for name, loss in LOSSES.items() if name != "least_squares"]
    level = "error" if any(loss in need_logits for side, loss in case.losses if side == "d") else "warning"
    for name in sorted(case.bounded):
        yield level, f"D ends in a {name}, but its loss needs unbounded logits. Remove the {name} from D"


def normed_critic(case: Case) -> Iterator[tuple[str, str]]:
    """D has BatchNorm and a gradient penalty, so the gradient of a sample depends on the other samples of the batch."""
    if case.gan.penalises_normed_d:
        return
    if (case.penalties or case.differentiated) and case.has("D", *BATCH_NORMS):
        penalty = f"the gradient penalty {case.penalties[0]}" if case.penalties else "a gradient penalty"
        yield (
            "warning",
            f"D has BatchNorm and {penalty}, which needs independent samples. Remove BatchNorm from D, or use layer or "
            "instance norm there (Gulrajani et al. 2017, sec. 4)",
        )


def statistics_of_parts(case: Case) -> Iterator[tuple[str, str]]:
    """The batch or micro-batch does not fit a layer that uses several samples.

    Such layers are packs, groups of the minibatch standard deviation, minibatch discrimination and BatchNorm.
    """
    pack, n, flag = case.parts.pack, case.micro_batch, case.size_flag
    if not n:
        return
    if pack > 1 and n % pack:
        kind = "micro-batch" if flag == "--micro-batch" else "batch size"
        yield "error", f"--pack {pack} needs a {kind} that is a multiple of {pack}, got {n}. Change {flag}"
    elif pack > 1 and case.batch % pack:
        yield (
            "error",
            f"--pack {pack} needs a batch size that is a multiple of {pack}, got {case.batch}. Change --batch-size",
        )
    groups = {m.group for m in case.gan.modules() if isinstance(m, MinibatchStddev)}
    for group in sorted(g for g in groups if (n // pack) % g):
        yield (
            "warning",
            f"D computes a standard deviation over groups of {group} samples, but {flag} is {n}, so the groups have "
            f"{math.gcd(n // pack, group)}. Set {flag} to a multiple of {group * pack}",
        )
    if n < case.batch and case.has("D", MinibatchDiscrimination):
        yield (
            "warning",
            f"minibatch discrimination compares only the {n} samples of a micro-batch, not the batch of {case.batch}. "
            "Omit --micro-batch",
        )
    from_latents = case.gan.conditions_on != "images"  # in pix2pix, the pixels of one image give enough statistics
    if n == 1 and from_latents and (case.has("G", *BATCH_NORMS) or case.has("D", *BATCH_NORMS)):
        yield "warning", f"BatchNorm over a single sample removes its mean and contrast. Set {flag} above 1"


def lone_samples(case: Case) -> Iterator[tuple[str, str]]:
    """A BatchNorm over vectors gets a single sample, of which no variance can be computed: training would fail."""
    if case.lone is None:
        return
    name, n = case.lone
    samples = "1 sample" if n == 1 else f"{n} samples"
    if case.micro_batch == case.batch:
        size, way = f"--batch-size {n}", "Set --batch-size to at least 2"
    elif n == case.micro_batch:
        size, way = f"--micro-batch {n}", "Set --micro-batch to at least 2"
    else:
        size = f"--micro-batch {case.micro_batch} divides the batch of {case.batch} so that the last part"
        way = "Change --micro-batch or --batch-size so that the last part is larger"
    way = way if case.parts.pack == 1 else f"{way}, or lower --pack {case.parts.pack}"
    yield "error", f"the BatchNorm {name} cannot train on a single value per channel, but {size} has {samples}. {way}"


def clipped_and_penalised(case: Case) -> Iterator[tuple[str, str]]:
    """Weight clipping and a gradient penalty are both on. With small weights, the gradient norm cannot reach 1."""
    if case.clips and (case.penalties or case.differentiated):
        yield (
            "warning",
            f"weight clipping and a gradient penalty are both on; use one{_omit(case, '--weight-clip', '--penalty')}",
        )


def clipped_and_normed(case: Case) -> Iterator[tuple[str, str]]:
    """Weight clipping and spectral norm are both on. Spectral norm divides each weight by its norm, so clipping has no effect."""
    if case.clips and case.spectral:
        yield (
            "warning",
            "D has weight clipping and spectral norm, which cancels the effect of clipping; use one"
            + _omit(case, "--weight-clip", "--spectral-norm"),
        )


def spectral_and_one_centred(case: Case) -> Iterator[tuple[str, str]]:
    """D has spectral norm, which bounds its gradient, and a penalty that moves the gradient norm to 1."""
    for name in sorted(ONE_CENTRED & set(case.penalties)):
        if case.spectral:
            yield (
                "warning",
                f"D has spectral norm, which bounds its gradient, and {name}, which moves the gradient norm to 1; use one"
                f"{_omit(case, '--spectral-norm', '--penalty')}, or a zero-centred penalty such as r1",
            )


def penalised_twice(case: Case) -> Iterator[tuple[str, str]]:
    """--penalty names a penalty that the recipe already has."""
    name = case.parts.penalty
    if case.penalties.count(name) > 1:
        yield (
            "warning",
            f"the recipe already has the penalty {name}, and --penalty {name} adds a second one. "
            "Omit --penalty and change the recipe's weight",
        )


def momentum_and_clipping(case: Case) -> Iterator[tuple[str, str]]:
    """D has weight clipping and Adam with beta1 of 0.5 or more, which the authors of WGAN found unstable."""
    for opt in _optimizers(case, "D"):
        if case.clips and isinstance(opt, Adam) and opt.betas[0] >= 0.5:
            yield (
                "warning",
                f"D has weight clipping and Adam with beta1 {opt.betas[0]:g}, which is unstable (Arjovsky et al. 2017, "
                f"sec. 4). Use RMSprop or beta1 0 (--d-opt.betas 0 {opt.betas[1]:g})",
            )
            return


def never_begins(case: Case) -> Iterator[tuple[str, str]]:
    """A stage starts after the end of the run."""
    total = case.cfg.total_kimg
    late = sorted(p.kimg[0] for p in case.phases if total is not None and p.kimg[0] >= total)
    if late:
        starts = f"{late[0]:g}" if late[0] == late[-1] else f"{late[0]:g} to {late[-1]:g}"
        yield (
            "warning",
            f"the run ends at {total:g} kimg, so the stages that start at {starts} kimg never train. "
            "Increase --total-kimg, or shorten the stages",
        )


def schedule_outlasts(case: Case) -> Iterator[tuple[str, str]]:
    """The schedule of instance noise or top-k ends after the run."""
    total, parts = case.cfg.total_kimg, case.parts
    if total is None:
        return
    if parts.instance_noise and parts.noise_kimg > total:
        yield (
            "warning",
            f"--noise-kimg {parts.noise_kimg:g} is after the end of the run at {total:g} kimg, so D never sees images "
            f"without noise (standard deviation {parts.noise(total):.3g} at the end). Decrease --noise-kimg",
        )
    if parts.top_k < 1 and parts.top_k_kimg > total:
        yield (
            "warning",
            f"--top-k-kimg {parts.top_k_kimg:g} is after the end of the run at {total:g} kimg, so k does not reach its "
            "final value. Decrease --top-k-kimg",
        )


def loud_noise(case: Case) -> Iterator[tuple[str, str]]:
    """Instance noise is stronger than the images."""
    if case.parts.instance_noise > 1:
        yield (
            "warning",
            f"--instance-noise {case.parts.instance_noise:g} is too strong for images in [-1, 1]. Decrease it; 0.1 is usual",
        )


def rare_penalty(case: Case) -> Iterator[tuple[str, str]]:
    """A lazy regularizer runs so rarely that its gain makes single steps too large."""
    for phase in case.phases:
        same = [p for p in case.phases if (p.net, p.opt, p.kimg) == (phase.net, phase.opt, phase.kimg)]
        if phase.lazy > MOST_LAZY and optimizers.gain(phase, same) > 1:
            yield (
                "warning",
                f'the regularizer of "{phase.net}" runs every {phase.lazy} steps with {phase.lazy} times its weight. '
                "Run it more often (--lazy); every 16 steps is usual",
            )


def batch_beyond_data(case: Case) -> Iterator[tuple[str, str]]:
    """The batch is larger than the data set, so each image occurs several times in one step."""
    if case.images is not None and case.batch > case.images:
        yield (
            "warning",
            f"the batch size {case.batch} is larger than the data set ({case.images}). Decrease --batch-size",
        )


def fast_optimizer(case: Case) -> Iterator[tuple[str, str]]:
    """The learning rate is far too large for a GAN."""
    for net in ("G", "D"):
        for opt in _optimizers(case, net):
            most = FASTEST.get(type(opt), 0.02)
            if opt.lr > most:
                yield (
                    "warning",
                    f"the learning rate of {net} is {opt.lr:g} with {type(opt).__name__}, above {most:g}. "
                    f"Decrease --{net.lower()}-opt.lr; 1e-4 to 2e-3 is usual for GANs",
                )
                break


def one_sided_flip(case: Case) -> Iterator[tuple[str, str]]:
    """Flips in DiffAugment leak: D cannot detect a mirrored fake, so G may produce mirrored text and faces."""
    policy = (*case.parts.diff_augment, *getattr(case.gan.cfg, "policy", ()))
    if "flip" in policy and not case.flipped:
        flag = "--diff-augment" if "flip" in case.parts.diff_augment else "--policy"
        yield (
            "warning",
            f"{flag} flips the images that D sees, but the data are not flipped, so G may produce mirrored images. "
            f"Add --flip if mirrored images are valid, or remove flip from {flag}",
        )


def flat_grounds(case: Case) -> Iterator[tuple[str, str]]:
    """The images have exactly black or white backgrounds, which an unbounded G cannot reproduce exactly."""
    if case.flat_share > FLAT and getattr(case.gan.cfg, "tanh", True) is False:
        yield (
            "warning",
            f"{100 * case.flat_share:.0f} % of the image values are exactly black or white, but the output of G is "
            "unbounded, so D can detect fakes by their background for a long time. Add --tanh",
        )


def few_for_top_k(case: Case) -> Iterator[tuple[str, str]]:
    """Top-k has too few samples to choose from."""
    share, n = case.parts.top_k, case.micro_batch
    if share < 1 and n and (n * share < 1 or n == 1):
        samples = "1 sample" if n == 1 else f"{n} samples"
        yield "error", f"--top-k {share:g} needs more than {samples} to choose from. Increase {case.size_flag}"


def idle_settings(case: Case) -> Iterator[tuple[str, str]]:
    """A setting belongs to a stabiliser, a network or a term that is off."""
    for name, part in case.parts.idle():
        flag, owner = (f"--{field.replace('_', '-')}" for field in (name, part))
        yield "warning", f"{flag} has no effect without {owner}. Add {owner}, or omit {flag}"
    without_effect = getattr(case.gan, "settings_without_effect", None)
    for name, owner in () if without_effect is None else without_effect():
        flag = f"--{name.replace('_', '-')}"
        yield "warning", f"{flag} has no effect without {owner}. Add {owner}, or omit {flag}"


def parts_without_a_place(case: Case) -> Iterator[tuple[str, str]]:
    """The recipe's losses reject a stabiliser, or never use it, such as LeCam with an energy as loss."""
    if case.fault:
        yield "error", case.fault


def losses_not_run(case: Case) -> Iterator[tuple[str, str]]:
    """The losses could not be computed on a few samples, so the rules on losses and penalties were not checked."""
    if case.failure:
        yield (
            "warning",
            f"{case.failure}, so the settings of the losses are not checked. Training may fail in the same way",
        )


RULES: tuple[Rule, ...] = (
    bounded_logits, normed_critic, statistics_of_parts, clipped_and_penalised, clipped_and_normed,
    spectral_and_one_centred,
    penalised_twice, momentum_and_clipping, never_begins, schedule_outlasts, loud_noise, rare_penalty, batch_beyond_data,
    fast_optimizer, one_sided_flip, flat_grounds, few_for_top_k, idle_settings, parts_without_a_place,
    lone_samples, losses_not_run,
)  # fmt: skip


def lint(gan: GAN, data: Any = None, cfg: TrainConfig | None = None) -> list[Finding]:
    """Check a model before it trains on data.

    Args:
        gan: The model.
        data: The data. Without data, the losses are not checked.
        cfg: Settings of the training; None for the defaults.

    Returns:
        The findings, in the order of ``RULES``.
    """
    case = Case(gan, gan.phases(), cfg or TrainConfig())
    if data is not None:
        case.images = len(data) if hasattr(data, "__len__") else None
        case.flipped = bool(getattr(data, "flip", False))
        run_losses(case, data)
    return [Finding(rule.__name__, level, text) for rule in RULES for level, text in rule(case)]


def refuse(findings: list[Finding]) -> list[str]:
    """Return the texts of the warnings.

    Raises:
        BadInput: If a finding is an error; the message is the text of the first one.
    """
    for finding in findings:
        if finding.level == "error":
            raise BadInput(finding.text)
    return [finding.text for finding in findings]


def _omit(case: Case, *flags: str) -> str:
    """Name those of the flags that are in use, as what to omit; "" if the recipe itself has both settings."""
    defaults = Stabilise()
    names = {flag: flag.removeprefix("--").replace("-", "_") for flag in flags}
    used = [flag for flag, name in names.items() if getattr(case.parts, name) != getattr(defaults, name)]
    return f" (omit {' or '.join(used)})" if used else ""


def _optimizers(case: Case, net: str) -> list[Any]:
    """Return the optimizers of a network's phases. Missing ones are left out, because the Trainer reports them."""
    resolved = []
    for phase in case.phases:
        if phase.net.startswith(net):
            try:
                resolved.append(optimizers.resolve(case.gan, phase))
            except BadInput:
                continue
    return resolved
