"""R3GAN: sizes of the published networks, the start, the loss written out, and what follows the clock."""

import pytest
import torch
import torch.nn.functional as F

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.networks import r3gan as networks
from ganloom.recipes import r3gan
from ganloom.training.trainer import TrainConfig, Trainer


def build(**changes: object) -> r3gan.R3GAN:
    torch.manual_seed(0)
    fields = {"shape": (1, 16, 16), "z_dim": 6, "width": 8, "batch_size": 8} | changes
    return r3gan.R3GAN(r3gan.Config(**fields))


def test_parameters_of_the_published_networks() -> None:
    """The authors' networks have these counts (their code at 19a7ddf, CIFAR-10 with labels and FFHQ-256)."""
    with torch.device("meta"):
        cifar = r3gan.R3GAN(r3gan.Config(n_classes=10))
        ffhq = r3gan.R3GAN(r3gan.Config(shape=(3, 256, 256)))
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert (count(cifar.G), count(cifar.D)) == (COUNTS["cifar-G"], COUNTS["cifar-D"])
    assert (count(ffhq.G), count(ffhq.D)) == (COUNTS["ffhq-G"], COUNTS["ffhq-D"])


COUNTS = {"cifar-G": 20_781_952, "cifar-D": 21_280_512, "ffhq-G": 23_057_952, "ffhq-D": 23_009_568}


def test_blocks_start_as_nothing_and_keep_the_scale() -> None:
    torch.manual_seed(0)
    x, block = torch.randn(2, 32, 8, 8), networks.Block(32, 16, 8)
    assert torch.equal(block(x), x) and block.branch[2].groups == 4
    inner = block.branch[:2](x)
    assert float(inner.detach().square().mean().sqrt()) == pytest.approx(8**-0.25, rel=0.1)


def test_the_losses_written_out() -> None:
    gan = build(n_classes=3, gamma=0.5)
    gan.kimg = 0.0
    batch = ganloom.Batch(torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 1]))
    torch.manual_seed(1)
    terms = gan.d_loss(batch)
    torch.manual_seed(1)
    z = gan.z(4)
    fake = gan.G(z, batch.c).detach().requires_grad_(True)
    real = batch.x.clone().requires_grad_(True)
    a, b = gan.D(real, batch.c), gan.D(fake, batch.c)
    slopes = [torch.autograd.grad(v.sum(), x, retain_graph=True)[0].square().sum((1, 2, 3)).mean() for v, x in
              ((a, real), (b, fake))]  # fmt: skip
    torch.testing.assert_close(terms["adv"], F.softplus(b - a).mean())
    torch.testing.assert_close(terms["r1"], 0.25 * slopes[0])
    torch.testing.assert_close(terms["r2"], 0.25 * slopes[1])
    torch.manual_seed(1)
    torch.testing.assert_close(gan.g_loss(batch)["adv"], F.softplus(a - b).mean())


def test_one_pass_and_two_give_the_same_gradients() -> None:
    gan = build(n_classes=3, gamma=0.5)
    gan.kimg = 0.0
    batch = ganloom.Batch(torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 1]))
    calls = []
    gan.D.register_forward_hook(lambda *_: calls.append(1))
    found = []
    for autocasts, passes in ((False, 2), (True, 4)):
        gan.D.autocasts = autocasts
        calls.clear()
        torch.manual_seed(1)
        terms = gan.d_loss(batch)
        assert len(calls) == passes
        total = torch.stack([t for t in terms.values() if t.requires_grad]).sum()
        found.append((terms, torch.cat([g.flatten() for g in torch.autograd.grad(total, list(gan.D.parameters()))])))
    for name, term in found[0][0].items():
        torch.testing.assert_close(term, found[1][0][name])
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-6, rtol=1e-4)


