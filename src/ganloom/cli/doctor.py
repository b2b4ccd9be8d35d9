"""ganloom doctor [RUN]; calls `doctor sensitivity`."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

from ganloom.cli import doctor_sensitivity, next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Say what is wrong with a run and what to change: green, yellow or red. Red means exit code 1. Without RUN: check the
    installation, the device, the disk and the speed. `ganloom doctor sensitivity DATA RECIPE` shows which settings fail."""

    run: Annotated[str | None, Positional("RUN")] = None
    """The run folder; the run may still be training."""
    probe: bool = False
    """Also examine the newest checkpoint, which takes some seconds. Runs that trained without the doctor are always examined."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> int:
    """Read the command line, diagnose, print; returns 1 if something is red."""
    if argv and argv[0] == "sensitivity":
        return doctor_sensitivity.run(argv[1:])
    args = parse(Arguments, argv, "doctor")
    if args.run is None:
        return _check_up(args.json)
    from ganloom.apps.diagnose import diagnose

    with Progress() as progress:
        progress(f"examining {args.run}")
        diagnosis = diagnose(args.run, args.probe)
    if args.json:
        print(json.dumps(diagnosis.to_dict()))
        return diagnosis.exit_code
    print("\n".join(diagnosis.lines()))
    print(following(*next_commands.after_doctor(args.run)))
    return diagnosis.exit_code


def _check_up(as_json: bool) -> int:
    from ganloom.apps.install_check import check_up

    with Progress() as progress:
        progress("checking the installation and measuring the speed")
        report = check_up()
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        print("\n".join(report.lines()))
        print(following(["train"], ["recipes"]))
    return report.exit_code
