"""What the doctor says about a run folder, from its statistics and by the present rules."""

from pathlib import Path

from ganloom.doctor import record
from ganloom.doctor.callback import read_rows
from ganloom.doctor.finding import GREY, Facts, Finding, light
from ganloom.doctor.rules.engine import examine, waiting


def examine_run(run: Path, ended: str | None = None) -> tuple[str, list[Finding]]:
    """Examine the statistics of a run.

    Args:
        run: The run folder, with a doctor.json.
        ended: Why the training ended, as in run.json; "nan" is a finding of its own.

    Returns:
        The light, and the findings. Grey: the run is too short.
    """
    saved = record.read(run)
    rows, facts = read_rows(run), Facts.from_dict(saved["facts"])
    found = examine(rows, facts, "nan" if ended == "nan" else None)
    return (GREY if not found and waiting(rows, facts) else light(found)), found
