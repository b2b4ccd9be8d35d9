"""Toys of many seeds at once: equal to each seed alone, cures that do what they say, the command and its page."""

import dataclasses
import json
from pathlib import Path

import commands
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ganloom.bench.modes import benchmark, page
from ganloom.bench.modes.cures import CURES, MAIN, Cure
from ganloom.bench.modes.failures import SICKNESSES, against, compare, usual, verdict, welch
from ganloom.bench.modes.toy_gans import BATCH, Critic, Few, Layers, Mixture, Plan
from ganloom.bench.modes.toy_training import Loop, train
from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.modes import Modes, means, mode_coverage, over_seeds
from ganloom.penalties import PENALTIES, grad_norm

SIZES = (2, 16, 16, 1)


def alone(D: Critic, seed: int, x: torch.Tensor) -> torch.Tensor:
    """One seed's network as plain layers: (N, d) -> (N,)."""
    for i in range(3):
        x = F.linear(x, D.weight(i)[seed].T, D.biases[i][seed, 0])
        x = F.leaky_relu(x, 0.2) if i < 2 else x
    return x[:, 0]


def test_batched_layers_are_the_layers_of_each_seed() -> None:
    torch.manual_seed(0)
    D, x = Critic(3, SIZES, 0.2), torch.randn(3 * 5, 2)
    torch.testing.assert_close(D(x).view(3, 5), torch.stack([alone(D, i, x.view(3, 5, 2)[i]) for i in range(3)]))


@pytest.mark.parametrize("name", ["r1", "r2", "zero_centred", "wgan_gp"])
def test_a_penalty_on_the_joined_axis_is_the_mean_over_seeds(name: str) -> None:
    """And its gradient, times S, is what each seed gets alone."""
    torch.manual_seed(0)
    D, real = Critic(3, SIZES, 0.2), torch.randn(15, 2)
    fake = real + 0.0 if name in ("zero_centred", "wgan_gp") else torch.randn(15, 2)  # no random position between
    joined = PENALTIES[name](D, real, fake)
    parts = []
    for i in range(3):
        r, f = real.view(3, 5, 2)[i], fake.view(3, 5, 2)[i]
        parts.append(PENALTIES[name](lambda x, i=i: alone(D, i, x), r, f))
    torch.testing.assert_close(joined, torch.stack(parts).mean())
    (together,) = torch.autograd.grad(joined * 3, D.weights[1])
    (apart,) = torch.autograd.grad(torch.stack(parts).sum(), D.weights[1])
    torch.testing.assert_close(together, apart)


def test_seeds_do_not_hear_of_each_other() -> None:
    """A step after one seed's G is spoilt changes that seed only."""
    mixture = benchmark.grid()
    after = []
    for spoilt in (False, True):
        torch.manual_seed(1)
        G, D = Layers(3, (2, 16, 2)), Critic(3, SIZES, 0.2)
        if spoilt:
            with torch.no_grad():
                G.biases[1][2] += 5.0
        Loop(CURES["rpgan-r1-r2"], mixture, G, D).step(0.0, 0.1)
        after.append([p.detach().clone() for p in (*G.parameters(), *D.parameters())])
    for a, b in zip(*after, strict=True):
        torch.testing.assert_close(a[:2], b[:2], rtol=0, atol=0)
    assert any(not torch.equal(a[2], b[2]) for a, b in zip(*after, strict=True))


def test_spectral_norm_of_each_seed_and_layer() -> None:
    torch.manual_seed(0)
    D = Critic(2, (2, 32, 32, 1), 0.2, spectral=True)
    for _ in range(50):
        D.turn()
    for i in range(3):
        torch.testing.assert_close(torch.linalg.matrix_norm(D.weight(i).detach(), 2), torch.ones(2), atol=0.02, rtol=0)
    assert float(grad_norm(D, torch.randn(40, 2)).detach().max()) <= 1.02, "so D is 1-Lipschitz"


def test_packing_shows_d_samples_of_one_seed_together() -> None:
    torch.manual_seed(0)
    D, x = Critic(2, SIZES, 0.2, pack=4), torch.randn(2 * 8, 2)
    assert D(x).shape == (2 * 2,)
    y = x.clone()
    y[3] += 1  # the last of the first pack of the first seed
    assert (D(x) != D(y)).tolist() == [True, False, False, False]


