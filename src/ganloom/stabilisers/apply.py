"""Puts stabilisers on a model of any recipe: ``compose(gan, Stabilise(cr=10.0))``.

The model then has ``gan.stabilisers``. Its losses call ``discriminate``, ``d_adversarial`` and ``g_adversarial`` of ``GAN``,
which ask this object what the discriminator receives, how the adversarial loss is changed, and which terms are added. Outside
the losses nothing is changed, so ``generate`` gives the same samples. Running quantities are buffers of the model.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ganloom import penalties
from ganloom.augment.ada import BGC, Ada
from ganloom.augment.diffaugment import diff_augment
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase, Terms, net_names
from ganloom.losses import Loss
from ganloom.nn.layers import MinibatchDiscrimination
from ganloom.scoring import Scores
from ganloom.stabilisers.config import CONSISTENT, LECAM_DECAY, Stabilise, consistent, matched
from ganloom.stabilisers.inputs import DiscriminatorInput
from ganloom.stabilisers.modules import History, Spread, Widened, head_input, last_linear, normalise, packed_d, widen

RECEIVED = ("instance_noise", "diff_augment", "adaptive", "pack")
"""Stabilisers that change what the discriminator receives."""
IN_D_LOSS = ("adaptive", "label_smoothing", "cr", "bcr", "zcr", "lecam", "penalty")
"""Stabilisers that work on D's adversarial loss."""
IN_G_LOSS = ("top_k", "feature_matching")
"""Stabilisers that work on G's adversarial loss."""
SECOND_IMAGE = (
    "--instance-noise, --diff-augment, --adaptive, --pack, --bcr, --zcr and --feature-matching change the image that D sees, "
    "and D of this recipe sees a second one beside it: leave them out"
)


