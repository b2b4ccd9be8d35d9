"""The networks of LaMa against the authors' code, and the readers of its files."""

import hashlib
import sys
import types
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_weights import made, numbers
from torch import Tensor, nn

import ganloom
from ganloom import weights
from ganloom.core.errors import BadInput
from ganloom.networks.gated import GatedNet
from ganloom.networks.inpaint import FFCResNet, NLayerDiscriminator

FIGURES = dict(np.load(Path(__file__).parent / "figures" / "inpaint.npz"))
"""Outputs and names of the authors' code, for weights that are a function of their names."""
CASES = {"small": (8, 3, 2, 0.75), "half": (12, 2, 1, 0.5)}
"""Width, downsamplings, blocks and share of global channels."""


def image_and_mask() -> tuple[Tensor, Tensor]:
    return torch.sigmoid(numbers("image", (2, 3, 40, 48))), (numbers("mask", (2, 1, 40, 48)) > 0.3).float()


def made_generator(case: str) -> dict[str, Tensor]:
    width, downs, blocks, ratio = CASES[case]
    net = FFCResNet(4, 3, width, downs, blocks, ratio)
    return made({name: tuple(t.shape) for name, t in net.state_dict().items()})


def names(net: nn.Module) -> str:
    table = [(name, tuple(t.shape)) for name, t in sorted(net.state_dict().items())]
    return hashlib.sha256(repr(table).encode()).hexdigest()


def test_names_and_shapes_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        assert names(FFCResNet(blocks=9)) == FIGURES["names lama-fourier"]
        assert names(FFCResNet(blocks=18)) == FIGURES["names big-lama"]
        assert names(NLayerDiscriminator()) == FIGURES["names discriminator"]


@pytest.mark.parametrize("case", CASES)
def test_generator_gives_the_outputs_of_the_authors_code(case: str) -> None:
    net = FFCResNet(4, 3, *CASES[case][:3], CASES[case][3]).eval()
    net.load_state_dict(made_generator(case), strict=True)
    x, mask = image_and_mask()
    with torch.no_grad():
        y = torch.sigmoid(net(torch.cat([x * (1 - mask), mask], 1)))
    assert float((y - torch.from_numpy(FIGURES[f"out {case}"])).abs().max()) < 1e-4


def test_discriminator_gives_the_outputs_of_the_authors_code() -> None:
    net = NLayerDiscriminator(3, 8, 4).eval()
    net.load_state_dict(made({name: tuple(t.shape) for name, t in net.state_dict().items()}), strict=True)
    with torch.no_grad():
        logits, features = net(image_and_mask()[0] * 2 - 1, features=True)
    assert float((logits - torch.from_numpy(FIGURES["logits"])).abs().max()) < 1e-4
    assert np.allclose([float(f.abs().mean()) for f in features], FIGURES["features"], atol=1e-5)


def test_gated_network_sees_its_mask_and_keeps_the_size() -> None:
    net = GatedNet(4, 3, 8, 4)
    x = torch.rand(1, 3, 16, 24)
    outputs = [net(torch.cat([x, torch.full((1, 1, 16, 24), value)], 1)) for value in (0.0, 1.0)]
    assert outputs[0].shape == (1, 3, 16, 24) and not torch.allclose(*outputs)