@pytest.mark.parametrize("batch", ["stddev", "discrimination"])
def test_batch_statistics_stay_within_a_seed(batch: str) -> None:
    torch.manual_seed(0)
    D, x = Critic(2, SIZES, 0.2, batch=batch), torch.randn(2 * 8, 2)
    y = x.clone()
    y[0] = y[4] if batch == "discrimination" else y[0] + 1
    changed = (D(x) != D(y)).view(2, 8)
    assert int(changed[0].sum()) > 1 and not changed[1].any()


@pytest.mark.parametrize("name", ["r1", "wgan-gp", "rpgan-r1-r2", "spectral-norm"])
def test_fused_adam_takes_the_steps_of_the_plain_one(name: str) -> None:
    """It reads a gradient's memory in the weight's order; a penalty's gradient comes in another one."""
    after = []
    for fused in (True, False):
        torch.manual_seed(0)
        G, D = Layers(2, (2, 16, 16, 2)), Critic(2, (2, 16, 16, 1), 0.2, CURES[name].spectral)
        loop = Loop(CURES[name], benchmark.ring(), G, D)
        if not fused:
            loop.opt = {
                net: torch.optim.Adam(p, lr=1e-3, betas=(0.0, 0.99), foreach=False) for net, p in loop.of.items()
            }
        loop.step(0.0, 0.1)
        after.append([p.detach().clone() for p in D.parameters()])
    for a, b in zip(*after, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=0)


def test_unrolled_is_taken_back() -> None:
    torch.manual_seed(0)
    G, D = Layers(2, (2, 16, 2)), Critic(2, SIZES, 0.2)
    loop = Loop(CURES["unrolled"], benchmark.ring(), G, D)
    loop.step(0.0, 0.1)
    before = [t.clone() for p in loop.of["D"] for t in (p.detach(), *loop.opt["D"].state[p].values())]
    with loop._unrolled(0.0):
        assert not torch.equal(before[0], next(D.parameters()))
    after = [t for p in loop.of["D"] for t in (p.detach(), *loop.opt["D"].state[p].values())]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_weights_are_clipped_and_rates_and_noise_fall() -> None:
    torch.manual_seed(0)
    G, D = Layers(2, (2, 16, 2)), Critic(2, SIZES, 0.2)
    loop = Loop(dataclasses.replace(CURES["wgan-clip"], noise=0.5, noise_until=0.5), benchmark.ring(), G, D)
    loop.step(0.75, 0.1)
    assert max(float(p.detach().abs().max()) for p in D.parameters()) <= CURES["wgan-clip"].clip + 1e-7  # type: ignore[operator]
    assert loop.opt["G"].param_groups[0]["lr"] == pytest.approx(0.5e-3)
    x = torch.zeros(4000, 2)
    rms = benchmark.ring().mean_square ** 0.5
    assert float(loop._blur(x, 0.25).std()) == pytest.approx(0.25 * rms, rel=0.05) and loop._blur(x, 0.5) is x


def test_label_smoothing_is_cross_entropy_against_it() -> None:
    torch.manual_seed(0)
    G, D = Layers(1, (2, 16, 2)), Critic(1, SIZES, 0.2)
    loop = Loop(CURES["label-smoothing"], benchmark.ring(), G, D)
    real, fake = torch.randn(8, 2), torch.randn(8, 2)
    wanted = F.binary_cross_entropy_with_logits(D(real), torch.full((8,), 0.9)) + F.softplus(D(fake)).mean()
    torch.testing.assert_close(loop.d_loss(real, fake, 0.0), wanted)


def a_loop(cure: Cure, seeds: int = 2) -> Loop:
    torch.manual_seed(0)
    return Loop(cure, benchmark.grid(), Layers(seeds, (2, 16, 16, 2)), Critic(seeds, SIZES, 0.2))


def test_weights_of_penalties_follow_the_data() -> None:
    """Data, and D's argument, 10 times as large: D's loss with a zero-centred penalty is what it was."""
    torch.manual_seed(0)
    D, real, fake = Critic(1, SIZES, 0.2), torch.randn(8, 2), torch.randn(8, 2)
    small, large = (Mixture(s * benchmark.grid().modes, s * 0.05) for s in (1, 10))
    losses = []
    for mixture, s in ((small, 1), (large, 10)):
        weights = Loop(CURES["rpgan-r1-r2"], mixture, Layers(1, (2, 16, 2)), D).weights
        parts = [w * PENALTIES[name](lambda x, s=s: D(x / s), s * real, s * fake) for name, w in weights.items()]
        losses.append(torch.stack(parts).sum())
    torch.testing.assert_close(*losses)
    assert small.mean_square == pytest.approx(8 + 0.05**2)
    assert small.draw(20000).square().mean() == pytest.approx(small.mean_square, rel=0.02)


