"""Find the tables of weights in a checkpoint, without the prefixes and wrappers that training loops add.

``DistributedDataParallel`` adds ``module.``, ``torch.compile`` adds ``_orig_mod.``, ``torch.optim.swa_utils.AveragedModel``
adds ``module.`` and ``n_averaged``. Training loops save the tables under keys such as netG, G_state_dict or params_ema, and
Lightning saves all networks as one table with prefixes such as ``generator.``. The words of a key say what is below it.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from torch import Tensor

State = dict[str, Tensor]

WORDS = {
    "G": {"g", "gen", "generator", "netg"},
    "D": {"d", "dis", "disc", "discriminator", "netd", "critic"},
    "ema": {"ema", "avg", "average", "averaged", "swa", "shadow"},
    "container": {
        "state", "dict", "model", "models", "params", "net", "nets", "network", "networks", "module", "weights", "checkpoint",
    },
}  # fmt: skip
"""What a word of a key means: the generator, the discriminator, an average over training, or nothing."""
OTHERS = ("opt", "sched", "scaler", "callback", "loop", "hyper", "arg")
"""Beginnings of words under which no network is saved."""
MAX_DEPTH = 4
"""Deepest nesting of tables, and most prefixes of a name."""
MAX_TABLES, MAX_PREFIXES = 100, 10
"""Most tables of a checkpoint that are looked at, and most prefixes in a table that are tried, or taken off a name."""


class Candidate(NamedTuple):
    """A table of weights: the keys and prefixes above it, and its tensors by name."""

    keys: tuple[str, ...]
    state: State

    @property
    def where(self) -> str:
        """The keys as one text, such as "state_dict.generator"."""
        return ".".join(self.keys)

    @property
    def averaged(self) -> bool:
        """Whether the keys say that the weights are an average over training."""
        return bool(words(self.keys) & WORDS["ema"])


def bare(state: State) -> State:
    """Return a table without the prefixes of DistributedDataParallel, torch.compile and AveragedModel."""
    for _ in range(MAX_PREFIXES):
        others = {name: t for name, t in state.items() if name != "n_averaged"}
        if len(others) < len(state) and others and all(name.startswith("module.") for name in others):
            state = others
        for prefix in ("module.", "_orig_mod."):
            if state and all(name.startswith(prefix) for name in state):
                state = {name.removeprefix(prefix): t for name, t in state.items()}
                break
        else:
            break
    plain = {name.replace("._orig_mod.", ".").removeprefix("_orig_mod."): t for name, t in state.items()}
    return plain if len(plain) == len(state) else state


def bare_tables(value: Any) -> Any:
    """Return the content of a checkpoint with `bare` applied to the tables of weights at its first level."""
    if not isinstance(value, dict):
        return value
    tables = {name: _tensors(entry) for name, entry in value.items() if isinstance(entry, dict) and entry}
    return {**value, **{name: bare(table) for name, table in tables.items() if len(table) == len(value[name])}}


def candidates(value: Any, network: str = "G") -> list[Candidate]:
    """Return the tables of weights in a checkpoint, the best first.

    Args:
        value: The content of the file.
        network: "G" or "D": the network that is wanted.

    Returns:
        Averages over training come before the weights that were trained, for G; tables of the other network come last. The
        whole table of a level comes before its parts with one prefix.
    """
    found: list[Candidate] = []
    for table in _tables(value, (), set()):
        found += _parts(table, 0)
        if len(found) >= MAX_TABLES:
            break
    return sorted(found, key=lambda candidate: _rank(candidate, network))


def words(keys: tuple[str, ...]) -> set[str]:
    """Return the words of keys in lower case: "netG_state_dict" has net, g, state and dict."""
    return {word.lower() for key in keys for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", key)}


def _tables(value: Any, keys: tuple[str, ...], done: set[int]) -> Iterator[Candidate]:
    """Yield the table at this level, and those below it. A table may hold itself."""
    if not isinstance(value, dict) or len(keys) > MAX_DEPTH or id(value) in done or len(done) > MAX_TABLES:
        return
    done.add(id(value))
    if value.keys() == {"a", "b"} and not keys and all(isinstance(side, dict) for side in value.values()):
        sides = {side: bare(_tensors(value[side])) for side in ("a", "b")}  # two networks, one for each domain
        if both := {f"{side}.{name}": t for side, state in sides.items() for name, t in state.items()}:
            yield Candidate((), both)
    if tensors := _tensors(value):
        yield Candidate(keys, bare(tensors))
    for name, entry in value.items():
        if isinstance(name, str) and not any(word.startswith(OTHERS) for word in words((name,))):
            yield from _tables(entry, (*keys, name), done)


def _tensors(value: dict[Any, Any]) -> State:
    return {str(name): entry for name, entry in value.items() if isinstance(entry, Tensor)}


def _parts(table: Candidate, depth: int) -> Iterator[Candidate]:
    """Yield a table, and its parts whose names have one prefix that means a network or an average."""
    yield table
    known = set().union(*WORDS.values())
    if depth < MAX_DEPTH:
        prefixes = dict.fromkeys(name.split(".")[0] for name in table.state if "." in name)
        wrappers = (prefix for prefix in prefixes if (found := words((prefix,))) and found <= known)
        for prefix in islice(wrappers, MAX_PREFIXES):
            start = f"{prefix}."
            part = {name.removeprefix(start): t for name, t in table.state.items() if name.startswith(start)}
            yield from _parts(Candidate((*table.keys, prefix), bare(part)), depth + 1)


def _rank(candidate: Candidate, network: str) -> tuple[bool, bool, int, int]:
    found = words(candidate.keys)
    other = "D" if network == "G" else "G"
    unknown = found - set().union(*WORDS.values())
    of_other = bool(found & WORDS[other]) and not found & WORDS[network]
    return of_other, network == "G" and not candidate.averaged, len(unknown), len(candidate.keys)
