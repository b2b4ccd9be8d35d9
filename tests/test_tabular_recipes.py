"""CTGAN and TVAE: the recipes' conformance suite, and that each computes what the paper says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganloom
from ganloom import recipes, testing
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data.dataset import Facts
from ganloom.data.encoded_table import EncodedTable
from ganloom.gan import Adam
from ganloom.lint import rules
from ganloom.networks.tabular import Heads, gumbel
from ganloom.recipes import ctgan
from ganloom.training.trainer import TrainConfig, Trainer


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("recipe", list(recipes.TABLES))
def test_recipe(recipe: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](recipe, tmp_path)


@pytest.mark.parametrize("recipe", list(recipes.TABLES))
def test_they_are_listed_apart_and_find_no_fault_in_themselves(recipe: str) -> None:
    assert recipes.find(recipe.upper()) is recipes.TABLES[recipe] and recipe not in ganloom.RECIPES
    module = recipes.find(recipe)
    gan: Any = module.MODEL(module.Config())
    data = testing.make_data(gan=gan, n=600)
    assert rules.lint(gan, data, TrainConfig(total_kimg=module.KIMG)) == []
    assert "\nAbout: " in (module.__doc__ or "")


def test_images_and_tables_are_not_mixed_up(tmp_path: Path) -> None:
    table = testing.make_table(40, (("value", 2), ("choice", 3)))
    with pytest.raises(BadInput, match="ganloom table fit"):
        ganloom.train("ctgan", testing.make_data(), tmp_path / "a")
    with pytest.raises(BadInput, match="encoded table"):
        ganloom.train("dcgan", table, tmp_path / "b")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="ganloom table fit"):
        ganloom.train("dcgan", tmp_path / "x.csv", tmp_path / "c")
    assert not list(tmp_path.glob("[abc]"))


@pytest.mark.parametrize("recipe", list(recipes.TABLES))
def test_a_run_is_resumed_exactly_from_its_folder(recipe: str, tmp_path: Path) -> None:
    module = recipes.find(recipe)
    layout = (("value", 2), ("choice", 3))
    options: dict[str, Any] = {"layout": layout, "batch_size": 20}
    options |= {"counts": (20, 20, 20), "pac": 5} if recipe == "ctgan" else {}
    config, data = module.Config(**options), testing.make_table(60, layout)
    more: dict[str, Any] = {"kimg_per_tick": 0.1, "judge": 0}
    whole = ganloom.train(config, data, tmp_path / "whole", total_kimg=0.2, **more)
    ganloom.train(config, data, tmp_path / "parts", total_kimg=0.1, **more)
    parts = ganloom.resume(tmp_path / "parts", total_kimg=0.2)
    a, b = whole.load(), parts.load()
    assert all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())
    assert (tmp_path / "whole" / "report.html").is_file()


def test_an_encoded_table_is_saved_and_read(tmp_path: Path) -> None:
    table = testing.make_table(30, (("choice", 3), ("value", 2)))
    table.save(tmp_path / "t.npz")
    again = ganloom.data.open(tmp_path / "t.npz")
    assert isinstance(again, EncodedTable) and again.layout == table.layout and again.fingerprint == table.fingerprint
    with np.load(tmp_path / "t.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "bad.npz", **{**arrays, "rows": arrays["rows"][:, :3]})
    with pytest.raises(BadInput, match="layout"):
        ganloom.data.open(tmp_path / "bad.npz")


# --------------------------------------------------------------------------------------------------------------- CTGAN


def rare_table(n: int = 1000) -> EncodedTable:
    """Two categories of which one has 5 of 1,000 rows, and a choice of four of which one has no row."""
    first = np.eye(2)[(np.arange(n) < 5).astype(int)]
    second = np.eye(4)[np.arange(n) % 3]
    return EncodedTable(
        np.concatenate([first, second], 1).astype(np.float32), (("choice", 2), ("choice", 4)), Facts("rare")
    )


def test_training_by_sampling() -> None:
    """Columns come equally often, categories by the logarithm of their frequency, and each row fulfils its condition."""
    table = rare_table()
    counts = tuple(int(c) for c in table.counts)
    assert counts == (995, 5, 334, 333, 333, 0)
    gan = ctgan.CTGAN(ctgan.Config(layout=table.layout, counts=counts, batch_size=5000))
    batch = gan.draw(table, Rng(0, 0, 0))
    assert batch.c is not None
    assert bool((batch.x[torch.arange(5000), batch.c] == 1).all()), "a real row that does not fulfil its condition"
    drawn = torch.bincount(batch.c, minlength=6) / 5000
    logs = np.log([996, 6])
    assert abs(float(drawn[:2].sum()) - 0.5) < 0.03 and abs(float(drawn[1]) - logs[1] / logs.sum() / 2) < 0.02
    assert drawn[5] == 0
    torch.manual_seed(0)
    c = gan.c(5000)
    assert c is not None
    own = torch.bincount(c, minlength=6) / 5000
    assert abs(float(own[1]) - 0.0025) < 0.002 and own[5] == 0, "generated rows have the frequencies of the table"


def test_a_condition_can_be_asked_for() -> None:
    gan = testing.build("ctgan")
    c = torch.full((4,), 2)
    assert torch.equal(gan.generate(4, seed=1, c=c), gan.generate(4, seed=1, c=c))
    assert not torch.equal(gan.generate(4, seed=1, c=c), gan.generate(4, seed=1, c=torch.full((4,), 1)))
    with pytest.raises(BadInput, match="0 to 4"):
        gan.generate(2, c=torch.tensor([5, 5]))


def test_the_gradient_penalty_is_of_a_pack_and_not_of_the_condition() -> None:
    gan: Any = testing.build("ctgan", pac=4)
    batch = gan.draw(testing.make_data(gan=gan), Rng(0, 0, 0))
    with torch.no_grad():
        gan.D.out.weight.zero_()  # the gradient is 0: each pack pays (0 - 1)^2
    terms = gan.d_loss(batch)
    assert float(terms["gp"].detach()) == pytest.approx(gan.cfg.gp_weight)
    received: list[Any] = []
    gan.D.register_forward_pre_hook(lambda module, args: received.append(args))
    gan.d_loss(batch)
    rows, width = len(batch.x) // 4, 4 * batch.x.shape[1]
    assert all(args[0].shape == (rows, width) and args[1].shape == (rows, 4 * 5) for args in received)


def test_without_categories_there_is_no_condition() -> None:
    layout = (("value", 2), ("value", 1))
    gan = ctgan.CTGAN(ctgan.Config(layout=layout, counts=(), batch_size=10, pac=5))
    run = Trainer(gan, testing.make_table(30, layout), TrainConfig())
    run.train_step()
    assert gan.c(3) is None and run.ema.generate(2).shape == (2, 5)


@pytest.mark.parametrize(
    "bad", [{"pac": 7}, {"layout": ()}, {"layout": (("other", 2),)}, {"counts": (1,)}, {"dropout": 1.0}]
)
def test_settings_that_cannot_be(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ctgan.Config(**bad)


def test_heads_activate_each_part() -> None:
    heads = Heads((("value", 2), ("choice", 3)))
    raw = torch.randn(5, 6)
    rows = heads(raw)
    assert torch.allclose(rows[:, 0], raw[:, 0].tanh())
    assert torch.allclose(rows[:, 1:3], raw[:, 1:3].softmax(1)) and torch.allclose(rows[:, 3:], raw[:, 3:].softmax(1))
    hard = heads(raw, temperature=0)
    assert torch.equal(hard[:, 3:].argmax(1), raw[:, 3:].argmax(1)) and set(hard[:, 1:].unique().tolist()) == {0.0, 1.0}
    noise = gumbel(torch.rand(40_000, 5, generator=torch.Generator().manual_seed(0)))
    chosen = heads(raw[:1].expand(40_000, -1), noise, temperature=0)[:, 3:].mean(0)
    assert torch.allclose(chosen, raw[0, 3:].softmax(0), atol=0.015), "the Gumbel noise draws from the softmax"


@pytest.mark.parametrize("recipe", list(recipes.TABLES))
def test_each_learns_a_dependence(recipe: str) -> None:
    """The category decides the sign of the number. After some hundred steps, generated rows know it."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 400)
    value = np.where(kind == 0, -0.5, 0.5) + rng.normal(0, 0.1, 400)
    rows = np.concatenate([value[:, None], np.ones((400, 1)), np.eye(2)[kind]], 1).astype(np.float32)
    layout = (("value", 1), ("choice", 2))
    module = recipes.find(recipe)
    options: dict[str, Any] = {"layout": layout, "batch_size": 100}
    if recipe == "ctgan":
        fast = Adam(1e-3, betas=(0.5, 0.9))
        options |= {"counts": (200, 200), "g_widths": (64,), "d_widths": (64, 64), "pac": 2, "dropout": 0.0}
        options |= {"g_opt": fast, "d_opt": fast}
    torch.manual_seed(0)
    run = Trainer(
        module.MODEL(module.Config(**options)), EncodedTable(rows, layout, Facts("two")), TrainConfig(), ema_kimg=2.0
    )
    for _ in range(500):
        run.train_step()
    made = run.ema.generate(400, seed=0, batch=400)
    first = made[:, 2] > made[:, 3]
    assert 0.3 < float(first.float().mean()) < 0.7
    assert float((first == (made[:, 0] < 0)).float().mean()) > 0.8