def test_lazy_penalties_are_those_of_each_step() -> None:
    torch.manual_seed(0)
    gan = build(n_classes=3, gamma=0.5, lazy=4)
    gan.kimg = 0.0
    batch = ganloom.Batch(torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 1]))
    assert [(p.net, p.lazy) for p in gan.phases()] == [("D", 1), ("D", 4), ("G", 1)]
    torch.manual_seed(1)
    assert not {"r1", "r2"} & gan.d_loss(batch).keys()
    torch.manual_seed(1)
    found = gan.d_reg(batch)
    each = build(n_classes=3, gamma=0.5)
    each.kimg = 0.0
    each.load_state_dict(gan.state_dict())
    torch.manual_seed(1)
    terms = each.d_loss(batch)
    assert len(each.phases()) == 2 and all(torch.allclose(found[name], terms[name]) for name in ("r1", "r2"))
    assert len(build(lazy=4, gamma=0.0).phases()) == 2


def test_other_widths_and_a_bound() -> None:
    assert networks.widths(64, 3) == [64] * 4 and networks.widths(64, 3, 0) == [64, 32, 16, 8]
    gan = build(full=0, width=64, tanh=True)
    assert [m.conv.weight.shape[:2] for m in gan.G.body if isinstance(m, networks.Up)] == [(32, 64), (16, 32)]
    torch.nn.init.constant_(gan.G.out.weight, 5.0)
    free = build(full=0, width=64)
    free.load_state_dict(gan.state_dict())
    z = torch.randn(4, 6)
    assert free.G(z).abs().max() > 1
    torch.testing.assert_close(gan.G(z), free.G(z).tanh())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 24, 40)])
def test_a_dense_base_varies_each_place_by_itself(shape: tuple[int, int, int]) -> None:
    z, base = torch.randn(2, 6), []
    for dense in (False, True):
        gan = build(shape=shape, dense_base=dense)
        gan.G.body[0].register_forward_pre_hook(lambda m, args: base.append(args[0].detach()))
        assert gan.G(z).shape == (2, *shape) and (gan.G.const is None) == dense
    ratios = [grid[1] / grid[0] for grid in base]  # of two samples, in each place of each channel
    spread = [float(r.flatten(1).std(1).max()) for r in ratios]
    assert base[0].shape == base[1].shape and spread[0] < 1e-4 and spread[1] > 0.1


def test_what_follows_the_clock() -> None:
    gan = build(gamma=0.05, decay_kimg=0.1, ema_kimg=2.0)
    run = Trainer(gan, testing.make_data(), TrainConfig())
    optimizer = next(iter(run.optimizers.values()))
    seen = []
    for _ in range(16):
        seen.append((gan.kimg, gan.gamma, gan.average_kimg()))
        run.train_step()
        group = optimizer.param_groups[0]
        seen[-1] += (group["lr"], group["betas"])
    assert seen[0] == (
        0.0,
        pytest.approx(0.05),
        0.0,
        pytest.approx(2e-4, rel=0.05),
        (0.0, pytest.approx(0.9, abs=0.005)),
    )
    assert seen[-1] == (0.12, pytest.approx(0.005), 2.0, pytest.approx(5e-5), (0.0, pytest.approx(0.99)))
    middle = next(row for row in seen if row[0] == 0.048)
    assert 0.0275 < middle[1] < 0.03 and 0.9 < middle[2] < 1.0 and 0.945 < middle[4][1] < 0.955
    gan.kimg = float("inf")
    assert gan.gamma == pytest.approx(0.005)


def test_gamma_by_size() -> None:
    assert [r3gan.gamma_of(s * s) for s in (32, 64, 256)] == pytest.approx([0.05, 2.0, 150.0])
    assert 2 < r3gan.gamma_of(128 * 128) < 150 and build(gamma=3.0).gammas == (3.0, 0.3)


@pytest.mark.parametrize(
    "wrong", [{"gamma": -1.0}, {"blocks": 0}, {"decay_kimg": 0.0}, {"lr": 0.0}, {"lazy": 0}, {"full": -1}]
)
def test_bad_fields_are_one_line(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="--" + next(iter(wrong)).replace("_", "-")):
        r3gan.Config(**wrong)
