"""The measurement over parts, several nets and more metrics; kept features; progress; nets from files."""

import warnings
from pathlib import Path

import pytest
import torch
from test_metrics import normal, one_thread
from test_metrics_measure import blobs, flat
from torch import Tensor, nn

from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.metrics import FLOOR, GENERATED, METRICS, MORE, NOISE, Clock, Extractor, Row, get, measure, measure_rows
from ganloom.metrics.measurement import join

__all__ = ["one_thread"]


class Net(nn.Module):
    """A classifier whose weights count."""

    def __init__(self, seed: int = 0, d: int = 6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, d, generator=torch.Generator().manual_seed(seed)))
        self.calls = 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += len(x)
        h = x.flatten(1) @ self.weight
        return h, h[:, :3]


def test_parts_give_what_whole_sets_give(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = blobs(200, 0), blobs(100, 1)
    whole = measure(real, fake, flat()).to_dict()
    for size in (7, 64):
        monkeypatch.setattr("ganloom.metrics.evaluate.PART", size)
        assert measure(real, fake, flat()).to_dict() == whole


def test_every_metric_by_name() -> None:
    got = measure(blobs(400, 0), blobs(200, 1), Extractor(Net(), name="net", channels=1), metrics=["all"])
    names = [f"{m}_net200" for m in METRICS + MORE]
    for row in got.rows.values():
        assert list(row) == names
        assert all(v.low is not None and v.high is not None and v.low <= v.value <= v.high for v in row.values())
    assert got.value("swd", NOISE) > got.value("swd") and got.value("vendi") > 1
    assert got.value("fd_inf") < got.value("fd")
    two = measure(blobs(80, 0), blobs(40, 1), flat(), metrics=("swd", "fd"), bootstrap=False)
    assert list(two.rows[GENERATED]) == ["swd_flat40", "fd_flat40"]
    with pytest.raises(BadInput, match="was not measured"):
        two.value("recall")
    with pytest.raises(BadInput, match='did you mean "vendi"'):
        measure(blobs(80, 0), blobs(40, 1), flat(), metrics=["vendy"])
    few = measure(blobs(80, 0), blobs(40, 1), flat(), metrics=["fd_inf", "is", "kd"], bootstrap=False)
    assert list(few.rows[GENERATED]) == ["kd_flat40"] and any("more than 48 samples" in w for w in few.warnings)
    assert any("is was left out" in w for w in few.warnings)


def test_several_nets_stand_in_one_measurement() -> None:
    parts = [
        measure(blobs(80, 0), blobs(40, 1), e, bootstrap=False)
        for e in (flat(), Extractor(Net(), name="net", channels=1))
    ]
    got = join(parts)
    assert list(got.rows) == [GENERATED, FLOOR, NOISE]
    assert got.value("fd") == parts[0].value("fd") and got.value("fd_net40") == parts[1].value("fd")
    assert (
        [p["backbone"] for p in got.protocols] == ["flat", "net"] == [p["backbone"] for p in got.to_dict()["protocols"]]
    )
    text = "\n".join(got.lines())
    assert "flat features" in text and "net features" in text and sum(got.class_counts[GENERATED]) == 40


def test_sizes_that_differ_are_said() -> None:
    shrunk = nn.functional.interpolate(blobs(40, 1), scale_factor=0.5)
    got = measure(blobs(80, 0), shrunk, Extractor(lambda x: x.flatten(1), name="eight", size=8), bootstrap=False)
    assert any("1 x 4 x 4 and 1 x 8 x 8" in w for w in got.warnings)
    with pytest.raises(BadInput, match="same extractor"):
        measure(blobs(80, 0), shrunk, Extractor(lambda x: x.flatten(1), name="own"), bootstrap=False)


def test_features_of_known_images_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path))

    def run(net: Net, key: str | None = "a") -> metrics.Measurement:
        rows = {GENERATED: Row.of(blobs(40, 1)), FLOOR: Row(lambda: [blobs(40, 2)], 40, key and key + "2")}
        return measure_rows(
            Row(lambda: [blobs(40, 0)], 40, key), rows, Extractor(net, name="net", channels=1), bootstrap=False
        )

    first, second = Net(), Net()
    want = run(first)
    assert first.calls == 120 and run(second).to_dict() == want.to_dict() and second.calls == 40
    assert len(list((tmp_path / "features").iterdir())) == 2
    for other, key in ((Net(1), "a"), (Net(), "b"), (Net(), None)):  # other weights, other images, unnamed ones
        run(other, key)
        assert other.calls == 120
    for file in (tmp_path / "features").iterdir():
        file.write_bytes(b"torn")
    assert run(second).to_dict() == want.to_dict() and second.calls == 40 + 120
    monkeypatch.setattr("ganloom.metrics.reference.LIMIT", 5000)  # four files of 40 x (6 + 3) floats do not fit
    run(Net(5))
    assert sum(f.stat().st_size for f in (tmp_path / "features").iterdir()) <= 5000


