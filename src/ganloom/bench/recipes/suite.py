"""What `ganloom bench recipes` should measure, and which rows are its result already."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ganloom.bench.recipes.rows import Row, differences, name_of
from ganloom.bench.recipes.task import Task
from ganloom.core.errors import BadInput
from ganloom.recipes import RECIPES, find
from ganloom.recipes.presets import DATA

SEEDS = (1, 2, 3)
"""The seeds of the doc pages. Plans were tuned with seed 0, so their figures are those of other seeds."""


@dataclass(frozen=True)
class Suite:
    """What to measure.

    Attributes:
        recipes: Names of recipes.
        seeds: Seeds; the images are those of the first one.
        data: The data set for all recipes. None: that of each plan.
        shape: Shape of the images, as `--shape` takes it. None: that of the data.
        kimg: Length of every run in thousands of images. None: that of each plan.
        anew: Repeat recipes that were already measured.
        overwrite: Replace images that ganloom did not write, or that were changed.
    """

    recipes: Sequence[str]
    seeds: Sequence[int] = SEEDS
    data: str | None = None
    shape: tuple[int, ...] | None = None
    kimg: float | None = None
    anew: bool = False
    overwrite: bool = False

    @property
    def name(self) -> str:
        """Name of the files of the rows."""
        return name_of(self.data, self.shape)

    def tasks(self, recipe: str) -> list[Task]:
        """Return the trainings of a recipe."""
        return [Task(recipe, self.data, self.shape, self.kimg, seed) for seed in self.seeds]

    def missing(self, recipe: str, row: Row | None) -> list[Task]:
        """Return the trainings of a recipe whose result is not in a row, or is that of another plan.

        Args:
            recipe: The recipe.
            row: The earlier row of the recipe. None: there is none.
        """
        tasks = self.tasks(recipe)
        if row is None or self.anew or differences(row, tasks[0]):
            return tasks
        made = {one.command for one in row.seeds}
        return [task for task in tasks if task.command not in made]

    def checked(self) -> "Suite":
        """Return the suite with the names of recipes as they are listed. Raises BadInput for what cannot be used."""
        names = tuple(dict.fromkeys(name.lower().replace("_", "-") for name in self.recipes))
        for name in names:
            if find(name) and name not in RECIPES:
                raise BadInput(
                    f"{name} is a baseline without a page: measure it with `ganloom compare --budget 10m {DATA} {name}`"
                )
        if self.kimg is not None and not self.kimg > 0:
            raise BadInput(f"--total-kimg must be above 0, got {self.kimg}")
        if not self.seeds or min(self.seeds) < 0:
            raise BadInput(
                f"--seeds must be one or more numbers from 0, got {' '.join(map(str, self.seeds)) or 'none'}"
            )
        return dataclasses.replace(self, recipes=names, seeds=tuple(dict.fromkeys(self.seeds)))