class Stabilisers:
    """The stabilisers of one model; see ``gan.Stabilising`` for the methods that the model calls.

    Args:
        settings: Which stabilisers are on, and how strong.
        recipe: The model's name, for messages.
    """

    def __init__(self, settings: Stabilise, recipe: str) -> None:
        self.settings, self.recipe = settings, recipe
        self.input = DiscriminatorInput(settings)
        self.changes_input = any(name in settings.on() for name in RECEIVED)
        self.pending: list[tuple[str, Callable[[], Terms]]] = []
        """What the loss that runs now has asked for: the end of the terms' names, and how they are computed."""
        self.used: set[str] = set()
        """Which of the model's methods its losses have called: "discriminate", "d_adversarial", "g_adversarial"."""

    # ---- what the discriminator receives
    def receive(self, gan: Any, x: Tensor, inputs: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
        """The batch after ADA, DiffAugment, instance noise and packing."""
        self.used.add("discriminate")
        settings = self.settings
        if not self.changes_input:
            return x
        tensors = [v for v in (*inputs, *options.values()) if isinstance(v, Tensor)]
        if any(v.dim() == x.dim() for v in tensors):
            raise BadInput(SECOND_IMAGE)
        if settings.pack > 1 and tensors and hasattr(gan.cfg, "n_classes") and gan.cfg.n_classes:
            raise BadInput(
                "--pack joins several images to one, and D of this recipe gets a label for each: leave it out"
            )
        if settings.pack > 1 and options:
            raise BadInput(
                "--pack joins several images to one, and D of this recipe returns more than a logit for each image: leave it out"
            )
        received: Tensor = self.input(x, gan.kimg, gan.adaptive if settings.adaptive else None)
        return received

    def call(self, network: nn.Module, call: Callable[[], Any]) -> tuple[Any, Tensor | None]:
        """Call the discriminator; with feature matching, keep the input of its last layer too."""
        if not self.settings.feature_matching:
            return call(), None
        return head_input(network, call)

    # ---- the adversarial losses
    def wrap(self, gan: Any, loss: Loss) -> Loss:
        """The loss with label smoothing and top-k."""
        settings = self.settings
        return loss.with_label_smoothing(settings.label_smoothing).with_top_k(settings.share(gan.kimg))

    def add_d_terms(self, gan: Any, loss: Loss, real: Scores, fake: Scores, end: str) -> None:
        """ADA's strength, consistency terms, the penalty and LeCam, as far as they are on; computed after the loss."""
        self.used.add("d_adversarial")
        self.pending.append((end, lambda: self._d_terms(gan, loss, real, fake)))

    def add_g_terms(self, gan: Any, fake: Scores, reals: tuple[Any, ...] | None, end: str) -> None:
        """The latent consistency term and feature matching, as far as they are on; computed after the loss."""
        self.used.add("g_adversarial")
        self.pending.append((end, lambda: self._g_terms(gan, fake, reals)))

    def _d_terms(self, gan: Any, loss: Loss, real: Scores, fake: Scores) -> Terms:
        settings, terms = self.settings, Terms()
        if settings.adaptive:
            if not loss.signed:
                raise BadInput(
                    "ADA (--adaptive, --augment ada) follows the sign of D's logits on reals, to which this recipe's loss "
                    "gives no meaning: use --augment diffaugment"
                )
            gan.adaptive.note(real.flat)
            terms["adaptive_p"] = gan.adaptive.p.clone()
        if settings.cr or settings.bcr:
            terms["cr"] = (settings.cr or settings.bcr) * consistent(real.flat, real.again(_moved(real.x)))
        if settings.bcr:
            _only_image(fake)
            terms["bcr"] = settings.bcr * consistent(fake.flat, fake.again(_moved(fake.x)))
        if settings.zcr:
            _only_image(fake)
            with torch.no_grad():
                near = self._near(fake)
            terms["zcr"] = settings.zcr * consistent(fake.flat, fake.again(near))
        if settings.penalty != "none":
            penalty = penalties.PENALTIES[settings.penalty]
            if gan.trace is not None:
                gan.trace.penalties.append(settings.penalty)
            terms[settings.penalty] = settings.penalty_weight * penalty(real.again, real.x, fake.x)
        if settings.lecam:
            terms["lecam"] = settings.lecam * self._lecam(gan, real, fake)
        return terms

    def _g_terms(self, gan: Any, fake: Scores, reals: tuple[Any, ...] | None) -> Terms:
        settings, terms = self.settings, Terms()
        if settings.zcr and settings.zcr_g:
            terms["zcr_g"] = -settings.zcr_g * consistent(fake.x, self._near(fake))
        if settings.feature_matching:
            terms["feature_matching"] = settings.feature_matching * self._feature_distance(gan, fake, reals)
        return terms

    def _near(self, fake: Scores) -> Tensor:
        """G(z + d), called as for these fakes."""
        source = fake.source
        if source is None or source.z.dim() != 2 or not source.z.shape[1]:
            raise BadInput(
                "--zcr moves the latents of fakes, and this recipe's fakes do not go from latents to D unchanged: leave it out"
            )
        noise = randomness.randn(*source.z.shape, device=source.z.device)
        near: Tensor = source.again(source.z + self.settings.zcr_sd * noise)
        return near

    def _lecam(self, gan: Any, real: Scores, fake: Scores) -> Tensor:
        """LeCam's regularizer; 0 until the first update has set the anchors."""
        name = _buffer(real.net)
        a_real, a_fake = gan.get_buffer(f"lecam_anchors{name}").clone()
        distance = penalties.lecam_of(real.flat, fake.flat, a_real, a_fake)
        with torch.no_grad():
            means = torch.stack([real.flat.mean(), fake.flat.mean(), torch.ones_like(a_real)])
            gan.get_buffer(f"lecam_sums{name}").add_(len(real.flat) * means)
        weighted: Tensor = (gan.get_buffer(f"lecam_moves{name}") > 0) * distance
        return weighted

    def _feature_distance(self, gan: Any, fake: Scores, reals: tuple[Any, ...] | None) -> Tensor:
        """|E f(x) - E f(G(z))|^2, f the input of D's last layer."""
        _only_image(fake)
        if reals is None:
            raise BadInput(
                "--feature-matching compares D's features of reals and fakes, and this recipe's G loss has no reals"
            )
        x, *inputs = reals
        with torch.no_grad():
            of_reals = gan.discriminate(x, *inputs, net=fake.net).features
        assert of_reals is not None and fake.features is not None
        return matched(of_reals, fake.features)

    # ---- whole phases
    def loss_terms(self, gan: Any, phase: Phase, batch: Any) -> Terms:
        """The phase's terms, those of its adversarial losses, and those on weights (historical, orthogonal)."""
        settings = self.settings
        before, self.used, self.pending = self.used, set(), []
        gan.fake_label_group = gan.label_group
        added = Terms()
        try:
            terms = dict(phase.loss(batch))
            for end, compute in self.pending:
                for name, term in compute().items():  # of equal names, as G's against several discriminators, the sum
                    added[name + end] = added[name + end] + term if name + end in added else term
        finally:
            gan.fake_label_group, self.pending = 1, []
        adversarial = bool(self.used & {"d_adversarial", "g_adversarial"})
        self.used |= before
        if phase.lazy == 1 or adversarial:  # a lazy regularizer of its own is not a second place for these terms
            if settings.historical:
                added["historical"] = settings.historical * gan.history.away(gan, phase)
            if settings.orthogonal and "G" in _trained(phase):
                added["orthogonal"] = settings.orthogonal * penalties.orthogonal(gan.G)
        return terms | {name + "_added" * (name in terms): term for name, term in added.items()}

    def after_update(self, gan: Any, phase: Phase) -> None:
        """Weight clipping and the running means."""
        settings = self.settings
        if settings.weight_clip and "D" in _trained(phase):
            penalties.clip_weights_(gan.D, settings.weight_clip)
        if settings.historical:
            gan.history.move(gan, phase)
        if settings.adaptive:
            gan.adaptive.move(settings.adaptive, settings.adaptive_kimg)
        for name in _d_names(gan) if settings.lecam else ():
            _move_anchors(gan, _buffer(name))

    def check_used(self) -> None:
        """Raise BadInput for a stabiliser that the losses, once they have run, gave no chance to act."""
        reasons = {
            "discriminate": (RECEIVED, "changes what D receives, and the losses of {} do not call self.discriminate"),
            "d_adversarial": (
                IN_D_LOSS,
                "works on logits, and D's loss of {} is none of ganloom.losses (an energy, or its own formula)",
            ),
            "g_adversarial": (
                IN_G_LOSS,
                "works on logits, and G's loss of {} is none of ganloom.losses (an energy, or its own formula)",
            ),
        }
        for method, (names, reason) in reasons.items():
            for name in self.settings.on():
                if name in names and method not in self.used:
                    raise BadInput(f"--{name.replace('_', '-')} {reason.format(self.recipe)}: leave it out")


def compose(gan: GAN, parts: Stabilise, seed: int = 0) -> GAN:
    """Put stabilisers on a model, before it trains or loads weights.

    Args:
        gan: The model; it is changed and returned.
        parts: The stabilisers' settings. With all of them off, the model stays as it is.
        seed: Seed of new layers' weights.

    Raises:
        BadInput: If a stabiliser does not fit the model, or the model has other stabilisers already.
    """
    present = parts_of(gan)
    if present.on():
        if parts.on() and present != parts:
            raise BadInput(
                f"this model has stabilisers already ({', '.join(present.on())}): make a new one for other ones"
            )
        return gan
    if not parts.on():
        return gan
    _check(gan, parts)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(randomness.key(seed, "stabilise"))
        _rebuild(gan, parts)
    by = gan.splits_by
    crossing = parts.discrimination or parts.stddev or parts.feature_matching or parts.top_k < 1
    whole = crossing or parts.penalty == "dragan" or by is None  # DRAGAN's noise follows the batch's deviation
    gan.splits_by = None if whole else math.lcm(by or 1, parts.pack)
    if parts.stddev and parts.stddev_alike and getattr(gan.cfg, "n_classes", 0):
        gan.label_group = parts.stddev
    if parts.lecam:
        for net in _d_names(gan):
            name = _buffer(net)
            gan.register_buffer(f"lecam_anchors{name}", torch.zeros(2))
            gan.register_buffer(f"lecam_sums{name}", torch.zeros(3))  # logits of reals, of fakes, and how many
            gan.register_buffer(f"lecam_moves{name}", torch.zeros(()))
    if parts.historical:
        gan.add_module("history", History(gan))
    if parts.adaptive:
        gan.add_module("adaptive", Ada(dict.fromkeys(BGC, 1.0)))
    gan.parts = parts
    gan.stabilisers = Stabilisers(parts, type(gan).__name__)
    return gan


def parts_of(gan: GAN) -> Stabilise:
    """The settings of a model's stabilisers; all off for a model without any."""
    return gan.stabilisers.settings if isinstance(gan.stabilisers, Stabilisers) else Stabilise()


def _check(gan: GAN, parts: Stabilise) -> None:
    for name in ("G", "D"):
        if not isinstance(getattr(gan, name, None), nn.Module):
            raise BadInput(f"stabilisers ({parts.on()[0]}) need a model with a network {name}")
    if gan.learns == "volumes":
        for name in ("diff_augment", "adaptive", "pack", "cr", "bcr"):
            if name in parts.on():
                raise BadInput(
                    f"--{name.replace('_', '-')} changes images, and D of this recipe judges volumes: leave it out"
                )
    if parts.adaptive and getattr(gan, "ada", None) is not None:
        raise BadInput("--adaptive and the recipe's own ada would both augment: leave one of them out")
    if parts.pack > 1 and isinstance(gan.D, nn.ModuleDict):
        raise BadInput(
            "--pack joins several images to one, and this recipe has a discriminator for each domain: leave it out"
        )


def _rebuild(gan: GAN, parts: Stabilise) -> None:
    if parts.pack > 1:
        gan.D = packed_d(gan, parts.pack)
    if parts.spectral_norm != "none":
        normalise(gan, parts.spectral_norm)
    if parts.discrimination or parts.stddev:
        place, last = last_linear(gan, "--discrimination" if parts.discrimination else "--stddev")
        near: list[nn.Module] = []
        if parts.discrimination:
            near.append(MinibatchDiscrimination(last.in_features, parts.discrimination))
        if parts.stddev:
            if last.in_features % parts.stddev_maps:
                raise BadInput(f"--stddev-maps must divide D's {last.in_features} features, got {parts.stddev_maps}")
            near.append(Spread(parts.stddev, parts.stddev_maps))
        widen(gan, place, Widened(last, near, parts.discrimination + parts.stddev_maps * bool(parts.stddev)))


def _d_names(gan: GAN) -> list[str]:
    """Names of the discriminators: "D", or one for each entry of a ModuleDict."""
    return [f"D.{name}" for name in gan.D] if isinstance(gan.D, nn.ModuleDict) else ["D"]


def _buffer(net: str) -> str:
    """The end of the names of a discriminator's buffers."""
    return net.removeprefix("D").replace(".", "_")


def _trained(phase: Phase) -> set[str]:
    return {name.split(".")[0] for name in net_names(phase)}


def _moved(x: Tensor) -> Tensor:
    """T x of the consistency terms."""
    if x.dim() != 4:
        raise BadInput("--cr and --bcr compare moved images, and these data are points: use --zcr")
    return diff_augment(x.detach(), CONSISTENT)


def _only_image(scores: Scores) -> None:
    if scores.has_second_image:
        raise BadInput(SECOND_IMAGE)


def _move_anchors(gan: GAN, name: str) -> None:
    """Move LeCam's anchors to the mean logits since the last move; nothing waits for the device."""
    anchors, sums = gan.get_buffer(f"lecam_anchors{name}"), gan.get_buffer(f"lecam_sums{name}")
    moves = gan.get_buffer(f"lecam_moves{name}")
    any_seen = (sums[2] > 0).float()
    moves.add_(any_seen)
    # The plain mean at first, so that the anchors do not start from 0.
    rate = any_seen * torch.clamp(1 / moves.clamp_min(1), min=1 - LECAM_DECAY)
    anchors.lerp_(sums[:2] / sums[2].clamp_min(1), rate)
    sums.zero_()
