"""The conformance suite: what every recipe must keep, listed or your own.

``check_recipe("dcgan")`` runs all checks and raises AssertionError at the first that fails; ``CHECKS`` are the single
ones, for a parametrised test.
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
from ganloom.gan import GAN
from ganloom.runs import checkpoint
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

Recipe = str | ModuleType | Callable[[tuple[int, ...], int], GAN]
"""A recipe's name or module, or a function (shape, number of classes) -> GAN of your own."""

SHAPES = ((1, 28, 28), (2, 16, 16), (3, 32, 32), (4, 48, 32))
CLASSES = 3


def build(recipe: Recipe, shape: tuple[int, ...] = (1, 16, 16), seed: int = 0, **changes: Any) -> GAN:
    """A small model of the recipe: few channels, a batch of 8."""
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
        }  # few updates, small inside, nothing that has to be installed
        small |= {"shape": shape, "n_classes": CLASSES, "in_channels": shape[0], "pool": 6, "blocks": 1} | changes
        names = {field.name for field in dataclasses.fields(module.Config)}
        model: GAN = module.MODEL(config.replace(module.Config(), {k: v for k, v in small.items() if k in names}))
        return model


def make_data(shape: tuple[int, ...] = (1, 16, 16), n: int = 50, gan: GAN | None = None) -> Any:
    """Random labelled images (n, H, W, C) uint8; for a model that starts from images, with inputs beside them."""
    rng = np.random.default_rng(0)
    if gan is not None and gan.conditions_on == "images":
        a, b = (rng.integers(0, 256, (n, *shape[1:], shape[0]), dtype=np.uint8) for _ in range(2))
        size = shape[0], shape[1], shape[2]
        return datasets.open((a, b), inputs="pairs" if gan.paired else "domains", shape=size)
    labels = np.arange(n) % CLASSES
    images = rng.integers(0, 256, (n, *shape[1:], shape[0]), dtype=np.uint8)
    return datasets.open(images, labels=labels, shape=(shape[0], shape[1], shape[2]))


def trainer(recipe: Recipe, shape: tuple[int, ...] = (1, 16, 16), seed: int = 0, **cfg: Any) -> Trainer:
    """A Trainer of a small model on random images."""
    gan = build(recipe, shape, seed)
    return Trainer(gan, make_data(shape, gan=gan), TrainConfig(**cfg), ema_kimg=0.05)


def generate(run: Trainer, model: GAN, n: int, seed: int) -> Tensor:
    """Samples seed, seed + 1, ...; of a model that starts from images, from the data's inputs of these numbers."""
    rows = torch.arange(seed, seed + n) % len(run.data)
    return model.generate(n, seed=seed, c=model.inputs(run.data, rows))


def _snapshot(run: Trainer) -> dict[str, Tensor]:
    return {f"{part}/{name}": t.detach().clone() for part, ts in run.tensors().items() for name, t in ts.items()}


def _assert_equal(a: dict[str, Tensor], b: dict[str, Tensor], what: str) -> None:
    assert a.keys() == b.keys(), f"{what}: tensors appear or vanish: {sorted(a.keys() ^ b.keys())[:3]}"
    for name, value in a.items():
        assert torch.equal(value, b[name]), f"{what}: {name} differs"


# -------------------------------------------------------------------------------------------------------- the checks


def check_shapes(recipe: Recipe, tmp: Path) -> None:
    """Any channel count and size: a step runs, and samples have the data's shape and range."""
    for shape in SHAPES:
        run = trainer(recipe, shape)
        run.train_step()
        x = generate(run, run.ema, 3, 0)
        assert x.shape == (3, *shape), f"samples of shape {tuple(x.shape)} for {shape}"
        assert x.dtype == torch.float32 and bool(x.isfinite().all()), "samples must be finite float32"
        assert float(x.abs().max()) <= 1.0, "images must lie in [-1, 1]"


def check_phases(recipe: Recipe, tmp: Path) -> None:
    """A phase changes its own networks' parameters and no others; what no phase trains keeps its buffers too."""
    run = trainer(recipe)
    changed: set[str] = set()
    for index, phase in run.active:
        own = {name for name, _ in optimizers.named_parameters(run.gan, phase)}
        before = {name: p.detach().clone() for name, p in run.gan.named_parameters()}
        for repeat in range(2):  # a residual branch whose last weight starts at 0 is still for one update
            run._update(index, phase, repeat, run._draw())
        for name, parameter in run.gan.named_parameters():
            moved = not torch.equal(before[name], parameter)
            assert not moved or name in own, f'phase "{phase.net}" changed {name}'
            assert parameter.grad is None and not parameter.requires_grad, f"{name} is left thawed"
            changed |= {name} if moved else set()
    trained = {name for _, phase in run.active for name, _ in optimizers.named_parameters(run.gan, phase)}
    assert len(changed) > 0.5 * len(trained), f"of {len(trained)} trained parameters only {len(changed)} move"


def check_resume(recipe: Recipe, tmp: Path) -> None:
    """Saved and loaded at a random step, with and without micro-batches: every tensor equal to the uninterrupted run."""
    steps = 9  # past the first steps, in which the average moves each time
    for micro in (None, 4):
        whole = trainer(recipe, micro_batch=micro)
        for _ in range(steps):
            whole.train_step()
        cut = random.Random(repr((str(recipe), micro))).randrange(1, steps)
        first = trainer(recipe, micro_batch=micro)
        for _ in range(cut):
            first.train_step()
        folder = tmp / f"resume-{micro}"
        path = checkpoint.save(folder, checkpoint.name_of(first.nimg), first.tensors(), first.state())
        torch.manual_seed(random.randrange(1 << 30))  # nothing may hang on the process's own random state
        loaded = checkpoint.read(path)
        second = trainer(recipe, seed=1, micro_batch=micro)
        second.load_state(loaded.tensors, loaded.state)
        for _ in range(steps - cut):
            second.train_step()
        _assert_equal(_snapshot(whole), _snapshot(second), f"resumed at step {cut} (micro_batch {micro})")
        assert whole.stats.collect() == second.stats.collect(), "the statistics of a resumed run differ"


