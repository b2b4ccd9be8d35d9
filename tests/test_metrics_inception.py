"""FID's Inception network against torch-fidelity's, layer by layer, its two weight files, and resizing."""

import importlib.util
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_metrics import one_thread
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics import get, metric_name
from ganloom.metrics.extractors import inception_weights as weights
from ganloom.metrics.extractors.inception_net import FIDInception
from ganloom.metrics.extractors.resize import RESIZERS, clean, legacy
from ganloom.metrics.extractors.torchscript import read_tensors

__all__ = ["one_thread"]

# Of torch-fidelity 0.4.0's FeatureExtractorInceptionV3 with `drawn` weights on `drawn` images: mean, deviation, the
# first four values of the first image, the last four of the second.
REFERENCE = {
    "64": (0.343694229, 0.340991029, [0.4147297, 0.1346341, 0.3812841, 0.7886758],
           [0.6977465, 0.05455963, 0.02663305, 0.1496273]),
    "192": (0.718689595, 0.891687946, [0.0007159298, 1.713306, 0.3915654, 1.597862],
            [0.352068, 0.08834871, 1.594096, 0.07878146]),
    "768": (1.8593817, 2.6680931, [5.279335, 0.2594107, 0.6575356, 0.02813855],
            [2.797236, 0.0, 13.58354, 0.4457324]),
    "2048": (3.47583462, 4.89896876, [0.05348736, 7.750131, 0.1858195, 0.0], [0.0, 0.0, 0.0, 5.738831]),
    "logits": (-0.140051154, 7.95994871, [-2.619872, -6.267092, -4.693529, -5.671547],
               [10.01587, -8.219788, 6.600315, -7.484873]),
}  # fmt: skip
# TensorFlow 1's resize of the same images to 299, by torch-fidelity: the first corner, the middle, the last corner.
CORNER = [201.0, 194.7391, 188.4783, 182.2174, 175.9565, 169.6956]
MIDDLE = [122.7959, 124.0802, 125.3645, 126.6488, 127.9331, 129.2174]
END = [164.478, 133.8695, 103.261, 72.65179, 65.0, 65.0, 65.0, 65.0, 65.0]


def drawn(key: str, shape: Any, low: float, high: float) -> Tensor:
    """Uniform numbers that depend on ``key`` alone."""
    rng = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    return torch.rand(shape, generator=rng) * (high - low) + low


def drawn_state(net: nn.Module) -> dict[str, Tensor]:
    found = {}
    for key, value in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            found[key] = torch.tensor(0)
        elif key.endswith(("running_var", "bn.weight")):
            found[key] = drawn(key, value.shape, 0.5, 1.5)
        elif value.ndim == 4:
            bound = (6 / value[0].numel()) ** 0.5
            found[key] = drawn(key, value.shape, -bound, bound)
        else:
            bound = 0.05 if value.ndim == 2 else 0.2
            found[key] = drawn(key, value.shape, -bound, bound)
    return found


@pytest.fixture(scope="module")
def drawn_net() -> FIDInception:
    net = FIDInception().eval()
    net.load_state_dict(drawn_state(net))
    return net


