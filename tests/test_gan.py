"""The contract: schedules, generate, the Trainer's rules on small cases with known answers."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganloom import gan as contract
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.core.precision import autocast_networks, full_precision
from ganloom.core.running_stats import Stats
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig
from ganloom.training.ema import HALF_LIFE, MOST_STEPS, RAMP, with_pending
from ganloom.training.trainer import Trainer


@dataclass(frozen=True)
class Cfg:
    batch_size: int = 4
    z_dim: int = 2
    n_classes: int = 0
    g_opt: Adam = Adam(0.1, betas=(0.0, 0.9))
    d_opt: Adam = Adam(0.1, betas=(0.0, 0.9))


class Data:
    """Rows that say how often they were drawn."""

    shape = (2,)

    def __init__(self) -> None:
        self.positions: list[int] = []

    def draw(self, n: int, rng: Any) -> Batch:
        self.positions.append(rng.position)
        return Batch(torch.randn(n, 2, generator=rng))


class Toy(GAN):
    """Two linear networks; ``made`` says the phases."""

    def __init__(self, made: Any = None, cfg: Cfg = Cfg()) -> None:
        super().__init__(cfg)
        torch.manual_seed(0)
        self.G, self.D, self.E = nn.Linear(2, 2), nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.made = made
        self.updates: list[str] = []

    def phases(self) -> list[Phase]:
        return self.made(self) if self.made else [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        return {
            "adv": self.D(self.G(self.z(len(batch.x))).detach()).mean() - self.D(batch.x).mean(),
            "seen": batch.x.mean(),
        }

    def g_loss(self, batch: Batch) -> Terms:
        return {"adv": -self.D(self.G(self.z(len(batch.x)))).mean()}

    def e_loss(self, batch: Batch) -> Terms:
        return {"fit": (self.G(self.E(batch.x)) - batch.x).square().mean()}

    def after_update(self, phase: Phase) -> None:
        self.updates.append(phase.net)


def run(gan: GAN, steps: int, **cfg: Any) -> Trainer:
    trainer = Trainer(gan, Data(), TrainConfig(**cfg), ema_kimg=0.02, ema_ramp=None)
    for _ in range(steps):
        trainer.train_step()
    return trainer


def test_schedules() -> None:
    assert Adam().factor(5) == 1.0
    line = Adam(schedule=contract.linear(100, 200))
    assert [line.factor(t) for t in (0, 100, 150, 200, 999)] == pytest.approx([1, 1, 0.5, 0, 0])
    curve = Adam(schedule=contract.cosine(0, 100))
    for t in (0, 10, 50, 90, 100):
        assert curve.factor(t) == pytest.approx((1 + math.cos(math.pi * t / 100)) / 2, abs=2e-3)
    fall = Adam(schedule=contract.inverse(30))
    for t in (1, 30, 60, 300, 3000):
        assert fall.factor(t) == pytest.approx(min(1, 30 / t), rel=0.02)
    step = Adam(schedule=((10, 1), (10, 0.5)))
    assert step.factor(9.99) == 1 and step.factor(10.01) == 0.5


def test_schedule_reaches_the_optimizer() -> None:
    cfg = Cfg(g_opt=Adam(0.1, schedule=contract.linear(0.008, 0.016)))
    trainer = run(Toy(cfg=cfg), 3)  # 4 images a step: the third step is at 0.012 kimg
    rates = {key[0]: o.param_groups[0]["lr"] for key, o in trainer.optimizers.items()}
    assert rates == pytest.approx({"G": 0.05, "D": 0.1})


def test_ratio_is_written_with_repeat() -> None:
    gan = Toy(lambda g: [Phase("D", g.d_loss, repeat=3), Phase("G", g.g_loss)])
    trainer = run(gan, 2)
    assert gan.updates == ["D", "D", "D", "G"] * 2
    assert trainer.nimg == 24 and trainer.data.positions == [0, 4, 8, 12, 16, 20]  # the G phase shares the first batch
    assert all(o.param_groups[0]["lr"] == 0.1 for o in trainer.optimizers.values())


def test_lazy_gain_and_pace() -> None:
    """Two lazy phases beside the main one: pace 1 / (1 + 1/16 + 1/4); betas to that power; the gradient 16 times."""
    made = lambda g: [
        Phase("D", g.d_loss),
        Phase("D", g.d_loss, lazy=16),
        Phase("D", g.d_loss, lazy=4),
        Phase("G", g.g_loss),
    ]
    trainer = run(Toy(made), 1)
    ratio = 1 / (1 + 1 / 16 + 1 / 4)
    group = next(o for key, o in trainer.optimizers.items() if key[0] == "D").param_groups[0]
    assert group["lr"] == pytest.approx(0.1 * ratio) and group["betas"] == pytest.approx((0.0, 0.9**ratio))
    assert [trainer.windows.gains[i] for i in range(4)] == [1, 16, 4, 1]
    alone = run(Toy(lambda g: [Phase("D", g.d_loss, lazy=5), Phase("G", g.g_loss)]), 11)
    assert alone.windows.gains[0] == 1 and alone.gan.updates.count("D") == 3
    assert next(o for k, o in alone.optimizers.items() if k[0] == "D").param_groups[0]["lr"] == 0.1


def test_windows_start_new_optimizers_and_freeze_the_rest() -> None:
    """f-AnoGAN's shape: G and D first, then E alone; G is then in eval mode and does not move, buffers included."""
    made = lambda g: [
        Phase("E", g.e_loss, Adam(0.01), kimg=(0.012, math.inf)),
        Phase("G", g.g_loss, kimg=(0, 0.012)),
        Phase("D", g.d_loss, kimg=(0, 0.012)),
    ]
    gan = Toy(made)
    trainer = run(gan, 3)
    assert set(gan.updates) == {"G", "D"} and len(trainer.optimizers) == 1 and not gan.G.training and gan.E.training
    before = {k: v.clone() for k, v in gan.state_dict().items()}
    for _ in range(3):
        trainer.train_step()
    moved = {k.split(".")[0] for k, v in gan.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"E"}
    with pytest.raises(BadInput, match="gap"):
        Trainer(Toy(lambda g: [Phase("D", g.d_loss, kimg=(0.1, 1)), Phase("G", g.g_loss, kimg=(0.2, 1))]), Data())


