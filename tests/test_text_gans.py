"""Text models: the recipes' conformance suite, and that each computes what its paper says."""

import dataclasses
import html
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import ganloom
from ganloom import recipes, testing, texts
from ganloom.apps.text_models import open_model, sample_texts, train_texts
from ganloom.core import config
from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.lint import rules
from ganloom.networks import sequence
from ganloom.networks.relational_memory import RelationalMemory
from ganloom.texts.vocabulary import EOS, PAD
from ganloom.training.callbacks import Callback
from ganloom.training.config import TrainConfig


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("recipe", list(recipes.TEXTS))
def test_recipe(recipe: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](recipe, tmp_path)


SIZES: dict[str, Any] = {
    "vocabulary": 12, "length": 6, "embedding": 6, "fixed_length": False, "batch_size": 8,
}  # fmt: skip


def small(recipe: str, **changes: Any) -> Any:
    """A small model on the data of ``testing.make_texts``."""
    return testing.build(recipe, **{**SIZES, "n_classes": 0, **changes})


@pytest.mark.parametrize("recipe", list(recipes.TEXTS))
def test_they_are_listed_apart_and_find_no_fault_in_themselves(recipe: str) -> None:
    module = recipes.find(recipe)
    assert module is recipes.TEXTS[recipe] and recipe not in ganloom.RECIPES
    gan = testing.build(recipe)
    assert rules.lint(gan, testing.make_data(gan=gan), TrainConfig(total_kimg=module.KIMG)) == []
    assert "\nAbout: " in (module.__doc__ or "")


@pytest.mark.parametrize("net", ["lstm", "transformer", "memory"])
def test_a_network_is_the_same_step_by_step(net: str) -> None:
    torch.manual_seed(0)
    made: dict[str, Any] = {
        "lstm": lambda: sequence.LSTM(30, 9, 3, 8, 16, False, 0.0),
        "transformer": lambda: sequence.Transformer(30, 9, 3, 16, 2, 4, False, 0.0),
        "memory": lambda: RelationalMemory(30, 9, 3, 8, 2, 2, 8, False),
    }
    model, u, c = made[net](), torch.rand(50, 9), torch.randint(3, (50,))
    x = sequence.draw(model, u, c)
    assert not torch.equal(x, sequence.draw(model, u, (c + 1) % 3)), "the class changes what is drawn"
    ends = x == EOS
    assert bool((x[:, 1:][ends.cumsum(1)[:, :-1] > 0] == PAD).all()) and ends.any(), "after the end comes padding"
    logits, state, steps = model(x, c), model.begin(50), []
    for vector in model.inputs(x, c).unbind(1):
        step, state = model.step(vector, state)
        steps.append(step)
    kept = ~model.forbidden
    assert torch.allclose(logits[..., kept], torch.stack(steps, 1)[..., kept], atol=1e-5)
    states = sequence.states(model, x, c)
    for t in (1, 4, 8):
        known = sequence.draw(model, u, c, prefix=x[:, :t], state=states[t])
        assert torch.equal(known, x) and torch.equal(sequence.draw(model, u, c, prefix=x[:, :t]), x)


def test_samples_follow_the_probabilities_and_the_temperature() -> None:
    logits = torch.tensor([[0.0, 1.0, -math.inf, 2.0]])
    u = torch.rand(40_000, generator=torch.Generator().manual_seed(0))
    for temperature in (1.0, 0.5):
        drawn = sequence.choose(logits.expand(40_000, -1), u, temperature)
        shares = torch.bincount(drawn, minlength=4) / 40_000
        assert torch.allclose(shares, (logits / temperature).softmax(1)[0], atol=0.01) and shares[2] == 0
    gan = small("mle")
    rows = gan.generate(400, seed=3, temperature=0.5)
    many = len({tuple(row) for row in gan.generate(400, seed=3, temperature=2.0).tolist()})
    assert len({tuple(row) for row in rows.tolist()}) <= many
    assert not bool((gan.generate(400, unknown=False) == 1).any())


def test_log_likelihood_sums_to_one_over_all_short_texts() -> None:
    gan = small("mle", vocabulary=6, length=3, hidden=4)
    texts = []
    for first, second, third in itertools.product((1, 3, 4, 5), repeat=3):
        row = [first, second, third]
        end = row.index(EOS) + 1 if EOS in row else 3
        texts.append(tuple(row[:end] + [PAD] * (3 - end)))
    rows = torch.tensor(sorted(set(texts)))
    for temperature in (1.0, 0.6):
        assert float(gan.log_likelihood(rows, temperature=temperature).exp().sum()) == pytest.approx(1, abs=1e-5)


