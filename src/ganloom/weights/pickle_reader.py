"""Read a pickle as plain data. Nothing that the file names is imported or called.

`Unpickler` is the standard library's unpickler. Its ``find_class`` compares a name with an allow-list and returns an inert
`Name`. What the file would construct stays a description (`Stub`), and source code in the file stays a string.
Instructions that no network needs are refused. The number of instructions, long integers, nesting and the size of copied
tables are limited. Each refusal names what was refused.

The base class is ``pickle._Unpickler``, the Python version of ``pickle.Unpickler``. The C version cannot hold the limits:
it cannot count or refuse instructions, it hashes a key before anyone can check it, and it allocates the memo that a file
claims (5 bytes can claim 32 GiB). The Python version looks up every instruction in the table ``dispatch``, which this
module replaces. A test compares that table with ``pickletools``.
"""

import mmap
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganloom.core.errors import BadInput

MAX_BYTES = 4 << 30
"""Largest file. The largest published network has 0.4 GB."""
MAX_STEPS = 4_000_000
"""Most instructions in a file. A network at 1024 px has about 20 thousand."""
MAX_WIDE = 16
"""Most integers of more than 64 bits. PyTorch's magic number and the state of a random generator are such integers."""
MAX_PAIRS = 100_000
"""Most pairs that calls may copy into tables."""
MAX_MARKS = 1000
"""Deepest nesting of unfinished lists, tables and tuples. A network has about 20."""

NAMES = frozenset({
    "torch_utils.persistence._reconstruct_persistent_obj", "dnnlib.util.EasyDict", "dnnlib.tflib.network.Network",
    "collections.OrderedDict", "builtins.set", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    "torch.storage._load_from_bytes", "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
})  # fmt: skip
"""Names that a pickle of networks may hold. None of them is imported."""

_TABLES = frozenset({
    "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "dnnlib.util.EasyDict", "builtins.dict",
    "__builtin__.dict",
})  # fmt: skip
_LISTS = frozenset({"builtins.set", "builtins.list", "__builtin__.set", "__builtin__.list"})


class Refused(Exception):
    """The file holds something that no network needs. The message completes "it has ..."."""


class Name:
    """The name of a class or function in a pickle, never looked up."""

    __slots__ = ("full",)

    def __init__(self, full: str) -> None:
        self.full = full


class Stub:
    """Describe an object that a pickle would construct: the name it calls, the arguments, and the state set later."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name, self.args = name, args
        self.state: Any = None


class Table(dict[Any, Any]):
    """A dictionary in a pickle. Its keys are strings, None, floats, integers of less than 64 bits, or names of classes.

    At most 34 of these numbers share a hash value, so a file cannot make a dictionary slow.
    """

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        if not (isinstance(key, str | float | Name | None) or (isinstance(key, int) and abs(key) < 1 << 63)):
            raise Refused(f"a table with a key that is a {type(key).__name__}")
        super().__setitem__(key, value)


class _Memo(dict[int, Any]):
    def __missing__(self, place: int) -> Any:
        raise Refused("a memo that was never made")


_PLAIN = """
    PROTO FRAME STOP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8
    SHORT_BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS
    SETITEM SETITEMS MEMOIZE BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL BINPERSID
