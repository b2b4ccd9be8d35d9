"""The result of a diagnosis: findings with numbers and advice, the facts of a run, and the overall status."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganloom.core.names import command_line

GREY, GREEN, YELLOW, RED = "grey", "green", "yellow", "red"
LIGHTS = (GREY, GREEN, YELLOW, RED)
Point = tuple[float, float]


@dataclass(frozen=True)
class Facts:
    """What is known about a run and does not change while it trains. Unknown facts keep their default."""

    recipe: str = ""
    data: str = ""
    total_kimg: float | None = None
    size: int = 0
    """Number of training images."""
    classes: int = 0
    conditional: bool = False
    augmented: bool = False
    bounded: bool = False
    """Whether G's output is limited to [-1, 1], as it is for images."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """The recipe's own learning rates, by network: its defaults, or those of its small plan for a run with ``--small``."""
    lr: Mapping[str, float] = field(default_factory=dict)
    """Learning rates at the start of the run, by network."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Root mean square of each network's weight matrices before the first step."""
    updates: Mapping[str, int] = field(default_factory=dict)
    """Updates of each network per training step."""
    penalty: str = ""
    """Config field that holds the weight of a penalty on D's gradient; empty if the recipe has none."""
    penalty_now: float | None = None
    penalty_usual: float | None = None
    optimisers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Settings of each network's optimizer: lr, weight_decay, clip, beta1; under "loss": label_smoothing; under "input":
    instance_noise, noise_kimg."""
    untrained: Mapping[str, float] = field(default_factory=dict)
    """Figures of samples before the first step: distance, coverage, diversity."""
    signed: bool = False
    """Whether D's best logits are above 0 for reals and below 0 for fakes."""
    arguments: tuple[str, ...] = ()
    """Words of the command that started the run, after "ganloom train"; empty if it was started from Python."""
    own_class: str = ""
    """Name of the model's class if it is the user's own."""
    equilibrium: tuple[float, float] | None = None
    """Values of D's and G's loss at the equilibrium, where neither network can improve."""

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-serializable values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Facts":
        """Read what ``to_dict`` returned. Ignore unknown keys; missing ones keep their default."""
        known = {f.name for f in dataclasses.fields(cls)}
        fields = {name: value for name, value in values.items() if name in known}
        if fields.get("equilibrium") is not None:
            fields["equilibrium"] = tuple(fields["equilibrium"])
        fields["arguments"] = tuple(fields.get("arguments", ()))
        return cls(**fields)


@dataclass(frozen=True)
class Finding:
    """A symptom, or the cause of one."""

    name: str
    severity: str
    """"yellow": watch it. "red": the training does not work as it should."""
    text: str
    """One sentence that says what is wrong, then one with the figures."""
    advice: str
    """What to change: a command, a flag with its value, or a place in the code."""
    figures: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[Point]] = field(default_factory=dict)
    """Curves of (kimg, value) for a small chart."""
    change: dict[str, Any] = field(default_factory=dict)
    """The advice as settings by dotted name, such as {"d_opt.lr": 0.0002}. Empty if no setting fixes the problem."""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-serializable values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.text} {self.advice}"


def light(findings: Sequence[Finding]) -> str:
    """Return the worst severity of the findings: "green" (none), "yellow" or "red"."""
    return max((f.severity for f in findings), key=LIGHTS.index, default=GREEN)


def sentence(findings: Sequence[Finding], looked: bool = True, waiting: str = "") -> str:
    """Return the light and the first finding on one line.

    Args:
        findings: Findings, the most important first.
        looked: Whether the run has been probed yet.
        waiting: Why a run without findings is not green yet, such as "too early to say (40 of 300 steps)".
    """
    if not findings:
        return f"{GREY}: {waiting or 'too early to say'}" if waiting or not looked else f"{GREEN}: nothing found"
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{light(findings)}: {findings[0].name}. {findings[0].text}{more}"


def command(facts: Facts, change: Mapping[str, Any], verb: str = "train") -> str:
    """Return the command line that runs ``verb`` with ``change`` applied; for a user's own class, the change in Python.

    The words of the user's own command are kept, except --out (the folder holds this run) and what the change replaces.

    Args:
        facts: Facts of the run: its recipe and data.
        change: Settings by dotted name; a tuple or list becomes several words.
        verb: Subcommand of ``ganloom``.
    """
    if facts.own_class:
        return _python(facts.own_class, change)
    words = ["ganloom", verb, *(_kept(facts.arguments, change) or (facts.recipe or "RECIPE", facts.data or "DATA"))]
    for name, value in change.items():
        words.append("--" + name.replace("_", "-"))
        items = value if isinstance(value, tuple | list) else (value,)
        words += [f"{item:g}" if isinstance(item, float) else str(item) for item in items]
    return command_line(words)


def _kept(arguments: Sequence[str], change: Mapping[str, Any]) -> list[str]:
    """Return the words of the user's command without --out and without the flags that ``change`` sets."""
    dropped = {"out", *(name.replace("_", "-") for name in change)}
    words, keep = [], True
    for word in arguments:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("_", "-").removeprefix("no-")
            keep = name not in dropped
        if keep:
            words.append(word)
    return words


def _python(name: str, change: Mapping[str, Any]) -> str:
    """Return a change of settings as the Python call that builds the model."""
    outer: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for field_name, value in change.items():
        first, _, rest = field_name.partition(".")
        if rest:
            outer.setdefault(first, {})[rest] = value
        else:
            plain[field_name] = value
    parts = [f"{first}=replace(cfg.{first}, {_keywords(values)})" for first, values in outer.items()]
    parts += [_keywords(plain)] if plain else []
    return f"{name}(dataclasses.replace(cfg, {', '.join(parts)}))".replace("=replace(", "=dataclasses.replace(")


def _keywords(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
