"""The peers that translate: their step computes what ours does, on equal networks."""

import pytest
import torch
from torch import nn

from ganloom.bench.step import benchmark, contenders, peer_translators
from ganloom.bench.step.author_run import Peer
from ganloom.bench.step.peer_translators import TRANSLATING, Sides, TranslatingRun
from ganloom.gan import GAN


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, peer in list(TRANSLATING.items()):
        monkeypatch.setitem(TRANSLATING, name, Peer(peer.script, peer.recipe, (3, 16, 16), batch=2, samples=3))


def still(gan: GAN) -> GAN:
    for module in gan.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return gan


@pytest.mark.parametrize("name", ["pix2pix-64", "cyclegan-32"])
def test_the_losses_are_ours(name: str) -> None:
    run = TranslatingRun(name)
    gan = still(run.gan)
    gan.load_state_dict(contenders.ours(name).state_dict())
    mine = still(contenders.ours(name).train())
    batch = Sides(name, "cpu").draw(2, torch.Generator())
    g, d = run._pix2pix(batch) if name.startswith("pix2pix") else run._cyclegan(batch)
    terms = mine.g_loss(batch)
    if name.startswith("pix2pix"):  # theirs judges by least squares, ours as the paper
        logits = mine.D(mine.G(batch.c), batch.c)
        assert float(g.detach()) == pytest.approx(float((((logits - 1) ** 2).mean() + terms["l1"]).detach()), rel=1e-4)
    else:  # theirs are means over both directions, ours sums
        assert 2 * float(g.detach()) == pytest.approx(float(torch.stack(list(terms.values())).sum().detach()), rel=1e-4)
    assert float(d.detach()) > 0 and any(
        not torch.equal(a, b) for a, b in zip(gan.G.parameters(), mine.G.parameters(), strict=True)
    )


def test_old_fakes_come_back() -> None:
    run = TranslatingRun("cyclegan-32")
    shown = [float(run._mixed("a", torch.full((1, 1), float(i)))) for i in range(200)]
    assert shown[: peer_translators.POOL] == list(range(peer_translators.POOL))
    late = shown[peer_translators.POOL :]
    assert 0.3 < sum(value < i + peer_translators.POOL for i, value in enumerate(late)) / len(late) < 0.7


@pytest.mark.parametrize("name", TRANSLATING)
def test_both_step_and_translate(name: str) -> None:
    run = contenders.run_of(name)
    assert all(0 < value < 1000 for value in run.step()) and run.sample().shape == (3, 3, 16, 16)
    gan = contenders.ours(name)
    trainer = benchmark.trainer_of(gan, contenders.data(name, "cpu"), "cpu", "float32")
    trainer.train_step()
    assert trainer.nimg == 2 and trainer.step == 1
    count, call = contenders.sampling(name, gan, "cpu")
    assert count == 3 and call().shape == (3, 3, 16, 16)
    assert contenders.peer_of(name).script.startswith(name.split("-")[0])
