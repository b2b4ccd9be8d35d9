"""Published weights: networks of other projects, read, give what those projects' own code gives.

The figures in ``figures/weights.npz`` were computed once by the projects' code (BigGAN-PyTorch 9845943,
pytorch-pretrained-BigGAN 1e18aed, PyTorch-StudioGAN 947b35e, mimicry a7fda06; torch 2.13, CPU): their networks, narrow, with
the weights of ``made_weights.made`` for their own names and shapes, on its ``inputs``. Each case has the names and shapes, and
up to 600 numbers of the output in eval mode and, for G, with BatchNorm on the batch's statistics.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_weights import inputs, made

import ganloom
from ganloom import weights
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.nn.norms import StandingBatchNorm
from ganloom.recipes import biggan
from ganloom.weights.spectral import first_vector, sigma_by_iteration

FIGURES = np.load(Path(__file__).parent / "figures" / "weights.npz")
CASES = sorted({name.split("/")[0] for name in FIGURES.files})
N = 4


def state_of(case: str) -> dict[str, torch.Tensor]:
    """The weights that the reference code was run with."""
    shapes = json.loads(FIGURES[f"{case}/shapes"].tobytes())
    return made({name: tuple(shape) for name, shape in shapes.items()})


def beside(case: str) -> weights.Network | None:
    """What the case's generator was read as, for a discriminator."""
    other = case.removesuffix("D") + "G"
    return weights.find(state_of(other)) if case.endswith("-D") else None


def compared(y: torch.Tensor, expected: np.ndarray) -> None:
    flat = y.detach().flatten()
    ours = flat[:: max(len(flat) // 600, 1)][:600]
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4, rtol=2e-5)


LONG = ("hub-256", "hub-128-1.0", "studio-biggan-64", "studio-biggan-128", "studio-deep-64", "studio-sagan-128-")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * case.startswith(LONG)) for case in CASES]
)
def test_outputs_are_those_of_the_reference_code(case: str) -> None:
    gan = weights.build(weights.find(state_of(case), beside(case)))
    cfg, n = gan.cfg, 2 if case.startswith("hub") else N
    c = torch.arange(n) % cfg.n_classes if cfg.n_classes else None
    if case.endswith("-D"):
        compared(gan.D(inputs(n, *cfg.shape).tanh(), c), FIGURES[f"{case}/eval"])
        return
    z = inputs(n, cfg.z_dim)
    if case.startswith("hub"):
        for norm in gan.G.modules():
            if isinstance(norm, StandingBatchNorm):
                norm.choose(float(case.split("-")[2]))
    compared(gan.G(z, c), FIGURES[f"{case}/eval"])
    if f"{case}/train" in FIGURES:
        for module in gan.G.modules():
            if isinstance(module, torch.nn.BatchNorm2d) or case.startswith("biggan"):
                module.training = True
        compared(gan.G(z, c), FIGURES[f"{case}/train"])


# ------------------------------------------------------------------------------------------------- files and faults


def saved(path: Path, case: str, wrap: str = "", prefix: str = "") -> Path:
    """A case's weights as its project saves them."""
    state = {prefix + name: t for name, t in state_of(case).items()}
    torch.save({wrap: state, "step": 3} if wrap else state, path)
    return path


def test_a_folder_that_sample_and_load_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    g = saved(tmp_path / "g.pth", "studio-sagan-32-G", "state_dict", "module.")
    d = saved(tmp_path / "d.pth", "studio-sagan-32-D", "state_dict")
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as left:
        main(["import", str(g), "--discriminator", str(d), "--out", str(out)])
    said = capsys.readouterr()
    assert not left.value.code and "sagan of 3x32x32, 5 classes: G and D read" in said.out, said
    gan, direct = ganloom.load(out), weights.read(g, d)
    assert gan.cfg == direct.cfg and not gan.training
    z, c = inputs(2, 16), torch.tensor([1, 4])
    torch.testing.assert_close(gan.G(z, c), direct.G(z, c), atol=1e-5, rtol=1e-5)  # another layout, other rounding
    x = inputs(2, 3, 32, 32)
    torch.testing.assert_close(gan.D(x, c), direct.D(x, c), atol=1e-5, rtol=1e-5)
    with pytest.raises(SystemExit) as left:
        main(["sample", str(out), "--n", "4", "--c", "2", "--truncation", "0.5", "--json"])
    assert not left.value.code and json.loads(capsys.readouterr().out)["files"] == 4
    with pytest.raises(SystemExit) as left:
        main(["import", str(g), "--out", str(out)])
    assert left.value.code == 2 and "not an empty folder" in capsys.readouterr().err


def test_evaluate_takes_it(tmp_path: Path) -> None:
    made_in = ganloom.weights.read(saved(tmp_path / "g.pth", "mimicry-sngan-32-G", "model_state_dict"))
    images = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    found = ganloom.evaluate(made_in, images, n=30, features="random", k=3, intervals=False)
    assert "generated" in " ".join(found["table"])


def test_safetensors_and_each_project_s_wrapping(tmp_path: Path) -> None:
    import safetensors.torch

    state = state_of("biggan-32-plain-G")
    safetensors.torch.save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "g.safetensors")
    expected = weights.build(weights.find(state)).state_dict()
    for name, value in weights.read(tmp_path / "g.safetensors").state_dict().items():
        assert torch.equal(value, expected[name])
    alone = weights.read(saved(tmp_path / "d.pth", "biggan-32-plain-D"))  # a discriminator without its generator
    assert alone.cfg.width == alone.cfg.d_width == 4