def test_parts_of_networks_share_one_optimizer() -> None:
    made = lambda g: [Phase("G E.0", g.e_loss, Adam(0.01)), Phase("D", g.d_loss)]
    gan = Toy(made)
    before = {k: v.clone() for k, v in gan.named_parameters()}
    run(gan, 1)
    moved = {k for k, v in gan.named_parameters() if not torch.equal(v, before[k])}
    assert "E.0.weight" in moved and "G.weight" in moved and not any(k.startswith("E.1") for k in moved)


def test_groups() -> None:
    made = lambda g: [Phase("E", g.e_loss, Adam(0.1, groups=(("1", 0.01),))), Phase("D", g.d_loss)]
    trainer = run(Toy(made), 1)
    rates = sorted(g["lr"] for g in next(o for k, o in trainer.optimizers.items() if k[0] == "E").param_groups)
    assert rates == pytest.approx([0.001, 0.1])


def test_clip_limits_the_step_of_sgd() -> None:
    made = lambda g: [Phase("D", g.d_loss, contract.SGD(1.0, clip=0.01)), Phase("G", g.g_loss)]
    gan = Toy(made)
    before = torch.cat([p.detach().flatten().clone() for p in gan.D.parameters()])
    run(gan, 1)
    after = torch.cat([p.detach().flatten() for p in gan.D.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_half_life_counts_images() -> None:
    gan = Toy(lambda g: [Phase("D", g.d_loss, repeat=5), Phase("G", g.g_loss)])
    trainer = run(gan, 1)
    weight = 1 - 0.5 ** (20 / 20)  # half-life 20 images; 5 batches of 4 a step
    torch.testing.assert_close(trainer.ema.G.weight.detach(), torch.lerp(Toy().G.weight, gan.G.weight, weight).detach())
    start = trainer.ema.G.weight.detach().clone()
    trainer.train_step()
    torch.testing.assert_close(trainer.ema.G.weight.detach(), torch.lerp(start, gan.G.weight.detach(), 0.5))
    assert trainer.ema.D is gan.D, "what is not averaged is shared"


def test_a_long_half_life_is_updated_every_16_steps() -> None:
    gan = Toy(lambda g: [Phase("D", g.d_loss), Phase("G", g.g_loss)])
    trainer = Trainer(gan, Data(), TrainConfig(), ema_kimg=64.0, ema_ramp=None)
    start = trainer.ema.G.weight.detach().clone()
    for _ in range(MOST_STEPS - 1):
        trainer.train_step()
    assert torch.equal(trainer.ema.G.weight, start)
    trainer.train_step()
    expected = torch.lerp(start, gan.G.weight.detach(), 1 - 0.5 ** (MOST_STEPS * 4 / 64000))
    torch.testing.assert_close(trainer.ema.G.weight.detach(), expected)


def test_no_update_of_the_average_has_a_large_weight() -> None:
    """Wherever the half-life comes from, an update counts at most a few per cent."""
    gan = Toy(lambda g: [Phase("D", g.d_loss), Phase("G", g.g_loss)])
    for kimg in (0.2, 1.0, 64.0):
        trainer = Trainer(gan, Data(), TrainConfig(), ema_kimg=kimg, ema_ramp=None)
        steps = next(n for n in range(1, 100) if trainer.averages.due(n, 4 * n))
        assert 1 - 0.5 ** (4 * steps / (kimg * 1000)) < 0.03


@pytest.mark.parametrize("repeat", [1, 5])
def test_without_a_half_life_of_its_own_it_counts_updates_of_g(repeat: int) -> None:
    gan = Toy(lambda g: [Phase("D", g.d_loss, repeat=repeat), Phase("G", g.g_loss)])
    trainer = Trainer(gan, Data(), ema_ramp=None)
    assert trainer.averages.half_life == HALF_LIFE * repeat * gan.cfg.batch_size
    short = Trainer(gan, Data())
    assert short.averages.half_life_at(1000) == RAMP * 1000, "a short run averages over its last part only"


def test_what_is_saved_includes_the_last_steps_and_resume_stays_exact() -> None:
    made = lambda: Toy(lambda g: [Phase("D", g.d_loss), Phase("G", g.g_loss)])
    trainer = Trainer(made(), Data(), TrainConfig(), ema_kimg=64.0, ema_ramp=None)
    for _ in range(MOST_STEPS + 3):
        trainer.train_step()
    raw = trainer.average()["G.weight"].clone()
    expected = torch.lerp(raw, trainer.gan.G.weight.detach(), 1 - 0.5 ** (3 * 4 / 64000))
    torch.testing.assert_close(with_pending(trainer.tensors(), trainer.state())["G.weight"], expected)
    with trainer.averages.current(trainer.nimg):
        torch.testing.assert_close(trainer.ema.G.weight.detach(), expected)
    assert torch.equal(trainer.ema.G.weight, raw)


def test_micro_batches_weigh_ragged_ends() -> None:
    whole, parts = (run(Toy(cfg=Cfg(batch_size=7)), 1, micro_batch=size) for size in (None, 3))
    # D's loss on real data and the gradient are means over samples; noise differs, so compare what the data decide.
    assert whole.stats.collect()["D/seen"] == pytest.approx(parts.stats.collect()["D/seen"], rel=1e-5)


def test_own_namedtuples_survive_micro_batches() -> None:
    from typing import NamedTuple

    class Row(NamedTuple):
        x: Tensor
        mask: Tensor
        c: Tensor | None = None
        y: Tensor | None = None

    class Masked(Toy):
        def draw(self, data: Any, rng: Any) -> Row:
            return Row(data.draw(6, rng).x, torch.arange(6))

        def d_loss(self, batch: Row) -> Terms:  # type: ignore[override]
            assert type(batch) is Row and len(batch.mask) == 2 and batch.c is None
            return super().d_loss(batch)  # type: ignore[arg-type]

        def g_loss(self, batch: Row) -> Terms:  # type: ignore[override]
            return super().g_loss(batch)  # type: ignore[arg-type]

    assert run(Masked(), 2, micro_batch=2).nimg == 12


def test_faults_of_a_recipe_are_said() -> None:
    for made, text in (
        (lambda g: [Phase("Q", g.d_loss, Adam())], "no such network"),
        (lambda g: [], "empty"),
        (lambda g: [Phase("D", lambda b: {"x": b.x.mean()}), Phase("G", g.g_loss)], "no term with a gradient"),
    ):
        with pytest.raises(BadInput, match=text):
            run(Toy(made), 1)
    with pytest.raises(BadInput, match="names no optimizer"):
        gan = Toy()
        gan.cfg = None
        Trainer(gan, Data())
    odd = Toy()
    odd.splits_by = 2
    with pytest.raises(BadInput, match="multiple of 2"):
        Trainer(odd, Data(), TrainConfig(micro_batch=3))


def test_generate_arguments() -> None:
    gan = Toy()
    z = torch.randn(3, 2)
    torch.testing.assert_close(gan.generate(z=z), gan.G(z).detach())
    assert gan.generate(3, seed=1, truncation=0.0).std(0).max() == 0
    with pytest.raises(BadInput, match="without labels"):
        gan.generate(2, c=1)
    with pytest.raises(BadInput, match="at least 1"):
        gan.generate(0)

    class Labelled(Toy):
        sample_options = contract.SampleOptions(noise=True)

        def sample(self, z: Tensor, c: Tensor | None = None, noise: str = "") -> Tensor:
            assert c is not None and noise == "random"
            return c.float()

    gan = Labelled(cfg=Cfg(n_classes=3))
    assert gan.generate(2, c=2, noise="random").tolist() == [2, 2]
    assert gan.generate(3, c=[0, 1, 2], noise="random").tolist() == [0, 1, 2]
    drawn = gan.generate(200, seed=5, noise="random")
    assert set(drawn.tolist()) == {0.0, 1.0, 2.0}
    assert drawn[7:9].tolist() == gan.generate(2, seed=12, noise="random").tolist()
    with pytest.raises(BadInput, match=r"0\.\.2"):
        gan.generate(1, c=3)
    with pytest.raises(BadInput, match="2 entries for 3"):
        gan.generate(3, c=[0, 1])


def test_generate_leaves_everything_as_it_was() -> None:
    class Busy(Toy):
        def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
            self.E.train()
            return self.E(self.G(z))

    gan = Busy().train()
    gan.E[0].eval()
    before = {k: v.clone() for k, v in gan.state_dict().items()}
    random_state, modes = torch.get_rng_state(), [m.training for m in gan.modules()]
    gan.generate(5)
    assert all(torch.equal(v, before[k]) for k, v in gan.state_dict().items())
    assert torch.equal(random_state, torch.get_rng_state()) and modes == [m.training for m in gan.modules()]


def test_bf16_is_inside_the_networks_only() -> None:
    gan = Toy()
    autocast_networks(gan, "cpu", torch.bfloat16)
    x = torch.randn(64, 2)
    out = gan.D(x)
    exact = nn.functional.linear(x, gan.D.weight, gan.D.bias)
    assert out.dtype == torch.float32 and 0 < (out - exact).abs().max() < 0.05
    assert not torch.is_autocast_enabled("cpu")
    with full_precision():
        torch.testing.assert_close(gan.D(x), exact)
    with pytest.raises(RuntimeError):
        gan.D(torch.randn(3, 5))
    assert not torch.is_autocast_enabled("cpu"), "an error inside a network left autocast open"


def test_penalty_gradients_are_float32_under_bf16() -> None:
    from ganloom.penalties import r1

    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    gan = Toy()
    gan.D = net
    x = torch.randn(16, 2)
    exact = torch.autograd.grad(r1(net, x), [p for p in net.parameters()][:3])
    autocast_networks(gan, "cpu", torch.bfloat16)
    for a, b in zip(exact, torch.autograd.grad(r1(gan.D, x), [p for p in net.parameters()][:3]), strict=True):
        assert torch.equal(a, b)


def test_stats() -> None:
    stats = Stats()
    for value in (1.0, 2.0, 6.0):
        stats.add("a", torch.tensor(value))
    assert stats.collect(keep=True) == {"a": 3.0}
    copy = Stats()
    copy.restore(stats.state())
    copy.add("a", torch.tensor(11.0))
    assert copy.collect() == {"a": 5.0} and copy.collect() == {}


def test_statistics_are_the_same_wherever_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [float(v) for v in torch.randn(500)]
    whole, cut = Stats(), Stats()
    for i, value in enumerate(values):
        whole.add("a", torch.tensor(value))
        cut.add("a", torch.tensor(value))
        if i % 7 == 0:
            again = Stats()
            again.restore(cut.state())
            cut = again
    monkeypatch.setattr("ganloom.core.running_stats.MOST", 10)
    bounded = Stats()
    for value in values:
        bounded.add("a", torch.tensor(value))
    assert whole.collect() == cut.collect() == bounded.collect()


def test_statistics_keep_a_buffer_as_it_was() -> None:
    stats, buffer = Stats(), torch.tensor(2.0)
    stats.add("p", buffer)
    buffer += 5
    assert stats.collect() == {"p": 2.0}


def test_norm_is_torchs() -> None:
    grads = [torch.randn(3, 4), torch.randn(5), torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)]
    for some in (grads[:2], grads):
        assert torch.allclose(optimizers.norm(some), torch.nn.utils.get_total_norm(some), rtol=1e-6)
    assert not optimizers.norm([torch.tensor([1.0, float("nan")]), torch.ones(2)]).isfinite()


def test_shards_join_to_the_global_batch() -> None:
    torch.manual_seed(3)
    whole = randomness.randn(6, 2)
    try:
        parts = []
        for rank in range(2):
            randomness.set_shard(rank, 2)
            torch.manual_seed(3)
            parts.append(randomness.randn(3, 2))
    finally:
        randomness.set_shard(0, 1)
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)