def test_progress_says_what_and_how_long() -> None:
    said: list[str] = []
    clock = Clock(said.append, every=0.0)
    rows = {GENERATED: Row(lambda: blobs(40, 1).split(10), 40)}
    measure_rows(Row(lambda: blobs(40, 0).split(10), 40), rows, flat(), bootstrap=False, progress=clock)
    assert "flat: real images: 10 of 40, about 0 s left" in said
    assert "flat: generated: 30 of 40, about 0 s left" in said
    Clock(said.append, every=100)("slow", 1, 2)
    assert not any(line.startswith("slow") for line in said)


# nets from files


class Tiny(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.amin((1, 2, 3)), x.amax((1, 2, 3)), x.mean((1, 2, 3))], 1)


@pytest.fixture
def programs(tmp_path: Path) -> tuple[Path, Path]:
    script, exported = tmp_path / "tiny.pt", tmp_path / "tiny.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Tiny()), str(script))
        count = torch.export.Dim("n", min=1, max=64)
        torch.export.save(
            torch.export.export(Tiny(), (torch.zeros(4, 3, 16, 16),), dynamic_shapes=({0: count},)), str(exported)
        )
    return script, exported


def test_a_net_from_a_file(programs: tuple[Path, Path]) -> None:
    black_to_white = torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, 3, 16, 16)
    for path in programs:
        extract = get(f"{path}:size=16:range=-2..4:name=mine:batch=8")
        assert extract.name == "mine16px" and extract.value_range == (-2, 4)
        assert extract(black_to_white).tolist() == [[-2, -2, -2], [4, 4, 4]]
        low = get(f"{path}:size=16:norm=imagenet")(black_to_white)[0]
        assert low[0].item() == pytest.approx(-0.485 / 0.229, rel=1e-5)
    assert get(f"{programs[0]}:size=16").name == "tiny16px"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("", "the input size of the net is missing"),
        (":size=0", "not a whole number"),
        (":size=16:norm=imagnet", 'did you mean "imagenet"'),
        (":size=16:range=3", "range=LOW..HIGH"),
        (":size=16:nrm=clip", "unknown option 'nrm'"),
    ],
)
def test_faults_of_a_file_are_one_line(programs: tuple[Path, Path], options: str, word: str) -> None:
    with pytest.raises(BadInput, match=word) as caught:
        get(f"{programs[0]}{options}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_program(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        get(f"{tmp_path}/absent.pt:size=16")
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(BadInput, match="not a TorchScript or torch.export program"):
        get(f"{tmp_path}/text.pt2:size=16")


def test_points_and_more_metrics() -> None:
    rows = metrics.compare(normal(200, 2), {"x": normal(200, 2, seed=1)}, "points", metrics=("fd_inf", "swd"))
    assert list(rows["x"]) == ["fd_inf_points200", "swd_points200"]