def test_weights_decay_and_keep_apart_as_the_penalties_say() -> None:
    loop = a_loop(Cure("x", "y", weight_decay=0.3, orthogonal=0.2))
    for net, name, weight in (("D", "weight_decay", 0.3), ("G", "orthogonal", 0.2)):
        for i, p in enumerate(loop.of[net]):
            pull = loop._pull(net, i, p.detach())
            if p.shape[1] == 1:
                assert pull is None, "biases are left alone"
                continue
            for seed in range(2):
                alone = torch.nn.Linear(p.shape[1], p.shape[2], bias=False)
                with torch.no_grad():
                    alone.weight.copy_(p[seed].T)
                (wanted,) = torch.autograd.grad(weight * PENALTIES[name](alone, None, None), alone.weight)
                torch.testing.assert_close(pull[seed], wanted.T)  # type: ignore[index]


def test_the_mean_of_all_past_weights() -> None:
    loop, history = a_loop(Cure("x", "y", history=0.5)), []
    for step in range(3):
        history.append(loop.of["G"][0].detach().clone())
        loop.step(step / 3, 1 / 3)
    history.append(p := loop.of["G"][0].detach().clone())
    torch.testing.assert_close(loop.past["G"][0], torch.stack(history).mean(0))
    torch.testing.assert_close(loop._pull("G", 0, p), p - loop.past["G"][0])


def test_lecam_is_the_librarys_with_moving_anchors() -> None:
    loop = a_loop(CURES["lecam"], 1)
    for _ in range(3):
        anchors = loop.anchors.clone()
        real, fake = torch.randn(8), torch.randn(8)
        found = loop._lecam(real, fake)
        a_real, a_fake = 0.99 * anchors[0] + 0.01 * real.mean(), 0.99 * anchors[1] + 0.01 * fake.mean()
        torch.testing.assert_close(found, PENALTIES["lecam"](lambda x: x, real, fake, a_real, a_fake))


def test_top_k_learns_from_what_d_likes() -> None:
    loop = a_loop(Cure("x", "y", top=0.5), 2)
    z = torch.randn(2 * 8, 2)
    fake = loop.G(z)
    best = loop.D(fake).view(2, 8).sort(1, descending=True).values
    torch.testing.assert_close(loop.g_loss(fake, fake, 1.0, z), F.softplus(-best[:, :4]).mean())
    torch.testing.assert_close(loop.g_loss(fake, fake, 0.5, z), F.softplus(-best[:, :6]).mean())
    torch.testing.assert_close(loop.g_loss(fake, fake, 0.0, z), F.softplus(-best).mean())


def test_feature_matching_is_zero_on_equal_batches() -> None:
    loop, z = a_loop(CURES["feature-matching"]), torch.randn(16, 2)
    fake = loop.G(z)
    assert loop.g_loss(fake.detach(), fake, 0.0, z) == 0 < loop.g_loss(fake.detach() + 1, fake, 0.0, z)


@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_consistency_is_what_d_changes_by(name: str) -> None:
    """For small noise its expectation is the squared gradient times the noise's variance."""
    loop = a_loop(CURES[name], 1)
    plain = a_loop(CURES["plain"], 1)
    plain.D = loop.D
    real, fake = torch.randn(20000, 2), torch.randn(20000, 2)
    found = (loop.d_loss(real, fake, 0.0) - plain.d_loss(real, fake, 0.0)).detach()
    both = [x for x, weight in zip((real, fake), loop.cure.consistency, strict=True) if weight]
    wanted = sum(10 * (0.02 * loop.rms) ** 2 * grad_norm(loop.D, x).detach().square().mean() for x in both)
    assert float(found) == pytest.approx(float(wanted), rel=0.05)


def test_latent_consistency_asks_opposite_things_of_d_and_g() -> None:
    loop, z = a_loop(CURES["zcr"]), torch.randn(16, 2)
    plain = a_loop(CURES["plain"])
    plain.G, plain.D, real, fake = loop.G, loop.D, torch.randn(16, 2), loop.G(z)
    assert loop.d_loss(real, fake, 0.0, z) > plain.d_loss(real, fake, 0.0, z)
    assert loop.g_loss(real, fake, 0.0, z) < plain.g_loss(real, fake, 0.0, z)


