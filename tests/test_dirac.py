"""The Dirac-GAN: what converges, what does not, and both as the eigenvalues say."""

import functools
import math
from xml.etree import ElementTree

import pytest
import torch

from ganloom.bench.modes import dirac
from ganloom.bench.modes.dirac import SETTINGS, Setting, distance, modulus, slope, theory, trajectory
from ganloom.bench.modes.dirac_plot import draw

LINEAR = [name for name, setting in SETTINGS.items() if theory(setting, True) is not None]
CLIPPED = "wgan-clip"
measured = functools.cache(dirac.measure)


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", ["r1", "r2", "zero-centred", "rpgan-r1", "rpgan-r1-r2", "minimax-r1", "wgan-r1"])
def test_zero_centred_penalties_converge(name: str, alternating: bool) -> None:
    assert distance(trajectory(SETTINGS[name], alternating, 500)[-1]) < 1e-6


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", ["instance-noise", "consensus"])
def test_noise_and_consensus_converge_in_the_end(name: str, alternating: bool) -> None:
    assert distance(measured(name, alternating)[1][-1]) < 0.1


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", ["minimax", "wgan"])
def test_without_a_cure_it_does_not_converge(name: str, alternating: bool) -> None:
    """Or the tests above prove nothing. It never comes near, on the whole way."""
    path = measured(name, alternating)[1]
    assert min(map(distance, path)) > 1 and distance(path[500]) > 1 and distance(path[-1]) > 1


@pytest.mark.parametrize("name", ["wgan-gp", "dragan", CLIPPED, "hinge"])
def test_one_centred_penalties_and_clipping_do_not_cure_it(name: str) -> None:
    assert distance(trajectory(SETTINGS[name], True, 500)[-1]) > 0.9


def test_nonsaturating_creeps() -> None:
    """Modulus 1 exactly: only the higher terms pull, and the distance falls like 1 / sqrt(steps), not like a power."""
    far = [distance(point) for point in measured("nonsaturating", True)[1]]
    assert far[-1] > 0.1 and far[2000] / far[500] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", LINEAR)
def test_the_matrix_is_the_derivative_of_the_update(name: str, alternating: bool) -> None:
    """By hand against differences of the real update, made of the library's losses and penalties."""
    matrix = theory(SETTINGS[name], alternating)
    assert matrix is not None
    near = 1e-5
    columns = []
    for start in ((near, 0.0), (0.0, near)):
        ahead = trajectory(SETTINGS[name], alternating, 1, start)[-1]
        back = trajectory(SETTINGS[name], alternating, 1, (-start[0], -start[1]))[-1]
        columns.append([(a - b) / (2 * near) for a, b in zip(ahead, back, strict=True)])
    torch.testing.assert_close(torch.tensor(columns, dtype=torch.float64).T, matrix, atol=1e-7, rtol=0)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", LINEAR)
def test_trajectories_follow_the_eigenvalues(name: str, alternating: bool) -> None:
    """120 steps near the equilibrium: the measured path is the sum of the eigenvectors' own geometric series."""
    matrix = theory(SETTINGS[name], alternating)
    assert matrix is not None
    start = (1e-4, 1e-4)
    path = trajectory(SETTINGS[name], alternating, 120, start)
    values = torch.linalg.eigvals(matrix)
    apart = float((values[0] - values[1]).abs())
    for step in (10, 50, 120):
        if apart > 1e-3:  # M^n by eigenvalues (Cayley and Hamilton); a double one takes the product itself
            l, m = values
            power = ((l**step - m**step) / (l - m) * (matrix - m * torch.eye(2)) + m**step * torch.eye(2)).real
        else:
            power = torch.linalg.matrix_power(matrix, step)
        wanted = power @ torch.tensor(start, dtype=torch.float64)
        far = math.hypot(*wanted.tolist())
        assert math.hypot(path[step][0] - wanted[0], path[step][1] - wanted[1]) < 1e-3 * far + 1e-12


@pytest.mark.parametrize("name", ["r1", "rpgan-r1", "wgan-r1", "consensus", "instance-noise", "unrolled"])
def test_the_rate_from_afar_is_the_modulus(name: str) -> None:
    row, _ = measured(name, True)
    assert row.modulus is not None and row.rate == pytest.approx(row.modulus, abs=1e-3) and row.verdict == "converges"


def test_closed_forms() -> None:
    h = dirac.STEP
    plain = theory(SETTINGS["wgan"], False), theory(SETTINGS["wgan"], True)
    assert plain[0] is not None and plain[1] is not None
    assert modulus(plain[0]) == pytest.approx(math.sqrt(1 + h * h)), "simultaneous steps spiral out"
    assert modulus(plain[1]) == pytest.approx(1.0), "alternating steps circle"
    # Mescheder et al. 2018, lemma 4.1 in its form for steps: eigenvalues 1 + h (-g / 2 +- sqrt(g^2 / 4 - f'(0)^2)).
    for gamma in (0.3, 1.0, 3.0):
        matrix = theory(Setting("nonsaturating", (("r1", gamma),)), False)
        assert matrix is not None
        root = complex(gamma**2 / 4 - 0.25) ** 0.5
        assert modulus(matrix) == pytest.approx(max(abs(1 + h * (-gamma / 2 + s * root)) for s in (1, -1)), abs=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_full_unrolled_gradient_is_not_the_first_order_one(steps: int) -> None:
    """Wasserstein: D after k steps is psi - k h theta, so L_G = -theta psi + k h theta^2; half its pull is D's response."""
    theta, psi, h = 0.7, -0.4, 0.1
    full = slope(Setting("wasserstein", unroll=steps), "G", one(theta), one(psi), h)
    first = slope(Setting("wasserstein", unroll=steps, first_order=True), "G", one(theta), one(psi), h)
    assert float(full) == pytest.approx(-psi + 2 * steps * h * theta)
    assert float(first) == pytest.approx(-psi + steps * h * theta)


def test_the_full_unrolled_gradient_is_that_of_the_look_ahead() -> None:
    """Any loss: the slope of L_G along theta with D looking ahead anew at each theta (Metz et al. 2016, eq. 10)."""
    setting, theta, psi, h, near = Setting("nonsaturating", unroll=4), 0.7, 0.9, 0.1, 1e-5

    def g(at: float) -> float:
        ahead = dirac._ahead(setting, one(at), one(psi).requires_grad_(), h)
        return float(dirac.g_loss(setting, one(at), ahead).detach())

    full = float(slope(setting, "G", one(theta), one(psi), h))
    assert full == pytest.approx((g(theta + near) - g(theta - near)) / (2 * near), rel=1e-6)
    first = float(slope(Setting("nonsaturating", unroll=4, first_order=True), "G", one(theta), one(psi), h))
    assert abs(full - first) > 0.01


def test_noise_is_its_quantiles() -> None:
    real, fake = dirac._samples(SETTINGS["instance-noise"], one(1.0))
    assert float(real.mean()) == pytest.approx(0, abs=1e-12) and float(real.square().mean()) == pytest.approx(0.25)
    torch.testing.assert_close(fake, real + 1)


def test_the_image_is_well_formed_and_shows_each_setting() -> None:
    runs = [measured(name, alternating) for name in ("wgan", "consensus", "wgan-gp") for alternating in (True, False)]
    text = draw(runs)
    root = ElementTree.fromstring(text)
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"wgan", "consensus", "wgan-gp"} <= set(titles) and "nan" not in text
    dashed = [e for e in root.iter("{http://www.w3.org/2000/svg}path") if e.get("stroke-dasharray")]
    assert len(dashed) == 4, "no slope is drawn where the theory has none"
