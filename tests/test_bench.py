"""The benchmarks: operations counted against closed forms, a peer's numbers equal to ours, and the command. Nothing is timed."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from commands import call
from torch import Tensor

from ganloom import recipes
from ganloom.api import prepare
from ganloom.bench.step import benchmark, first_step, table, timing
from ganloom.bench.step.bare_loop import Bare
from ganloom.bench.step.flops import FlopCounter, count
from ganloom.bench.step.peer_models import PeerShaped, Ready
from ganloom.bench.step.peers import PEERS, PeerRun, build
from ganloom.gan import kind_of_inputs
from ganloom.report.progress import Progress as ProgressLine

# ---------------------------------------------------------------------------------------------------------- operations


def test_a_matrix_product() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert count(lambda: a @ b).total == 2 * 3 * 5 * 7
    assert count(lambda: torch.bmm(a.expand(4, 3, 5), b.expand(4, 5, 7))).total == 4 * 2 * 3 * 5 * 7
    assert count(lambda: F.linear(a, b.T, torch.zeros(7))).total == 2 * 3 * 5 * 7
    assert count(lambda: a @ b[:, 0]).total == 2 * 3 * 5


def test_composed_operators_in_inference_mode_are_not_missed() -> None:
    def run() -> None:
        with torch.inference_mode():
            F.linear(torch.randn(3, 5), torch.randn(7, 5))
            F.conv2d(torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3), padding=1)

    counted = count(run)
    assert counted.total == 2 * 3 * 5 * 7 + 2 * 2 * 64 * 4 * 3 * 9 and not counted.uncounted


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_there_and_back(groups: int, stride: int) -> None:
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    w = torch.randn(8, 4 // groups, 3, 3, requires_grad=True)
    places = (8 // stride) ** 2
    forward = 2 * 2 * places * 8 * (4 // groups) * 9

    def run(*leaves: Tensor) -> None:
        torch.autograd.grad(F.conv2d(x, w, stride=stride, padding=1, groups=groups).sum(), leaves)

    assert count(lambda: run(x, w)).total == 3 * forward
    assert count(lambda: run(x)).total == count(lambda: run(w)).total == 2 * forward


def test_a_transposed_convolution() -> None:
    x, w = torch.randn(2, 4, 5, 5, requires_grad=True), torch.randn(4, 6, 4, 4)
    forward = 2 * 2 * 25 * 4 * 6 * 16
    assert count(lambda: F.conv_transpose2d(x, w, stride=2, padding=1)).total == forward
    assert count(lambda: F.conv_transpose2d(x, w, stride=2, padding=1).sum().backward()).total == 2 * forward


def test_double_backward() -> None:
    """y = x W, g = dy/dx = 1 W^T, then the gradient of g by W: one product each, 2 N i o."""
    x, w = torch.randn(3, 5, requires_grad=True), torch.randn(5, 7, requires_grad=True)

    def penalty() -> None:
        (g,) = torch.autograd.grad((x @ w).sum(), x, create_graph=True)
        torch.autograd.grad(g.square().sum(), w)

    counted = count(penalty)
    assert counted.total == 3 * 2 * 3 * 5 * 7 and set(counted.by_op) == {"mm"}


def test_double_backward_of_a_convolution() -> None:
    """Forward, gradient by x, its gradient by w, and one by the output's gradient, which torch makes unasked."""
    x, w = torch.randn(2, 4, 8, 8, requires_grad=True), torch.randn(8, 4, 3, 3, requires_grad=True)

    def penalty() -> None:
        (g,) = torch.autograd.grad(F.conv2d(x, w, padding=1).sum(), x, create_graph=True)
        torch.autograd.grad(g.square().sum(), w)

    forward = 2 * 2 * 64 * 8 * 4 * 9
    assert count(penalty).total == 4 * forward


@pytest.mark.parametrize("name", PEERS)
def test_the_peers_steps(name: str) -> None:
    """Against the sizes in the tables: each product once forward, and once for each gradient wanted."""
    run = PeerRun(name)
    run.step()
    counted = count(run.step)
    per = {"gan": 1.08675072e9, "dcgan": 44.975587328e9, "wgan_gp": 7.49338624e9}
    assert counted.total == per[name] and not counted.uncounted


