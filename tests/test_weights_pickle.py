"""The restricted reader of pickles: it agrees with PyTorch on real files, and refuses crafted ones within its limits."""

import argparse
import collections
import functools
import io
import pickle
import pickletools
import struct
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_style import snapshot
from test_weights_hostile import named, tensor, text, wanted, zipped
from test_weights_style import described

from ganloom.core.errors import BadInput
from ganloom.weights import file_formats, nvlabs, torch_file
from ganloom.weights.pickle_reader import NAMES, Refused, Stub, Table, Unpickler

OLDER = {"_use_new_zipfile_serialization": False}


def load(data: bytes, **kwargs: Any) -> Any:
    return Unpickler(io.BytesIO(data), kwargs.pop("allowed", NAMES.__contains__), **kwargs).load()


# --------------------------------------------------------------------------------------------------- agreement


def checkpoint() -> dict[str, Any]:
    """What a training program saves: weights of all types, views, an optimizer, arguments."""
    torch.manual_seed(0)
    shared = torch.randn(6, 4)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    moments = {i: {"step": torch.tensor(1.0), "mean": p.detach() / 2, "square": p.detach() ** 2}
               for i, p in enumerate(net.parameters())}  # fmt: skip
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
             torch.bool, torch.complex64)  # fmt: skip
    return {
        "state_dict": net.state_dict(),
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3, "params": [0, 1, 2, 3]}]},
        "step": 7, "rate": 1e-3, "none": None,
        "kinds": {str(kind): torch.arange(6).reshape(2, 3).to(kind) for kind in kinds}, "names": ("a", ["b"], None),
        "views": {"all": shared, "turned": shared.t(), "part": shared[1:3, ::2], "one": shared[5, 3], "none": shared[:0]},
        "parameter": {"p": torch.nn.Parameter(shared)}, "args": argparse.Namespace(lr=1e-3, size=(1, 2)),
        "counts": collections.Counter("abca"), "default": collections.defaultdict(list), "size": torch.Size([1, 2]),
    }  # fmt: skip


def same(ours: Any, theirs: Any) -> int:
    """Compare all tensors and plain values; return the number of tensors."""
    if isinstance(theirs, torch.Tensor):
        assert torch.equal(ours, theirs.detach()) and ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
        return 1
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        return sum(same(ours[key], value) for key, value in theirs.items())
    if not isinstance(ours, Stub | list):
        assert ours == theirs
    return 0


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("options", [{}, OLDER], ids=["zip", "older"])
def test_it_reads_what_torch_reads(options: dict[str, Any], protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    torch.save(checkpoint(), path, pickle_protocol=protocol, **options)
    ours, theirs = torch_file.read(path), torch.load(path, weights_only=False)
    assert same(ours, theirs) == 7 + 10 + 5 + 1 + 12
    assert ours["views"]["all"].untyped_storage().data_ptr() == ours["views"]["turned"].untyped_storage().data_ptr()
    assert ours["args"].name == "argparse.Namespace" and ours["args"].state == {"lr": 1e-3, "size": (1, 2)}
    assert file_formats.open_file(path).keys() == theirs["state_dict"].keys()


def test_numbers_of_a_big_endian_machine(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([1.5, -2.0]), "b": torch.tensor([], dtype=torch.int64)}, tmp_path / "c.pt")
    with zipfile.ZipFile(tmp_path / "c.pt") as old, zipfile.ZipFile(tmp_path / "big.pt", "w") as new:
        for part in old.infolist():
            data = old.read(part)
            data = struct.pack(">2f", 1.5, -2.0) if part.filename.endswith("data/0") else data
            new.writestr(part.filename, b"big" if part.filename.endswith("byteorder") else data)
    assert torch_file.read(tmp_path / "big.pt")["a"].tolist() == [1.5, -2.0]


def test_every_instruction_has_a_decision() -> None:
    """An instruction that a later Python adds is refused, and no other class's handler is used for one of these."""
    allowed = set(
        """
        PROTO FRAME STOP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE
        BINUNICODE8 SHORT_BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 EMPTY_DICT EMPTY_LIST EMPTY_SET EMPTY_TUPLE MARK
        TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS ADDITEMS SETITEM SETITEMS MEMOIZE BINPUT LONG_BINPUT BINGET
        LONG_BINGET GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID
    """.split()
    )
    assert len(Unpickler.dispatch) == len(pickletools.opcodes)
    for op in pickletools.opcodes:
        if op.name not in allowed:
            with pytest.raises(Refused, match=f"the instruction {op.name}$"):
                load(b"\x80\x04]" + op.code.encode("latin1") + b"\x01\n" * 20 + b".")