def test_the_best_weights_of_the_pretraining_are_kept() -> None:
    run = testing.trainer("mle")
    gan: Any = run.gan
    losses = []
    for _ in range(20):
        run.train_step()
        if int(gan.best.updates) % gan.cfg.check_every == 0:
            losses.append(gan.validation_loss())
    assert float(gan.best.loss) == pytest.approx(min(losses)) and gan.best.kept
    own = {name: p.clone() for name, p in gan.G.named_parameters()}
    with gan.sampling_weights():
        assert gan.validation_loss() == pytest.approx(min(losses))
    assert all(torch.equal(p, own[name]) for name, p in gan.G.named_parameters())
    run = testing.Trainer(testing.build("seqgan", pretrain_kimg=0.04, d_pretrain_kimg=0.03), run.data, TrainConfig())
    gan = run.gan
    for _ in range(5):
        assert [phase.net for _, phase in run.active] == ["G"]
        run.train_step()
    assert [phase.net for _, phase in run.active] == ["D"] and gan.validation_loss() == pytest.approx(
        float(gan.best.loss)
    )
    for _ in range(4):
        run.train_step()
    assert [phase.net for _, phase in run.active] == ["D", "G"]


def test_seqgan_rewards_are_the_means_of_d_over_completions() -> None:
    gan = small("seqgan", rollouts=300)
    x, _ = gan.drawn(3)
    found = gan.rewards(x, None)
    torch.manual_seed(1)
    assert torch.allclose(found[:, -1], gan.probability(x, None))
    for t in (1, 3):
        again = sequence.draw(gan.G, gan.rand(900, 6), prefix=x[:, :t].repeat_interleave(300, 0))
        mean = gan.probability(again, None).view(3, 300).mean(1)
        assert torch.allclose(found[:, t - 1], mean, atol=0.02)
    with torch.no_grad():
        gan.G.out.bias[7] += 50.0  # the rollout policy keeps its own weights until G was updated
    assert torch.allclose(gan.rewards(x, None)[:, 0], found[:, 0], atol=0.02)
    before = gan.rollout.get_buffer("w_out__bias").clone()
    gan.after_update(gan.phases()[-1])
    assert torch.allclose(gan.rollout.get_buffer("w_out__bias") - before, 0.2 * (gan.G.out.bias - before), atol=1e-5)


def test_seqgan_and_maligan_raise_what_d_likes() -> None:
    """D likes texts with the token 5. After some updates of G, they have more of it."""
    for recipe in ("seqgan", "maligan"):
        gan = small(recipe, baseline=True, mixed_kimg=0.0, completions=8, batch_size=32)
        gan.kimg = 1.0
        with torch.no_grad():
            for p in gan.D.parameters():
                p.zero_()
        gan.D.forward = lambda x, c=None: 2.0 * (x == 5).sum(1).float() - 2.0
        before = (gan.drawn(500)[0] == 5).float().mean()
        opt = torch.optim.Adam(gan.G.parameters(), 0.03)
        for _ in range(12):
            batch = Batch(gan.drawn(32)[0])
            opt.zero_grad()
            gan.policy(batch)["adv"].backward()
            opt.step()
        assert (gan.drawn(500)[0] == 5).float().mean() > before + 0.15, recipe


def test_maligan_weights() -> None:
    gan = small("maligan", completions=4, pretrain_kimg=1.0, d_pretrain_kimg=1.0, mixed_kimg=4.0)
    gan.kimg = 3.0  # a quarter of the mixed training
    x = torch.randint(4, 12, (8, 6))
    ratio = gan.probability(x, None) / (1 - gan.probability(x, None))
    groups = ratio.view(2, 4)
    assert torch.allclose(gan.weights(x, None), groups / groups.sum(1, keepdim=True) - 0.25 / 4, atol=1e-5)
    terms = gan.policy(Batch(torch.randint(4, 12, (8, 6))))
    assert float(terms["given"]) == round(0.75 * 5)


def test_relgan_draws_with_a_gradient() -> None:
    gan = small("relgan", beta_max=100.0, anneal_kimg=2.0, pretrain_kimg=1.0)
    for kimg, beta in ((1.0, 1.0), (2.0, 10.0), (9.0, 100.0)):
        gan.kimg = kimg
        assert gan.beta == pytest.approx(beta)
    fake = gan.soft(200)[0].detach()
    assert torch.allclose(fake.sum(2), torch.ones(200, 6)) and float(fake.max(2).values.mean()) > 0.95
    hard = fake.argmax(2)
    real = torch.bincount(sequence.draw(gan.G, gan.rand(20_000, 6))[:, 0], minlength=12) / 20_000
    made = torch.bincount(torch.cat([gan.soft(2000)[0].argmax(2)[:, 0] for _ in range(5)]), minlength=12) / 10_000
    assert torch.allclose(real, made, atol=0.02), "Gumbel argmax draws from the softmax"
    assert torch.allclose(gan.D(fake), gan.D(torch.nn.functional.one_hot(hard, 12).float()), atol=0.2)
    assert torch.allclose(gan.D(hard), gan.D(torch.nn.functional.one_hot(hard, 12).float()), atol=1e-5)
    gan.policy(Batch(torch.randint(4, 12, (8, 6))))["adv"].backward()
    assert gan.G.out.weight.grad is not None and float(gan.G.out.weight.grad.norm()) > 0


