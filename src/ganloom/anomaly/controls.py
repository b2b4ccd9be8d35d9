"""The controls: anomaly scores that need no GAN, or only a discriminator that has learned next to nothing."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.anomaly import neighbours, textures
from ganloom.core.errors import MissingExtra, need
from ganloom.core.randomness import key
from ganloom.data.dataset import Facts
from ganloom.data.points import Points
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks.one_class import Discriminator
from ganloom.recipes.base.one_class import OneClass
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

Score = Callable[[Tensor], Tensor]
"""From samples (N, *shape) to scores (N,), higher for more unusual ones."""
POOL = 4
"""Pixels a side that ``knn-pooled`` averages."""
COMPONENTS = 64
TREES = 100
NOISE_STEPS = 30
TITLES = {
    "knn-pixels": "5 nearest neighbours on pixels",
    "knn-pooled": "5 nearest neighbours on means of 4 x 4 pixels",
    "pca": "error of 64 principal components",
    "texture": "the most unusual hundredth of an image, by brightness and contrast of small parts",
    "forest": "isolation forest of 100 trees",
    "random-d": "5 nearest neighbours on the features of a random D",
    "noise-d": "5 nearest neighbours on the features of a D trained against noise for 30 steps",
}
"""Name -> what it is. For points, "pixels" are the columns."""
OF_IMAGES = ("knn-pooled", "texture")
"""Controls that tables do not have."""


def build(train: Tensor, seed: int, names: tuple[str, ...] = tuple(TITLES)) -> tuple[dict[str, Score], list[str]]:
    """Fit the controls.

    Args:
        train: Normal samples (N, *shape), images in [-1, 1].
        seed: Seed of the forest and of the discriminators.
        names: Which controls.

    Returns:
        (name -> score, a line for each control that is left out and why).
    """
    makers: dict[str, Callable[[Tensor, int], Score]] = {
        "knn-pixels": lambda x, seed: by_neighbours(x, lambda y: y.flatten(1)),
        "knn-pooled": lambda x, seed: by_neighbours(x, pooled),
        "pca": lambda x, seed: principal_components(x),
        "texture": textures.score,
        "forest": isolation_forest,
        "random-d": lambda x, seed: of_features(x, untrained_d(x, seed)),
        "noise-d": lambda x, seed: of_features(x, noise_d(x, seed)),
    }
    scores, notes = {}, []
    for name in names:
        if name in OF_IMAGES and train.dim() != 4:
            continue
        try:
            scores[name] = makers[name](train, seed)
        except MissingExtra as error:
            notes.append(f"left out {name}: {error}")
    return scores, notes


def by_neighbours(train: Tensor, features: Callable[[Tensor], Tensor]) -> Score:
    """Score by the distance to the 5 nearest training samples in some features."""
    bank = features(train)
    return lambda x: neighbours.distances(bank, features(x))


def of_features(train: Tensor, model: OneClass) -> Score:
    """Score by the distance to the 5 nearest training samples in D's features."""
    return by_neighbours(train, lambda x: features_of(model, x))


def features_of(model: OneClass, x: Tensor) -> Tensor:
    """Return D's features below the logit, (N, F) on the CPU."""
    features: Tensor = torch.cat(model.in_batches(x, model.features_of)).float().cpu()
    return features


def pooled(x: Tensor) -> Tensor:
    """Return the means of squares of 4 x 4 pixels as vectors."""
    return F.avg_pool2d(x, POOL, ceil_mode=True, count_include_pad=False).flatten(1)


class PrincipalComponents:
    """The reconstruction error of the largest principal components: the mean squared difference.

    Args:
        train: Normal samples (N, *shape).
        most: Largest number of components.
    """

    def __init__(self, train: Tensor, most: int = COMPONENTS) -> None:
        flat = train.flatten(1)
        self.mean = flat.mean(0)
        axes = torch.linalg.svd(flat - self.mean, full_matrices=False)[2]
        self.axes = axes[: max(1, min(most, len(axes) - 1))]

    def rebuilt(self, x: Tensor) -> Tensor:
        """Return the samples (N, *shape) as the components reproduce them."""
        centred = x.flatten(1) - self.mean
        rebuilt: Tensor = self.mean + centred @ self.axes.T @ self.axes
        return rebuilt.reshape(x.shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Score samples (N, *shape)."""
        return neighbours.in_parts(x, lambda part: (part - self.rebuilt(part)).square().flatten(1).mean(1))


def principal_components(train: Tensor) -> Score:
    """Score by the reconstruction error of 64 principal components."""
    return PrincipalComponents(train)


def isolation_forest(train: Tensor, seed: int) -> Score:
    """Score by an isolation forest (Liu et al. 2008, doi:10.1109/ICDM.2008.17), from scikit-learn.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    ensemble: Any = need("sklearn.ensemble", "anomaly")
    forest = ensemble.IsolationForest(n_estimators=TREES, random_state=key(seed, "forest") % 2**32)
    forest.fit(train.flatten(1).numpy())
    return lambda x: torch.from_numpy(-forest.score_samples(x.flatten(1).numpy())).float()


class NoiseCritic(OneClass):
    """A discriminator that tells normal samples from uniform noise.

    Args:
        shape: Shape of a sample.
        low: Smallest value of the noise.
        high: Largest value of the noise.
    """

    averaged = ()

    def __init__(self, shape: tuple[int, ...], low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.D = Discriminator(shape, 32, multiple=2)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def draw(self, data: Any, rng: Any) -> Batch:
        """Draw normal samples."""
        batch: Batch = data.draw(64, rng)
        return batch

    def phases(self) -> list[Phase]:
        """Train D alone."""
        return [Phase("D", self.d_loss, Adam(1e-3, betas=(0.0, 0.99)))]

    def d_loss(self, batch: Batch) -> Terms:
        """The loss of a GAN, with noise instead of fakes."""
        low, high = self.get_buffer("low"), self.get_buffer("high")
        noise = low + (high - low) * self.rand(*batch.x.shape)
        return self.d_adversarial(nonsaturating, self.discriminate(batch.x), self.discriminate(noise))


def untrained_d(train: Tensor, seed: int) -> NoiseCritic:
    """Build a discriminator with random weights."""
    if train.dim() == 4:
        low, high = torch.tensor(-1.0), torch.tensor(1.0)
    else:
        low, high = train.min(0)[0], train.max(0)[0]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "random-d"))
        return NoiseCritic(tuple(train.shape[1:]), low, high)


class _Rows(Points):
    """Samples of any shape that are kept as float32."""

    def __init__(self, train: Tensor) -> None:
        super().__init__(train.flatten(1).numpy(), Facts("normal samples"))
        self.whole = tuple(train.shape[1:])

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """Draw n samples."""
        batch = super().draw(n, rng, alike)
        return batch._replace(x=batch.x.unflatten(1, self.whole))


def noise_d(train: Tensor, seed: int) -> NoiseCritic:
    """Train a discriminator against uniform noise for 30 steps."""
    critic = untrained_d(train, seed)
    with torch.random.fork_rng(devices=[]):
        trainer = Trainer(critic, _Rows(train), TrainConfig(seed=seed))
        for _ in range(NOISE_STEPS):
            trainer.train_step()
    return critic
