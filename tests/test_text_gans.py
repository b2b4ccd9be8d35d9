"""Text models: the recipes' conformance suite, and that each computes what its paper says."""

from pathlib import Path

import pytest

from ganloom import recipes, testing


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("recipe", list(recipes.TEXTS))
def test_recipe(recipe: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](recipe, tmp_path)