def test_the_data() -> None:
    torch.manual_seed(0)
    grid = benchmark.grid()
    assert grid.modes.unique().tolist() == [-4, -2, 0, 2, 4] and len(grid.modes) == 25 and grid.sd == 0.05
    assert benchmark.DATA["grid100"].mixture().modes.abs().max() == 9
    assert mode_coverage(benchmark.ring().draw(2500), benchmark.ring().modes, 0.01).modes == 8


@pytest.mark.parametrize("name", CURES)
def test_each_cure_trains(name: str) -> None:
    trained = train(CURES[name], Mixture(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 0.1), 2, 3)
    x = trained.sample(7)
    assert x.shape == (2, 7, 2) and torch.isfinite(x).all()
    assert trained.field(1, 1.0, 5, BATCH).shape == (5, 5)


def test_equal_seeds_train_equally() -> None:
    runs = [train(CURES["r1"], benchmark.ring(), 2, 5, seed).sample(20) for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def row(cure: str, kl: list[float], quality: float = 0.9, steps: int = 3000, **extra: list[float]) -> benchmark.Row:
    each = [Modes(25, 25, quality, value) for value in kl]
    extra = extra or {"wander": kl}
    figures = dict(means(each, 25)) | {name: over_seeds(values) for name, values in extra.items()}
    return benchmark.Row("narrow", cure, steps, len(kl), 0, 1.0, figures, {}, 0.1, each, extra)


def test_welch_is_the_interval_of_textbooks() -> None:
    """Two samples whose t and degrees of freedom were worked out by hand."""
    value, low, high = welch(
        [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]
    )  # variances 5/3 and 20/3: se^2 25/12, 4.41 d.o.f.
    assert value == -2.5 and high - value == pytest.approx(2.776 * (25 / 12) ** 0.5, rel=0.02) and low == -high - 5
    assert welch([1.0, 1.0], [0.0, 0.0]) == (1.0, 1.0, 1.0)


def around(kl: float) -> list[float]:
    return [kl + 0.01 * i for i in (-2, -1, 0, 1, 2)]


def test_verdicts() -> None:
    plain = row("plain", around(0.2))
    said = {
        "zero-centred": (0.02, 0.9, "helps"), "dragan": (0.19, 0.9, "no difference shown"),
        "unrolled": (0.6, 0.9, "hurts"), "pacgan-2": (0.02, 0.05, "not comparable"),
    }  # fmt: skip
    rows = [plain, *(row(name, around(kl), quality) for name, (kl, quality, _) in said.items())]
    for one in rows[1:]:
        assert verdict(one, rows).startswith(said[one.cure][2])
    assert verdict(plain, rows) == verdict(rows[1], rows[1:]) == ""
    good, bad = (row(name, around(0.2), truncated=around(x)) for name, x in (("orthogonal", 0.9), ("plain", 0.5)))
    assert verdict(good, [good, bad]).startswith("helps: truncated +0.4"), "by the figure of its own sickness"


def test_what_does_not_help_is_said() -> None:
    rows = [row("plain", around(0.2)), row("dragan", around(0.19)), row("zero-centred", around(0.02))]
    rows += [row("plain", around(0.4), steps=9), row("unrolled", around(0.4), steps=9)]
    page = "\n".join(against([*rows, row("r1", around(0.02), steps=7)]))
    assert "`dragan` (mode collapse: no difference shown); `unrolled` (mode collapse: no difference shown)." in page
    assert "| `zero-centred` |" in page and "9 steps | `plain` 0.400" in page
    assert "`r1` (mode collapse)" in page.split("Not measured")[1], "its twin of the same steps is missing"


def test_every_cure_names_sicknesses_that_are_measured() -> None:
    assert {name for cure in CURES.values() for name in cure.against} == set(SICKNESSES)
    for data in benchmark.DATA:
        assert benchmark.DATA[data].sick in usual(data) or data.startswith(("ring", "grid"))
        assert set(usual(data)) <= set(CURES)


def test_few_points_are_each_seeds_own() -> None:
    few = benchmark.DATA["few"].mixture()
    few.begin(3)
    assert isinstance(few, Few) and few.points.shape == (3, 256, 2)
    assert mode_coverage(few.points[1], few.modes, few.sd).kl < 0.01, "as many of each mode"
    drawn = few.draw(3 * 40).view(3, 40, 2)
    same = (drawn[:, :, None] == few.points[:, None]).all(3)
    assert same.any(2).all() and not (drawn[0][:, None] == few.points[1]).all(2).any()
    assert not (few.fresh(60)[:, None] == few.points.flatten(0, 1)).all(2).any()


def test_plans_hold_rates_and_lead_with_d() -> None:
    torch.manual_seed(0)
    loop = Loop(
        CURES["plain"],
        benchmark.ring(),
        Layers(2, (2, 16, 2)),
        Critic(2, SIZES, 0.2),
        Plan(rates=2, steady=True, critic=3),
    )
    before = [p.detach().clone() for p in loop.of["G"]]
    loop.lead()
    assert all(torch.equal(a, b) for a, b in zip(before, loop.of["G"], strict=True)) and loop.turns == 3
    loop.step(0.9, 0.1)
    assert loop.opt["G"].param_groups[0]["lr"] == 2e-3
    trained = train(CURES["plain"], benchmark.ring(), 2, 60, plan=Plan(width=16, ahead=2))
    assert len(trained.looks) == 11 and torch.equal(trained.looks[-1], trained.sample(2500))
    assert trained.D.weights[1].shape == (2, 16, 16)


def test_plans_change_adam_and_penalties() -> None:
    torch.manual_seed(0)
    nets = Layers(2, (2, 16, 2)), Critic(2, SIZES, 0.2)
    cure, grid = CURES["r1"], benchmark.grid()
    loop = Loop(cure, grid, *nets, Plan(beta=0.9, penalties=0.5))
    assert loop.opt["D"].param_groups[0]["betas"] == (0.0, 0.9)
    assert loop.weights["r1"] == pytest.approx(0.5 * Loop(cure, grid, *nets).weights["r1"])
    falling = Loop(cure, grid, *nets, Plan(descent=0.1))
    before, z = [p.detach().clone() for p in falling.of["G"]], torch.randn(8, 2)
    grads = torch.autograd.grad(nets[1](nets[0](z)).mean(), falling.of["G"])
    falling._update("G", grads)
    for a, b, g in zip(before, falling.of["G"], grads, strict=True):
        torch.testing.assert_close(b, a - 0.1 * g)


def test_averaged_weights_are_looked_at_and_kept() -> None:
    trained = train(CURES["ema"], benchmark.ring(), 2, 60, plan=Plan(width=16))
    raw = train(dataclasses.replace(CURES["ema"], ema=0.0), benchmark.ring(), 2, 60, plan=Plan(width=16))
    assert torch.equal(trained.looks[-1], trained.sample(2500))
    assert not torch.equal(trained.sample(9), raw.sample(9)), "another G is measured"
    assert torch.equal(trained.D.weights[0], raw.D.weights[0]), "and the same one trained"


def test_figures_beside_the_samples() -> None:
    """Known: 1 where D is high at training points alone. Sure: 0 for D = 0. Wander: 1 where all good samples move."""
    few = benchmark.DATA["few"].mixture()
    few.begin(1)
    trained = train(CURES["plain"], benchmark.ring(), 1, 1, plan=Plan(width=16))

    class Knows(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 40.0 * (x[:, None] == few.points[0]).all(2).any(1).float() - 20

    trained.D = Knows()  # type: ignore[assignment]
    trained.looks = [few.modes[:1].repeat(1, 50, 1), few.modes[1:2].repeat(1, 50, 1)]
    found = benchmark.others(trained, few, 0)
    assert found["known"] == [1.0] and found["wander"] == [1.0] and found["sure"][0] == pytest.approx(1.0)
    trained.D = train(CURES["plain"], benchmark.ring(), 1, 1, plan=Plan(width=16)).D
    for p in trained.D.parameters():
        p.data.zero_()
    found = benchmark.others(trained, few, 0)
    assert found["known"] == [0.5] and found["sure"] == [0.0]


def test_truncation_cuts_z() -> None:
    trained = train(CURES["plain"], benchmark.ring(), 1, 1, plan=Plan(width=16))
    whole, cut = trained.sample(500)[0], trained.sample(500, cut=0.5)[0]
    assert cut.std() < 0.7 * whole.std()
    torch.testing.assert_close(trained.sample(500, cut=8.0)[0], whole, atol=1e-3, rtol=0)


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    return commands.call(capsys, "bench", "modes", *argv)


def test_the_command_writes_table_rows_and_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = ("--out", str(tmp_path), "--seeds", "2", "--steps", "2", "--data", "ring")
    code, said, progress = call(capsys, *out, "--cure", "r1", "plain")
    assert code == 0 and "| `r1` |" in said and "2 steps" in progress
    (tmp_path / page.PAGE).write_text("# Mine\n\n" + (tmp_path / page.PAGE).read_text() + "\nMy words.\n")
    call(capsys, *out, "--cure", "hinge", "r1")
    written = (tmp_path / page.PAGE).read_text()
    assert [written.count(f"| `{name}` |") for name in ("plain", "r1", "hinge")] == [1, 1, 1], "rows gather"
    assert written.startswith("# Mine") and "My words." in written and "`ganloom bench modes --data ring" in written
    assert len(json.loads((tmp_path / page.KEPT).read_text())) == 3
    for name in ("plain", "r1", "hinge"):
        assert f"(images/modes/ring-2-0-{name}.png)" in written, "one image a row"
        with Image.open(tmp_path / "images" / "modes" / f"ring-2-0-{name}.png") as panel:
            assert panel.size == (2 * page.PANEL, page.PANEL + 22)


def test_the_command_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = call(capsys, "--json", "--seeds", "2", "--steps", "1", "--cure", "r1")
    (found,) = json.loads(said)["rows"]
    assert code == 0 and found["cure"] == "r1" and len(found["each"]) == 2
    assert json.loads(json.dumps(benchmark.Row.from_dict(found).to_dict())) == found


def test_the_command_on_the_dirac_gan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said, _ = call(capsys, "--data", "dirac", "--cure", "wgan", "--out", str(tmp_path))
    assert code == 0 and said.count("| `wgan` |") == 2 and "does not converge" in said
    assert "dirac.svg" in (tmp_path / page.PAGE).read_text() and (tmp_path / "images" / "dirac.svg").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--cure rone", "--cure"), ("--data dirac --cure r11", 'did you mean "r1"'), ("--seeds 0", "--seeds"),
        ("--steps 0", "--steps"), ("--data moon", "--data"),
    ],
)  # fmt: skip
def test_bad_arguments(argv: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, *argv.split())
    assert code == 2 and message in err and err.count("\n") == 1


