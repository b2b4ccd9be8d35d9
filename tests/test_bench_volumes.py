"""The benchmark of 3D recipes: it accepts real objects, and refuses flat ones, one blob and an untrained generator."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from commands import call
from torch import Tensor

from ganloom import testing
from ganloom.bench.volumes import benchmark, measure, overlap, reader
from ganloom.bench.volumes.subjects import Generated, Known
from ganloom.core.errors import BadInput
from ganloom.volumes import objects, rendering
from ganloom.volumes.cameras import Cameras

pytest.importorskip("skimage")
NAME = "silhouettes"


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> measure.Truth:
    read = reader.trained(NAME, objects=90)
    return measure.truth_of(NAME, read, samples=240, targets=15)


@pytest.fixture(scope="module")
def controls(truth: measure.Truth) -> dict[str, dict[str, float]]:
    return measure.blobs(NAME, truth, objects=9)


def figures(subject: object, truth: measure.Truth, controls: dict[str, dict[str, float]]) -> dict[str, float]:
    return benchmark.against_blobs(measure.measure(subject, truth, samples=240), controls)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Flat:
    """What a generator whose camera never turns learns: each image, from whatever side, drawn out in depth.

    Its samples are real images from all sides. So the distance of images says nothing, and the volumes must.
    """

    known: Known

    @property
    def count(self) -> int:
        return self.known.count

    def _drawn_out(self) -> Tensor:
        images = self.known.samples(8 * self.count)[::8]
        return ((images + 1) / 2 > 0.5).float().flip(2).expand(-1, 32, -1, -1)[:, None]

    def views(self, azimuth: Tensor, elevation: float) -> Tensor:
        angles = azimuth.repeat(self.count)
        return rendering.project(self._drawn_out(), angles, torch.full_like(angles, elevation), 32, 32) * 2 - 1

    def volumes(self) -> tuple[Tensor, float]:
        return self._drawn_out()[:, 0], 0.5

    def samples(self, count: int) -> Tensor:
        return self.known.samples(count)


@pytest.mark.slow
def test_real_objects_reach_what_a_model_must(truth: measure.Truth, controls: dict[str, dict[str, float]]) -> None:
    found = figures(Known(NAME, 0, 27), truth, controls)
    assert benchmark.missed(found, NAME) == [], found
    assert found["watertight"] == 1 and found["largest_part"] > 0.999 and found["same_class"] > 0.9
    assert found["recall"] > controls["class-mean blobs"]["recall"] + 0.15
    assert controls["class-mean blobs"]["recall"] > controls["one mean blob"]["recall"]


@pytest.mark.slow
def test_a_camera_that_never_turns_is_noticed(truth: measure.Truth, controls: dict[str, dict[str, float]]) -> None:
    found = figures(Flat(Known(NAME, 0, 27)), truth, controls)
    missed = " ".join(benchmark.missed(found, NAME))
    assert "over_blobs" in missed and "agree60" in missed, found
    assert "fd" not in missed, "its images are real"


@pytest.mark.slow
def test_an_untrained_generator_is_noticed(truth: measure.Truth, controls: dict[str, dict[str, float]]) -> None:
    gan = testing.build("prgan", (1, 32, 32)).eval()
    with torch.no_grad():
        gan.G.volumes.body[-1].bias.fill_(0.0)  # not empty
    found = figures(Generated(gan, 12), truth, controls)
    missed = " ".join(benchmark.missed(found, NAME))
    assert all(word in missed for word in ("fd", "recall", "least_share")), found
    empty = measure.measure(Generated(testing.build("prgan", (1, 32, 32)).eval(), 4), truth, samples=50)
    assert empty["watertight"] == 0 and empty["recall"] == 0, "an empty volume counts 0"


def test_turns_and_mirroring_do_not_count() -> None:
    chair = rendering.voxels(objects.furniture(0).solids, 32)
    table = rendering.voxels(objects.furniture(1).solids, 32)
    turned = overlap.turned(chair.float()[None], 16)[0]
    assert turned.shape == (32, 32, 32, 32)
    for index in (3, 21):  # a turn by 67.5 degrees, and a mirrored one
        there = (turned[index] > 0.5).float()
        aligned = overlap.best_overlaps(there[None], torch.stack([chair, table]))[0]
        assert float(aligned[0]) > 0.85 and float(aligned[1]) < 0.6
        plain = float((chair & (there > 0)).sum() / (chair | (there > 0)).sum())
        assert plain < 0.7
    higher = torch.roll(chair.float(), 6, 1)
    assert float(overlap.best_overlaps(higher[None], chair[None])[0, 0]) < 0.6, "height counts"


def test_turning_equals_the_cameras() -> None:
    """A volume turned by a quarter, seen from the front, is the volume seen from a quarter of azimuth."""
    chair = rendering.voxels(objects.furniture(0).solids, 32).float()[None]
    quarter = torch.tensor([math.pi / 2])
    seen = {
        rendering.project(overlap.turned(chair, 4)[:, i][:, None], quarter * 0, quarter * 0, 32, 32).sum().item()
        for i in (1, 3)
    }
    side = rendering.project(chair[:, None], quarter, quarter * 0, 32, 32).sum().item()
    assert all(value == pytest.approx(side, rel=0.02) for value in seen)


def test_what_must_be_reached() -> None:
    good = {key: bound.aim for key, bound in benchmark.MUSTS[NAME].items()}
    assert benchmark.missed(good, NAME) == []
    assert benchmark.missed(good | {"fd": 0.3}, NAME) == ["fd 0.300 (must be at most 0.25)"]
    assert benchmark.missed(good | {"recall": 0.5}, NAME) == ["recall 0.500 (must be at least 0.55)"]
    rows = [benchmark.Row("a", good | {"recall": 0.5}, 1.0, 2.0), benchmark.Row("one mean blob", {"recall": 0.4})]
    assert benchmark.verdicts(NAME, rows) == [
        "a: 5 of 6 figures reach what they must; not: recall 0.500 (must be at least 0.55)"
    ]
    assert benchmark.table_of(rows)[1]["fd"] == ""


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--recipes", "prgn"], 'did you mean "prgan"'), (["--seeds", "-1"], "--seeds must be"),
        (["--runs", "nowhere"], "nowhere"),
    ):  # fmt: skip
        code, _, err = call(capsys, "bench", "volumes", *words, "--out", tmp_path)
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    with pytest.raises(BadInput, match="range of degrees"):
        Cameras(elevation=(50.0, 10.0))


@pytest.mark.slow
def test_the_command_and_a_training_of_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A prgan of 16 CPU seconds does not reach what it must; the command continues and measures runs that exist."""
    words = ["bench", "volumes", "--recipes", "prgan", "--total-kimg", "1", "--out", tmp_path / "b"]
    code, out, err = call(capsys, *words)
    assert not code, err
    assert "class-mean blobs" in out and "real against real" in out and "not: recall" in out
    code, out, _ = call(capsys, *words, "--json")
    rows = json.loads(out)["rows"][NAME]
    assert rows[0]["kimg"] >= 1 and rows[0]["cpu_seconds"] > 5
    assert rows[0]["figures"]["recall"] < rows[2]["figures"]["recall"] + 0.07
    code, again, _ = call(
        capsys,
        "bench",
        "volumes",
        "--runs",
        tmp_path / "b" / "runs" / rows[0]["name"],
        "--out",
        tmp_path / "b",
        "--json",
    )
    assert json.loads(again)["rows"][NAME][0]["figures"] == rows[0]["figures"]
