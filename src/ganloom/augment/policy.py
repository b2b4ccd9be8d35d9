"""The meaning of ``--augment`` for a recipe: none, ada, diffaugment, or auto, which decides by the number of images.

D memorises a small set of images unless it sees each in many variants. The authors of StyleGAN3 recommend augmentation below
30,000 images. DiffAugment helped BigGAN on all of CIFAR-10's 50,000 images, on a fifth and on a tenth of them, more with
fewer images (Zhao et al. 2020, arXiv:2006.10738, table 2). D cannot memorise images that it sees only a few times.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganloom.core.errors import BadInput, did_you_mean

CHOICES = ("auto", "none", "ada", "diffaugment")
MANY = 30000
"""Number of images at or above which augmentation is not needed."""
MEMORISING_EPOCHS = 10.0
"""Number of times that D sees each image before it can memorise it (``doctor.settings.memorising``)."""
POLICY = ("colour", "translation", "cutout")
"""Policy of DiffAugment for few images (Zhao et al. 2020, sec. 4.2 and 4.3)."""
TARGET = 0.6
"""Target of ADA: mean sign of D's logits on reals (Karras et al. 2020, arXiv:2006.06676, sec. 3.1)."""
SHORT_KIMG = 500.0
"""Length in kimg below which a run is too short for all of DiffAugment; it then uses translation alone."""
MILD = ("shift", "scale", "stretch")
"""Transformations of ADA for short runs: they keep orientation, left and right, and colours."""
RISES = 15.0
"""Number of times that ADA's strength could go from 0 to 1 in a short run. From docs/few-images.md."""
TUNED_KIMG = 100.0
"""Thousands of images in which ADA's strength can go from 0 to 1 if training starts from another run's weights."""

FEW = 2000
"""Number of images below which D memorises them early, and augmentation is advised. From the doctor's rule on overfitting."""
MEASURED = "on 500 images it lowered the Frechet distance of stylegan2 by 34 to 51 % (docs/few-images.md)"
"""The best result in docs/few-images.md, with ``--augment auto``: from 2.60 to 1.71, and from 3.43 to 1.68."""

OFF: dict[str, Any] = {"diff_augment": (), "adaptive": 0.0}


@dataclass(frozen=True)
class Chosen:
    """Settings for the recipe's config and for ``Stabilise``, and one line that says what was chosen and why."""

    config: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def choose(
    choice: str | None,
    own: Mapping[str, Any],
    data: Any,
    *,
    kimg: float,
    critic: bool = True,
    images_in: bool = False,
    tuned: bool = False,
    explicit: Container[str] = (),
) -> Chosen:
    """Choose the augmentation of a run.

    Args:
        choice: Value of ``--augment``: none, ada, diffaugment or auto; None: leave everything as it is.
        own: The fields of the recipe's config and their defaults.
        data: The data set.
        kimg: Length of the run.
        critic: Whether the model has a D.
        images_in: Whether the model makes images from images.
        tuned: Whether training starts from another run's weights.
        explicit: Names of settings that the user set, which are not changed.

    Returns:
        The chosen settings.

    Raises:
        BadInput: If ``choice`` is unknown or does not fit the recipe or the data.
    """
    if choice is None:
        return Chosen()
    if choice not in CHOICES:
        raise BadInput(f'--augment has no "{choice}"{did_you_mean(choice, CHOICES)}: choose from {", ".join(CHOICES)}')
    reason, tuning = "", {"ada_kimg": TUNED_KIMG} if tuned and "ada_kimg" in own and "ada_kimg" not in explicit else {}
    short: dict[str, Any] = {}
    if choice == "auto":
        choice, reason, short = _decide({**own, **tuning}, data, kimg, critic, images_in)
        short = {name: value for name, value in short.items() if name not in explicit}
    elif choice != "none" and (images_in or not critic or not data.d_judges_images):
        raise BadInput(f"--augment {choice} {_misfit_reason(data, critic, images_in)}: leave it out")
    text = choice + (f": {reason}" if reason else "")
    if choice == "none":
        return Chosen(_no_augmentation(own), OFF, text)
    if "policy" in own:
        if choice == "ada":
            raise BadInput("--augment ada: this recipe has its own augmentation, --policy; use --augment diffaugment")
        return Chosen(
            {}, OFF, f"diffaugment ({', '.join(own['policy'])}), the recipe's own" + (f": {reason}" if reason else "")
        )
    if choice == "diffaugment":
        return Chosen(_no_augmentation(own), OFF | {"diff_augment": POLICY} | short, text)
    if "augment" in own:
        return Chosen({"augment": "ada"} | tuning | short, OFF, text)
    rise = {"adaptive_kimg": TUNED_KIMG} if tuned and "adaptive_kimg" not in explicit else {}
    return Chosen({}, OFF | {"adaptive": TARGET} | rise, text)


