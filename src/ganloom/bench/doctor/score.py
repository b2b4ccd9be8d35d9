"""Score the benchmark: right first, misleading, grey and green for harmful faults, by half and family; false alarms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganloom.bench.doctor import faults
from ganloom.bench.doctor.fault import FAMILIES
from ganloom.bench.doctor.suite import Outcome
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.doctor import GREEN, GREY, RED

NEAR, LESS = 1.5, 0.1
"""A fault is harmless in a run if the distance is at most ``NEAR`` times the worst of the healthy runs of the recipe, and the
share of samples that show their class is at most ``LESS`` below the lowest of them."""
BEGIN, END = "<!-- bench doctor: begin -->", "<!-- bench doctor: end -->"
"""Lines of the page between which the tables stand."""


def harmless(outcome: Outcome, references: Sequence[Outcome]) -> bool:
    """Return whether a run with a fault came out as well as healthy runs of the same recipe."""
    same = [o for o in references if o.recipe == outcome.recipe and o.distance is not None]
    if not same or outcome.distance is None:
        return False
    near = outcome.distance <= NEAR * max(o.distance or 0.0 for o in same)
    shares = [o.agrees for o in same if o.agrees is not None]
    shows = not shares or (outcome.agrees is not None and outcome.agrees >= min(shares) - LESS)
    return near and shows


@dataclass(frozen=True)
class Score:
    """Numbers of harmful runs by what the doctor said."""

    runs: int = 0
    right: int = 0
    """The first finding names the fault."""
    partly: int = 0
    """Another finding names it."""
    misleading: int = 0
    """Findings, but none names it."""
    grey: int = 0
    green: int = 0

    @property
    def share(self) -> float:
        """Share that is right first; NaN without runs."""
        return self.right / self.runs if self.runs else math.nan


def score(outcomes: Sequence[Outcome]) -> Score:
    """Count harmful runs by what the doctor said."""
    kinds = [_kind(o) for o in outcomes]
    counts = {kind: kinds.count(kind) for kind in ("right", "partly", "misleading", GREY, GREEN)}
    return Score(len(kinds), *counts.values())


def _kind(outcome: Outcome) -> str:
    if outcome.right:
        return "right"
    if not outcome.findings:
        return outcome.light
    return "partly" if set(outcome.findings) & set(faults.find(outcome.fault).named) else "misleading"


def split(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """Return the runs with harmful faults, those with harmless ones, and the healthy runs."""
    references = [o for o in outcomes if not o.fault and not o.healthy]
    faulty = [o for o in outcomes if o.fault]
    mild = [o for o in faulty if harmless(o, references)]
    return [o for o in faulty if o not in mild], mild, [o for o in outcomes if not o.fault]


def lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tables in Markdown: both halves by family, each fault, harmless faults, healthy runs."""
    harmful, mild, healthy = split(outcomes)
    text = ["| half | family | harmful runs | right first | partly | misleading | grey | green |", "|---" * 8 + "|"]
    for half in ("tuning", "blind"):
        own = [o for o in harmful if faults.find(o.fault).half == half]
        for family in ("", *FAMILIES):
            some = [o for o in own if faults.find(o.fault).family == family]
            text += [_row(half, family or "the first twelve", score(some))] if some else []
        text += [_row(f"**{half}**", "all", score(own))] if own else []
    text += ["", "| fault | half | right first | other first findings |", "|---" * 4 + "|"]
    for name in dict.fromkeys(o.fault for o in harmful):
        runs = [o for o in harmful if o.fault == name]
        wrong = [f"{o.first or o.light} ({o.recipe})" for o in runs if not o.right]
        right = f"{sum(o.right for o in runs)} of {len(runs)}"
        text.append(f"| {name} | {faults.find(name).half} | {right} | {', '.join(wrong)} |")
    if mild:
        named = dict.fromkeys(f"{o.fault} ({o.recipe})" for o in mild)
        text += ["", f"Harmless in these runs, and not counted: {', '.join(named)}."]
    if healthy:
        text += ["", *_alarms(healthy)]
    return text


def _row(half: str, family: str, found: Score) -> str:
    right = f"{found.right} ({found.share:.0%})"
    return f"| {half} | {family} | {found.runs} | {right} | {found.partly} | {found.misleading} | {found.grey} | {found.green} |"


def _alarms(healthy: Sequence[Outcome]) -> list[str]:
    alarms = [o for o in healthy if o.light == RED]
    warned = [o for o in healthy if o.light == "yellow"]
    text = []
    for what, found in (("red", alarms), ("yellow", warned)):
        named = ", ".join(f"{o.healthy or o.recipe} ({o.first})" for o in found)
        share = f"{len(found)} of {len(healthy)} ({len(found) / len(healthy):.1%})"
        text.append(f"Healthy runs with a {what} light: {share}{': ' + named if named else ''}.")
    return text


def healed(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the table of runs that could be healed: how many ended without a red finding and without the fault's."""
    text = ["| fault | half | ended healthy | other ends |", "|---" * 4 + "|"]
    for name in dict.fromkeys(o.fault for o in outcomes):
        runs = [o for o in outcomes if o.fault == name]
        wrong = [f"{o.first or o.light} ({o.recipe})" for o in runs if not o.right]
        text.append(
            f"| {name} | {faults.find(name).half} | {sum(o.right for o in runs)} of {len(runs)} | {', '.join(wrong)} |"
        )
    total = sum(o.right for o in outcomes)
    return [*text, "", f"Ended healthy: {total} of {len(outcomes)}."]


def write(folder: Path, text: Sequence[str]) -> Path:
    """Replace the tables in ``doctor.md`` of a folder.

    Raises:
        BadInput: There is no such page, or it has no place for the tables.
    """
    page = folder / "doctor.md"
    if not page.is_file():
        raise BadInput(f"--out: there is no {page}")
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"--out: {page} has no lines {BEGIN} and {END}")
    replace_file(page, f"{before}{begin}\n\n{chr(10).join(text)}\n\n{end}{after}".encode())
    return page
