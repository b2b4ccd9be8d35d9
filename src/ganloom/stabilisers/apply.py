"""Puts stabilisers on a model of any recipe, without the recipe knowing: ``compose(gan, Stabilise(cr=10.0))``.

A loss of a phase is called inside ``_altered_loss``. There D is hooked (what it sees is augmented, blurred and packed), the
adversarial losses are altered (smoothing, top-k), and what D and the losses were called with is noted; terms that need real
and fake logits are then added with the recipe's own arguments of D. Outside the losses D and G are as they were, so
``generate`` is too. Running quantities are buffers.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganloom import losses, penalties
from ganloom.augment.ada import BGC, Ada
from ganloom.augment.diffaugment import diff_augment
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.gan import GAN, Phase, Terms, net_names
from ganloom.nn.layers import MinibatchDiscrimination
from ganloom.stabilisers.calls import Call, Seen, inputs_of, logits_of, same
from ganloom.stabilisers.config import CONSISTENT, LECAM_DECAY, Stabilise, consistent, matched, packed
from ganloom.stabilisers.modules import Grouped, History, Spread, Widened, last_linear, normalise, packed_d, widen
from ganloom.stabilisers.trace import Heard, listen

SIGNED = ("minimax", "nonsaturating", "hinge")
"""Losses under which D's logits of reals are above 0 and those of fakes below."""
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Composed(GAN):
    """Mixed in before a recipe's class by ``compose``."""

    parts: Stabilise
    lecam_anchors: Tensor
    lecam_sums: Tensor
    lecam_moves: Tensor
    history: History
    adaptive: Ada
    _in_loss = False

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """The recipe's batch; under ``stddev_alike`` samples of a group share a label."""
        return super().draw(Grouped(data, self.parts.stddev) if self._grouped() else data, rng)

    def c(self, n: int) -> Tensor | None:
        """The recipe's labels; in a loss under ``stddev_alike`` in the reals' groups, or D would tell fakes by theirs."""
        c = super().c(n)
        if c is None or not (self._in_loss and self._grouped()):
            return c
        group = math.gcd(n, self.parts.stddev)
        return c[: n // group].repeat(group)

    def _grouped(self) -> bool:
        return bool(self.parts.stddev and self.parts.stddev_alike and getattr(self.cfg, "n_classes", 0))

    def phases(self) -> list[Phase]:
        """The recipe's phases with their losses altered."""
        return [dataclasses.replace(p, loss=functools.partial(self._altered_loss, p)) for p in super().phases()]

    def after_update(self, phase: Phase) -> None:
        """The recipe's, then the running means."""
        super().after_update(phase)
        if self.parts.weight_clip and "D" in _trained(phase):
            penalties.clip_weights_(self.D, self.parts.weight_clip)
        if self.parts.historical:
            self.history.move(self, phase)
        if self.parts.adaptive:
            self.adaptive.move(self.parts.adaptive, self.parts.adaptive_kimg)
        if self.parts.lecam:
            any_seen = (self.lecam_sums[2] > 0).float()  # nothing is asked of the device, so nothing waits for it
            self.lecam_moves.add_(any_seen)
            # The plain mean at first, so that the anchors do not start from nothing.
            rate = any_seen * torch.clamp(1 / self.lecam_moves.clamp_min(1), min=1 - LECAM_DECAY)
            self.lecam_anchors.lerp_(self.lecam_sums[:2] / self.lecam_sums[2].clamp_min(1), rate)
            self.lecam_sums.zero_()

    # ------------------------------------------------------------------------------------------------ inside a loss
    def _altered_loss(self, phase: Phase, batch: Any) -> Terms:
        parts, trained = self.parts, _trained(phase)
        with self._hooked() as seen, listen() as heard:
            with losses.altered(parts.label_smoothing, parts.share(self.kimg)):
                terms, added = dict(phase.loss(batch)), Terms()
            first = {kind: next((h for h in heard if h.kind == kind), None) for kind in "dg"}
            if "D" in trained and first["d"] is not None:
                added |= self._d_terms(seen, first["d"])
            if "G" in trained and first["d"] is not None and parts.feature_matching:
                raise BadInput("--feature-matching compares features of one D, and G of this recipe looks at a D ahead")
            if "G" in trained and first["g"] is not None:
                added |= self._g_terms(seen, first["g"], batch)
            # A lazy regulariser of its own is no second place for what its network's main phase has each step.
            if phase.lazy == 1 or first["d"] is not None or first["g"] is not None:
                if parts.historical:
                    added["historical"] = parts.historical * self.history.away(self, phase)
                if parts.orthogonal and "G" in trained:
                    added["orthogonal"] = parts.orthogonal * penalties.orthogonal(self.G)
        return terms | {name + "_added" * (name in terms): term for name, term in added.items()}

    def _d_terms(self, seen: Seen, heard: Heard) -> Terms:
        parts, terms = self.parts, Terms()
        if parts.adaptive:
            if not any(heard.what is losses.LOSSES[name] for name in SIGNED):
                raise BadInput(
                    "ADA (--adaptive, --augment ada) steers by the sign of D's logits on reals, to which this recipe's "
                    "loss gives no meaning: use --augment diffaugment"
                )
            self.adaptive.note(heard.real)
            terms["adaptive_p"] = self.adaptive.p.clone()
        if not (parts.cr or parts.bcr or parts.zcr or parts.lecam or parts.penalty != "none"):
            return terms
        real, fake = seen.call_of(heard.real), seen.call_of(heard.fake)
        if parts.cr or parts.bcr:
            terms["cr"] = (parts.cr or parts.bcr) * consistent(real.logits, self._again(real, self._moved(real)))
        if parts.bcr:
            terms["bcr"] = parts.bcr * consistent(fake.logits, self._again(fake.alone(), self._moved(fake)))
        if parts.zcr:
            with torch.no_grad():
                near = self._near(seen, fake)
            terms["zcr"] = parts.zcr * consistent(fake.logits, self._again(fake.alone(), near))
        if parts.penalty != "none":
            penalty = penalties.PENALTIES[parts.penalty]
            terms[parts.penalty] = parts.penalty_weight * penalty(functools.partial(self._again, real), real.x, fake.x)
        if parts.lecam:
            a_real, a_fake = self.lecam_anchors.clone()
            drawn = penalties.lecam_of(real.logits, fake.logits, a_real, a_fake)
            terms["lecam"] = parts.lecam * (self.lecam_moves > 0) * drawn  # there are anchors from the second update on
            with torch.no_grad():
                means = torch.stack([real.logits.mean(), fake.logits.mean(), torch.ones_like(a_real)])
                self.lecam_sums.add_(len(real.logits) * means)
        return terms

    def _g_terms(self, seen: Seen, heard: Heard, batch: Any) -> Terms:
        parts, terms = self.parts, Terms()
        if parts.zcr and parts.zcr_g:
            call = seen.call_of(heard.fake)
            terms["zcr_g"] = -parts.zcr_g * consistent(call.x, self._near(seen, call))
        if parts.feature_matching:
            call, head, fake = seen.call_of(heard.fake).alone(), seen.head, seen.features
            if head is None or fake is None or batch.x.shape[1:] != call.x.shape[1:]:
                raise BadInput(
                    "--feature-matching needs a D that sees the images at the data's own size and has a last layer with "
                    "weights: leave it out"
                )
            args = tuple(batch.c if isinstance(a, Tensor) else a for a in call.args)  # the reals' own labels
            with torch.no_grad(), inputs_of(head) as found:
                self.D(batch.x, *args, **call.kwargs)
            terms["feature_matching"] = parts.feature_matching * matched(found[0], fake)
        return terms

    def _again(self, like: Call, x: Tensor) -> Tensor:
        """D's logits of other images, called as it was for ``like``."""
        return logits_of(self.D(x, *like.args, **like.kwargs))

    def _moved(self, call: Call) -> Tensor:
        if call.x.dim() != 4:
            raise BadInput("--cr and --bcr compare moved images, and these data are no images: use --zcr")
        return diff_augment(call.x.detach(), CONSISTENT)

    def _near(self, seen: Seen, fake: Call) -> Tensor:
        """G(z + d), called as it was for these fakes."""
        made = next((call for call in seen.made if same(call.logits, fake.x)), None)
        if made is None:
            raise BadInput(
                "--zcr needs fakes that go from G to D unchanged, and this recipe changes them: leave it out"
            )
        noise = randomness.randn(*made.x.shape, device=made.x.device)
        out: Tensor = self.G(made.x + self.parts.zcr_sd * noise, *made.args, **made.kwargs)
        return out

    # --------------------------------------------------------------------------------------------- what D and G see
    @contextlib.contextmanager
    def _hooked(self) -> Iterator[Seen]:
        """D and G are watched inside. The hooks live no longer than a loss, and stand outside those of autocast."""
        seen, parts = Seen(), self.parts
        handles = [
            self.D.register_forward_pre_hook(functools.partial(self._enter, seen), with_kwargs=True, prepend=True),
            self.D.register_forward_hook(functools.partial(self._leave, seen), with_kwargs=True),
        ]
        if parts.zcr:
            handles.append(self.G.register_forward_hook(seen.note_made, with_kwargs=True))
        if parts.feature_matching:
            layers = [m for m in self.D.modules() if isinstance(m, WEIGHTED)]
            handles += [m.register_forward_pre_hook(seen.note_features) for m in layers]
        self._in_loss = True
        try:
            yield seen
        finally:
            self._in_loss = False
            for handle in handles:
                handle.remove()

    def _enter(self, seen: Seen, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not args:
            raise BadInput("stabilisers need D to be called with the images as its first argument, not by keyword")
        x, parts = args[0], self.parts
        seen.inputs.append((x, args[1:], kwargs))
        sd = parts.noise(self.kimg)
        if not (sd or parts.diff_augment or parts.adaptive or parts.pack > 1):
            return None
        call = Call(x, args[1:], kwargs, x).alone()
        told = [v for v in (*call.args, *call.kwargs.values()) if isinstance(v, Tensor)]
        unread = len(told) == len(call.args) and hasattr(self.cfg, "n_classes")  # a label, for a D built without labels
        if parts.pack > 1 and told and not unread:
            raise BadInput(
                "--pack joins several images to one, and D of this recipe is told something of each: leave it out"
            )
        if parts.adaptive and x.dim() != 4:
            raise BadInput("--adaptive moves and tints images, and these data are none: leave it out")
        x = diff_augment(self.adaptive(x) if parts.adaptive else x, parts.diff_augment)
        x = x + sd * randomness.randn(*x.shape, device=x.device).to(x.dtype) if sd else x
        return (packed(x, parts.pack) if parts.pack > 1 else x, *args[1:]), kwargs

    def _leave(self, seen: Seen, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self.parts.pack > 1 and not isinstance(output, Tensor):
            raise BadInput(
                "--pack joins several images to one, and D of this recipe says more of each image than a logit: "
                "leave it out"
            )
        seen.calls.append(Call(*seen.inputs.pop(), logits_of(output)))


def _trained(phase: Phase) -> set[str]:
    return {name.split(".")[0] for name in net_names(phase)}


# ------------------------------------------------------------------------------------------------------------ composing


def compose(gan: GAN, parts: Stabilise, seed: int = 0) -> GAN:
    """``gan`` itself with the stabilisers on it; to be done before it trains or loads. BadInput where one does not fit."""
    if isinstance(gan, Composed) and parts.on() and gan.parts != parts:
        raise BadInput(f"this model has stabilisers already ({', '.join(gan.parts.on())}): make it anew for other ones")
    if not parts.on() or isinstance(gan, Composed):
        return gan
    if parts.adaptive and getattr(gan, "ada", None) is not None:
        raise BadInput("--adaptive beside the recipe's own ada would move images twice: leave one of them out")
    for name in ("G", "D"):
        if not isinstance(getattr(gan, name, None), nn.Module):
            raise BadInput(f"stabilisers ({parts.on()[0]}) need a model with a network {name}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(randomness.key(seed, "stabilise"))
        _rebuild(gan, parts)
    by = gan.splits_by
    crossing = parts.discrimination or parts.stddev or parts.feature_matching or parts.top_k < 1
    whole = crossing or parts.penalty == "dragan" or by is None  # DRAGAN's noise follows the batch's deviation
    gan.splits_by = None if whole else math.lcm(by or 1, parts.pack)
    kind = type(gan)
    gan.__class__ = type(kind.__name__, (Composed, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    assert isinstance(gan, Composed)
    gan.parts = parts
    if parts.lecam:
        gan.register_buffer("lecam_anchors", torch.zeros(2))
        gan.register_buffer("lecam_sums", torch.zeros(3))  # logits of reals, of fakes, and how many
        gan.register_buffer("lecam_moves", torch.zeros(()))
    if parts.historical:
        gan.history = History(gan)
    if parts.adaptive:
        gan.adaptive = Ada(dict.fromkeys(BGC, 1.0))
    return gan


def parts_of(gan: GAN) -> Stabilise:
    """The stabilisers on a model."""
    return gan.parts if isinstance(gan, Composed) else Stabilise()


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