# --------------------------------------------------------------------------------------------------- refusals

ORDERED = named("collections", "OrderedDict")
CRAFTED: dict[str, tuple[bytes, str]] = {
    "a call of a stub": (named("numpy", "dtype") + b")R)R.", "a call of something that is not a name (Stub)"),
    "a call of a table": (b"})R.", "a call of something that is not a name (Table)"),
    "a call with a list": (ORDERED + b"]R.", "a call of something that is not a name (Name)"),
    "an object of a stub": (named("numpy", "dtype") + b")R)\x81.", "a call of something that is not a name (Stub)"),
    "an object with keywords": (ORDERED + b")}\x92.", "NEWOBJ_EX"),
    "an old instance": (b"(" + text("x") + b"ios\nsystem\n.", "INST"),
    "an old object": (b"(ccollections\nOrderedDict\no.", "OBJ"),
    "the extension registry": (b"\x82\x01.", "EXT1"),
    "its second form": (b"\x83\x01\x00.", "EXT2"),
    "its third form": (b"\x84\x01\x00\x00\x00.", "EXT4"),
    "a name by GLOBAL": (b"cos\nsystem\n.", "the name 'os.system'"),
    "a name across modules": (b"ccollections.OrderedDict\n__init__\n.", "the name 'collections.OrderedDict.__init__'"),
    "a long name": (named("a" * 10**6, "b" * 10**6) + b".", "the name 'aaa"),
    "a state for a number": (b"K\x01}b.", "a state for a int"),
    "a state for a name": (ORDERED + b"}(" + text("full") + text("os.system") + b"ub.", "a state for a Name"),
    "a second state": (named("numpy", "dtype") + b")R}b}b.", "a state for a Stub"),
    "a state without end": (ORDERED + b")R" + b"}" * 100_010, "more than 100000 instructions"),
    "memos without end": (b"]" + b"\x94" * 100_010 + b".", "more than 100000 instructions"),
    "a billion laughs": (
        b"]q\x00" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(40))
        + b"K\x01\x93.", "a name that is a list and a int",
    ),
    "the same as a key": (
        b")q\x00" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
        + b"}h\x3cNs.", "key that is a tuple",
    ),
    "a table in a table's key": (b"}}Ns.", "key that is a Table"),
    "a tuple as a key": (b"}K\x01\x85Ns.", "key that is a tuple"),
    "bytes as a key": (b"}C\x01xNs.", "key that is a bytes"),
    "a key of 80 bits": (b"}\x8a\x0a" + b"\x7f" * 10 + b"Ns.", "key that is a int"),
    "a long integer": (b"\x8a\xff" + b"\x7f" * 255 + b".", "a number of 2039 bits"),
    "a longer integer": (b"\x8b\xff\xff\xff\x7f" + b"\x7f" * 255 + b".", "LONG4"),
    "an integer in digits": (b"I" + b"9" * 10**6 + b"\n.", "the instruction INT"),
    "many wide integers": (b"](" + (b"\x8a\x0a" + b"\x7f" * 10) * 17 + b"e.", "a number of 79 bits"),
    "nested lists without end": (b"(" * 2000 + b"t" * 2000 + b".", "more than 1000 levels of nesting"),
    "pairs that are none": (ORDERED + b"](K\x01K\x02e\x85R.", "of something other than pairs"),
    "pairs of letters": (ORDERED + text("ab") + b"\x85R.", "of something other than pairs"),
    "a set of a text": (named("builtins", "set") + text("x") + b"\x85R.", "of something other than a list"),
    "another set": (b"\x8f(K\x01\x91.", "FROZENSET"),
    "an array of bytes": (b"\x96" + struct.pack("<Q", 1 << 62), "BYTEARRAY8"),
    "a buffer from outside": (b"\x97.", "NEXT_BUFFER"),
    "a persistent id": (b"K\x01Q.", "a persistent id"),
    "a persistent id as a text": (b"Pos.system\n.", "PERSID"),
    "two values": (b"K\x01K\x02.", "values that belong to nothing"),
    "an open mark": (b"(K\x01.", "values that belong to nothing"),
    "no value": (b".", "without its operands"),
    "a mark that was never set": (b"t.", "without its operands"),
    "a memo that was never made": (b"j\xff\xff\xff\xff.", "a memo that was never made"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_pickles_are_refused_within_their_limits(name: str) -> None:
    data, message = CRAFTED[name]
    begun = time.process_time()
    with pytest.raises(Refused) as error:
        load(b"\x80\x04" + data, max_steps=100_000)
    assert message in str(error.value) and len(str(error.value)) < 200
    assert time.process_time() - begun < 20


DAMAGED = {
    "a frame longer than the file": b"\x95" + struct.pack("<Q", 1 << 40) + b"K\x01",
    "a frame of 2^64 bytes": b"\x95" + b"\xff" * 8 + b"K\x01.",
    "a frame within a frame": b"\x95\x0c\0\0\0\0\0\0\0\x95\x01\0\0\0\0\0\0\0K\x01K\x01.",
    "a text longer than the file": b"\x8d" + struct.pack("<Q", 1 << 40) + b"x",
    "bytes longer than the file": b"B\xff\xff\xff\xffx",
    "a text that is not UTF-8": b"X\x02\0\0\0\xff\xfe.",
    "a name without an end": b"c" + b"os" * 100,
    "a protocol of the future": b"\x80\x63K\x01.",
    "an unknown instruction": b"\xff.",
    "an appended number": b"K\x01K\x02a.",
    "a key for a tuple": b")K\x02Ns.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_pickles_take_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Exception) as error:
            load(b"\x80\x04" + DAMAGED[name])
        assert not isinstance(error.value, MemoryError) and tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_memo_far_away_takes_no_memory() -> None:
    """The C unpickler would allocate a memo of 2^31 places here, which is why the reader is not built on it."""
    tracemalloc.start()
    try:
        assert load(b"\x80\x02}r\xff\xff\xff\x7f.") == {}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_stays_of_names_and_calls() -> None:
    stub = load(b"\x80\x04" + named("dnnlib.tflib.network", "Network") + b")\x81}" + text("x") + b"K\x01sb.")
    assert (type(stub), stub.name, stub.args, stub.state) == (Stub, "dnnlib.tflib.network.Network", (), {"x": 1})
    table = load(b"\x80\x04" + ORDERED + b"](" + text("a") + b"K\x01\x86K\x02N\x86e\x85R}b.")
    assert type(table) is Table and table == {"a": 1, 2: None}
    assert load(b"\x80\x04\x8f(K\x01K\x02\x90.") == [1, 2] == load(pickle.dumps({1, 2}, 4))


# ------------------------------------------------------------------------------------------- files of PyTorch


def older(value: bytes, keys: bytes = b"]", numbers: bytes = b"") -> bytes:
    """A file in the older format."""
    start = b"\x80\x02\x8a\x0a" + torch_file.MAGIC.to_bytes(10, "little") + b".\x80\x02M\xe9\x03.\x80\x02}."
    return start + b"\x80\x02" + value + b".\x80\x02" + keys + b"." + numbers


def pid(kind: str = "torch.FloatStorage", key: str = "0", n: bytes = b"K\x04", view: bytes = b"N") -> bytes:
    """A storage as PyTorch pickles it."""
    return b"(" + text("storage") + wanted(kind) + text(key) + text("cpu") + n + view + b"tQ"


def table(storage: bytes, size: bytes = b"K\x02\x85", stride: bytes = b"K\x01\x85", offset: bytes = b"K\x00") -> bytes:
    return b"}" + text("w") + tensor(storage, offset, size, stride) + b"s"


KEY, FOUR = b"](" + text("0") + b"e", struct.pack("<Q4f", 4, 1, 2, 3, 4)
FILES: dict[str, tuple[bytes, str]] = {
    "no numbers": (older(table(pid())), "a tensor without numbers"),
    "numbers cut short": (older(table(pid()), KEY, FOUR[:-1]), "a storage of another length"),
    "another count": (older(table(pid(n=b"K\x05")), KEY, FOUR), "a storage of another length"),
    "2^62 numbers": (
        older(table(pid(n=b"\x8a\x08" + struct.pack("<q", 1 << 62))), KEY, struct.pack("<Q", 1 << 62)), "damaged",
    ),
    "a negative count": (older(table(pid(n=b"J\xff\xff\xff\xff")), KEY, b"\xff" * 8), "a storage of another length"),
    "a storage that nobody names": (older(table(pid()), b"](" + text("1") + b"e", FOUR), "damaged"),
    "a storage twice": (older(table(pid()), b"](" + text("0") * 2 + b"e", FOUR * 2), "damaged"),
    "one storage under two types": (
        older(b"}(" + text("a") + pid() + text("b") + pid("torch.LongStorage") + b"u", KEY, FOUR), "under two types",
    ),
    "a storage of objects": (older(table(pid("torch.QInt8Storage")), KEY, FOUR), "a storage of an unknown kind"),
    "a storage that is a table": (older(table(b"}")), "a tensor without its numbers"),
    "a persistent id of a module": (older(b"(" + text("module") + b"NNNtQ"), "not a storage"),
    "a view of a storage": (older(table(pid(view=b"K\x01")), KEY, FOUR), "not a storage"),
    "a shape outside": (older(table(pid(), size=b"K\x05\x85"), KEY, FOUR), "shape [5] with 4 numbers"),
    "an offset outside": (older(table(pid(), offset=b"K\x03"), KEY, FOUR), "shape [2] with 4 numbers"),
    "a shape of 2^78 numbers": (
        older(table(pid(), size=b"\x8a\x05\xff\xff\xff\xff\x7f" * 2 + b"\x86", stride=b"K\x00K\x00\x86"), KEY, FOUR),
        "with 4 numbers",
    ),
    "a negative stride": (older(table(pid(), stride=b"J\xff\xff\xff\xff\x85"), KEY, FOUR), "a tensor of no shape"),
    "a stride for no axis": (older(table(pid(), stride=b")"), KEY, FOUR), "without numbers or shape"),
    "a shape that is a table": (older(table(pid(), size=b"}"), KEY, FOUR), "a tensor of no shape"),
    "a tensor that is a call": (older(b"}" + text("w") + wanted("os.system") + b")Rs"), "the name 'os.system'"),
    "100,001 tensors": (
        older(b"}(" + text("w") + tensor(pid(), b"K\x00", b"K\x02\x85", b"K\x01\x85") + b"q\x00"
              + b"".join(b"J" + struct.pack("<i", i) + b"h\x00" for i in range(100_001)) + b"u", KEY, FOUR),
        "more than 100000 tensors",
    ),
    "another magic number": (b"\x80\x02K\x01." * 5, "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_crafted_files_in_the_older_format(name: str, tmp_path: Path) -> None:
    data, message = FILES[name]
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(BadInput) as error:
        file_formats.open_file(tmp_path / "x.pt")
    assert message in str(error.value) and "\n" not in str(error.value)
    (tmp_path / "good.pt").write_bytes(older(table(pid()), KEY, FOUR))
    assert file_formats.open_file(tmp_path / "good.pt")["w"].tolist() == [1, 2]


def test_crafted_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for pickled, message in (
        (table(pid(key="../version", view=b"")), "damaged"), (table(pid(key="1", view=b"")), "damaged"),
        (table(pid(n=b"K\x05", view=b"")), "a storage of another length"), (table(pid(view=b"NN")), "not a storage"),
        (b"K\x01Q", "not a storage"),
    ):  # fmt: skip
        zipped(path, b"\x80\x02" + pickled + b".")
        with pytest.raises(BadInput, match=message):
            file_formats.open_file(path)
    zipped(path, b"\x80\x02" + table(pid(view=b"")) + b".")
    assert file_formats.open_file(path)["w"].tolist() == [0, 0]


# --------------------------------------------------------------------------------------------------- accidents


@functools.cache
def originals() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder, (facts, g, d) = Path(name), described("ada-16-clamp")
        snapshot(folder / "n.pkl", g, d, facts, Path("canary"))
        torch.save({"w": torch.ones(3), "b": torch.zeros(2)}, folder / "zip.pt")
        torch.save({"w": torch.ones(3), "b": torch.zeros(2)}, folder / "older.pt", **OLDER)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0, 1))
def test_changed_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, int]], end: float
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    for name, content in originals().items():
        data = bytearray(content)
        for place, value in changes:
            data[int(place * (min(len(data), 4000) - 1))] = value
        (folder / name).write_bytes(data if end > 0.2 else data[: int(end * 5 * len(data))])
        try:
            nvlabs.read(folder / name) if name == "n.pkl" else file_formats.open_file(folder / name)
        except BadInput as error:
            assert "\n" not in str(error) and str(folder / name) in str(error)
    assert not Path("canary").exists()
