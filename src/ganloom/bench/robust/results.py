"""The table of the benchmark, and in words what each defence helps against; intervals are over seeds and texts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganloom.bench.robust.benchmark import FRONTS, Run
from ganloom.metrics.statistics.paired_seeds import Verdict, crossed_mean, judge
from ganloom.robust.evaluation import ATTACKS, MODEL, WITH_SPELLER

NAMES = {"both": "augment+fgm", "none": "no defence"}
"""What the rows are called, where it is not the name of the defence."""
CLEAN_LOSS = 0.01
"""A defence whose clean accuracy is lower by more than this is said to cost accuracy."""


def row_name(defence: str, front: str) -> str:
    """The name of a row."""
    name = NAMES.get(defence, defence)
    return name if front == MODEL else f"speller + {name}"


def facts(runs: Sequence[Run], source: str) -> str:
    """One line: how many texts, seeds and queries."""
    first, seeds = runs[0], len({run.seed for run in runs})
    attacked = len(next(iter(first.hits[MODEL].values())))
    return (
        f"{source}: {first.trained_on:,} texts of {len(first.classes)} classes to train on, {len(first.labels):,} to test on, "
        f"of which {attacked:,} are attacked; {seeds} seed{'s' * (seeds > 1)}; "
        f"{first.queries:.0f} queries a text for character edits"
    )


def attacks_of(runs: Sequence[Run]) -> list[str]:
    """The columns: "clean" and the attacks that were made."""
    made = set(runs[0].hits[MODEL])
    return [name for name in ATTACKS if name == "clean" or name in made]


def answers(runs: Sequence[Run], defence: str, front: str, attack: str) -> Tensor | None:
    """(seeds, texts): 1 where the classifier is right, or None if the attack was not made.

    The clean accuracy is measured on all test texts, an attack on the first of them.
    """
    own = [run for run in runs if run.defence == defence]
    bits = [run.clean[front] if attack == "clean" else run.hits[front].get(attack, "") for run in own]
    if not bits or not all(bits):
        return None
    return torch.tensor([[float(bit) for bit in one] for one in bits])


def table_of(runs: Sequence[Run]) -> list[dict[str, str]]:
    """One row for each defence with and without the speller: the means with half of their 95 % intervals."""
    rows = []
    for front in FRONTS:
        for defence in dict.fromkeys(run.defence for run in runs):
            row = {"defence": row_name(defence, front)}
            for attack in attacks_of(runs):
                found = answers(runs, defence, front, attack)
                row[attack] = "-" if found is None else _mean(found)
            seconds = [run.seconds for run in runs if run.defence == defence]
            row["CPU s"] = f"{sum(seconds) / len(seconds):.0f}"
            rows.append(row)
    return rows


def _mean(found: Tensor) -> str:
    mean = crossed_mean(found)
    return f"{mean.value:.3f} ±{mean.high - mean.value:.3f}"


def by_class(runs: Sequence[Run], attacks: Sequence[str]) -> list[dict[str, str]]:
    """One row for each class and defence without the speller: the means over the seeds."""
    rows = []
    labels = torch.tensor(runs[0].labels)
    for number, name in enumerate(runs[0].classes):
        for defence in dict.fromkeys(run.defence for run in runs):
            row = {"class": name, "defence": row_name(defence, MODEL)}
            for attack in attacks:
                found = answers(runs, defence, MODEL, attack)
                own = None if found is None else found[:, labels[: found.shape[1]] == number]
                row[attack] = "-" if own is None or not own.numel() else f"{float(own.mean()):.2f}"
            rows.append(row)
    return rows


def verdicts(runs: Sequence[Run]) -> list[str]:
    """A sentence for each defence: what it helps against and what not, compared with no defence; the speller is one."""
    lines = []
    for defence in dict.fromkeys(run.defence for run in runs if run.defence != "none"):
        lines.append(_sentence(runs, row_name(defence, MODEL), (defence, MODEL)))
    lines.append(_sentence(runs, "speller alone", ("none", WITH_SPELLER)))
    return lines


def verdict_of(runs: Sequence[Run], row: tuple[str, str], attack: str) -> Verdict | None:
    """Whether a row, (defence, front), is better than no defence under an attack; None if that was not measured."""
    changed, plain = answers(runs, *row, attack), answers(runs, "none", MODEL, attack)
    return None if changed is None or plain is None or changed.shape != plain.shape else judge(changed, plain)


def _sentence(runs: Sequence[Run], name: str, row: tuple[str, str]) -> str:
    groups: dict[str, list[str]] = {"helps": [], "does not help": [], "cannot tell": []}
    for attack in attacks_of(runs)[1:]:
        verdict = verdict_of(runs, row, attack)
        if verdict is not None:
            groups[verdict.word].append(f"{attack} ({100 * verdict.gain.value:+.1f})")
    said = [f"{word} against {', '.join(found)}" for word, found in groups.items() if found and word != "cannot tell"]
    said += [f"undecided against {', '.join(groups['cannot tell'])}"] if groups["cannot tell"] else []
    if row[1] == WITH_SPELLER:
        said.append("attacks on embeddings bypass it")
    clean = verdict_of(runs, row, "clean")
    if clean is not None:
        cost = "costs clean accuracy" if clean.gain.value < -CLEAN_LOSS else "clean"
        said.append(f"{cost} ({100 * clean.gain.value:+.1f})")
    return f"{name} {'; '.join(said)}"