def test_unknown_parts_of_a_cure() -> None:
    for wrong in ({"loss": "hingee"}, {"penalties": (("r3", 1.0),)}, {"penalties": (("lecam", 1.0),)}):
        with pytest.raises(BadInput):
            Cure("x", "y", **wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- trained in earnest, slow


def meets(found: benchmark.Row, kl: float, quality: float = 0.0) -> None:
    """All modes in every seed, and the means at least as good as said."""
    assert found.worst["modes"] == len(benchmark.DATA[found.data].mixture().modes), found
    assert found.figures["kl"][0] <= kl and found.figures["quality"][0] >= quality, found


@pytest.mark.slow
def test_ring_of_eight() -> None:
    """Ten of ten seeds, seeds that nothing was tuned on. 98 % good samples were wanted: 97 to 98 % are what it gives."""
    (found,) = benchmark.measure("ring", ["recommended"], seeds=10, seed=100)
    meets(found, 0.01, 0.97)


@pytest.mark.slow
def test_the_main_cures_and_plain_on_the_grid() -> None:
    """Each has all modes in every seed and KL at most 0.03 after 6,000 steps; plain must not, or it proves nothing."""
    rows = {found.cure: found for found in benchmark.measure("grid25", MAIN, seeds=10, seed=100)}
    assert rows["plain"].figures["kl"][0] >= 0.08
    for name in set(MAIN) - {"plain"}:
        meets(rows[name], 0.03)


@pytest.mark.slow
def test_the_recommended_cure_on_the_grid() -> None:
    """After 20,000 steps, of seeds that nothing was tuned on."""
    (found,) = benchmark.measure("grid25", ["recommended"], seeds=10, steps=20000, seed=100)
    meets(found, 0.02, 0.92)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "cure"), [("narrow", "zero-centred"), ("steady", "ema"), ("far", "plain")])
def test_the_uncured_is_sick_and_a_cure_is_not(data: str, cure: str) -> None:
    """Or the tables of cures would say nothing; other seeds than theirs."""
    sick, cured = benchmark.measure(data, [benchmark.DATA[data].sick, cure], seeds=5, seed=100)
    assert compare(cured, sick, benchmark.DATA[data].figure).word == "helps"


@pytest.mark.slow
def test_d_learns_few_points_by_heart() -> None:
    (sick,) = benchmark.measure("few", ["plain"], seeds=5, seed=100)
    assert sick.figures["known"][1] > 0.52