def test_residual_energy_changes_the_probabilities_as_its_formula_says() -> None:
    """With E = 2 for texts that begin with token 4 and 0 for others, their share is p e^2 / (p e^2 + 1 - p)."""
    gan = small("residual-energy", candidates=64, pretrain_kimg=0.5)
    gan.kimg = 1.0
    gan.D.forward = lambda x, c=None: 2.0 * (x[:, 0] == 4).float()
    u = torch.rand(4000, 6, generator=torch.Generator().manual_seed(0))
    p = float((sequence.draw(gan.G, u)[:, 0] == 4).float().mean())
    wanted = p * math.e**2 / (p * math.e**2 + 1 - p)
    rows = gan.generate(2000, seed=0, batch=500)
    assert float((rows[:, 0] == 4).float().mean()) == pytest.approx(wanted, abs=0.03)
    x = torch.tensor([[4, 5, 6, 7, 8, 9], [5, 5, 6, 7, 8, 9]])
    change = gan.log_likelihood(x) - super(type(gan), gan).log_likelihood(x)
    log_z = math.log(p * math.e**2 + 1 - p)
    assert torch.allclose(change, torch.tensor([2.0 - log_z, -log_z]), atol=0.05)


def test_a_run_with_former_fields_is_still_read(tmp_path: Path) -> None:
    """residual-energy had three fields without an effect."""
    module = recipes.TEXTS["residual-energy"]
    former = {"d_l2": 0.0, "d_updates": 1, "d_pretrain_kimg": 0.0}
    cfg = module.Config(hidden=4, vocabulary=9)
    values = config.to_dict(cfg)
    assert not former.keys() & values.keys()
    assert config.from_dict(module.Config, {**values, **former}) == cfg
    with pytest.raises(BadInput, match="no field"):
        config.from_dict(module.Config, {**values, "d_l3": 0.0})
    data = texts.read("reports").pick(range(0, 4000, 40))
    small = {"filters": ((2, 8),), "hidden": 8, "check_every": 4, "candidates": 2}
    more: dict[str, Any] = {"device": "cpu", "console": Callback()}
    run = train_texts("residual-energy", data, tmp_path / "run", small=True, total_kimg=0.3, options=small, **more)
    for file in (tmp_path / "run" / "config.json", tmp_path / "run" / "model" / "config.json"):
        content = json.loads(file.read_text())
        content["config"] |= former
        file.write_text(json.dumps(content))
    longer = ganloom.resume(run.path, total_kimg=0.5, console=Callback())
    assert open_model(longer.path).cfg == open_model(longer.path / "model").cfg


@pytest.mark.parametrize("recipe", ["mle", "residual-energy"])
def test_a_run_on_texts_is_resumed_exactly_and_sampled_by_class(recipe: str, tmp_path: Path) -> None:
    data = texts.read("reports").pick(range(0, 4000, 40))
    own = {"d_updates": 2, "rollouts": 2, "filters": ((2, 8),), "hidden": 8, "check_every": 4, "candidates": 3}
    names = {field.name for field in dataclasses.fields(recipes.TEXTS[recipe].Config)}
    more: dict[str, Any] = {
        "small": True, "options": {name: value for name, value in own.items() if name in names}, "device": "cpu",
        "console": Callback(),
    }  # fmt: skip
    whole = train_texts(recipe, data, tmp_path / "whole", total_kimg=1.0, **more)

    class Stop(Callback):
        def on_step(self, trainer: Any) -> None:
            if trainer.nimg > 600:
                trainer.stop_requested = "test"

    train_texts(recipe, data, tmp_path / "parts", total_kimg=1.0, **{**more, "console": Stop()})
    parts = ganloom.resume(tmp_path / "parts", console=Callback())
    a, b = whole.load(), parts.load()
    assert all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())
    model = open_model(whole.path / "model")
    made = sample_texts(model, 3, classes=("garden", "weather"), temperature=0.7)
    assert made.labels == ["garden"] * 3 + ["weather"] * 3 and len(made) == 6 and "<unk>" not in " ".join(made.texts)
    free = sample_texts(model, 8, seed=2)
    assert sample_texts(model, 2, seed=4).texts == list(free.texts)[2:4], "text i depends on seed + i alone"
    page = (whole.path / "report.html").read_text()
    lines = sorted((whole.path / "samples").glob("0*.txt"))[-1].read_text().splitlines()
    assert "<small>texts/s</small>" in page and "thousands of real texts shown in training" in page
    assert "Real texts" in page and html.escape(lines[0]) in page and len(list((whole.path / "samples").iterdir())) > 5
