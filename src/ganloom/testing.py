"""The conformance suite: checks that every recipe must pass, those of ganloom and your own.

``check_recipe("dcgan")`` runs all checks and raises AssertionError if one fails. ``CHECKS`` contains the single checks, for a
parametrized test. Each takes the recipe and an existing folder for checkpoints.
"""

import contextlib
import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import recipes
from ganloom.core import config, randomness
from ganloom.data.dataset import Facts
from ganloom.data.encoded_table import EncodedTable, Layout
from ganloom.data.encoded_texts import EncodedTexts
from ganloom.gan import GAN, kind_of_inputs
from ganloom.runs import checkpoint
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

Recipe = str | ModuleType | Callable[[tuple[int, ...], int], GAN]
"""A recipe's name or module, or your own function (shape, number of classes) -> GAN."""

SHAPES = ((1, 28, 28), (2, 16, 16), (3, 32, 32), (4, 48, 32))
CLASSES = 3
SMALL_TEXTS: dict[str, Any] = {
    "vocabulary": 20, "length": 7, "embedding": 6, "hidden": 8, "check_every": 2, "filters": ((2, 4), (3, 4)), "d_embedding": 8,
    "views": 4, "head_size": 4, "d_hidden": 6, "rollouts": 2, "completions": 2, "candidates": 3, "d_updates": 2,
    "pretrain_kimg": 0.0, "d_pretrain_kimg": 0.0, "mixed_kimg": 0.1, "anneal_kimg": 0.1,
}  # fmt: skip
"""Settings of text models in tests, without the stages that have no D."""