@pytest.fixture(scope="module")
def pth(drawn_net: FIDInception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / weights.FILES[0]
    torch.save(drawn_net.state_dict(), path)
    return path


def images() -> Tensor:
    return drawn("pictures", (2, 3, 40, 52), 0, 256).floor().clamp(max=255)


def test_the_network_is_torch_fidelitys_layer_by_layer(drawn_net: FIDInception) -> None:
    with torch.no_grad():
        x = (legacy(images(), 299) - 128) / 128
        found = dict(zip(REFERENCE, [*drawn_net.taps(x), drawn_net(x)[1]], strict=True))
    for name, (mean, sd, first, last) in REFERENCE.items():
        got = found[name].double()
        assert got.mean().item() == pytest.approx(mean, rel=1e-4), name
        assert got.std().item() == pytest.approx(sd, rel=1e-4), name
        assert got[0, :4].tolist() == pytest.approx(first, rel=1e-3, abs=1e-4), name
        assert got[1, -4:].tolist() == pytest.approx(last, rel=1e-3, abs=1e-4), name


def test_shape_and_size_of_the_network(drawn_net: FIDInception) -> None:
    # torchvision's ImageNet net without its auxiliary head has 23,834,568; eight more logits add 8 x 2,049
    assert sum(p.numel() for p in drawn_net.parameters()) == 23_834_568 + 8 * 2049
    assert sum(isinstance(m, nn.Conv2d) for m in drawn_net.modules()) == 94
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in drawn_net.named_children():
        if name != "fc":
            module.register_forward_hook(lambda m, i, out, name=name: shapes.__setitem__(name, tuple(out.shape[1:])))
    with torch.no_grad():
        features, logits = drawn_net(torch.zeros(1, 3, 299, 299))
    assert (features.shape, logits.shape) == ((1, 2048), (1, 1008))
    assert shapes["Conv2d_2b_3x3"] == (64, 147, 147) and shapes["Conv2d_4a_3x3"] == (192, 71, 71)
    assert shapes["Mixed_5b"] == (256, 35, 35) and shapes["Mixed_5d"] == (288, 35, 35)
    assert shapes["Mixed_6a"] == shapes["Mixed_6e"] == (768, 17, 17)
    assert shapes["Mixed_7a"] == (1280, 8, 8) and shapes["Mixed_7c"] == (2048, 8, 8)
    for module in drawn_net.children():
        module._forward_hooks.clear()


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch_fidelity", "torchvision")), reason="no torch-fidelity"
)
def test_against_torch_fidelity_itself(pth: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    reference = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(pth))
    x = images()
    want, logits = reference(x.to(torch.uint8))
    got = get("inception", weights=pth).run(x / 127.5 - 1)
    assert torch.allclose(got[0], want, rtol=1e-4, atol=1e-4)
    assert got[1] is not None and torch.allclose(got[1], logits, rtol=1e-4, atol=1e-3)


# weight files


class Conv(nn.Module):
    """A convolution as NVIDIA's file has it: its batch norm has no scale."""

    def __init__(self, n_in: int, n_out: int, kernel: Any, stride: int = 1, padding: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(n_out, eps=0.001)
        self.bn.weight = None  # type: ignore[assignment]
        bound = (6 / self.conv.weight[0].numel()) ** 0.5
        nn.init.uniform_(self.conv.weight, -bound, bound)
        nn.init.uniform_(self.bn.bias, -0.2, 0.2)
        nn.init.uniform_(self.bn.running_mean, -0.2, 0.2)
        nn.init.uniform_(self.bn.running_var, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


def tower(**parts: nn.Module) -> nn.Sequential:
    made = nn.Sequential()
    for name, part in parts.items():
        made.add_module(name, part)
    return made


def mean_pool() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


class A(nn.Module):
    def __init__(self, n: int, pooled: int) -> None:
        super().__init__()
        self.conv = Conv(n, 64, 1)
        self.tower = tower(conv=Conv(n, 48, 1), conv_1=Conv(48, 64, 5, 1, 2))
        self.tower_1 = tower(conv=Conv(n, 64, 1), conv_1=Conv(64, 96, 3, 1, 1), conv_2=Conv(96, 96, 3, 1, 1))
        self.tower_2 = tower(pool=mean_pool(), conv=Conv(n, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.tower(x), self.tower_1(x), self.tower_2(x)], 1)


class B(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = Conv(n, 384, 3, 2)
        self.tower = tower(conv=Conv(n, 64, 1), conv_1=Conv(64, 96, 3, 1, 1), conv_2=Conv(96, 96, 3, 2))
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.tower(x), self.pool(x)], 1)


class C(nn.Module):
    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        row: Any = {"kernel": (1, 7), "padding": (0, 3)}
        column: Any = {"kernel": (7, 1), "padding": (3, 0)}
        self.conv = Conv(n, 192, 1)
        self.tower = tower(conv=Conv(n, m, 1), conv_1=Conv(m, m, **row), conv_2=Conv(m, 192, **column))
        self.tower_1 = tower(
            conv=Conv(n, m, 1), conv_1=Conv(m, m, **column), conv_2=Conv(m, m, **row), conv_3=Conv(m, m, **column),
            conv_4=Conv(m, 192, **row),
        )  # fmt: skip
        self.tower_2 = tower(pool=mean_pool(), conv=Conv(n, 192, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.tower(x), self.tower_1(x), self.tower_2(x)], 1)


class D(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.tower = tower(conv=Conv(n, 192, 1), conv_1=Conv(192, 320, 3, 2))
        self.tower_1 = tower(
            conv=Conv(n, 192, 1), conv_1=Conv(192, 192, (1, 7), 1, (0, 3)), conv_2=Conv(192, 192, (7, 1), 1, (3, 0)),
            conv_3=Conv(192, 192, 3, 2),
        )  # fmt: skip
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.tower(x), self.tower_1(x), self.pool(x)], 1)


