"""Every recipe x every stabiliser: it changes what D receives or the terms of a loss, or it is refused with a true reason.

What happens is measured: the inputs of each discriminator, the terms of each phase and the weights are recorded with and
without the stabiliser, from the same seed. There is no third outcome, in which a stabiliser is accepted and does nothing.
"""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganloom import testing
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.lint import rules
from ganloom.recipes import RECIPES
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import ADJUSTS, Stabilise
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

SHAPE = (3, 16, 16)
STABILISERS: dict[str, dict[str, Any]] = {
    "instance_noise": {"instance_noise": 0.5, "noise_kimg": 10.0},
    "diff_augment": {"diff_augment": ("colour", "cutout")},
    "adaptive": {"adaptive": 0.6, "adaptive_kimg": 0.001},
    "label_smoothing": {"label_smoothing": 0.1},
    "pack": {"pack": 2},
    "discrimination": {"discrimination": 4},
    "stddev": {"stddev": 4},
    "spectral_norm": {"spectral_norm": "both"},
    "weight_clip": {"weight_clip": 0.001},
    "orthogonal": {"orthogonal": 0.1},
    "feature_matching": {"feature_matching": 1.0},
    "historical": {"historical": 0.1},
    "cr": {"cr": 10.0},
    "bcr": {"bcr": 10.0},
    "zcr": {"zcr": 5.0},
    "top_k": {"top_k": 0.5, "top_k_kimg": 0.001},
    "lecam": {"lecam": 0.3},
    "penalty": {"penalty": "zero_centred"},
}
VOLUMES = "judges volumes"
REASONS = {
    "instance_noise": ("sees a second one",),
    "diff_augment": ("sees a second one", VOLUMES),
    "adaptive": (VOLUMES, "sees a second one", "gives no meaning", "both augment", "none of ganloom.losses"),
    "label_smoothing": ("needs a loss whose D aims at a target", "none of ganloom.losses"),
    "pack": (
        VOLUMES,
        "a label",
        "a caption",
        "a discriminator for each domain",
        "an image-to-image recipe",
        "more than a logit",
        "sees a second one",
    ),
    "discrimination": ("a linear layer that gives D's logits",),
    "stddev": ("a linear layer that gives D's logits",),
    "spectral_norm": ("is left to normalise", "start at 0"),
    "feature_matching": ("sees a second one", "none of ganloom.losses", "has no layer", "has no reals"),
    "bcr": ("sees a second one", "none of ganloom.losses", VOLUMES),
    "cr": ("none of ganloom.losses", VOLUMES),
    "zcr": ("none of ganloom.losses", "do not go from latents to D unchanged", "sees a second one"),
    "top_k": ("none of ganloom.losses",),
    "lecam": ("none of ganloom.losses",),
    "penalty": ("none of ganloom.losses",),
}
"""What a refusal may say; the tests below check that each reason is true of the recipe."""


@functools.cache
def data(name: str) -> Any:
    return testing.make_data(SHAPE, gan=testing.build(name, SHAPE))


STEPS = {"historical": 2, "lecam": 2, "top_k": 2}
"""Steps after which a stabiliser acts, if not after one: running means and the share of top-k differ from the second on."""


def record(gan: GAN, name: str, steps: int) -> dict[str, Any]:
    """Some steps of training: the inputs of each discriminator, the terms, and the weights afterwards."""
    run = Trainer(gan, data(name), TrainConfig(), ema_kimg=0.05)
    received: list[Tensor] = []
    if gan.stabilisers is not None and gan.parts.adaptive:
        gan.adaptive.p.fill_(1.0)  # as if D had overfitted for long: p is 0 at first
    critics = gan.D.values() if isinstance(gan.D, nn.ModuleDict) else [gan.D]
    for critic in critics:
        critic.register_forward_pre_hook(lambda module, args: received.append(args[0].detach().clone()))
    for _ in range(steps):
        run.train_step()
    weights = torch.cat([p.detach().flatten() for _, p in sorted(gan.named_parameters())])
    return {"received": received, "terms": run.stats.collect(), "weights": weights}


@functools.cache
def plain(name: str, steps: int) -> dict[str, Any]:
    return record(testing.build(name, SHAPE), name, steps)


