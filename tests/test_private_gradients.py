"""DP-SGD: the bound of each row, the noise, independence of rows, the accounting, and where privacy is stated."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganloom import testing
from ganloom.baselines import tvae
from ganloom.cli import main
from ganloom.core.errors import BadInput, Interrupted, MissingExtra
from ganloom.core.randomness import Rng
from ganloom.recipes import ctgan
from ganloom.tables import utility
from ganloom.training import private_gradients
from ganloom.training.trainer import TrainConfig, Trainer

LAYOUT = (("value", 3), ("choice", 2), ("choice", 3))
SIZE = 20


def model(name: str, **options: Any) -> Any:
    """A model for tables that is trained with DP-SGD."""
    torch.manual_seed(0)
    more = {"layout": LAYOUT, "batch_size": SIZE, "dp_noise": 1.0, **options}
    if name == "tvae":
        return tvae.TVAE(tvae.Config(**more))
    return ctgan.CTGAN(ctgan.Config(**{"pac": 1, "conditional": False, "d_widths": (16, 16), "dropout": 0.0, **more}))


def rows_and_loss(gan: Any, n: int) -> tuple[Any, dict[str, Any], tuple[torch.Tensor, ...]]:
    """The loss of a row, the parameters, and inputs of n rows."""
    x = testing.make_table(n, LAYOUT).get(np.arange(n))
    if isinstance(gan, tvae.TVAE):
        inputs = (x, torch.randn(n, gan.cfg.z_dim))
        return gan._loss_of_row, private_gradients.parameters_of(G=gan.G, E=gan.E), inputs
    inputs = (x, torch.rand(x.shape), torch.rand(n, 1))
    return gan._d_loss_of_row, private_gradients.parameters_of(D=gan.D), inputs


def flat(gradients: dict[str, dict[str, torch.Tensor]]) -> torch.Tensor:
    return torch.cat([g.flatten().double() for own in gradients.values() for g in own.values()])


@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_no_row_moves_the_sum_by_more_than_the_bound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_gradients, "AT_ONCE", 8)
    gan = model(name)
    loss, parameters, inputs = rows_and_loss(gan, 20)
    clip = 0.3
    whole = flat(private_gradients.clipped_sums(loss, parameters, inputs, clip))
    each = [
        flat(private_gradients.clipped_sums(loss, parameters, tuple(p[i : i + 1] for p in inputs), clip))
        for i in range(20)
    ]
    lengths = torch.stack(each).norm(dim=1)
    assert float(lengths.max()) <= clip * (1 + 1e-5) and float(lengths.min()) > 0
    assert torch.allclose(torch.stack(each).sum(0), whole, atol=1e-4)
    wild = (inputs[0].clone().mul_(1e6), *inputs[1:])
    wild[0][3] = math.nan
    for i in (0, 3):
        one = flat(private_gradients.clipped_sums(loss, parameters, tuple(p[i : i + 1] for p in wild), clip))
        assert float(one.norm()) <= clip * (1 + 1e-5)


@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_without_a_bound_it_is_the_plain_gradient(name: str) -> None:
    gan = model(name)
    loss, parameters, inputs = rows_and_loss(gan, 12)
    found = private_gradients.noisy_gradients(loss, parameters, inputs, clip=1e6, noise=0.0, size=12)
    networks = {"G": gan.G, "E": gan.E} if name == "tvae" else {"D": gan.D}
    values = {key: dict(net.named_parameters()) for key, net in networks.items()}
    total = sum(loss(values, *(part[i] for part in inputs)) for i in range(12)) / 12
    own = [p for part in values.values() for p in part.values()]
    plain = torch.cat([g.flatten().double() for g in torch.autograd.grad(total, own)])
    assert torch.allclose(flat(found), plain, atol=1e-4 * float(plain.abs().max()))
    private_gradients.with_gradients(networks, found).backward()
    assert all(torch.equal(p.grad, found[k][n]) for k, part in values.items() for n, p in part.items())


def test_the_noise_has_the_stated_scale_and_comes_without_rows_too() -> None:
    gan = model("tvae")
    loss, parameters, inputs = rows_and_loss(gan, 4)
    nothing = tuple(part[:0] for part in inputs)
    found = flat(private_gradients.noisy_gradients(loss, parameters, nothing, clip=0.5, noise=3.0, size=20))
    assert len(found) > 20_000 and float(found.std()) == pytest.approx(0.5 * 3.0 / 20, rel=0.02)
    assert abs(float(found.mean())) < 0.002
    still = flat(private_gradients.noisy_gradients(loss, parameters, nothing, clip=0.5, noise=0.0, size=20))
    assert not still.any()


def test_rows_are_sampled_independently_and_the_clock_does_not_see_them() -> None:
    data = testing.make_table(200, LAYOUT)
    batches = [private_gradients.draw(data, 20, Rng(5, draw)) for draw in range(300)]
    counts = np.array([len(batch.x) for batch in batches])
    assert counts.mean() == pytest.approx(20, abs=1) and counts.std() == pytest.approx(
        math.sqrt(200 * 0.1 * 0.9), abs=0.6
    )
    assert {len(batch.clock) for batch in batches} == {20}
    with pytest.raises(BadInput, match="one process"):
        private_gradients.draw(data, 20, Rng(5, 0, 0, 0, 2))


@pytest.mark.parametrize("name", ["ctgan", "tvae"])
def test_a_training_takes_its_steps_and_refuses_more(name: str) -> None:
    run = Trainer(model(name, dp_steps=3), testing.make_table(60, LAYOUT), TrainConfig(seed=1))
    before = {key: value.clone() for key, value in run.gan.state_dict().items()}
    for _ in range(3):
        run.train_step()
    assert run.nimg == 3 * SIZE and int(run.gan.private_steps) == 3
    assert any(not torch.equal(before[key], value) for key, value in run.gan.state_dict().items() if key[:2] == "G.")
    with pytest.raises(BadInput, match="weaken the stated privacy"):
        run.train_step()
    parts = Trainer(model(name), testing.make_table(60, LAYOUT), TrainConfig(seed=1, micro_batch=5))
    with pytest.raises(BadInput, match="micro-batch"):
        parts.train_step()


def test_g_and_its_running_statistics_see_no_real_row() -> None:
    """With the same D, real rows have no effect on G: not through conditions, and not through BatchNorm."""
    states = []
    for seed in (0, 1):
        gan = model("ctgan")
        batch = private_gradients.draw(testing.make_table(60, LAYOUT), SIZE, Rng(seed))
        torch.manual_seed(3)
        gan.train().private_d_loss(batch)
        torch.manual_seed(4)  # the Trainer seeds each phase
        terms = gan.private_g_loss(batch)
        terms["adv"].backward()
        states.append([*(p.grad for p in gan.G.parameters()), *(b.clone() for b in gan.G.buffers())])
    assert states[0] and all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize(
    "bad", [{"pac": 10}, {"conditional": True}, {"dp_clip": 0.0}, {"dp_noise": -1.0}, {"dp_steps": -1}]
)
def test_settings_that_are_not_private(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        model("ctgan", **bad)


# ---- tables
def mixed(n: int) -> Any:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], n)
    size = rng.normal(0, 1, n).round(3) + (kind == "a") * 4
    gap = np.where(rng.random(n) < 0.1, np.nan, rng.normal(5, 2, n))
    return pd.DataFrame({"kind": kind, "size": size, "double": 2 * size, "gap": gap, "few": rng.integers(0, 4, n)})


def test_the_encoding_is_a_function_of_the_schema() -> None:
    pytest.importorskip("pandas")
    from ganloom.tables import encoding, reading
    from ganloom.tables.preparation import prepare

    prepared, frame = prepare(reading.read(mixed(120)), None, None, False)
    assert not prepared.constraints and not prepared.donors and len(prepared.learned) == 5
    learned = encoding.of_schema(prepared.learned)
    back = learned.decode(learned.encode(frame, 0))
    for column in prepared.learned:
        found, real = back[column.name], frame[column.name]
        if column.discrete or column.levels:
            assert np.array_equal(found, real, equal_nan=not column.discrete)
        else:
            assert np.array_equal(np.isnan(found), np.isnan(real))
            assert np.nanmax(np.abs(found - real)) <= 0.02 * (column.high - column.low)


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    from ganloom.tables.table import Table

    monkeypatch.setitem(sys.modules, "opacus", None)
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(MissingExtra, match=r'^opacus is not installed: pip install "ganloom\[dp\]"$'):
        Table("tvae", epsilon=3.0, out=tmp_path / "run").fit(mixed(60))
    assert not (tmp_path / "run").exists()


def test_arguments_that_do_not_fit() -> None:
    pytest.importorskip("pandas")
    from ganloom.tables.table import Table

    for said, wrong in (
        ("needs --method ctgan or tvae", {"method": "copula", "epsilon": 3.0}),
        ("needs --method ctgan or tvae", {"method": "auto", "epsilon": 3.0}),
        ("--delta belongs to --epsilon", {"method": "tvae", "delta": 1e-5}),
        ("--epsilon must be", {"method": "tvae", "epsilon": 0.0}),
        ("--delta must be", {"method": "tvae", "epsilon": 1.0, "delta": 2.0}),
        ("--minutes cannot", {"method": "tvae", "epsilon": 1.0, "minutes": 1.0}),
    ):
        with pytest.raises(BadInput, match=said):
            Table(**wrong)


def test_the_accounting_is_that_of_opacus() -> None:
    accountants = pytest.importorskip("opacus.accountants")
    from ganloom.tables import differential_privacy as dp

    found = dp.plan(dp.Target(2.0), 5_000, 256, 300, 1.0)
    judge = accountants.RDPAccountant()
    for _ in range(300):
        judge.step(noise_multiplier=found.noise, sample_rate=256 / 5_000)
    assert judge.get_epsilon(1e-5) == pytest.approx(found.epsilon) and 1.98 < found.epsilon <= 2.0
    assert found.delta == 1e-5 and dp.plan(dp.Target(2.0), 20_000, 64, 10, 1.0).delta == pytest.approx(5e-6)
    assert dp.plan(dp.Target(0.5), 5_000, 256, 300, 1.0).noise > found.noise
    with pytest.raises(BadInput, match="below 1 / rows"):
        dp.plan(dp.Target(2.0, 1e-3), 5_000, 256, 300, 1.0)
    with pytest.raises(BadInput, match="cannot be reached"):
        dp.plan(dp.Target(1e-9), 5_000, 256, 300, 1.0)


@pytest.mark.parametrize("method", ["ctgan", "tvae"])
def test_privacy_is_stated_where_it_holds_and_nowhere_else(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opacus")
    monkeypatch.setattr(utility, "TREES", 10)
    source, run, made = tmp_path / "a.csv", tmp_path / "run", tmp_path / "made.csv"
    mixed(150).to_csv(source, index=False)
    outputs = []
    commands: list[list[object]] = [
        [
            "table",
            "fit",
            source,
            "--out",
            run,
            "--method",
            method,
            "--steps",
            4,
            "--epsilon",
            3,
            "--held-out",
            0.2,
            "--json",
        ],
        ["table", "sample", run, "--n", 60, "--out", made, "--json"],
        ["table", "report", source, made, "--run", run, "--json"],
        ["table", "report", source, made, "--json", "--overwrite"],
    ]
    for words in commands if method == "ctgan" else commands[:1]:  # the report is the same for both
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out = capsys.readouterr()
        assert not left.value.code, out.err
        outputs.append(json.loads(out.out))
    stated = outputs[0]["differential_privacy"]
    assert 2.9 < stated["epsilon"] <= 3 and stated["steps"] == 4
    assert stated["rate"] == pytest.approx(stated["batch"] / 120) and not outputs[0]["constraints"]
    assert any(line.startswith("Differential privacy: epsilon 3, delta 1e-05") for line in outputs[0]["notes"])
    if method == "ctgan":
        report, alone = outputs[2:]
        assert report["differential_privacy"] == stated
        assert report["verdicts"][-1].startswith("Differential privacy: epsilon 3, delta 1e-05")
        assert alone["differential_privacy"] is None and "no (epsilon, delta) is claimed" in alone["verdicts"][-1]
    config = json.loads((run / method / "config.json").read_text(encoding="utf-8"))
    assert config["train"]["seed"] > 2**32, "a seed that can be guessed gives the noise away"


def test_a_stopped_training_is_resumed_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opacus")
    from ganloom.tables import differential_privacy, table
    from ganloom.training.callbacks import Callback

    class Stop(Callback):
        def on_step(self, trainer: Any) -> None:
            if trainer.step == 3:
                trainer.stop_requested = "SIGINT"

    monkeypatch.setattr(differential_privacy, "secret_seed", lambda: 2**40 + 1)
    options: dict[str, Any] = {"steps": 6, "epsilon": 3.0}
    whole = table.Table("tvae", out=tmp_path / "whole", **options).fit(mixed(100))
    with pytest.raises(Interrupted):
        table.Table("tvae", out=tmp_path / "parts", console=Stop(), **options).fit(mixed(100))
    again = table.resume(tmp_path / "parts")
    assert again.sample(30).equals(whole.sample(30)) and again.privacy == whole.privacy is not None