def check_generate(recipe: Recipe, tmp: Path) -> None:
    """generate is seeded and pure: equal seeds equal samples, z is honoured, and looking never changes a run."""
    run = trainer(recipe)
    run.train_step()
    for model in (run.ema, run.gan):
        a, b = generate(run, model, 4, 3), generate(run, model, 4, 3)
        assert torch.equal(a, b), "the same seed gave other samples"
        assert not torch.equal(a, generate(run, model, 4, 99)), "another seed gave the same samples"
        assert torch.allclose(a[:2], generate(run, model, 2, 3), atol=1e-4), "sample i depends on n"
        shifted = generate(run, model, 2, 4)
        assert torch.allclose(a[1:3], shifted, atol=1e-4), "sample i is not a function of seed + i"
    looked, blind = trainer(recipe), trainer(recipe)
    for _ in range(3):
        looked.train_step()
        blind.train_step()
        generate(looked, looked.ema, 2, 1)
        generate(looked, looked.gan, 2, 1)
        torch.rand(7)
    _assert_equal(_snapshot(looked), _snapshot(blind), "sampling between steps")


def check_splits(recipe: Recipe, tmp: Path) -> None:
    """A recipe that says its losses split by n samples has the same gradients in parts as whole, on the same noise."""
    run = trainer(recipe)
    by = run.gan.splits_by
    if by is None:
        return
    for index, phase in run.active:
        batch = run._draw()
        n = len(batch[0])
        whole, parts = (_gradient(run, index, batch, size) for size in (n, by * max(1, n // (2 * by))))
        error = float((whole - parts).norm() / whole.norm().clamp_min(1e-12))
        assert error < 1e-4, f'phase "{phase.net}": gradients in parts of {by} differ from the whole by {error:.1e}'


def _gradient(run: Trainer, index: int, batch: Any, size: int) -> Tensor:
    """The gradient of one phase by parts of ``size``; sample i sees the same random numbers whatever the size is."""
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
        for buffer, kept in buffers:
            buffer.copy_(kept)
    for parameter in parameters:
        parameter.grad = None
        parameter.requires_grad_(False)
    return gradient


@contextlib.contextmanager
def _same_numbers(n: int, start: int, size: int) -> Iterator[None]:
    """ganloom's random functions give part [start, start + size) the rows that the whole batch of n would get."""
    calls = iter(range(1_000_000))

    def rows(draw: Callable[..., Tensor], count: int, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(next(calls))
        each = count // size  # a loss may draw several numbers for each sample
        return draw(each * n, *shape, generator=generator)[each * start : each * (start + size)]

    kept = randomness.randn, randomness.rand, randomness.randint
    randomness.randn = lambda count, *shape, device="cpu": rows(torch.randn, count, *shape)  # type: ignore[assignment]
    randomness.rand = lambda count, *shape, device="cpu": rows(torch.rand, count, *shape)  # type: ignore[assignment]
    randomness.randint = lambda high, count, device="cpu": (rows(torch.rand, count) * high).long()  # type: ignore[assignment]
    try:
        yield
    finally:
        randomness.randn, randomness.rand, randomness.randint = kept  # type: ignore[assignment]


def check_storage(recipe: Recipe, tmp: Path) -> None:
    """No two tensors of the state share storage, and keys do not change while training."""
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
    """The config survives JSON, and a listed recipe says its paper and its departures."""
    gan = build(recipe)
    if not dataclasses.is_dataclass(gan.cfg):
        return
    plain = json.loads(json.dumps(config.to_dict(gan.cfg)))
    assert config.from_dict(type(gan.cfg), plain) == gan.cfg, "the config does not survive JSON"
    module = recipes.find(recipe) if isinstance(recipe, str) else recipe
    if isinstance(module, ModuleType):
        text = module.__doc__ or ""
        assert "arXiv:" in text and "Departures" in text, "the docstring names the paper (arXiv:...) and the departures"
        assert module.TITLE and module.PAPER and module.DATA, "the module says TITLE, PAPER and DATA"


def check_nan(recipe: Recipe, tmp: Path) -> None:
    """A NaN in the data is refused: weights and average stay what they were."""
    from ganloom.training.nan_guard import NonFinite

    run = trainer(recipe)
    run.train_step()
    before = {n: p.detach().clone() for n, p in run.gan.named_parameters()}
    draw = run.gan.draw
    run.gan.draw = lambda data, rng: _poisoned(draw(data, rng))  # type: ignore[method-assign, assignment]
    try:
        run.train_step()
    except NonFinite as error:
        assert "NaN" in str(error) and "batch" in str(error), f"the fault is not named: {error}"
    else:
        raise AssertionError("a NaN in the data went unnoticed")
    for name, parameter in run.gan.named_parameters():
        assert bool(parameter.isfinite().all()), f"NaN reached {name}"
    first = run.active[0][1]
    for name, parameter in optimizers.named_parameters(run.gan, first):
        assert torch.equal(before[name], parameter), f"{name} moved in the refused update"


def _poisoned(batch: Any) -> Any:
    x = batch.x.clone()
    x[0].flatten()[0] = float("nan")
    return batch._replace(x=x)


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
    """Run every check on a recipe; ``tmp`` is a folder for checkpoints (None: a temporary one)."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        for name, check in CHECKS.items():
            folder = Path(tmp or made) / name
            folder.mkdir(parents=True, exist_ok=True)
            check(recipe, folder)
