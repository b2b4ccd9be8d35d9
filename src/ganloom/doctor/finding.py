"""What the doctor says: a finding, its evidence, its advice, and the light over all of them."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GREEN, YELLOW, RED = "green", "yellow", "red"
LIGHTS = (GREEN, YELLOW, RED)
Point = tuple[float, float]


@dataclass(frozen=True)
class Facts:
    """What does not change in a run, as far as it is known."""

    recipe: str = ""
    data: str = ""
    total_kimg: float | None = None
    size: int = 0
    """Images that training draws from."""
    classes: int = 0
    conditional: bool = False
    augmented: bool = False
    bounded: bool = False
    """Whether G's samples lie in [-1, 1] by its construction, as images do."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """The recipe's own learning rates, by network."""
    lr: Mapping[str, float] = field(default_factory=dict)
    """The learning rates as the run began, by network."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Root mean square of each network's matrices before the first step."""
    updates: Mapping[str, int] = field(default_factory=dict)
    """Updates of each network in a step."""
    penalty: str = ""
    """The config's field that weighs a penalty on D's gradient."""
    penalty_now: float | None = None
    penalty_usual: float | None = None
    equilibrium: tuple[float, float] | None = None
    """Values of D's and G's loss at which neither can improve."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Facts":
        """What ``to_dict`` gave; what an older version wrote or left out keeps its default."""
        known = {f.name for f in dataclasses.fields(cls)}
        made = {name: value for name, value in values.items() if name in known}
        if made.get("equilibrium") is not None:
            made["equilibrium"] = tuple(made["equilibrium"])
        return cls(**made)


@dataclass(frozen=True)
class Finding:
    """One symptom or its cause."""

    name: str
    severity: str
    """"yellow": watch it; "red": training does not do what it should."""
    text: str
    """What was seen, in a sentence with its figures."""
    advice: str
    """What to do: a command or a change of a field."""
    figures: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[Point]] = field(default_factory=dict)
    """Curves (kimg, value) for a small chart."""
    change: dict[str, Any] = field(default_factory=dict)
    """The advice for a machine: settings by dotted name, such as {"d_opt.lr": 0.0002}; empty where no setting mends it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.text}; {self.advice}"


def light(findings: Sequence[Finding]) -> str:
    """The worst severity."""
    return max((f.severity for f in findings), key=LIGHTS.index, default=GREEN)


def sentence(findings: Sequence[Finding], looked: bool = True) -> str:
    """One line for a tick: the light, and the first finding."""
    if not findings:
        return "green: nothing found" if looked else "green: too early to say"
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{light(findings)}: {findings[0].name}, {findings[0].text}{more}"


def command(facts: Facts, change: Mapping[str, Any], verb: str = "train") -> str:
    """The command line that trains with a change."""
    words = ["ganloom", verb, facts.recipe or "RECIPE", facts.data or "DATA"]
    for name, value in change.items():
        words.append("--" + name.replace("_", "-"))
        words += [
            f"{one:g}" if isinstance(one, float) else str(one)
            for one in (value if isinstance(value, tuple | list) else (value,))
        ]
    return shlex.join(words)