def build(recipe: Recipe, shape: tuple[int, ...] = (1, 16, 16), seed: int = 0, **changes: Any) -> GAN:
    """Build a small model of a recipe, with few channels and a batch size of 8.

    Args:
        recipe: The recipe.
        shape: (channels, height, width) of the images.
        seed: Seed of the weights.
        **changes: Fields of the recipe's config; unknown ones are ignored.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(randomness.key(seed, "init"))
        if callable(recipe) and not isinstance(recipe, ModuleType):
            return recipe(shape, CLASSES)
        module = recipes.find(recipe) if isinstance(recipe, str) else recipe
        assert isinstance(module, ModuleType)
        small: dict[str, Any] = {"width": 8, "g_widths": (16, 16), "d_widths": (16,), "batch_size": 8, "z_dim": 6}
        small |= {
            "d_width": 4,
            "warm_critic": 8,
            "warm_steps": 3,
            "warm_every": 5,
            "steps": 2,
            "features": "random",
            "side": 32,
            "bottleneck": 16,
            "pixel_kimg": 0.0,
            "gan_kimg": 0.16,
            "words": 12,
            "word_dim": 8,
            "text_dim": 8,
            "joint": 8,
            "pac": 2,
            "patches": 32,
            "head": 16,
            "plane": 8,
            "plane_channels": 4,
            "plane_most": 8,
            "field_width": 8,
            "ray_points": 4,
            "d_hidden": 8,
        }  # few updates, small networks, no optional dependencies, and no stage without D
        small |= SMALL_TEXTS if module.MODEL.learns == "texts" else {}
        small |= {"shape": shape, "n_classes": CLASSES, "in_channels": shape[0], "pool": 6, "blocks": 1} | changes
        names = {field.name for field in dataclasses.fields(module.Config)}
        model: GAN = module.MODEL(config.replace(module.Config(), {k: v for k, v in small.items() if k in names}))
        return model


def make_data(shape: tuple[int, ...] = (1, 16, 16), n: int = 50, gan: GAN | None = None) -> Any:
    """Make a data set of random labelled images.

    Args:
        shape: (channels, height, width) of the images.
        n: Number of images.
        gan: A model. For an image-to-image model the data are pairs or two domains without labels; for a text-to-image model they
            have captions; for a model of tables they are rows of an encoded table, for one of texts encoded texts.
    """
    rng = np.random.default_rng(0)
    if gan is not None and gan.learns == "table":
        return make_table(n, gan.cfg.layout)
    if gan is not None and gan.learns == "texts":
        return make_texts(n, gan.cfg.vocabulary, gan.cfg.length)
    kind = None if gan is None else kind_of_inputs(gan)
    if kind == "crops":
        photos = rng.integers(0, 256, (n, *(side + 8 for side in shape[1:]), shape[0]), dtype=np.uint8)
        return datasets.open(photos, inputs=kind, shape=(shape[0], shape[1], shape[2]))
    if kind == "volumes":
        return datasets.open(rng.random((n, 16, 16, 16)) < 0.3, inputs=kind, shape=(shape[0], shape[1], shape[2]))
    if kind == "captions":
        images = rng.integers(0, 256, (n, *shape[1:], shape[0]), dtype=np.uint8)
        texts = [f"a {'red green blue'.split()[i % 3]} {'ball box cone'.split()[i // 3 % 3]}" for i in range(n)]
        return datasets.open((images, texts), inputs=kind, shape=(shape[0], shape[1], shape[2]))
    if kind is not None:
        a, b = (rng.integers(0, 256, (n, *shape[1:], shape[0]), dtype=np.uint8) for _ in range(2))
        size = shape[0], shape[1], shape[2]
        return datasets.open((a, b), inputs=kind, shape=size)
    labels = np.arange(n) % CLASSES
    images = rng.integers(0, 256, (n, *shape[1:], shape[0]), dtype=np.uint8)
    return datasets.open(images, labels=labels, shape=(shape[0], shape[1], shape[2]))


def make_table(n: int, layout: Layout) -> EncodedTable:
    """Make an encoded table of random rows.

    Args:
        n: Number of rows.
        layout: Which numbers of a row belong together.
    """
    rng = np.random.default_rng(0)
    parts: list[Any] = []
    for kind, size in layout:
        parts += [rng.uniform(-1, 1, (n, 1))] if kind == "value" else []
        parts.append(np.eye(size)[(np.arange(n) + rng.integers(0, 2, n)) % size])
    return EncodedTable(np.concatenate(parts, 1).astype(np.float32), layout, Facts("random table"))


def make_texts(n: int, vocabulary: int, length: int) -> EncodedTexts:
    """Make labelled random texts of different lengths, half as many for validation and for the test.

    Args:
        n: Number of texts to train on.
        vocabulary: Number of tokens.
        length: Tokens in a text.
    """
    rng = np.random.default_rng(0)
    first, end = 4, 3  # the first tokens are special; this one ends a text

    def part(count: int, **more: Any) -> EncodedTexts:
        rows = rng.integers(first, vocabulary, (count, length))
        for row, size in zip(rows, rng.integers(1, length + 1, count), strict=True):
            row[size - 1 :] = [end, *([0] * (length - size))]
        facts = Facts("random texts", labels=np.arange(count) % CLASSES, classes=[f"class {i}" for i in range(CLASSES)])
        return EncodedTexts(rows, facts, **more)

    tokens = ["<pad>", "<unk>", "<bos>", "<eos>", *(f"word{i}" for i in range(first, vocabulary))]
    words = {"kind": "word", "lower": True, "tokens": tokens}
    held = {name: part(max(2, n // 2), vocabulary=words) for name in ("validation", "test")}
    return part(n, vocabulary=words, **held)


def trainer(recipe: Recipe, shape: tuple[int, ...] = (1, 16, 16), seed: int = 0, **cfg: Any) -> Trainer:
    """Create a Trainer of a small model on random images.

    Args:
        recipe: The recipe.
        shape: (channels, height, width) of the images.
        seed: Seed of the weights.
        **cfg: Fields of ``TrainConfig``.
    """
    gan = build(recipe, shape, seed)
    return Trainer(gan, make_data(shape, gan=gan), TrainConfig(**cfg), ema_kimg=0.05)


def generate(run: Trainer, model: GAN, n: int, seed: int) -> Tensor:
    """Generate the samples seed, seed + 1, ...

    Args:
        run: The trainer; an image-to-image model gets its data's inputs at these indices.
        model: Its model or EMA.
        n: Number of samples.
        seed: Index of the first sample.

    Returns:
        Samples (n, ...).
    """
    rows = torch.arange(seed, seed + n) % len(run.data)
    return model.generate(n, seed=seed, c=model.inputs(run.data, rows))


def _snapshot(run: Trainer) -> dict[str, Tensor]:
    """Copy all tensors of a run."""
    return {f"{part}/{name}": t.detach().clone() for part, ts in run.tensors().items() for name, t in ts.items()}


def _assert_equal(a: dict[str, Tensor], b: dict[str, Tensor], what: str) -> None:
    assert a.keys() == b.keys(), f"{what}: only one side has the tensors {sorted(a.keys() ^ b.keys())[:3]}"
    for name, value in a.items():
        assert torch.equal(value, b[name]), f"{what}: {name} differs"


# -------------------------------------------------------------------------------------------------------- the checks


def check_shapes(recipe: Recipe, tmp: Path) -> None:
    """Check for several sizes and channel counts that a step runs and samples have the data's shape and range."""
    for shape in SHAPES:
        run = trainer(recipe, shape)
        if run.gan.learns != "images" and shape != SHAPES[0]:
            return  # the shape is that of the data
        run.train_step()
        x = generate(run, run.ema, 3, 0)
        shape = shape if run.gan.learns == "images" else run.data.shape
        assert x.shape == (3, *shape), f"samples of shape {tuple(x.shape)} for {shape}"
        assert x.dtype == torch.float32 and bool(x.isfinite().all()), "samples must be finite float32"
        if run.gan.learns == "texts":
            assert 0 <= float(x.min()) and float(x.max()) < run.gan.cfg.vocabulary, "a sample has unknown tokens"
        else:
            assert float(x.abs().max()) <= 1.0, "images must be in [-1, 1]"


