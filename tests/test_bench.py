"""The benchmark's counting and its claim of equal networks; no timed test."""

import pytest
import torch
from torch import nn

from ganloom import testing
from ganloom.bench import flops, peers, step
from ganloom.penalties import wgan_gp


def test_matrix_products_are_counted() -> None:
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert flops.count(lambda: a @ b) == 2 * 3 * 5 * 7


def test_convolution_and_its_backward_are_counted() -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.randn(2, 3, 8, 8, requires_grad=True)
    forward = 2 * 2 * 8 * 8 * 3 * 4 * 9
    assert flops.count(lambda: conv(x)) == forward
    assert flops.count(lambda: conv(x).sum().backward()) == 3 * forward


def test_double_backward_is_counted() -> None:
    """A linear critic of one layer: one product for the logits, one for the gradient, none wasted on a zero gradient."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    real, fake = torch.randn(4, 6), torch.randn(4, 6)
    once = flops.count(lambda: D(real))
    whole = flops.count(lambda: wgan_gp(D, real, fake).backward())
    assert once == 2 * 4 * (6 * 5 + 5) and whole > 4 * once


@pytest.mark.parametrize("name", peers.NAMES)
def test_ours_and_the_peers_networks_are_equal(name: str) -> None:
    torch.manual_seed(0)
    (g, d), (ours_g, ours_d) = peers.networks(name, ours=False), peers.networks(name, ours=True)
    assert ours_g.load_state_dict(g.state_dict()) and ours_d.load_state_dict(d.state_dict())
    z = torch.randn(4, peers.Z)
    for net in (g, d, ours_g, ours_d):
        net.eval()
    torch.testing.assert_close(ours_g(z), g(z), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours_d(g(z)), d(g(z)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", peers.NAMES)
def test_a_plain_step_trains(name: str) -> None:
    run, G = peers.plain_step(name)
    before = [p.detach().clone() for p in G.parameters()]
    assert run() in (64, 320)
    assert any(not torch.equal(a, b) for a, b in zip(before, G.parameters(), strict=True))


def test_bare_and_loop_do_the_same_network_work() -> None:
    run = step.trainer_of(testing.build("wgan-gp", (1, 8, 8)), "float32")
    assert flops.count(lambda: step.bare_step(run)) == flops.count(lambda: step.loop_step(run)) > 0


def test_the_tables_can_be_read() -> None:
    row = step.Row("gan", "float32", 100.0, 5.0, 1.0, 200.0, 0.5, 0.02, 0.01)
    peer = step.PeerRow("gan", 200.0, 150.0, 100.0, 125.0, 10.0, 5.0)
    found = {
        "threads": 2,
        "peak_gflop_per_s": {"float32": 100.0, "bf16": 200.0},
        "recipes": [vars(row)],
        "peers": [vars(peer) | {"best": peer.best}],
    }
    text = "\n".join(step.lines(found))
    assert "+2.0%" in text and "2.00x" in text and "1.60x" in text