@pytest.mark.parametrize("name", ["gan", "default"])
def test_no_operator_of_a_recipe_is_missed(name: str) -> None:
    gan, data = prepare(name, "fashion-10k")
    trainer = benchmark.trainer_of(gan, data, "cpu", "float32")
    counter = FlopCounter()
    with counter:
        trainer.train_step()
    assert counter.total > 1e8 and not counter.uncounted


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("which", ["g", "d"])
def test_our_networks_give_the_peers_numbers(name: str, which: str) -> None:
    torch.manual_seed(0)
    layers: tuple[tuple[str, tuple[int, ...]], ...] = getattr(PEERS[name], which)
    theirs, ours = build(layers), build(layers, ours=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    ours.to(memory_format=torch.channels_last)
    x = torch.randn(8, 100) if which == "g" else torch.rand(8, *PEERS[name].shape) * 2 - 1
    for mode in (True, False):
        torch.manual_seed(1)
        a = theirs.train(mode)(x)
        torch.manual_seed(1)
        b = ours.train(mode)(x)
        b = b.sigmoid() if layers[-1][0] == "sigmoid" else b
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gan", "wgan_gp"])
def test_our_losses_are_the_peers(name: str) -> None:
    """With equal weights, latents and real images (and places between them), one update of D has equal losses."""
    run, gan = PeerRun(name), PeerShaped(name)
    gan.D.load_state_dict(run.D.state_dict())
    real, fake = run.batches[0], run.sample()
    if name == "gan":
        ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
        want = (F.binary_cross_entropy(run.D(real), ones) + F.binary_cross_entropy(run.D(fake), zeros)) / 2
        gan.fakes = fake
        (got,) = gan.d_loss(Ready(PEERS[name].shape, 64, "cpu").batches[0]).values()
    else:
        want = run.D(fake).mean() - run.D(real).mean()
        r, f = gan._both(real, fake)
        got = f.mean() - r.mean()
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_a_bare_step_trains_as_the_trainer_does() -> None:
    """On one seed, batch and start, the bare step and the loop end in equal weights: the bare step leaves out nothing."""
    from ganloom.core import randomness

    made = [PeerShaped("wgan_gp") for _ in range(2)]
    made[1].peer = made[0].peer
    trainer = benchmark.trainer_of(made[0], Ready((1, 28, 28), 64, "cpu"), "cpu", "float32")
    bare = Bare(made[1], Ready((1, 28, 28), 64, "cpu").batches, "cpu", False)
    seeds = iter(randomness.key(0, 0, phase, repeat) for phase, n in ((0, 5), (1, 1)) for repeat in range(n))
    for phase in bare.phases:
        plain = phase.loss
        seeded: Callable[..., object] = lambda batch, plain=plain: (randomness.seed_all(next(seeds)), plain(batch))[1]
        object.__setattr__(phase, "loss", seeded)
    trainer.train_step()
    bare.step()
    for a, b in zip(made[0].parameters(), made[1].parameters(), strict=True):
        assert torch.equal(a, b)


# ------------------------------------------------------------------------------------------------------------- turns


def test_contestants_take_turns() -> None:
    calls: list[tuple[str, int]] = []

    def contestant(name: str) -> timing.Contestant:
        def run(n: int) -> float:
            calls.append((name, n))
            return n * 1.0

        return run

    found = timing.contest({name: contestant(name) for name in "abc"}, rounds=3, cycle=4)
    assert {len(times) for times in found.values()} == {3} and {n for _, n in calls} == {4}
    order = ["".join(name for name, _ in calls[i : i + 3]) for i in range(6, len(calls), 3)]
    assert order == ["bca", "cab", "abc"]
    assert timing.ratio([2.0, 9.0, 4.0], [1.0, 1.0, 2.0]) == 2.0
    assert timing.cycle_of([1, 4, 6]) == 12


# ----------------------------------------------------------------------------------------------------------- command


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ("stpe", 'did you mean "step"'),
        ("step --recipe dgcan", 'did you mean "dcgan"'),
        ("step --rounds 0", "--rounds"),
        ("step --steps 0", "--steps"),
        ("step --precision half", "--precision"),
    ],
)
def test_faults_are_one_line(args: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "bench", *args.split())
    assert code == 2 and not out and text in err and err.count("\n") == 1, err


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SLICE", 0.0)
    monkeypatch.setattr("ganloom.core.hardware.SECONDS", 0.0)
    monkeypatch.setattr(first_step, "TRIES", 1)
    code, out, err = call(capsys, "bench", "step", "--recipe", "gan", "--peers", "gan", "--rounds", "1", "--steps", "1")
    assert code == 0, err
    for word in (
        "first training step",
        "loop adds",
        "gan.py as shipped",
        "gan.py our way",
        "generate()",
        "x shipped",
        "next: ",
    ):
        assert word in out, word
    assert "recipe gan" in err


def test_the_command_without_a_peer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SLICE", 0.0)
    monkeypatch.setattr("ganloom.core.hardware.SECONDS", 0.0)
    monkeypatch.setattr(first_step, "TRIES", 1)
    code, out, _ = call(
        capsys, "bench", "step", "--recipe", "gan", "--rounds", "1", "--steps", "1", "--no-peer", "--json"
    )
    (row,) = json.loads(out)["rows"]
    assert code == 0 and row["name"] == "gan" and row["gflop"] > 1 and row["loop"] is not None


def test_a_table_without_recipes() -> None:
    machine = benchmark.Machine("cpu", "a machine", 2, 0.0, {"float32": 200.0, "bf16": 400.0})
    row = benchmark.Row("peer", "gan.py our way", "float32", 5000.0, 12.8, 1.0, 78.0, 0.39, shipped=1.5, same=1.2)
    text = "\n".join(table.lines(benchmark.Report(machine, True, [row])))
    assert "1.50" in text and "loop adds" not in text and "39%" in text


def test_every_recipe_has_a_bare_step() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    for name in recipes.RECIPES:
        translates = kind_of_inputs(recipes.RECIPES[name].MODEL) in ("pairs", "domains")
        captioned = kind_of_inputs(recipes.RECIPES[name].MODEL) == "captions"
        volumes = kind_of_inputs(recipes.RECIPES[name].MODEL) == "volumes"
        other = np.zeros((4, 32, 32, 32), bool) if volumes else "fashion-10k"
        gan, data = prepare(
            name, (images, images) if translates else (images, list("abab")) if captioned else other, small=True
        )
        assert len(Bare(gan, [data.draw(2, torch.Generator())], "cpu", False).optimizers) == len(gan.phases())


def test_what_is_left_counts_the_group_that_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now)
    show = ProgressLine()
    progress = timing.Progress(3, show)
    progress.begin("quick")
    assert "left" not in capsys.readouterr().err
    now = 1.0
    progress.begin("slow")
    assert "about 2 s left" in capsys.readouterr().err  # two groups, 1 s each as the first
    now = 61.0
    progress.at(1, 4)  # a quarter of the second took a minute: 180 s of it are left, and the third's 240
    assert show.text().startswith("[2/3] about 7 m left for all: slow, rounds: 1 of 4")