class Harm:
    def __reduce__(self):  # what a pickle may do when it is opened
        return (exec, ("raise SystemError('a file was run')",))


def test_faults_are_one_line(tmp_path: Path) -> None:
    state = state_of("mimicry-sngan-32-G")

    def read(value: object, name: str = "g.pth") -> None:
        torch.save(value, tmp_path / name)
        weights.read(tmp_path / name)

    with pytest.raises(BadInput, match="runs no code"):
        read({"state_dict": state, "args": Harm()})
    with pytest.raises(BadInput, match=r"2 tensors.*known are: BigGAN-PyTorch"):
        read({"encoder.weight": torch.zeros(2), "encoder.bias": torch.zeros(2)})
    with pytest.raises(BadInput, match="no table of weights"):
        read({"epoch": 3})
    with pytest.raises(BadInput, match="no file"):
        weights.read(tmp_path / "none.pth")
    with pytest.raises(BadInput, match=r"has parts that ganloom does not have: extra\.weight"):
        read(state | {"extra.weight": torch.zeros(2)})
    with pytest.raises(BadInput, match=r"no block3\.c2\.weight"):
        read({n: t for n, t in state.items() if n != "block3.c2.weight"})
    with pytest.raises(BadInput, match="do not fit the recipe sngan"):
        read(state | {"block3.b1.running_mean": torch.zeros(3)})
    with pytest.raises(BadInput, match="attention on the grids"):
        twice = state_of("studio-biggan-32-G")
        twice |= {n.replace("blocks.2.", "blocks.4."): t for n, t in twice.items() if n.startswith("blocks.2.0.")}
        read(twice)
    (tmp_path / "half.safetensors").write_bytes(b"123")
    with pytest.raises(BadInput, match="not a whole safetensors"):
        weights.read(tmp_path / "half.safetensors")
    g = saved(tmp_path / "g.pth", "biggan-32-plain-G")
    with pytest.raises(BadInput, match="does not fit the generator"):
        weights.read(g, saved(tmp_path / "d.pth", "biggan-128-D"))
    with pytest.raises(BadInput, match="is not a discriminator"):
        weights.read(g, saved(tmp_path / "d.pth", "biggan-32-G"))


# --------------------------------------------------------------------------------------------------------- the parts


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (40, 7), (3, 3), (1, 9)])
def test_a_first_vector_gives_the_wanted_sigma(shape: tuple[int, ...]) -> None:
    weight, u = inputs(*shape), inputs(shape[0])
    values = torch.linalg.svdvals(weight.double().flatten(1))
    low, high = float(values[-1]), float(values[0])
    for share in (0.05, 0.5, 0.95) if shape[0] > 1 else (1.0,):
        wanted = torch.tensor(low + share * (high - low))
        found = first_vector(weight, wanted, u)
        assert float(sigma_by_iteration(weight, found)) == pytest.approx(float(wanted), rel=1e-5)
    with pytest.raises(BadInput, match="singular values"):
        first_vector(weight, torch.tensor(high * 1.5), u)


def test_one_iteration_back_is_where_the_vector_was() -> None:
    """Where nothing moved since the file was saved, u is the one of the iteration before."""
    weight, before = inputs(6, 20), torch.nn.functional.normalize(inputs(6), dim=0)
    sigma = sigma_by_iteration(weight, before)
    after = weight @ (weight.T @ before)
    torch.testing.assert_close(first_vector(weight, sigma, after), before, atol=1e-4, rtol=1e-4)


def test_sets_of_statistics_follow_the_truncation() -> None:
    gan = weights.build(weights.find(state_of("hub-128-1.0-G")))
    z, c = inputs(1, 8), torch.tensor([2])
    norm = gan.G.body.norm
    norm.choose(0.3)
    torch.testing.assert_close(norm.running_mean, norm.means[15])
    norm.choose(0.31)
    torch.testing.assert_close(norm.running_mean, (norm.means[15] + norm.means[16]) / 2)
    assert gan.z(1).shape == (1, 8)
    a, b = (gan.generate(c=c, z=z, truncation=t) for t in (0.4, 1.0))
    assert float((a - b).abs().max()) > 0.01
    for part in gan.G.modules():
        if isinstance(part, StandingBatchNorm):
            part.choose(0.4)
    by_rule = gan.G(0.4 * biggan.truncated(z, 2.0), c)  # cut at 2, then scaled
    torch.testing.assert_close(a, by_rule, atol=1e-5, rtol=1e-5)
    gan.G.train()(z.repeat(2, 1), c.repeat(2))
    before = norm.running_mean.clone()
    norm.choose(0.1)
    assert torch.equal(norm.running_mean, before)  # training leaves the sets behind


def test_fields_are_checked() -> None:
    with pytest.raises(BadInput, match="--multiples"):
        biggan.Config(multiples=(4, 2))
    with pytest.raises(BadInput, match="--no-shared"):
        biggan.Config(shared=False)
    with pytest.raises(BadInput, match="--hub"):
        biggan.Config(hub=1)
