"""ganloom doctor [RUN], and the way to `doctor sensitivity`."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.cli import doctor_sensitivity
from ganloom.cli.messages import following
from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Say what is wrong with a run and what to change: green, yellow or red (then the exit code is 1). Without RUN: look over
    the installation, the device, the disk and the speed. `ganloom doctor sensitivity DATA RECIPE`: which settings die."""

    run: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """The run folder, also of a run that trains just now."""
    probe: bool = False
    """Look at the newest checkpoint too, which takes some seconds; a run without the doctor's figures is always probed."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> int:
    """Parse, look, print; 1 when something is red."""
    if argv and argv[0] == "sensitivity":
        return doctor_sensitivity.run(argv[1:])
    args = parse(Arguments, argv, "doctor")
    if args.run is None:
        return _check_up(args.json)
    from ganloom.apps.diagnose import diagnose

    found = diagnose(args.run, args.probe)
    if args.json:
        print(json.dumps(found.to_dict()))
        return found.exit_code
    print("\n".join(found.lines()))
    print(following(["resume", args.run], ["sample", args.run], ["evaluate", args.run]))
    return found.exit_code


def _check_up(as_json: bool) -> int:
    from ganloom.apps.install_check import check_up

    report = check_up()
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        print("\n".join(report.lines()))
        print(following(["train"], ["recipes"]))
    return report.exit_code