def differs(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """In what two records differ."""
    same_inputs = len(a["received"]) == len(b["received"]) and all(
        x.shape == y.shape and torch.equal(x, y) for x, y in zip(a["received"], b["received"], strict=True)
    )
    same_weights = a["weights"].shape == b["weights"].shape and torch.equal(a["weights"], b["weights"])
    parts = {"received": same_inputs, "terms": a["terms"] == b["terms"], "weights": same_weights}
    return [part for part, same in parts.items() if not same]


def composed(name: str, part: str) -> GAN:
    """The recipe with one stabiliser, checked as before a training. BadInput: it is refused."""
    gan = compose(testing.build(name, SHAPE), Stabilise(**STABILISERS[part]))
    findings = rules.lint(gan, data(name), TrainConfig())
    assert not [f for f in findings if f.rule == "losses_not_run"], findings
    rules.refuse(findings)
    return gan


def test_every_stabiliser_is_in_the_matrix() -> None:
    import dataclasses

    fields = {field.name for field in dataclasses.fields(Stabilise)} - set(ADJUSTS)
    assert fields == set(STABILISERS)


@pytest.mark.parametrize("part", STABILISERS)
@pytest.mark.parametrize("name", RECIPES)
def test_it_acts_or_is_refused(name: str, part: str) -> None:
    try:
        gan = composed(name, part)
    except BadInput as refusal:
        message = str(refusal)
        assert any(reason in message for reason in REASONS.get(part, ())), f"an unknown reason: {message}"
        assert "\n" not in message and is_true(message, name), f"{name} --{part}: not true of the recipe: {message}"
        return
    steps = STEPS.get(part, 1)
    changed = differs(plain(name, steps), record(gan, name, steps))
    expected = {"instance_noise", "diff_augment", "adaptive", "pack"}
    assert "received" in changed if part in expected else changed, f"{name} accepts --{part}, which changes nothing"
    if part == "adaptive":
        assert float(gan.adaptive.signs[1]) > 0, "p follows D's logits on real images"


def is_true(message: str, name: str) -> bool:
    """Whether the reason of a refusal is true, by what the recipe's own run shows."""
    gan = testing.build(name, SHAPE)
    if VOLUMES in message:
        return any(isinstance(layer, nn.Conv3d) for layer in gan.D.modules())
    if "sees a second one" in message:
        return name in ("pix2pix", "fastgan")  # D(x, input image); D(x, the small copy of x)
    if "gives no meaning" in message or "aims at a target" in message:
        signs = {"least_squares", "wasserstein", "relativistic"}
        return name not in ("dcgan", "gan", "cgan", "default", "acgan", "infogan") and bool(signs)
    if "none of ganloom.losses" in message:
        losses = record_losses(name)
        return ("d" not in losses) if "D's loss" in message else ("g" not in losses)
    if "a linear layer that gives D's logits" in message:
        return not any(isinstance(m, nn.Linear) and m.out_features == 1 for m in gan.D.modules()) or len(
            [n for n, m in gan.D.named_modules() if isinstance(m, nn.Linear) and (n.endswith("out") or m.out_features == 1)]
        ) != 1  # fmt: skip
    if "start at 0" in message:
        return any(not bool(p.any()) for name, p in gan.named_parameters() if name.endswith("weight"))
    if "both augment" in message:
        return getattr(gan, "ada", None) is not None
    if "a discriminator for each domain" in message:
        return isinstance(gan.D, nn.ModuleDict)
    if "a caption" in message:
        return gan.conditions_on == "captions"
    if "a label" in message:
        return bool(getattr(gan.cfg, "n_classes", 0))
    if "do not go from latents to D unchanged" in message:
        return gan.conditions_on == "images" or name in ("fastgan", "projected-gan", "stylegan2", "r3gan")
    return True


@functools.cache
def record_losses(name: str) -> set[str]:
    """Which sides' adversarial losses a recipe calls."""
    case = rules.Case(testing.build(name, SHAPE), testing.build(name, SHAPE).phases(), TrainConfig())
    case.phases = case.gan.phases()
    rules.run_losses(case, data(name))
    return {side for side, _ in case.losses}


@pytest.mark.parametrize("name", ["cyclegan", "unit"])
@pytest.mark.parametrize("part", ["instance_noise", "diff_augment"])
def test_both_discriminators_of_two_domains_receive_changed_images(name: str, part: str) -> None:
    """Their D is a ModuleDict: what acts on it must reach both entries, in D's and in G's loss."""
    gan = composed(name, part)
    batch = gan.draw(data(name), randomness.Rng(0, 0, 0))
    gan.kimg = 0.0
    for phase in gan.phases():
        for side in ("a", "b"):
            received: list[Tensor] = []
            handle = gan.D[side].register_forward_pre_hook(lambda module, args, r=received: r.append(args[0]))
            randomness.seed_all(1)
            gan.loss_terms(phase, batch)
            handle.remove()
            real = batch.y if side == "a" else batch.x
            assert received and not any(torch.equal(x, real) for x in received), f"{phase.net}: D.{side}"


def test_ada_counts_images_and_not_logits() -> None:
    """p moves as fast for a D with 16 logits an image as for one with a single logit."""
    from ganloom.augment.ada import Ada

    one, many = Ada({"flip": 1.0}), Ada({"flip": 1.0})
    for _ in range(4):
        for ada, shape in ((one, (8,)), (many, (8, 16))):
            ada.note(torch.ones(shape))
            ada.move(target=0.6, kimg=1.0)
    assert float(one.p) > 0 and float(many.p) == float(one.p)
