"""Several measurements in one table, or one line on why not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ganloom.apps.compare import compare, direction
from ganloom.cli import main
from ganloom.core.errors import BadInput

PROTOCOL = {
    "backbone": "fashion", "sha8": "055a6223", "resizer": "antialiased", "n_real": 500, "n_fake": 500, "k": 5, "size": 28,
    "split": "fashion-10k (training data)", "seed": 0, "expected_coverage": 0.97, "note": "", "weights": "EMA",
    "truncation": 1.0, "data": "abc",
}  # fmt: skip


def write(folder: Path, fd: float, reach: float = 0.1, **changes: Any) -> Path:
    """A run's metrics.json with one Frechet distance and one coverage."""
    folder.mkdir()
    p = PROTOCOL | changes
    n, net = p["n_fake"], p["backbone"]
    value = lambda x, r: {"value": x, "low": x - r, "high": x + r}
    rows = {
        "generated": {f"fd_{net}{n}": value(fd, reach), f"coverage_{net}{n}": value(0.5, 0.1)},
        "real (other half)": {f"fd_{net}{n}": value(0.5, 0.1), f"coverage_{net}{n}": value(0.97, 0.01)},
        "noise": {f"fd_{net}{n}": value(300, 1), f"coverage_{net}{n}": value(0, 0)},
    }
    (folder / "metrics.json").write_text(json.dumps({"rows": rows, "protocol": p, "protocols": [p], "kimg": 1}))
    (folder / "config.json").write_text("{}")
    return folder


def test_equal_protocols_stand_in_one_table(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / name, fd) for name, fd in (("a", 3.0), ("b", 2.0), ("c", 2.15)))
    found = compare([a, b, c / "metrics.json"])
    assert [v["fd_fashion500"].value for v in found.rows.values()] == [3.0, 2.0, 2.15]
    assert list(found.references) == ["real (other half)", "noise"]
    assert found.winners == {}  # b and c overlap
    assert compare([a, b]).winners == {"fd_fashion500": str(b)}
    text = compare([a, b]).lines()
    assert text[0].split() == [str(a), str(b), "real", "(other", "half)", "noise"]
    assert "2.000 [1.900, 2.100] *" in text[1] and "3.000 [2.900, 3.100] *" not in text[1]
    plain = compare([a, b]).to_dict()
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "seed (0 and 1)"),
        ({"n_fake": 400, "n_real": 400}, "n_real (500 and 400), n_fake (500 and 400)"),
        ({"sha8": "deadbeef"}, "sha8 (055a6223 and deadbeef)"),
        ({"resizer": "clean"}, "resizer (antialiased and clean)"),
        ({"truncation": 0.7}, "truncation (1.0 and 0.7)"),
        ({"weights": "raw"}, "weights (EMA and raw)"),
        ({"split": "test", "data": "def"}, "data (abc and def), split (fashion-10k (training data) and test)"),
    ],
)
def test_unlike_protocols_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    a, b = write(tmp_path / "a", 3.0), write(tmp_path / "b", 2.0, **changes)
    with pytest.raises(BadInput) as caught:
        compare([a, b])
    said = str(caught.value)
    assert words in said and "\n" not in said and str(a) in said and str(b) in said and "fashion" in said


def test_nets_that_only_one_has_leave_a_gap_and_none_in_common_is_refused(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 3.0), write(tmp_path / "b", 2.0)
    both = json.loads((b / "metrics.json").read_text())
    both["protocols"].append(PROTOCOL | {"backbone": "effnet64px"})
    both["rows"]["generated"]["fd_effnet64px500"] = {"value": 900.0}
    (b / "metrics.json").write_text(json.dumps(both))
    found = compare([a, b])
    assert "fd_effnet64px500" not in found.rows[str(a)] and found.rows[str(b)]["fd_effnet64px500"].value == 900
    assert {p["backbone"] for p in found.protocols} == {"fashion", "effnet64px"}
    with pytest.raises(BadInput, match="same --features"):
        compare([a, write(tmp_path / "c", 1.0, backbone="random")])


def test_runs_that_cannot_be_read(tmp_path: Path) -> None:
    a = write(tmp_path / "a", 3.0)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").write_text("{}")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "metrics.json").write_text('{"rows": 3}')
    for others, words in (
        ([], "two or more"),
        ([a], "given twice"),
        ([tmp_path / "new"], "ganloom evaluate"),
        ([tmp_path / "gone"], "no run"),
        ([tmp_path / "torn"], "is damaged: rows must be an object"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            compare([a, *others])
        assert "\n" not in str(caught.value)


def test_which_way_is_better() -> None:
    for metric, sign in (
        ("fd_fashion2k", -1), ("fid50k", -1), ("kid_clean10k", -1), ("kd_effnet64px2k", -1), ("swd_x5", -1),
        ("precision_fashion2k", 1), ("is10k", 1), ("is_fashion2k", 1), ("coverage_points500", 1), ("vendi_fashion2k", 0),
        ("density_fashion2k", 1), ("msssim_pixels1k", 0), ("intra_kd_fashion2k", -1), ("diversity_x10", 0),
    ):  # fmt: skip
        assert direction(metric) == sign, metric


def test_values_without_intervals_win_nothing(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", 3.0), write(tmp_path / "b", 2.0)
    for run in (a, b):
        found = json.loads((run / "metrics.json").read_text())
        for values in found["rows"]["generated"].values():
            del values["low"], values["high"]
        (run / "metrics.json").write_text(json.dumps(found))
    assert compare([a, b]).winners == {} and not math.isnan(compare([a, b]).rows[str(a)]["fd_fashion500"].value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", 3.0), write(tmp_path / "b", 2.0)
    for extra, code in (([], 0), (["--json"], 0)):
        with pytest.raises(SystemExit) as done:
            main(["compare", str(a), str(b), *extra])
        assert done.value.code == code
        out = capsys.readouterr().out
        assert "fd_fashion500" in out
    (tmp_path / "c").mkdir()
    with pytest.raises(SystemExit) as refused:
        main(["compare", str(a), str(tmp_path / "c")])
    assert refused.value.code == 2 and capsys.readouterr().err.count("\n") == 1