@dataclass(frozen=True)
class Advice:
    """What to do against a D that memorises few images.

    Attributes:
        flags: Flags of ``ganloom train``; empty if no augmentation fits the recipe.
        settings: The settings that these flags choose, by name: fields of the recipe's config and of ``Stabilise``.
        text: The advice in words, without a full stop.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]
    text: str

    @property
    def options(self) -> dict[str, str]:
        """The flags as options of ``ganloom.train``."""
        return {"augment": self.flags[1]} if self.flags else {}


def few_images(own: Mapping[str, Any], n: int, kimg: float, *, critic: bool = True, images_in: bool = False) -> Advice:
    """Return the one piece of advice for few images, which `plan`, the doctor and `augment preview` give.

    It is ``--augment auto``, which docs/few-images.md measured best. Where ``auto`` would choose no augmentation, because the
    images are not that few or the run is short, it is the kind of augmentation that ``auto`` chooses for the recipe.

    Args:
        own: The fields of the recipe's config and their values.
        n: Number of training images.
        kimg: Length of the run.
        critic: Whether the model has a D.
        images_in: Whether the model makes images from images.
    """
    if images_in or not critic:
        return Advice((), {}, "train on more images")
    if own.get("policy"):
        return Advice((), {}, "train on more images: this recipe already augments what D sees (--policy)")
    choice, _, short = _decide_by_size(own, n, kimg)
    flag = "auto"
    if choice == "none":
        flag = choice = "ada" if "augment" in own else "diffaugment"
    if choice == "ada" and "augment" in own:
        return Advice(("--augment", flag), {"augment": "ada"} | short, f"use --augment {flag}: {MEASURED}")
    return Advice(("--augment", flag), {"diff_augment": POLICY} | short, f"use --augment {flag}: {MEASURED}")


def _no_augmentation(own: Mapping[str, Any]) -> dict[str, Any]:
    return {"augment": "none"} if "augment" in own else {"policy": ()} if "policy" in own else {}


def _misfit_reason(data: Any, critic: bool, images_in: bool) -> str:
    if not critic:
        return "changes the inputs of D, and this model has no D"
    if images_in:
        return "would change the output image but not the input image"
    what = "volumes" if data.kind == "images" else "points"
    return f"is for images, and {data.name} is a set of {what}"


def _decide(
    own: Mapping[str, Any], data: Any, kimg: float, critic: bool, images_in: bool
) -> tuple[str, str, dict[str, Any]]:
    """Decide for auto: (choice, reason, settings that a short run needs)."""
    if images_in or not critic or not data.d_judges_images:
        return "none", f"augmentation {_misfit_reason(data, critic, images_in)}", {}
    return _decide_by_size(own, len(data), kimg)


def _decide_by_size(own: Mapping[str, Any], n: int, kimg: float) -> tuple[str, str, dict[str, Any]]:
    """Decide by the number of images and the length of the run; see ``_decide``."""
    n_epochs = kimg * 1000 / max(n, 1)
    epochs = f"D sees each of {n:,} images {n_epochs:,.0f} times"
    if n >= MANY:
        return "none", f"{n:,} images are enough without augmentation (limit {MANY:,})", {}
    if n_epochs < MEMORISING_EPOCHS:
        return "none", f"{epochs}, too few to memorise them (limit {MEMORISING_EPOCHS:.0f})", {}
    reason = f"{epochs}; it can memorise fewer than {MANY:,} images"
    if "augment" not in own:
        if kimg >= SHORT_KIMG:
            return "diffaugment", reason, {}
        return (
            "diffaugment",
            f"{reason}; translation only, because the run has {kimg:,.0f} kimg",
            {"diff_augment": ("translation",)},
        )
    if kimg >= own.get("ada_kimg", 0.0):
        return "ada", reason, {}
    rise = kimg / RISES  # otherwise the strength would still be low at the end of the run
    return (
        "ada",
        f"{reason}; {', '.join(MILD)} only, rising within {rise:,.3g} kimg, because the run has {kimg:,.0f} kimg",
        {"ada_kimg": rise, "ada_parts": MILD},
    )
