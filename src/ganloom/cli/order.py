"""The order of RECIPE and DATA on a command line: RECIPE DATA, and also DATA RECIPE or DATA alone."""

import os
from collections.abc import Sequence

from ganloom import recipes
from ganloom.core.errors import BadInput
from ganloom.data.builtin import BUILTIN


def is_recipe(word: str) -> bool:
    """Whether a word names a recipe or a baseline."""
    return word.lower().replace("_", "-") in recipes.LISTED


def is_data(word: str) -> bool:
    """Whether a word names data: a path, or a built-in data set."""
    return os.path.exists(word) or os.sep in word or "," in word or word.split(":")[0] in BUILTIN


def recipe_and_data(first: str, second: str | None) -> tuple[str, str]:
    """Tell a recipe from data.

    Args:
        first: The first argument.
        second: The second argument, if there is one.

    Returns:
        (recipe, data).

    Raises:
        BadInput: There is no data.
    """
    if second is None:
        if is_recipe(first) and not os.path.isdir(first):
            raise BadInput(f"DATA is missing: give a folder or a built-in data set after {first}, such as fashion-10k")
        return "default", first
    if not is_recipe(first) and (is_recipe(second) or (is_data(first) and not is_data(second))):
        return second, first
    return first, second


def data_and_models(words: Sequence[str]) -> tuple[str, list[str]]:
    """Find the data among the names of models.

    Args:
        words: DATA MODEL MODEL ..., or DATA at another place. A model may have flags: "stylegan2 --small".

    Returns:
        (data, models). The first word is the data if it is not the name of a recipe.
    """
    names = [(word.split() or [word])[0] for word in words]
    if is_recipe(names[0]):
        places = [
            i for i, (name, word) in enumerate(zip(names, words, strict=True)) if not is_recipe(name) and is_data(word)
        ]
        if len(places) == 1:
            return words[places[0]], [word for i, word in enumerate(words) if i != places[0]]
    return words[0], list(words[1:])