class E(nn.Module):
    def __init__(self, n: int, pool: nn.Module) -> None:
        super().__init__()
        row: Any = {"kernel": (1, 3), "padding": (0, 1)}
        column: Any = {"kernel": (3, 1), "padding": (1, 0)}
        self.conv = Conv(n, 320, 1)
        self.tower_conv = Conv(n, 384, 1)
        self.tower_mixed_conv, self.tower_mixed_conv_1 = Conv(384, 384, **row), Conv(384, 384, **column)
        self.tower_1_conv, self.tower_1_conv_1 = Conv(n, 448, 1), Conv(448, 384, 3, 1, 1)
        self.tower_1_mixed_conv, self.tower_1_mixed_conv_1 = Conv(384, 384, **row), Conv(384, 384, **column)
        self.tower_2_pool = pool
        self.tower_2_conv = Conv(n, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.tower_conv(x), self.tower_1_conv_1(self.tower_1_conv(x))
        spread = torch.cat([self.tower_mixed_conv(a), self.tower_mixed_conv_1(a)], 1)
        far = torch.cat([self.tower_1_mixed_conv(b), self.tower_1_mixed_conv_1(b)], 1)
        return torch.cat([self.conv(x), spread, far, self.tower_2_conv(self.tower_2_pool(x))], 1)


class Towers(nn.Module):
    """The published network once more, with the names and the structure of NVIDIA's file."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = tower(
            conv=Conv(3, 32, 3, 2), conv_1=Conv(32, 32, 3), conv_2=Conv(32, 64, 3, 1, 1), pool0=nn.MaxPool2d(3, 2),
            conv_3=Conv(64, 80, 1), conv_4=Conv(80, 192, 3), pool1=nn.MaxPool2d(3, 2),
            mixed=A(192, 32), mixed_1=A(256, 64), mixed_2=A(288, 64), mixed_3=B(288), mixed_4=C(768, 128),
            mixed_5=C(768, 160), mixed_6=C(768, 160), mixed_7=C(768, 192), mixed_8=D(768), mixed_9=E(1280, mean_pool()),
            mixed_10=E(2048, nn.MaxPool2d(3, 1, 1)), pool2=nn.AvgPool2d(8),
        )  # fmt: skip
        self.output = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Towers, Path]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Towers().eval()
    path = tmp_path_factory.mktemp("script") / weights.FILES[2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.save(torch.jit.script(net), str(path))
    return net, path


def test_nvidias_layout_gives_the_same_features(towers: tuple[Towers, Path]) -> None:
    net, path = towers
    extract = get("inception", weights=path)
    x = images()
    with torch.no_grad():
        want = net((legacy(x, 299) - 128) / 128)
    got, logits = extract.run(x / 127.5 - 1)
    assert torch.allclose(got, want, rtol=1e-3, atol=1e-4)
    assert logits is not None and torch.allclose(logits, want @ net.output.weight.T, rtol=1e-3, atol=1e-3)


def test_torchscript_is_read_without_running_it(towers: tuple[Towers, Path], tmp_path: Path) -> None:
    net, path = towers
    found = read_tensors(path)
    state = {k: v for k, v in net.state_dict().items() if v.is_floating_point()}
    assert all(torch.equal(found[k], v) for k, v in state.items())
    evil = tmp_path / "evil.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        for item in old.namelist():
            new.writestr(item, b"cos\nsystem\n(S'true'\ntR." if item.endswith("data.pkl") else b"")
    with pytest.raises(BadInput, match="os.system"):
        read_tensors(evil)
    (tmp_path / "not.pt").write_bytes(b"no zip")
    with pytest.raises(BadInput, match="cannot be read as TorchScript"):
        read_tensors(tmp_path / "not.pt")


def test_unknown_weights_are_never_called_fid(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract = get("inception", weights=pth)
    digest = weights.file_sha256(pth)
    assert extract.name == f"inception_{digest[:8]}" and not extract.standard and "unknown" in extract.note
    assert metric_name("fd", extract.name, 2000).startswith("fd_inception_")
    monkeypatch.setitem(weights.KNOWN, digest, "a test")
    standard = get("inception", weights=pth)
    assert standard.standard and standard.name == "inception" and standard.sha8 == extract.sha8
    assert metric_name("fd", standard.name, 10000) == "fid10k" and metric_name("kd", standard.name, 500) == "kid500"
    clean_one = get("inception", weights=pth, resizer="clean")
    assert metric_name("fd", clean_one.name, 10000) == "fid_clean10k"
    assert metric_name("precision", "inception", 1000) == "precision_inception1k"
    with pytest.raises(BadInput, match="reserved for the standard"):
        type(extract)(lambda x: x, name="inception")


def test_features_do_not_depend_on_batch_and_images_are_rounded(pth: Path) -> None:
    extract = get("inception", weights=pth)
    x = images() / 127.5 - 1
    whole = extract(x)
    extract.batch = 1
    assert torch.allclose(extract(x), whole, rtol=1e-4, atol=1e-4)
    assert torch.allclose(extract(x + 0.3 / 127.5 * (x < 0.9)), whole, rtol=1e-4, atol=1e-4)  # rounds to the same bytes


def test_missing_and_wrong_weights_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn_net: FIDInception
) -> None:
    monkeypatch.delenv("GANLOOM_INCEPTION", raising=False)
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path])
    with pytest.raises(BadInput) as missing:
        get("inception")
    assert weights.FILES[0] in str(missing.value) and str(weights.cache_folder()) in str(missing.value)
    assert "\n" not in str(missing.value) and "Nothing is downloaded" in str(missing.value)
    with pytest.raises(BadInput, match="no such file"):
        get("inception", weights=tmp_path / "absent.pth")
    with pytest.raises(BadInput, match="has none of"):
        get("inception", weights=tmp_path)
    broken = tmp_path / weights.FILES[0]
    broken.write_bytes(b"\x80\x02not weights")
    with pytest.raises(BadInput, match="get the file again") as torn:
        get("inception")
    assert "\n" not in str(torn.value)
    state = drawn_net.state_dict()
    state["Mixed_6b.branch1x1.conv.weight"] = torch.zeros(3, 3)
    torch.save(state, broken)
    with pytest.raises(BadInput, match="Mixed_6b.branch1x1.conv.weight has shape"):
        get("inception", weights=broken)
    torch.save({k: v for k, v in state.items() if k != "fc.bias"}, broken)
    with pytest.raises(BadInput, match="is not FID's Inception"):
        get("inception", weights=broken)
    with pytest.raises(BadInput, match='did you mean "clean"'):
        get("inception", resizer="cleen")


# resizing


def test_legacy_resize_is_tensorflows() -> None:
    got = legacy(images(), 299)
    assert got[0, 0, 0, :6].tolist() == pytest.approx(CORNER, abs=1e-3)
    assert got[1, 1, 150, 150:156].tolist() == pytest.approx(MIDDLE, abs=1e-3)
    assert got[1, 2, 298, 290:].tolist() == pytest.approx(END, abs=1e-3)


@pytest.mark.parametrize("size", [(40, 52), (400, 310)])
def test_clean_resize_is_pillows(size: tuple[int, int]) -> None:
    x = drawn("clean", (1, 1, *size), 0, 256).floor().clamp(max=255)
    want = np.asarray(Image.fromarray(x[0, 0].numpy()).resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
    assert np.abs(clean(x, 299)[0, 0].numpy() - want).max() < 0.01


def test_resizers_differ_where_it_matters_and_leave_the_right_size_alone() -> None:
    x = drawn("stripes", (1, 1, 600, 600), 0, 256)
    assert legacy(x, 299).std() > 1.5 * clean(x, 299).std()  # aliasing keeps the noise
    for resize in RESIZERS.values():
        y = drawn("same", (1, 1, 299, 299), 0, 256)
        assert resize(y, 299) is y
        assert resize(x, 299).shape == (1, 1, 299, 299)
