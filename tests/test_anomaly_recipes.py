"""The recipes of anomaly detection: losses and scores by hand, frozen networks, points, schedules."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.doctor.live_probe import activity
from ganloom.gan import Batch
from ganloom.recipes import anogan, f_anogan, find, ganomaly, presets, ss_gan
from ganloom.stabilisers.apply import compose
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

NAMES = ("f-anogan", "ganomaly", "anogan", "ss-gan")


def batch_of(shape: tuple[int, ...] = (1, 16, 16), n: int = 6) -> Batch:
    return Batch(torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1)


def test_settings_are_those_of_the_papers() -> None:
    f, g, a, s = f_anogan.Config(), ganomaly.Config(), anogan.Config(), ss_gan.Config()
    assert (f.n_critic, f.gp_weight, f.kappa, f.z_dim, f.batch_size) == (5, 10, 1, 128, 64)
    assert (f.g_opt.lr, f.g_opt.betas, f.e_opt.lr) == (1e-4, (0.0, 0.9), 5e-5)
    assert (g.adversarial, g.contextual, g.encoding, g.z_dim, g.g_opt.lr, g.g_opt.betas) == (
        1,
        50,
        1,
        100,
        2e-3,
        (0.5, 0.999),
    )
    assert (a.steps, a.lam, a.shape) == (500, 0.1, (1, 64, 64))
    assert (s.d_weight, s.g_weight, s.loss, s.batch_size) == (1.0, 0.2, "hinge", 64)


def test_the_encoder_of_f_anogan_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    gan: Any = testing.build("f-anogan", kappa=0.5)
    batch = batch_of()
    monkeypatch.setattr(gan.G, "forward", lambda z: batch.x + 0.3)
    monkeypatch.setattr(gan.D, "forward", lambda x, features=False: (x.mean((1, 2, 3)), x.flatten(1)[:, :7] * 2))
    terms = gan.e_loss(batch)
    assert float(terms["residual"]) == pytest.approx(0.09, rel=1e-4) and float(terms["features"]) == pytest.approx(
        0.18, rel=1e-4
    )
    scores = gan.scores_of(batch.x)
    assert torch.allclose(scores["f-anogan"], torch.full((6,), 0.09 + 0.5 * 0.36), atol=1e-5)
    assert torch.allclose(scores["f-anogan-residual"], torch.full((6,), 0.09), atol=1e-5)


def test_the_encoder_trains_alone_and_the_average_of_g_is_the_frozen_g() -> None:
    gan: Any = testing.build("f-anogan", gan_kimg=0.08, n_critic=1)
    run = Trainer(gan, testing.make_data(gan=gan), TrainConfig(), ema_kimg=0.002)
    while run.nimg < 80:
        run.train_step()
    frozen = {name: t.clone() for name, t in gan.state_dict().items() if not name.startswith("E.")}
    for _ in range(30):
        run.train_step()
    assert [phase.net for _, phase in run.active] == ["E"]
    assert activity(run)["D_idle"] == activity(run)["G_idle"] == 0, "planned, and no fault for the doctor"
    assert all(torch.equal(t, gan.state_dict()[name]) for name, t in frozen.items())
    run._update_ema()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gan.G.parameters(), run.ema.G.parameters(), strict=True))
    moved = [
        name
        for name, p in gan.E.named_parameters()
        if not torch.equal(p, testing.build("f-anogan").E.state_dict()[name])
    ]
    assert moved


def test_bounded_latents() -> None:
    gan: Any = testing.build("f-anogan", bound=0.5)
    with torch.no_grad():
        gan.E.out.weight.mul_(1e4)
        assert float(gan.E.eval()(batch_of().x).abs().max()) <= 0.5


def test_the_losses_of_ganomaly_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    gan: Any = testing.build("ganomaly", adversarial=2.0, contextual=10.0, encoding=3.0)
    batch = batch_of()
    monkeypatch.setattr(gan.E, "forward", lambda x: torch.zeros(len(x), 6))
    monkeypatch.setattr(gan.G, "forward", lambda z: batch.x - 0.2)
    monkeypatch.setattr(gan.E2, "forward", lambda x: torch.full((len(x), 6), 0.5))
    monkeypatch.setattr(gan.D, "forward", lambda x, features=False: (x.mean((1, 2, 3)), x.flatten(1)))
    terms = {name: float(value) for name, value in gan.g_loss(batch).items()}
    assert terms == pytest.approx({"features": 2 * 0.04, "l1": 10 * 0.2, "codes": 3 * 0.25}, rel=1e-3)
    scores = gan.scores_of(batch.x)
    assert torch.allclose(scores["ganomaly"], torch.full((6,), 0.25)) and torch.allclose(
        scores["ganomaly-residual"], torch.full((6,), 0.04), atol=1e-5
    )


def test_the_search_of_anogan_finds_an_image_of_its_own_g() -> None:
    gan: Any = testing.build("anogan", steps=150, search_lr=0.1)
    gan.eval()
    own = gan.generate(4, seed=3)
    few: Any = testing.build("anogan", steps=1)
    few.load_state_dict(gan.state_dict())
    found, start = gan.anomaly_scores(own)["anogan"], few.anomaly_scores(own)["anogan"]
    assert (found < 0.7 * start).all()
    assert torch.equal(gan.anomaly_scores(own)["anogan"], found), "the same score every time"
    assert all(p.grad is None for p in gan.parameters())


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 12, 20), (5,)])
def test_four_different_turns_that_keep_the_shape(shape: tuple[int, ...]) -> None:
    gan: Any = testing.build("ss-gan", shape)
    x = batch_of(shape).x
    turned = [gan.turned(x, r) for r in range(4)]
    assert all(t.shape == x.shape for t in turned)
    assert all(not torch.allclose(a, b) for i, a in enumerate(turned) for b in turned[:i])
    norms = torch.stack([t.flatten(1).norm(dim=1) for t in turned])
    assert torch.allclose(norms, norms[:1].expand_as(norms), rtol=1e-4), "nothing is lost"


def test_the_rotation_score_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    gan: Any = testing.build("ss-gan")
    x = batch_of().x
    monkeypatch.setattr(gan.D, "forward", lambda x, turns=False: (x.mean((1, 2, 3)), torch.zeros(len(x), 4)))
    assert torch.allclose(gan.scores_of(x)["rotations"], torch.full((6,), 4 * math.log(4)))
    assert float(gan.turn_loss(x)) == pytest.approx(math.log(4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 16, 16), (6,)])
def test_scores_of_images_and_points(name: str, shape: tuple[int, ...]) -> None:
    gan: Any = testing.build(name, shape, steps=3)
    x = batch_of(shape, 9).x
    before = {key: value.clone() for key, value in gan.state_dict().items()}
    scores = gan.anomaly_scores(x)
    assert tuple(scores) == gan.score_names and all(v.shape == (9,) and v.isfinite().all() for v in scores.values())
    alone = gan.anomaly_scores(x[4:5])
    assert all(torch.equal(alone[key][0], value[4]) for key, value in scores.items()), "no score depends on the others"
    assert gan.training and all(torch.equal(value, before[key]) for key, value in gan.state_dict().items())
    assert torch.cat(gan.in_batches(x, gan.features_of)).shape[0] == 9
    rebuilt = gan.in_batches(x, gan.rebuilt)[0]
    assert rebuilt is None if name == "ss-gan" else rebuilt.shape == x.shape


def test_a_d_that_sees_packs_gives_no_scores() -> None:
    gan: Any = compose(testing.build("anogan"), Stabilise(pack=2))
    with pytest.raises(BadInput, match="--pack"):
        gan.anomaly_scores(batch_of().x)


def test_plans_shrink_with_the_run() -> None:
    """The encoder of f-anogan keeps its share of a shorter run."""
    whole = presets.small("f-anogan", find("f-anogan"))
    half = presets.small("f-anogan", find("f-anogan"), whole["total_kimg"] / 2)
    assert half["gan_kimg"] == whole["gan_kimg"] / 2 < half["total_kimg"]
    assert half["e_opt"].schedule[-1][0] == whole["e_opt"].schedule[-1][0] / 2


def learns(name: str, **options: Any) -> tuple[Tensor, Tensor]:
    from test_anomaly_scores import images

    gan: Any = testing.build(name, (1, 16, 16), **options)
    from ganloom import data as datasets

    rows = ((images(120) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    run = Trainer(gan, datasets.open(rows), TrainConfig(), ema_kimg=0.1)
    for _ in range(60):
        run.train_step()
    scores = [run.ema.anomaly_scores(x)[gan.score_names[0]] for x in (images(30, 1), images(30, 2).roll(6, 3))]
    return scores[0], scores[1]


def test_ganomaly_learns_to_tell_a_moved_disc() -> None:
    normal, moved = learns("ganomaly", width=8, g_opt=ganomaly.Adam(2e-3), d_opt=ganomaly.Adam(1e-3))
    assert float((moved[:, None] > normal[None]).float().mean()) > 0.8
