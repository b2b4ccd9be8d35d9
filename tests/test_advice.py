"""The advice for few images: one piece in `plan`, the doctor and `augment preview`, with flags that the recipe accepts."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganloom.api import prepare
from ganloom.apps.augment_preview import RECIPE, preview
from ganloom.apps.plan import plan
from ganloom.augment.policy import FEW
from ganloom.cli.train import settings_of
from ganloom.doctor import Facts, examine
from ganloom.recipes import LISTED, RECIPES
from ganloom.recipes.advice import few_images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)


def finding(recipe: str, size: int, kimg: float) -> Any:
    """The doctor's finding for a run of so many images, without augmentation."""
    rows = [{"kimg": k, "nimg": int(k * 1000), "step": int(k * 10), "doctor/diversity": 1.0} for k in (kimg / 2, kimg)]
    return next(
        f
        for f in examine(rows, Facts(recipe=recipe, data="DATA", size=size, total_kimg=kimg))
        if f.name == "few images"
    )


def test_three_places_give_one_piece_of_advice(tmp_path: Path) -> None:
    sheets = preview(PIXELS, tmp_path / "sheet.png", n=2, p=(0.5,))
    planned = plan(PIXELS, RECIPE, device="cpu", steps=1, small=True)
    found = finding(RECIPE, len(PIXELS), planned.total_kimg)
    assert sheets.advice is not None and sheets.advice.flags == ("--augment", "auto")
    text = sheets.advice.text
    assert any(text in line for line in sheets.lines()) and any(text in note for note in planned.notes)
    assert text.lower() in found.advice.lower()
    for command in (planned.command, found.advice):
        assert "--augment auto" in command
    many = np.resize(PIXELS, (FEW, 8, 8, 3))
    assert preview(many, tmp_path / "many.png", n=1, p=(0.5,)).advice is None


@pytest.mark.parametrize("recipe", sorted(LISTED))
@pytest.mark.parametrize(("n", "kimg"), [(300, 100.0), (300, 1000.0), (1500, 5.0), (50_000, 900.0)])
def test_advised_flags_are_accepted(recipe: str, n: int, kimg: float) -> None:
    advice = few_images(recipe, n, kimg)
    assert advice.text and bool(advice.flags) == bool(advice.settings)
    if advice.flags:
        name, options = settings_of([recipe, *advice.flags])
        assert name == recipe and options == advice.options
    else:
        has_policy = hasattr(LISTED[recipe].Config(), "policy")
        assert recipe not in RECIPES or has_policy or LISTED[recipe].MODEL.conditions_on == "images"


@pytest.mark.parametrize("recipe", ["dcgan", "stylegan2", "r3gan"])
def test_advised_settings_are_those_that_the_flags_choose(recipe: str) -> None:
    """The doctor heals with these settings, so they must be what `train` does with the flags."""
    advice = few_images(recipe, len(PIXELS), 100.0)
    gan, _ = prepare(recipe, PIXELS, total_kimg=100.0, small=True, **advice.options)
    from ganloom.stabilisers.apply import parts_of

    for name, value in advice.settings.items():
        holder = gan.cfg if hasattr(gan.cfg, name) else parts_of(gan)
        assert getattr(holder, name) == value, name
    words = shlex.split(finding(recipe, len(PIXELS), 100.0).advice.rpartition(". ")[2])
    assert words[:3] == ["ganloom", "train", recipe] and words[-2:] == list(advice.flags)
