"""The whole measurement, on Fashion-MNIST where it is present and on synthetic images everywhere."""

import json
from collections.abc import Callable

import pytest
import torch
from test_metrics import one_thread
from test_metrics_features import fashion_test, needs_fashion
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.metrics import METRICS, Extractor, Measurement, get, measure

__all__ = ["one_thread"]


def blobs(n: int, seed: int, spread: float = 0.3) -> Tensor:
    return (torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * spread).clamp(-1, 1)


def flat() -> Extractor:
    return Extractor(lambda x: x[:, :, ::2, ::2].flatten(1), name="flat", channels=1)


def test_a_perfect_model_scores_like_the_other_half() -> None:
    got = measure(blobs(400, 0), blobs(200, 1), flat())
    assert list(got.rows) == ["generated", "real (other half)", "noise"]
    assert list(got.rows["generated"]) == [f"{m}_flat200" for m in METRICS]
    for row in got.rows.values():
        for value in row.values():
            assert value.low is not None and value.high is not None and value.low <= value.value <= value.high
    fake, floor = got.rows["generated"]["fd_flat200"], got.rows["real (other half)"]["fd_flat200"]
    assert fake.low is not None and fake.high is not None and fake.low <= floor.value <= fake.high
    assert got.value("fd", "noise") > 3 * got.value("fd_flat200")
    assert got.value("coverage") == pytest.approx(got.protocol["expected_coverage"], abs=0.06)


def test_it_is_seeded_plain_data_and_a_table() -> None:
    real, fake = blobs(120, 0), blobs(60, 1, spread=0.2)
    got, again = (measure(real, fake, flat(), seed=3, split="train") for _ in range(2))
    assert got.to_dict() == again.to_dict()
    assert json.loads(json.dumps(got.to_dict())) == got.to_dict()
    protocol = got.to_dict()["protocol"]
    assert (protocol["n_real"], protocol["n_fake"], protocol["k"], protocol["split"]) == (60, 60, 5, "train")
    assert set(got.to_dict()["rows"]["generated"]["kd_flat60"]) == {"value", "low", "high", "sd"}
    text = got.lines()
    assert all(len(line.splitlines()) == 1 for line in text)
    assert text[0].split("  ")[-1] == "noise" and any(line.startswith("fd_flat60 ") for line in text)
    assert "60 real images of train" in "\n".join(text)


def test_counts_without_floor_or_intervals() -> None:
    got = measure(blobs(90, 0), blobs(70, 1), flat(), floor=False, bootstrap=False)
    assert list(got.rows) == ["generated", "noise"] and got.protocol["n_fake"] == 70
    assert got.rows["generated"]["fd_flat70"].low is None and "[" not in got.lines()[1]
    assert measure(blobs(90, 0), blobs(70, 1), flat(), bootstrap=False).protocol["n_real"] == 45
    with pytest.raises(BadInput, match="needs 12 fakes and 24 reals"):
        measure(blobs(20, 0), blobs(70, 1), flat())


def test_warnings_say_what_not_to_read() -> None:
    few = measure(blobs(40, 0), blobs(20, 1), flat(), bootstrap=False)
    assert any("20 samples are few for 16 features" in w for w in few.warnings)
    shifted = measure(blobs(80, 0), (blobs(40, 1) + 1) / 2, flat(), bootstrap=False)
    assert any("[0, 1]" in w for w in shifted.warnings)
    blind = Extractor(
        lambda x: torch.stack([x.amax((1, 2, 3)), x.amin((1, 2, 3))], 1) * 0 + torch.rand(len(x), 2), name="b"
    )
    assert any("cannot judge sharpness" in w for w in measure(blobs(80, 0), blobs(40, 1), blind).warnings)
    assert not measure(blobs(80, 0), blobs(40, 1), flat(), bootstrap=False).warnings
    assert isinstance(few, Measurement)


def test_class_counts_come_from_the_net() -> None:
    def net(x: Tensor) -> tuple[Tensor, Tensor]:
        side = x[..., :4].mean((1, 2, 3)) - x[..., 4:].mean((1, 2, 3))
        return x.flatten(1)[:, ::9], torch.stack([side, -side, side * 0 - 9], 1)

    fake = blobs(40, 1)
    fake[:, :, :, :4], fake[:, :, :, 4:] = 0.5, -0.5
    got = measure(blobs(80, 0), fake, Extractor(net, name="sides", channels=1), bootstrap=False)
    assert got.class_counts["generated"] == [40, 0, 0]
    assert sum(got.class_counts["real (other half)"]) == 40 and got.class_counts["real (other half)"][2] == 0
    assert measure(blobs(80, 0), fake, flat(), bootstrap=False).class_counts == {}


@needs_fashion
def test_fashion_damage_is_ordered() -> None:
    x, y = fashion_test(4000)
    n = 600
    reals, left, labels = x[: 2 * n], x[2 * n :], y[2 * n :]
    made: dict[str, Callable[[], Tensor]] = {
        "real": lambda: left[:n],
        "blur": lambda: nn.functional.avg_pool2d(left[:n], 3, 1, 1, count_include_pad=False) * 0.5 + left[:n] * 0.5,
        "five classes": lambda: left[labels < 5][:n],
        "one class": lambda: left[labels == 1].repeat(4, 1, 1, 1)[:n],
        "noise": lambda: torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    }
    got = {k: measure(reals, f(), get("fashion"), bootstrap=False) for k, f in made.items()}
    fd = [m.value("fd") for m in got.values()]
    assert fd == sorted(fd) and fd[0] < 1.5 * got["real"].value("fd", "real (other half)")
    assert got["one class"].value("coverage") < 0.4 < 0.9 < got["real"].value("coverage")
    assert next(iter(got["real"].rows["generated"])) == "fd_fashion600"
    assert got["one class"].class_counts["generated"][1] > 0.9 * n
    repeated = measure(reals, left[:20].repeat(30, 1, 1, 1), get("fashion"), bootstrap=False)
    assert repeated.value("recall") == 0 and repeated.value("coverage") < 0.25
