"""An image-text matcher that is trained on real images with their captions: the judge of R-precision and retrieval.

Two small networks map images and captions to vectors of length 1; a contrastive loss brings an image near to its own captions
(InfoNCE, as in CLIP, Radford et al. 2021). The text side has word vectors of its own, which are trained here; if the
model has a frozen sentence encoder, its vectors are added. So it never judges by the generator's text encoder alone.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from ganloom.core.output_files import replace_file
from ganloom.data import cache
from ganloom.data.caption_words import vocabulary, words_of
from ganloom.data.captioned import Captioned
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.task import cache_folder

SIZE = 32
"""Side in pixels at which images are compared."""
LENGTH = 64
"""Length of the vectors."""
WORDS = 8192
"""Most words that have a vector: the most common ones."""
LONGEST = 32
"""Words of a caption that are read."""
STEPS = 600
"""Training steps."""
BATCH = 64
MOST_IMAGES = 20_000
"""Images that a matcher is trained on, at most."""
_FORMAT = "1"

Vectors = Callable[[Sequence[str]], Tensor]
"""From captions to the vectors of a frozen sentence encoder, float32 (N, d)."""
Report = Callable[[int, int], None] | None
"""Called with (steps done, their number)."""


class Matcher(nn.Module):
    """Compares images with captions.

    Args:
        words: The words that have a vector.
        channels: 1 or 3, of the images.
        sentence: Length of the frozen encoder's vectors; 0: there are none.
    """

    def __init__(self, words: Sequence[str], channels: int, sentence: int) -> None:
        super().__init__()
        self.number, self.channels = {word: i + 1 for i, word in enumerate(words)}, channels
        layers: list[nn.Module] = [nn.Conv2d(channels, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU()]
        for a, b in ((32, 48), (48, 96), (96, 128)):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.image = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * (SIZE // 8) ** 2, LENGTH))
        self.word = nn.Embedding(len(words) + 1, LENGTH)
        self.sentence = nn.Sequential(nn.Dropout(0.2), nn.Linear(sentence, LENGTH)) if sentence else None
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def numbers(self, captions: Sequence[str]) -> Tensor:
        """Return the numbers of each caption's known words, int64 (N, LONGEST), padded with 0."""
        table = torch.zeros(len(captions), LONGEST, dtype=torch.int64)
        for row, caption in zip(table, captions, strict=True):
            known = [self.number[word] for word in words_of(caption) if word in self.number][:LONGEST]
            row[: len(known)] = torch.tensor(known, dtype=torch.int64)
        return table

    def of_texts(self, numbers: Tensor, vectors: Tensor | None) -> Tensor:
        """Map word numbers (N, L), and vectors (N, d) of a frozen encoder, to vectors (N, LENGTH) of length 1."""
        there = (numbers > 0).float()[..., None]
        out = (self.word(numbers) * there).sum(1) / there.sum(1).clamp_min(1.0).sqrt()
        if self.sentence is not None and vectors is not None:
            out = out + self.sentence(vectors)
        return F.normalize(out, dim=1)

    def of_images(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to vectors (N, LENGTH) of length 1."""
        return F.normalize(self.image(to_size(to_channels(x, self.channels), SIZE)), dim=1)


class Judge:
    """A trained matcher with the sentence encoder that it uses.

    Args:
        data: Real images with captions, to train on.
        vectors: Makes the vectors of a frozen sentence encoder; None: words only.
        encoder: Digest of that encoder.
        seed: Keys weights and batches.
        steps: Training steps; None: ``STEPS``.
        report: See ``Report``.
    """

    def __init__(
        self,
        data: Captioned,
        vectors: Vectors | None = None,
        encoder: str = "",
        *,
        seed: int = 0,
        steps: int | None = None,
        report: Report = None,
    ) -> None:
        steps = steps or STEPS
        self._vectors, self._mean, self._scale = vectors, torch.zeros(()), torch.ones(())
        own = vectors(data.texts) if vectors is not None else None
        if own is not None:
            self._mean = own.mean(0)
            self._scale = 1 / (own - self._mean).square().mean().sqrt().clamp_min(1e-6)
        key = hashlib.sha256(repr((_FORMAT, data.fingerprint, encoder, seed, steps)).encode()).hexdigest()[:32]
        path = cache_folder() / f"matcher-{key}.safetensors"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            words = vocabulary(data.texts)[:WORDS]
            self.net = Matcher(words, 1 if data.shape[0] <= 2 else 3, 0 if own is None else own.shape[1])
            if not _read(path, self.net):
                _train(self.net, data, self._standard(own), steps, report)
                _write(path, self.net)
        self.net.eval()

    def _standard(self, vectors: Tensor | None) -> Tensor | None:
        return None if vectors is None else (vectors - self._mean) * self._scale

    @torch.no_grad()
    def texts(self, captions: Sequence[str]) -> Tensor:
        """Return the vectors of captions, (N, LENGTH)."""
        vectors = self._standard(self._vectors(captions)) if self._vectors is not None else None
        return self.net.of_texts(self.net.numbers(captions), vectors)

    @torch.no_grad()
    def images(self, x: Tensor) -> Tensor:
        """Return the vectors of images (N, C, H, W) in [-1, 1], (N, LENGTH)."""
        return torch.cat([self.net.of_images(part) for part in x.split(256)])


def _train(net: Matcher, data: Captioned, vectors: Tensor | None, steps: int, report: Report) -> None:
    """Train in place. Captions of equal meaning in a batch are not negatives of each other."""
    rng = torch.Generator().manual_seed(1)
    rows = torch.randperm(len(data), generator=rng)[:MOST_IMAGES]
    x = torch.cat([to_size(to_channels(data.get(part).cpu(), net.channels), SIZE) for part in rows.split(500)])
    numbers, batch = net.numbers(data.texts), min(BATCH, len(rows))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-3 * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        picks = torch.randint(len(rows), (batch,), generator=rng)
        texts, group = data.drawn_captions(rows[picks], torch.rand(batch, generator=rng))
        own = None if vectors is None else vectors[texts] + 0.1 * torch.randn(batch, vectors.shape[1])
        kept = numbers[texts] * (torch.rand(numbers[texts].shape) > 0.1)  # a tenth of the words is left out
        similarity = net.of_images(_varied(x[picks])) @ net.of_texts(kept, own).T * net.log_scale.exp().clamp(max=50)
        same = (group[:, None] == group[None]) & ~torch.eye(batch, dtype=torch.bool)
        similarity, right = similarity.masked_fill(same, -1e4), torch.arange(batch)
        loss = F.cross_entropy(similarity, right) + F.cross_entropy(similarity.T, right)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if report is not None:
            report(step + 1, steps)


def _varied(x: Tensor) -> Tensor:
    """Images shifted by up to two pixels, of another brightness, with noise: the matcher must not rely on exact pixels."""
    down, right = torch.randint(0, 5, (2,)).tolist()
    x = F.pad(x, (2, 2, 2, 2), mode="replicate")[:, :, down : down + SIZE, right : right + SIZE]
    x = x + (torch.rand(len(x), 1, 1, 1) - 0.5) * 0.2
    return x + torch.randn_like(x) * 0.1 * torch.rand(len(x), 1, 1, 1)


def _read(path: Path, net: Matcher) -> bool:
    """Load cached weights into ``net``; return whether there are any."""
    try:
        net.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError, ValueError):
        return False
    return True


def _write(path: Path, net: Matcher) -> None:
    """Write the weights to the cache. The measurement does not fail if the cache cannot be written."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        cache.sweep(path.parent)
        replace_file(path, save(net.state_dict()), sync=False)


# ------------------------------------------------------------------------------------------------ what is measured with it
def r_precision(
    images: Tensor, texts: Tensor, group: Tensor, *, others: int = 9, repeats: int = 20, seed: int = 0
) -> float:
    """Compute how often an image is nearer to its own caption than to ``others`` random ones (R = 1; Xu et al. 2018).

    Args:
        images: (N, d) vectors of images.
        texts: (N, d) vectors of their captions.
        group: (N,) equal for captions of equal meaning, which are not among the others.
        others: Number of other captions.
        repeats: Draws of the other captions for each image.
        seed: Keys these draws.

    Returns:
        The share in [0, 1]; chance is 1 / (others + 1). NaN if all captions have one meaning.
    """
    similarity = images @ texts.T
    return ranked_first(similarity, group, others=others, repeats=repeats, seed=seed)


def ranked_first(similarity: Tensor, group: Tensor, *, others: int = 9, repeats: int = 20, seed: int = 0) -> float:
    """Compute how often the own column of a row is larger than ``others`` random columns of other groups.

    Args:
        similarity: (N, N); the diagonal belongs together.
        group: (N,).
        others: Number of other columns.
        repeats: Draws for each row.
        seed: Keys the draws.
    """
    other = group[:, None] != group[None]
    if not bool(other.any(1).all()):
        return math.nan
    rng = torch.Generator().manual_seed(seed)
    own, wins = similarity.diagonal(), 0.0
    for _ in range(repeats):
        picks = torch.multinomial(other.float(), others, replacement=True, generator=rng)
        wins += float((own > similarity.gather(1, picks).amax(1)).float().mean())
    return wins / repeats


def top_share(images: Tensor, texts: Tensor, group: Tensor, top: int) -> tuple[float, float]:
    """Compute how often the own caption is among the ``top`` nearest of all different captions.

    Args:
        images: (N, d) vectors of images.
        texts: (N, d) vectors of their captions.
        group: (N,) equal for captions of equal meaning, of which the first one stands for all.
        top: How many.

    Returns:
        (the share, that of a random order).
    """
    values, first = np.unique(group.numpy(), return_index=True)
    columns = torch.from_numpy(first)
    similarity = images @ texts[columns].T
    own = torch.from_numpy(np.searchsorted(values, group.numpy()))[:, None]
    mine = (images * texts).sum(1, keepdim=True)  # the own wording, not that of the first caption of the group
    larger = (similarity > mine).scatter(1, own, False).sum(1)
    top = min(top, len(values))
    return float((larger < top).float().mean()), top / len(values)
