"""Tasks of a benchmark that are made in processes: each is made once, and what fails is said in one line."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import call

from ganloom.bench import tasks
from ganloom.core.errors import BadInput, CheckFailed
from ganloom.report.progress import Progress


@dataclass(frozen=True)
class Failing:
    """A task whose process ends with an error."""

    name: str

    def file(self, out: Path) -> Path:
        """The result that is never written."""
        return out / f"{self.name}.json"

    def log(self, out: Path) -> Path:
        """The output."""
        return out / f"{self.name}.log"

    def words(self, out: Path) -> list[object]:
        """A benchmark that does not exist."""
        return ["nothing", self.name]


def test_what_fails_is_said(tmp_path: Path) -> None:
    both = [Failing("one"), Failing("two")]
    with Progress() as progress:
        with pytest.raises(CheckFailed, match=r"2 tasks failed, such as (one|two): unknown command .*\(exit code 2; "):
            tasks.make_in_processes(both, tmp_path, 2, progress)
        assert (tmp_path / "one.log").is_file() and (tmp_path / "two.log").is_file()
        tasks.make_in_processes(both, tmp_path, 1, progress)
        both[0].file(tmp_path).write_text("{}")
        tasks.make_in_processes(both, tmp_path, 2, progress)
        with pytest.raises(BadInput, match="--workers"):
            tasks.make_in_processes(both, tmp_path, 0, progress)


def test_a_result_is_read_with_its_names(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"name": "one"}')
    assert tasks.read_result(file, Failing) == Failing("one")
    for content in ('{"other": 1}', "{", "[]"):
        file.write_text(content)
        with pytest.raises(BadInput, match=r"a\.json.* Remove it, and run the command again"):
            tasks.read_result(file, Failing)


@pytest.mark.slow
def test_each_process_makes_one_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    words = (
        "bench",
        "tables",
        "--data",
        "iris",
        "--methods",
        "marginals",
        "bootstrap",
        "--seeds",
        0,
        "--out",
        tmp_path,
    )
    code, said, err = call(capsys, *words, "--workers", 2)
    assert code == 0 and "real rows" in said and "marginals" in said and "bootstrap" in said, err
    assert len(list(tmp_path.glob("iris-*.json"))) == 3
    logs = sorted(log.name.split("-seed")[0] for log in tmp_path.glob("*.log"))
    assert logs == ["iris-bootstrap", "iris-marginals"], "one task of real rows is made here, before the processes"
    assert all(log.stat().st_size for log in tmp_path.glob("*.log"))
