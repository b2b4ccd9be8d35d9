"""SNGAN's and SAGAN's networks: which layers are normalised, the projection, the class in G."""

from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.nn.norms import ConditionalBatchNorm
from ganloom.recipes import sagan, sngan


def plain_layers(network: nn.Module) -> list[str]:
    """Layers with a weight matrix that have no spectral norm."""
    kinds = (nn.Conv2d, nn.Linear, nn.Embedding)
    return [
        n for n, m in network.named_modules() if isinstance(m, kinds) and not parametrize.is_parametrized(m, "weight")
    ]


def test_spectral_norm_is_where_the_papers_have_it() -> None:
    for name in ("sngan", "sagan", "biggan"):
        assert plain_layers(testing.build(name).D) == [], name
    assert len(plain_layers(testing.build("sngan").G)) > 5
    assert all(".gain" in layer or ".bias" in layer for layer in plain_layers(testing.build("sagan").G))
    assert plain_layers(testing.build("biggan").G) == ["classes"]


def test_every_normalised_layer_has_norm_one_after_training() -> None:
    run = testing.trainer("sngan")
    for _ in range(20):
        run.train_step()
    for name, module in run.gan.D.eval().named_modules():
        if parametrize.is_parametrized(module, "weight"):
            largest = float(torch.linalg.matrix_norm(module.weight.flatten(1), 2))
            assert largest == pytest.approx(1.0, abs=0.1), name


@pytest.mark.parametrize("recipe", [sngan, sagan])
def test_the_gain_of_d_is_the_largest_singular_value_of_its_layers(recipe: ModuleType) -> None:
    torch.manual_seed(0)
    plain, steep = (recipe.MODEL(recipe.Config((1, 16, 16), z_dim=6, width=8, d_gain=gain)) for gain in (1.0, 2.0))
    steep.D.load_state_dict(plain.D.state_dict())
    x = torch.randn(8, 1, 16, 16)
    for _ in range(30):  # each forward pass is one power iteration
        plain.D(x), steep.D(x)
    for (name, layer), other in zip(steep.D.eval().named_modules(), plain.D.eval().modules(), strict=True):
        if parametrize.is_parametrized(layer, "weight"):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(
                2.0, abs=0.1
            ), name
            torch.testing.assert_close(layer.weight, 2 * other.weight)
    with pytest.raises(BadInput, match="--d-gain"):
        recipe.Config(d_gain=0.0)


def test_projection_is_linear_in_the_class() -> None:
    """D(x, p) for a mixture p is the mixture of the D(x, c), and the classes differ."""
    gan = testing.build("sngan").eval()
    x = torch.randn(5, 1, 16, 16)
    every = torch.stack([gan.D(x, torch.full((5,), k)) for k in range(3)], 1)
    weights = torch.rand(5, 3).softmax(1)
    torch.testing.assert_close(gan.D(x, weights), (every * weights).sum(1), atol=1e-4, rtol=1e-4)
    assert float(every.detach().std(1).min()) > 0


def test_each_class_has_its_own_norm_in_g() -> None:
    gan = testing.build("sngan").eval()
    z = torch.randn(2, 6)
    assert torch.equal(gan.G(z, torch.tensor([0, 0])), gan.G(z, torch.tensor([1, 1])))  # tables begin at 0
    with torch.no_grad():
        for norm in gan.G.modules():
            if isinstance(norm, ConditionalBatchNorm) and norm.inputs:
                norm.gain.weight[:, 1] += 1
    assert not torch.equal(gan.G(z, torch.tensor([0, 0])), gan.G(z, torch.tensor([1, 1])))
    assert gan.G(z, torch.tensor([[0.5, 0.5, 0.0]] * 2)).isfinite().all()


def test_classes_are_checked() -> None:
    assert sngan.Config(n_classes=1).n_classes == 0
    with pytest.raises(BadInput, match="--n-classes"):
        sngan.Config(n_classes=-1)