""".split()
"""Instructions that run as in the standard library. On the types that can occur here they only move values."""

Handler = Callable[[Any], None]
_STANDARD: dict[int, Handler] = pickle._Unpickler.dispatch  # type: ignore[attr-defined]
_OPCODES = {op.name: ord(op.code) for op in pickletools.opcodes}


def _dispatch(own: dict[str, Handler]) -> dict[int, Handler]:
    """Return a handler for each opcode: ``own``, the standard one for `_PLAIN`, and a refusal for all others."""
    handlers = {name: _STANDARD[_OPCODES[name]] for name in _PLAIN} | own

    def counted(handler: Handler) -> Handler:
        def step(unpickler: Any) -> None:
            unpickler.steps += 1
            if unpickler.steps > unpickler.max_steps:
                raise Refused(f"more than {unpickler.max_steps} instructions")
            handler(unpickler)

        return step

    def refused(name: str) -> Handler:
        def step(unpickler: Any) -> None:
            raise Refused(f"the instruction {name}")

        return step

    return {code: counted(handlers[name]) if name in handlers else refused(name) for name, code in _OPCODES.items()}


class Unpickler(pickle._Unpickler):
    """Unpickle one value from where ``file`` stands, as tables, lists, tuples, numbers, strings, `Name` and `Stub`.

    Args:
        file: A ``mmap`` or ``BytesIO``. Their ``read`` allocates no more than they hold.
        allowed: Whether a full name ("module.name") may occur in the file.
        storage: Turns the id of a PyTorch storage into an object. None: ids of objects outside the pickle are refused.
        max_steps: Most instructions.
    """

    stack: list[Any]
    metastack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(
        self,
        file: Any,
        allowed: Callable[[str], object],
        storage: Callable[[Any], Any] | None = None,
        max_steps: int = MAX_STEPS,
    ) -> None:
        super().__init__(file, encoding="latin1")
        self.memo = _Memo()
        self.allowed, self.storage, self.max_steps = allowed, storage, max_steps
        self.steps, self.wide, self.pairs = 0, MAX_WIDE, MAX_PAIRS

    def load(self) -> Any:
        """Return the value of the pickle. Raises Refused, or whatever damaged bytes lead to."""
        try:
            value = super().load()
        except IndexError:
            raise Refused("an instruction without its operands") from None
        if self.stack or self.metastack:
            raise Refused("values that belong to nothing")
        return value

    def find_class(self, module: str, name: str) -> Name:
        """Return the inert name. Raises Refused for a name that is not allowed."""
        full = f"{module[:80]}.{name[:80]}"
        if not self.allowed(full):
            raise Refused(f"the name {full[:80]!r}")
        return Name(full)

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage for an id. Raises Refused where the file may not have storages."""
        if self.storage is None:
            raise Refused("a persistent id")
        return self.storage(pid)

    # ------------------------------------------------------------------------------ instructions that differ

    def _load_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused(f"a name that is a {type(module).__name__} and a {type(name).__name__}")
        self.append(self.find_class(module, name))

    def _load_long(self) -> None:
        number = int.from_bytes(self.read(self.read(1)[0]), "little", signed=True)
        if number.bit_length() > 64:
            self.wide -= 1
            if number.bit_length() > 128 or self.wide < 0:
                raise Refused(f"a number of {number.bit_length()} bits")
        self.append(number)

    def _load_mark(self) -> None:
        if len(self.metastack) >= MAX_MARKS:
            raise Refused(f"more than {MAX_MARKS} levels of nesting")
        _STANDARD[_OPCODES["MARK"]](self)

    def _load_dict(self) -> None:
        self.append(Table())

    def _load_set(self) -> None:
        self.append([])  # a set would hash its values

    def _load_call(self) -> None:
        """Describe a call instead of calling; only tables and lists are made."""
        args, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise Refused(f"a call of something that is not a name ({type(name).__name__})")
        if name.full == "_codecs.encode" and args[1:] != ("latin1",):
            raise Refused("bytes in another code than latin1")
        if name.full in _TABLES:
            self.append(self._table(name.full, args))
        elif name.full in _LISTS:
            if len(args) > 1 or (args and not isinstance(args[0], list)):
                raise Refused(f"{name.full} of something other than a list")
            self.append(args[0] if args else [])
        else:
            self.append(Stub(name.full, args))

    def _table(self, name: str, args: tuple[Any, ...]) -> Table:
        content = args[-1] if args else []
        if isinstance(content, Table):
            return content
        if isinstance(content, Name):  # the default factory of a defaultdict
            content = []
        if not isinstance(content, list) or any(not isinstance(p, tuple | list) or len(p) != 2 for p in content):
            raise Refused(f"{name} of something other than pairs")
        self.pairs -= len(content)
        if self.pairs < 0:
            raise Refused(f"tables made of more than {MAX_PAIRS} pairs")
        table = Table()
        for key, value in content:
            table[key] = value
        return table

    def _load_build(self) -> None:
        """Keep the state of a stub; a table needs none."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Stub) and target.state is None:
            target.state = state
        elif not isinstance(target, Table):
            raise Refused(f"a state for a {type(target).__name__}")

    dispatch = _dispatch({
        "STACK_GLOBAL": _load_name, "LONG1": _load_long, "MARK": _load_mark, "EMPTY_DICT": _load_dict,
        "EMPTY_SET": _load_set, "ADDITEMS": _STANDARD[_OPCODES["APPENDS"]], "REDUCE": _load_call, "NEWOBJ": _load_call,
        "BUILD": _load_build,
    })  # fmt: skip


def open_pickle(path: Path) -> Any:
    """Read a ``.pkl`` file of networks without running anything in it.

    Args:
        path: The file, at most `MAX_BYTES`.

    Returns:
        Its value: tables, lists, tuples, numbers, strings, bytes and `Stub` objects.

    Raises:
        BadInput: The file is too large, damaged, or holds something that no network needs.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput(f"{path} has {size / 2**30:.1f} GiB, more than any network: it was not read")

    def read() -> Any:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return Unpickler(mapped, NAMES.__contains__).load()

    return guarded(path, read)


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Call ``read`` and turn whatever it raises into a BadInput of one line that names the file."""
    try:
        return read()
    except BadInput:
        raise
    except Refused as error:
        raise BadInput(
            f"{path} was refused and nothing in it was run: it has {error}, which no network needs"
        ) from None
    except Exception as error:  # damaged or crafted values can raise anything
        message = " ".join(str(error).split())[:120]
        raise BadInput(
            f"{path} was refused and nothing in it was run: damaged ({type(error).__name__}: {message})"
        ) from None


def is_pickle(path: Path) -> bool:
    """Return whether the file is a plain pickle and not one of PyTorch's formats."""
    with open(path, "rb") as file:
        start = file.read(10)
    return start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and start[2:] != b"\x8a\x0al\xfc\x9cF\xf9 "