def check_phases(recipe: Recipe, tmp: Path) -> None:
    """Check that a phase changes the parameters of its own networks and no others."""
    run = trainer(recipe)
    changed: set[str] = set()
    for index, phase in run.active:
        names = {name for name, _ in optimizers.named_parameters(run.gan, phase)}
        before = {name: p.detach().clone() for name, p in run.gan.named_parameters()}
        for repeat in range(2):  # a residual branch whose last weight starts at 0 does not change in the first update
            run._update(index, phase, repeat, run._draw())
        for name, parameter in run.gan.named_parameters():
            moved = not torch.equal(before[name], parameter)
            assert not moved or name in names, f'phase "{phase.net}" changed {name}'
            assert parameter.grad is None and not parameter.requires_grad, (
                f"{name} still has a gradient or requires one after the update"
            )
            changed |= {name} if moved else set()
    trained = {name for _, phase in run.active for name, _ in optimizers.named_parameters(run.gan, phase)}
    assert len(changed) > 0.5 * len(trained), f"only {len(changed)} of {len(trained)} trained parameters change"


def check_resume(recipe: Recipe, tmp: Path) -> None:
    """Check that a run which is saved and loaded at a random step ends with the same tensors, with and without micro-batches."""
    for micro, steps in ((None, 9), (4, 4)):  # 9: more than the first steps, in which the EMA is updated every time
        whole = trainer(recipe, micro_batch=micro)
        for _ in range(steps):
            whole.train_step()
        cut = random.Random(repr((str(recipe), micro))).randrange(1, steps)
        first = trainer(recipe, micro_batch=micro)
        for _ in range(cut):
            first.train_step()
        folder = tmp / f"resume-{micro}"
        path = checkpoint.save(folder, checkpoint.name_of(first.nimg), first.tensors(), first.state())
        torch.manual_seed(random.randrange(1 << 30))  # nothing may depend on the global random state
        loaded = checkpoint.read(path)
        second = trainer(recipe, seed=1, micro_batch=micro)
        second.load_state(loaded.tensors, loaded.state)
        for _ in range(steps - cut):
            second.train_step()
        _assert_equal(_snapshot(whole), _snapshot(second), f"resumed at step {cut} (micro_batch {micro})")
        assert whole.stats.collect() == second.stats.collect(), "the statistics of a resumed run differ"