# ------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def other_projects() -> Iterator[tuple[Any, Any]]:
    """Classes of Lightning and OmegaConf, as they are in the published checkpoints."""
    made_modules = {}
    for name in ("pytorch_lightning.callbacks.model_checkpoint", "omegaconf.dictconfig"):
        for end in range(1, name.count(".") + 2):
            part = ".".join(name.split(".")[:end])
            made_modules.setdefault(part, types.ModuleType(part))
    sys.modules.update(made_modules)
    classes = []
    for module, name in (("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
                         ("omegaconf.dictconfig", "DictConfig")):  # fmt: skip
        kind = type(name, (), {"__module__": module})
        setattr(made_modules[module], name, kind)
        classes.append(kind)
    yield classes[0], classes[1]
    for name in made_modules:
        del sys.modules[name]


def checkpoint(path: Path, case: str = "small", classes: tuple[Any, Any] | None = None, **more: Tensor) -> Path:
    """Write a Lightning checkpoint as the authors' code does."""
    state = {f"generator.{name}": t for name, t in made_generator(case).items()}
    content: dict[str, Any] = {"epoch": 39, "state_dict": state | more, "lr_schedulers": []}
    if classes is not None:
        settings = classes[1]()
        settings.__dict__.update(_metadata={"ref_type": typing.Any}, _content={"ngf": 8}, _parent=None)
        content |= {"callbacks": {classes[0]: {"best_model_score": torch.tensor(0.9)}}, "hyper_parameters": settings}
    torch.save(content, path)
    return path


def filled(gan: Any) -> Tensor:
    x, mask = image_and_mask()
    out: Tensor = gan.inpaint(x * 2 - 1, mask)
    return (out + 1) / 2


def expected(case: str) -> Tensor:
    x, mask = image_and_mask()
    return mask * torch.from_numpy(FIGURES[f"out {case}"]) + (1 - mask) * x


@pytest.mark.parametrize("case", CASES)
def test_lightning_checkpoint(case: str, tmp_path: Path, other_projects: tuple[Any, Any]) -> None:
    path = checkpoint(
        tmp_path / "best.ckpt", case, other_projects, **{"loss_resnet_pl.impl.conv1.weight": torch.rand(4, 4)}
    )
    gan = weights.read(path)
    width, downs, blocks, ratio = CASES[case]
    assert (gan.cfg.width, gan.cfg.downs, gan.cfg.blocks, gan.cfg.ratio) == (width, downs, blocks, ratio)
    assert float((filled(gan) - expected(case)).abs().max()) < 1e-4


def test_discriminator_of_a_checkpoint(tmp_path: Path) -> None:
    net = NLayerDiscriminator(3, 8, 4)
    state = made({name: tuple(t.shape) for name, t in net.state_dict().items()})
    path = checkpoint(tmp_path / "last.ckpt", **{f"discriminator.{name}": t for name, t in state.items()})
    gan = weights.read(path, path)
    assert (gan.cfg.d_width, gan.cfg.layers) == (8, 4) and torch.equal(gan.D.model0[0].weight, state["model0.0.weight"])


class Scripted(nn.Module):
    """The wrapper that the authors trace to big-lama.pt."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.generator = generator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        predicted: Tensor = torch.sigmoid(self.model.generator(torch.cat([image * (1 - mask), mask], 1)))
        return mask * predicted + (1 - mask) * image


def test_torchscript_file(tmp_path: Path) -> None:
    net = FFCResNet(4, 3, *CASES["small"][:3], CASES["small"][3]).eval()
    net.load_state_dict(made_generator("small"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Scripted(net).eval(), image_and_mask(), strict=False).save(str(tmp_path / "big-lama.pt"))
    assert float((filled(weights.read(tmp_path / "big-lama.pt")) - expected("small")).abs().max()) < 1e-4


def test_imported_folder_fills_holes(tmp_path: Path) -> None:
    from ganloom.apps.import_weights import import_weights

    import_weights(checkpoint(tmp_path / "best.ckpt"), tmp_path / "model")
    assert float((filled(ganloom.load(tmp_path / "model")) - expected("small")).abs().max()) < 1e-4


FAULTS: dict[str, tuple[str, str]] = {
    "tanh": ("generator:\n  add_out_act: tanh\n", "add_out_act: tanh"),
    "another network": ("generator:\n  n_blocks: 18\n", "n_blocks: 18, but the network in best.ckpt has 2"),
    "no mask": ("training_model:\n  concat_mask: false\n", "concat_mask: false"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_settings_beside_the_file(fault: str, tmp_path: Path) -> None:
    text, message = FAULTS[fault]
    folder = tmp_path / "models"
    folder.mkdir()
    path = checkpoint(folder / "best.ckpt")
    (tmp_path / "config.yaml").write_text("generator:\n  n_blocks: 2\n  ngf: 8\n  add_out_act: sigmoid\n")
    weights.read(path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(BadInput, match=message):
        weights.read(path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("model.5.conv1.ffc.convg2g.lfu.conv_layer.weight", "has parts that ganloom does not have: model.5.conv1"),
        ("model.1.ffc.gate.weight", "has parts that ganloom does not have: model.1.ffc.gate"),
    ],
)
def test_variants_that_ganloom_lacks_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        weights.read(checkpoint(tmp_path / "best.ckpt", **{f"generator.{name}": torch.rand(2, 2, 1, 1)}))


def test_incomplete_file_is_refused(tmp_path: Path) -> None:
    state = made_generator("small")
    del state["model.6.conv2.bn_g.running_var"]
    torch.save({"state_dict": {f"generator.{k}": v for k, v in state.items()}}, tmp_path / "cut.ckpt")
    with pytest.raises(BadInput, match=r"has no model\.6\.conv2\.bn_g\.running_var"):
        weights.read(tmp_path / "cut.ckpt")


def test_a_scripted_module_that_holds_itself_is_refused() -> None:
    from ganloom.weights.pickle_reader import Refused, Stub, Table
    from ganloom.weights.torch_file import module_table

    module = Stub("__torch__.Model", ())
    module.state = Table()
    module.state["inner"] = module
    with pytest.raises(Refused, match="a module that holds itself"):
        module_table(module)
    assert module_table(3) == 3


def test_transform_for_onnx_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganloom.networks import inpaint as networks

    for height, width in ((6, 8), (5, 7), (4, 9)):
        x = torch.randn(2, 3, height, width)
        real, imaginary = networks.transform(x)
        back = networks.inverse(real, imaginary, width)
        with monkeypatch.context() as patched:
            patched.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
            ours = networks.transform(x)
            assert torch.allclose(ours[0], real, atol=1e-5) and torch.allclose(ours[1], imaginary, atol=1e-5)
            changed = real + 0.3, imaginary + 0.2  # not the transform of an image, as after a layer
            ours_back = networks.inverse(*changed, width)
        assert torch.allclose(back, x, atol=1e-5)
        assert torch.allclose(ours_back, networks.inverse(*changed, width), atol=1e-5)
