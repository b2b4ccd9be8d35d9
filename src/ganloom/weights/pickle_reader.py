"""A pickle read as data: its instructions are followed by an interpreter of our own, which can call nothing.

Python's ``pickle`` runs what a file asks for. Here a file's names are only compared with an allow-list of a handful, and
what it would construct stays a description (``Made``); source text that comes along is a string like any other. Instructions
that no such file needs are refused, memory is bounded by the file's size, and each refusal names what was refused.
"""

import mmap
import pickletools
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, NamedTuple

from ganloom.core.errors import BadInput

MOST_BYTES = 4 << 30
"""Of a file. The largest published network has 0.4 GB."""
MOST_STEPS = 4_000_000
"""Instructions of a file. A network at 1024 px has about 20 thousand."""
MOST_WIDE = 16
"""Numbers of more than 64 bits, of which torch's mark of its files and the state of a generator are some."""
MOST_PAIRS = 100_000
"""Pairs that calls may copy into tables."""

NAMES = frozenset({
    "torch_utils.persistence._reconstruct_persistent_obj", "dnnlib.util.EasyDict", "dnnlib.tflib.network.Network",
    "collections.OrderedDict", "builtins.set", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    "torch.storage._load_from_bytes", "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
})  # fmt: skip
"""What a file of networks may name; none of them is looked up."""

TABLES = ("collections.OrderedDict", "dnnlib.util.EasyDict")


class Name(NamedTuple):
    """A name that a file mentions."""

    full: str


