"""A command as a user gives it, for tests."""

import pytest

from ganloom.cli import main


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `ganloom ARGV`; what was said before is forgotten."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(list(map(str, argv)))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err
