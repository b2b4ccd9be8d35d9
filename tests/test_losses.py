"""Losses and penalties against closed forms: a flipped sign or a lost factor fails here."""

import math

import pytest
import torch
from torch import nn

from ganloom import penalties
from ganloom.losses import LOSSES
from ganloom.networks import dcgan, dense, resnet
from ganloom.penalties import PENALTIES, grad_norm

ZERO = torch.zeros(8)


@pytest.mark.parametrize("name", LOSSES)
def test_equilibrium_is_the_value_at_equal_logits(name: str) -> None:
    loss = LOSSES[name]
    level = 0.5 if name == "least_squares" else 0.0  # least squares is balanced at 1/2
    logits = torch.full((8,), level)
    assert loss.d(logits, logits).item() == pytest.approx(loss.equilibrium[0], abs=1e-6)
    assert loss.g(logits, logits).item() == pytest.approx(loss.equilibrium[1], abs=1e-6)


def test_minimax_at_zero_is_two_ln_two() -> None:
    assert LOSSES["minimax"].d(ZERO, ZERO).item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("name", LOSSES)
def test_signs(name: str) -> None:
    """D gains when real logits rise and fake ones fall; G gains when fake ones rise."""
    loss = LOSSES[name]
    real, fake = torch.zeros(8, requires_grad=True), torch.zeros(8, requires_grad=True)
    d_real, d_fake = torch.autograd.grad(loss.d(real, fake), (real, fake), allow_unused=True)
    assert (d_real < 0).all()
    assert (d_fake >= 0).all() and (name == "least_squares" or (d_fake > 0).all())
    (g_fake,) = torch.autograd.grad(loss.g(real, fake), fake)
    assert (g_fake < 0).all()


def test_values_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.25])
    assert LOSSES["hinge"].d(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1.25) / 2)
    assert LOSSES["hinge"].g(None, fake).item() == pytest.approx(0.375)
    assert LOSSES["wasserstein"].d(real, fake).item() == pytest.approx(-0.375 - 1.25)
    assert LOSSES["least_squares"].d(real, fake).item() == pytest.approx((1 + 0.25) / 2 + (1 + 0.0625) / 2)
    softplus = [math.log1p(math.exp(v)) for v in (-3.0, -0.25)]
    assert LOSSES["relativistic"].d(real, fake).item() == pytest.approx(sum(softplus) / 2)


def test_relativistic_g_needs_real() -> None:
    with pytest.raises(ValueError, match="real"):
        LOSSES["relativistic"].g(None, ZERO)


def linear_critic(*weights: float) -> nn.Module:
    layer = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
    return nn.Sequential(layer, nn.Flatten(0))


def test_gradient_penalties_of_a_linear_critic() -> None:
    """The gradient norm of w.x is |w| everywhere."""
    D = linear_critic(3.0, 4.0)
    real, fake = torch.randn(16, 2), torch.randn(16, 2)
    assert grad_norm(D, real).tolist() == pytest.approx([5.0] * 16)
    for name, value in {
        "wgan_gp": 16.0, "wgan_lp": 16.0, "dragan": 16.0, "r1": 12.5, "r2": 12.5, "zero_centred": 12.5,
    }.items():  # fmt: skip
        assert PENALTIES[name](D, real, fake).item() == pytest.approx(value), name
    small = linear_critic(0.3, 0.4)
    assert PENALTIES["wgan_lp"](small, real, fake).item() == 0.0
    assert PENALTIES["wgan_gp"](small, real, fake).item() == pytest.approx(0.25)


def test_r1_of_a_quadratic_critic_is_at_the_real_points() -> None:
    D = lambda x: x.square().sum(1) / 2
    real, fake = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0]])
    assert penalties.r1(D, real).item() == pytest.approx(12.5)
    assert penalties.r2(D, None, fake).item() == pytest.approx(0.5)


def test_several_inputs_and_a_condition() -> None:
    norm = grad_norm(lambda x, s: 3 * x.sum(1) + 4 * s.sum(1), torch.randn(5, 1), torch.randn(5, 1))
    assert norm.tolist() == pytest.approx([5.0] * 5)


def test_gradient_at_zero_is_finite() -> None:
    """A critic that is 0 everywhere: sqrt(sum of squares) would give NaN weight gradients here."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    nn.init.zeros_(D[1].weight)
    penalties.wgan_gp(D, torch.randn(3, 4), torch.randn(3, 4)).backward()
    assert D[1].weight.grad.isfinite().all()


def test_weight_penalties() -> None:
    D = linear_critic(3.0, 4.0)
    assert PENALTIES["weight_decay"](D).item() == pytest.approx(12.5)
    assert PENALTIES["weight_clip"](D, bound=1.0).item() == pytest.approx(4.0 + 9.0)
    penalties.clip_weights_(D, 0.01)
    assert D[0].weight.abs().max().item() == pytest.approx(0.01)
    assert PENALTIES["weight_clip"](D, bound=0.01).item() == 0.0
    square = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        square.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -2.0]]))
    assert PENALTIES["orthogonal"](square).item() == pytest.approx(2 * 1.0)  # rows meet at -1, counted twice
    with pytest.raises(TypeError, match="network itself"):
        PENALTIES["weight_decay"](lambda x: x)


def test_lecam_pulls_towards_the_other_anchor() -> None:
    D = linear_critic(1.0)
    real, fake = torch.ones(4, 1), -torch.ones(4, 1)
    assert PENALTIES["lecam"](D, real, fake, 1.0, -1.0).item() == pytest.approx(4.0 + 4.0)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("family", ["dense", "dcgan", "resnet"])
def test_every_loss_with_every_penalty_on_every_network(family: str, loss: str, penalty: str) -> None:
    torch.manual_seed(0)
    shape = (2, 8, 8)
    D = {
        "dense": lambda: dense.Discriminator(shape, (8,)),
        "dcgan": lambda: dcgan.Discriminator(shape, 4, norm=False),
        "resnet": lambda: resnet.Discriminator(shape, 4),
    }[family]()
    real, fake = torch.rand(4, *shape) * 2 - 1, torch.rand(4, *shape) * 2 - 1
    total = LOSSES[loss].d(D(real), D(fake)) + PENALTIES[penalty](D, real, fake)
    total.backward()
    assert total.isfinite()
    grads = [p.grad for p in D.parameters() if p.grad is not None]
    assert len(grads) >= len(list(D.parameters())) - 1
    assert all(g.isfinite().all() for g in grads) and sum(g.abs().sum() for g in grads) > 0