class Made:
    """What a file would have constructed: the name, its arguments, and the state given afterwards."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name, self.args, self.state = name, args, None


class Refused(Exception):
    """What the file asked for and does not get."""


_MARK = object()


class Machine:
    """The interpreter of one pickle within ``file``, from where it stands."""

    def __init__(self, names: Container[str], stored: bool = False, most: int = MOST_STEPS) -> None:
        self.names, self.stored, self.most, self.pairs, self.wide = names, stored, most, MOST_PAIRS, MOST_WIDE
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """The value of the pickle."""
        for steps, (op, arg, _) in enumerate(pickletools.genops(file)):
            if steps > self.most:
                raise Refused(f"more than {self.most} instructions")
            if op.name == "STOP":
                break
            act = _ACTS.get(op.name)
            if act is None:
                raise Refused(f"the instruction {op.name}")
            act(self, arg)
        if len(self.stack) != 1:
            raise Refused("a stack that does not come out")
        return self.stack[0]

    # ------------------------------------------------------------------------------------------------- instructions
    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise Refused("an instruction without its operands")
        return self.stack.pop()

    def marked(self) -> list[Any]:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                found = self.stack[i + 1 :]
                del self.stack[i:]
                return found
        raise Refused("an instruction without its mark")

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise Refused(f"an instruction for a {kind.__name__} on something else")
        return self.stack[-1]

    def put(self, place: Any) -> None:
        if not self.stack or self.stack[-1] is _MARK or not isinstance(place, int):
            raise Refused("a memo of nothing")
        self.memo[place] = self.stack[-1]

    def get(self, place: Any) -> None:
        if place not in self.memo:
            raise Refused("a memo that was never made")
        self.push(self.memo[place])

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused(f"a name that is a {type(module).__name__} and a {type(name).__name__}")
        full = f"{module[:80]}.{name[:80]}"
        if full not in self.names:
            raise Refused(f"the name {full[:80]!r}")
        self.push(Name(full))

    def stacked_name(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def make(self) -> None:
        args, name = self.pop(), self.pop()
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise Refused(f"a call of what is no name ({type(name).__name__})")
        if name.full == "builtins.set":
            if len(args) > 1 or (args and not isinstance(args[0], list)):
                raise Refused("a set of something else than a list")
            self.push(args[0] if args else [])
            return
        if name.full not in TABLES:
            self.push(Made(name.full, args))
            return
        table: dict[Any, Any] = {}
        pairs = args[0] if args else []
        if not isinstance(pairs, list) or any(not isinstance(p, tuple | list) or len(p) != 2 for p in pairs):
            raise Refused(f"{name.full} of something else than pairs")
        self.pairs -= len(pairs)
        if self.pairs < 0:
            raise Refused(f"tables made of more than {MOST_PAIRS} pairs")
        self.push(table)
        self._set(table, [x for pair in pairs for x in pair])

    def build(self) -> None:
        state = self.pop()
        made = self.stack[-1] if self.stack else None
        if isinstance(made, Made) and made.state is None:
            made.state = state
        elif not isinstance(made, dict):
            raise Refused(f"a state for a {type(made).__name__}")

    def _set(self, table: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise Refused("a table with a key and no value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not self.key(key):
                raise Refused(f"a table's key that is a {type(key).__name__} such as no table has")
            table[key] = value

    def key(self, key: object) -> bool:
        """Whether a table may have such a key; numbers of any size can be chosen to collide."""
        return isinstance(key, str | None) or (isinstance(key, int) and abs(key) < 1 << 31)

    def set_items(self) -> None:
        items = self.marked()
        self._set(self.top(dict), items)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self._set(self.top(dict), [key, value])

    def append(self) -> None:
        value = self.pop()
        self.top(list).append(value)

    def appends(self) -> None:
        values = self.marked()
        self.top(list).extend(values)

    def tuple_of(self, n: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(n)])))

    def storage(self) -> None:
        """The one kind of persistent id, ("storage", type, key, place, number, view), within a stored storage."""
        found = self.pop()
        if not self.stored or not isinstance(found, tuple) or len(found) != 6 or found[0] != "storage":
            raise Refused("a persistent id")
        self.push(Made("storage", found))


def _value(machine: Machine, arg: Any) -> None:
    if isinstance(arg, int) and arg.bit_length() > 64:
        machine.wide -= 1
        if arg.bit_length() > 128 or machine.wide < 0:
            raise Refused(f"a number of {arg.bit_length()} bits")
    machine.push(arg)


_ACTS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
         "SHORT_BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _value,
    ),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_SET": lambda m, a: m.push([]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "MARK": lambda m, a: m.push(_MARK),
    "TUPLE": lambda m, a: m.push(tuple(m.marked())),
    "TUPLE1": lambda m, a: m.tuple_of(1),
    "TUPLE2": lambda m, a: m.tuple_of(2),
    "TUPLE3": lambda m, a: m.tuple_of(3),
    "APPEND": lambda m, a: m.append(),
    "APPENDS": lambda m, a: m.appends(),
    "ADDITEMS": lambda m, a: m.appends(),
    "SETITEM": lambda m, a: m.set_item(),
    "SETITEMS": lambda m, a: m.set_items(),
    "MEMOIZE": lambda m, a: m.put(len(m.memo)),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda m, a: m.put(a)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, a: m.get(a)),
    "GLOBAL": lambda m, a: m.name(*str(a).split(" ", 1)),
    "STACK_GLOBAL": lambda m, a: m.stacked_name(),
    "REDUCE": lambda m, a: m.make(),
    "NEWOBJ": lambda m, a: m.make(),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": lambda m, a: m.storage(),
}  # fmt: skip


def open_pickle(path: Path) -> Any:
    """The value in a pickle: tables, lists, tuples, numbers, texts, and ``Made``. BadInput in one line where not."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise BadInput(f"{path} has {size / 2**30:.1f} GiB, more than any network: it was not read")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return guarded(path, lambda: Machine(NAMES).run(mapped))


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` gives; whatever it refuses or stumbles over as BadInput, one line."""
    try:
        return read()
    except BadInput:
        raise
    except Refused as error:
        raise BadInput(
            f"{path} was refused, and nothing of it was run: it has {error}, which no network needs"
        ) from None
    except Exception as error:  # whatever damaged or crafted values lead to: one line
        said = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{path} was refused, and nothing of it was run: damaged ({type(error).__name__}: {said})"
        ) from None


def is_pickle(path: Path) -> bool:
    """Whether the file is a plain pickle, and none of torch's own formats."""
    with open(path, "rb") as file:
        start = file.read(10)
    return start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and start[2:] != b"\x8a\x0al\xfc\x9cF\xf9 "