def test_optimizer_state_keeps_the_parameters_layout() -> None:
    conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    made = optimizers.build(Adam(), [("w", conv.weight)], 1.0)
    conv(torch.randn(1, 3, 5, 5)).sum().backward()
    made.step()
    flat = {k: v.contiguous() for k, v in optimizers.state_tensors(made).items()}
    other = optimizers.build(Adam(), [("w", conv.weight)], 1.0)
    optimizers.load_state_tensors(other, flat)
    moment = other.state[conv.weight]["exp_avg"]
    assert moment.stride() == conv.weight.stride() and torch.equal(moment, made.state[conv.weight]["exp_avg"])


def test_quick_adam_takes_adams_steps() -> None:
    def build() -> tuple[list[torch.nn.Parameter], torch.optim.Optimizer]:
        torch.manual_seed(0)
        shapes = {"a": (3, 4), "b": (5,), "head.c": (2, 3, 4, 4)}
        named = [(name, torch.nn.Parameter(torch.randn(shape))) for name, shape in shapes.items()]
        opt = Adam(1e-2, betas=(0.5, 0.9), weight_decay=0.1, groups=(("head", 0.1),))
        return [p for _, p in named], optimizers.build(opt, named, 1.0)

    (plain, adam), (quick, other) = build(), build()
    assert isinstance(other, optimizers.FusedAdam)
    for step in range(12):
        refuse = torch.tensor(float(step == 6))
        for i, (p, q) in enumerate(zip(plain, quick, strict=True)):
            missing = step in (0, 8) and i == 1  # in the first step a weight without moments, later one with
            p.grad = q.grad = None if missing else torch.randn(p.shape)
        before = [p.detach().clone() for p in quick]
        adam.found_inf, adam.grad_scale = refuse, None  # type: ignore[attr-defined]
        adam.step()
        other.update(refuse)
        assert all(torch.equal(p, q) for p, q in zip(plain, quick, strict=True)), step
        assert (step == 6) == all(torch.equal(p, q) for p, q in zip(before, quick, strict=True))
        if step == 9:
            for optimizer in (adam, other):
                optimizers.load_state_tensors(optimizer, optimizers.state_tensors(optimizer))
                optimizer.param_groups[0]["lr"] = 3e-3
