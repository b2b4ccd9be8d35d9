"""The advice for few images, for a recipe by its name. `plan`, the doctor and `augment preview` give the same one."""

import dataclasses

from ganloom.augment import policy
from ganloom.recipes import LISTED, RECIPES


def few_images(recipe: str, n: int, kimg: float | None = None) -> policy.Advice:
    """Return what to do against a D that memorises the training images; see ``augment.policy.few_images``.

    Args:
        recipe: Name of a recipe. Another name is taken for a class of the user's, which has a D.
        n: Number of training images.
        kimg: Length of the run. None: the recipe's own.
    """
    if recipe not in LISTED:
        return policy.few_images({}, n, kimg or 0.0)
    module = LISTED[recipe]
    settings = module.Config()
    own = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    length = float(getattr(module, "KIMG", 200.0)) if kimg is None else kimg
    images_in = module.MODEL.conditions_on == "images"
    return policy.few_images(own, n, length, critic=recipe in RECIPES, images_in=images_in)