def check_generate(recipe: Recipe, tmp: Path) -> None:
    """Check that ``generate`` depends on the seed only and does not change the training."""
    run = trainer(recipe)
    run.train_step()
    for model in (run.ema, run.gan):
        a, b = generate(run, model, 4, 3), generate(run, model, 4, 3)
        assert torch.equal(a, b), "the same seed gives different samples"
        assert not torch.equal(a, generate(run, model, 4, 99)), "a different seed gives the same samples"
        assert torch.allclose(a[:2], generate(run, model, 2, 3), atol=1e-4), "sample i depends on n"
        shifted = generate(run, model, 2, 4)
        assert torch.allclose(a[1:3], shifted, atol=1e-4), "sample i is not a function of seed + i"
    sampled, reference = trainer(recipe), trainer(recipe)
    for _ in range(3):
        sampled.train_step()
        reference.train_step()
        generate(sampled, sampled.ema, 2, 1)
        generate(sampled, sampled.gan, 2, 1)
        torch.rand(7)
    _assert_equal(_snapshot(sampled), _snapshot(reference), "sampling between steps")


def check_splits(recipe: Recipe, tmp: Path) -> None:
    """Check that micro-batches of multiples of ``splits_by`` give the gradients of the whole batch, with the same noise."""
    run = trainer(recipe)
    by = run.gan.splits_by
    if by is None:
        return
    for index, phase in run.active:
        batch = run._draw()
        n = len(batch[0])
        whole, parts = (_gradient(run, index, batch, size) for size in (n, by * max(1, n // (2 * by))))
        error = float((whole - parts).norm() / whole.norm().clamp_min(1e-12))
        assert error < 1e-4, (
            f'phase "{phase.net}": gradients with micro-batches (multiples of {by}) differ from those of the batch by {error:.1e}'
        )


def _gradient(run: Trainer, index: int, batch: Any, size: int) -> Tensor:
    """Compute the gradient of one phase in parts of ``size`` samples; each sample has the same random numbers for any size."""
    phase, parameters = run.phases[index], run.windows.parameters[index]
    n = len(batch[0])
    run.cfg = dataclasses.replace(run.cfg, micro_batch=size)
    buffers = [(b, b.clone()) for b in run.gan.buffers()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    for start, (part, share) in zip(range(0, n, size), run._parts(batch), strict=True):
        with _same_numbers(n, start, len(part[0])):
            terms = run.gan.loss_terms(phase, part)
        (torch.stack([t for t in terms.values() if t.requires_grad]).sum() * share).backward()
    gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    with torch.no_grad():
        for buffer, value in buffers:
            buffer.copy_(value)
    for parameter in parameters:
        parameter.grad = None
        parameter.requires_grad_(False)
    return gradient


@contextlib.contextmanager
def _same_numbers(n: int, start: int, size: int) -> Iterator[None]:
    """Give the part [start, start + size) the random numbers that it would get in the whole batch of n samples."""
    calls = iter(range(1_000_000))

    def rows(draw: Callable[..., Tensor], count: int, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(next(calls))
        each = count // size  # a loss may draw several numbers for each sample
        return draw(each * n, *shape, generator=generator)[each * start : each * (start + size)]

    originals = randomness.randn, randomness.rand, randomness.randint
    randomness.randn = lambda count, *shape, device="cpu": rows(torch.randn, count, *shape)  # type: ignore[assignment]
    randomness.rand = lambda count, *shape, device="cpu": rows(torch.rand, count, *shape)  # type: ignore[assignment]
    randomness.randint = lambda high, count, device="cpu": (rows(torch.rand, count) * high).long()  # type: ignore[assignment]
    try:
        yield
    finally:
        randomness.randn, randomness.rand, randomness.randint = originals  # type: ignore[assignment]


def check_storage(recipe: Recipe, tmp: Path) -> None:
    """Check that no two tensors of the state share storage, and that training does not change the keys."""
    run = trainer(recipe)
    before = set(run.gan.state_dict())
    run.train_step()
    after = run.gan.state_dict()
    assert before == set(after), "the keys of state_dict changed while training"
    tensors = [(name, tensor) for name, tensor in after.items() if tensor.numel()]
    with torch.no_grad():  # each tensor is filled with a value of its own: one that shares its storage loses it
        for value, (_, tensor) in enumerate(tensors):
            tensor.fill_(value % 2 if tensor.dtype == torch.bool else value)
    for value, (name, tensor) in enumerate(tensors):
        if tensor.dtype != torch.bool and not bool((tensor == torch.tensor(value).to(tensor)).all()):
            raise AssertionError(f"{name} shares its storage with another tensor: make the shared layer one child")


def check_config(recipe: Recipe, tmp: Path) -> None:
    """Check that the config can be stored as JSON, and that a recipe module names its paper and its departures from it."""
    gan = build(recipe)
    if not dataclasses.is_dataclass(gan.cfg):
        return
    plain = json.loads(json.dumps(config.to_dict(gan.cfg)))
    assert config.from_dict(type(gan.cfg), plain) == gan.cfg, "the config changes when it is stored as JSON"
    module = recipes.find(recipe) if isinstance(recipe, str) else recipe
    if isinstance(module, ModuleType):
        text = module.__doc__ or ""
        assert "arXiv:" in text and "Departures" in text, (
            "the docstring must name the paper (arXiv:...) and the departures from it"
        )
        assert module.TITLE and module.PAPER and module.DATA, "the module must define TITLE, PAPER and DATA"


def check_nan(recipe: Recipe, tmp: Path) -> None:
    """Check that a NaN in the data stops the training and does not change the weights."""
    from ganloom.training.nan_guard import NonFinite

    run = trainer(recipe)
    if run.gan.learns == "texts":
        return  # tokens are whole numbers
    run.train_step()
    before = {n: p.detach().clone() for n, p in run.gan.named_parameters()}
    draw = run.gan.draw
    run.gan.draw = lambda data, rng: _with_nan(draw(data, rng))  # type: ignore[method-assign, assignment]
    try:
        run.train_step()
    except NonFinite as error:
        assert "NaN" in str(error) and "batch" in str(error), f"the error does not name the NaN in the batch: {error}"
    else:
        raise AssertionError("a NaN in the data was not detected")
    for name, parameter in run.gan.named_parameters():
        assert bool(parameter.isfinite().all()), f"{name} contains a NaN"
    first_phase = run.active[0][1]
    for name, parameter in optimizers.named_parameters(run.gan, first_phase):
        assert torch.equal(before[name], parameter), f"{name} changed in the skipped update"


def _with_nan(batch: Any) -> Any:
    """Return the batch with one NaN, also in an input image that was made from the image."""
    images = {
        name: image.clone() for name, image in batch._asdict().items() if name in ("x", "c", "y") and _is_image(image)
    }
    images.setdefault("x", batch.x.clone())
    for image in images.values():
        image[0].flatten()[0] = float("nan")
    return batch._replace(**images)


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() in (4, 5) and value.is_floating_point()


CHECKS: dict[str, Callable[[Recipe, Path], None]] = {
    "shapes": check_shapes,
    "phases": check_phases,
    "resume": check_resume,
    "generate": check_generate,
    "splits": check_splits,
    "storage": check_storage,
    "config": check_config,
    "nan": check_nan,
}


def check_recipe(recipe: Recipe, tmp: Path | str | None = None) -> None:
    """Run all checks on a recipe.

    Args:
        recipe: The recipe.
        tmp: Folder for checkpoints; None for a temporary one.

    Raises:
        AssertionError: If a check fails.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        for name, check in CHECKS.items():
            folder = Path(tmp or temporary) / name
            folder.mkdir(parents=True, exist_ok=True)
            check(recipe, folder)
