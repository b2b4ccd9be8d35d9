"""Weights that are crafted: pickles that would run something, and files that would hang, flood or fill the machine.

Each is refused in one line that names it, within seconds, and leaves nothing behind.
"""

import io
import math
import pickle
import struct
import sys
import time
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import call
from made_style import snapshot
from test_weights import state_of
from test_weights_style import described

from ganloom import weights
from ganloom.core.errors import BadInput

# ------------------------------------------------------------------------------------------------- malicious pickles

CANARY = "CANARY"  # in the folder in which the test stands


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL."""
    return text(module) + text(name) + b"\x93"


def calls(module: str, name: str, *args: bytes) -> bytes:
    """A whole pickle that calls a name with arguments."""
    return b"\x80\x04" + named(module, name) + b"(" + b"".join(args) + b"tR."


WRITE = f"import pathlib; pathlib.Path({CANARY!r}).write_text('x')"
TOUCH = f"touch {CANARY}"


def within(evil: bytes) -> bytes:
    """A snapshot whose G_ema holds something where a parameter is due."""
    state = b"}(" + text("_parameters") + b"}" + text("weight") + evil + b"s" + text("_buffers") + b"}"
    meta = b"}(" + text("type") + text("class") + text("class_name") + text("Generator")
    meta += text("module_src") + text(WRITE) + text("state") + state + text("_modules") + b"}u" + b"u"
    whole = named("torch_utils.persistence", "_reconstruct_persistent_obj") + meta + b"\x85R"
    return b"\x80\x04}" + text("G_ema") + whole + b"s."


def tensor(storage: bytes, offset: bytes, size: bytes, stride: bytes) -> bytes:
    """A tensor as torch pickles it."""
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + offset + size + stride + b"\x89}tR"


def blob(value: bytes) -> bytes:
    """A storage's bytes, as ``torch.storage._load_from_bytes`` takes them."""
    return named("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(value)) + value + b"\x85R"


def stored(n: int) -> bytes:
    """A true storage of n numbers."""
    file = io.BytesIO()
    numbers = torch.zeros(n).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=numbers, dtype=torch.float32, _internal=True)
    torch.save(typed, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def call_of(module: str, name: str, *args: bytes) -> bytes:
    """A call within a pickle."""
    return named(module, name) + b"(" + b"".join(args) + b"tR"


def cycle() -> bytes:
    """A module that is a child of itself."""
    meta = b"}\x94(" + text("class_name") + text("G") + text("state") + b"}(" + text("_modules") + b"}" + text("a")
    inner = named("torch_utils.persistence", "_reconstruct_persistent_obj") + b"h\x00\x85R"
    whole = named("torch_utils.persistence", "_reconstruct_persistent_obj") + meta + inner + b"suu\x85R"
    return b"\x80\x04}" + text("G_ema") + whole.replace(b"\x94", b"q\x00") + b"s."


def module(state: bytes) -> bytes:
    """A module of a snapshot."""
    said = b"}(" + text("class_name") + text("G") + text("state") + state + b"u"
    return named("torch_utils.persistence", "_reconstruct_persistent_obj") + said + b"\x85R"


def wide(key: Callable[[int], str], depth: int) -> bytes:
    """Modules with twenty children each, all of them one, ``depth`` deep: 20^depth of them."""
    children = b""
    if depth:
        again = b"".join(text(key(i)) + b"h" + bytes([depth]) for i in range(1, 20))
        children = b"(" + text(key(0)) + wide(key, depth - 1) + b"q" + bytes([depth]) + again + b"u"
    return module(b"}(" + text("_modules") + b"}" + children + b"u")


EVIL: dict[str, tuple[bytes, str]] = {
    "os.system": (calls("os", "system", text(TOUCH)), "os.system"),
    "posix.system": (calls("posix", "system", text(TOUCH)), "posix.system"),
    "builtins.exec": (calls("builtins", "exec", text(WRITE)), "builtins.exec"),
    "builtins.eval": (calls("builtins", "eval", text(WRITE)), "builtins.eval"),
    "builtins.open": (calls("builtins", "open", text(CANARY), text("w")), "builtins.open"),
    "builtins.getattr": (calls("builtins", "getattr", text("os"), text("x")), "builtins.getattr"),
    "builtins.__import__": (calls("builtins", "__import__", text("this")), "builtins.__import__"),
    "subprocess.Popen": (calls("subprocess", "Popen", text(TOUCH)), "subprocess.Popen"),
    "importlib": (calls("importlib", "import_module", text("this")), "importlib.import_module"),
    "pathlib": (calls("pathlib", "Path.touch", text(CANARY)), "pathlib.Path.touch"),
    "runpy": (calls("runpy", "run_path", text(CANARY)), "runpy.run_path"),
    "shutil": (calls("shutil", "rmtree", text("nowhere")), "shutil.rmtree"),
    "torch.load": (calls("torch", "load", text(CANARY)), "torch.load"),
    "torch.hub": (calls("torch.hub", "load", text("a"), text("b")), "torch.hub.load"),
    "numpy.load": (calls("numpy", "load", text(CANARY)), "numpy.load"),
    "pickle.loads": (calls("pickle", "loads", b"C\x01."), "pickle.loads"),
    "GLOBAL": (b"\x80\x02cos\nsystem\n" + text(TOUCH) + b"\x85R.", "os.system"),
    "INST": (b"\x80\x02(" + text(TOUCH) + b"ios\nsystem\n.", "INST"),
    "OBJ": (b"\x80\x02(cos\nsystem\n" + text(TOUCH) + b"o.", "os.system"),
    "EXT1": (b"\x80\x02\x82\x01.", "EXT1"),
    "NEWOBJ_EX": (b"\x80\x04" + named("collections", "OrderedDict") + b")}\x92.", "NEWOBJ_EX"),
    "persistent id": (b"\x80\x04" + text("x") + b"Q.", "persistent id"),
    "a name within a name": (calls("collections", "OrderedDict.__init__.__globals__"), "__globals__"),
    "a call of a call": (
        b"\x80\x04" + named("numpy", "dtype") + text("f4") + b"\x85R" + text(TOUCH) + b"\x85R.",
        "a call of something that is not a name",
    ),
    "in a parameter": (within(call_of("os", "system", text(TOUCH))), "os.system"),
    "an allowed name in a parameter": (within(call_of("numpy", "dtype", text("O"))), "instead of a tensor"),
    "in a storage": (
        within(tensor(blob(calls("os", "system", text(TOUCH))), b"K\x00", b"K\x01\x85", b"K\x01\x85")), "os.system",
    ),
    "a persistent id in a storage": (
        within(tensor(blob(b"\x80\x02K\x01.\x80\x02K\x01.\x80\x02K\x01.\x80\x02" + text("module") + b"Q."), b"K\x00",
                      b")", b")")), "persistent id",
    ),
    "more numbers than there are": (
        within(tensor(blob(stored(4)), b"K\x00", b"J\xff\xff\xff\x7f\x85", b"K\x00\x85")), "with 4 numbers",
    ),
    "a place outside": (within(tensor(blob(stored(4)), b"K\x03", b"K\x02\x85", b"K\x01\x85")), "with 4 numbers"),
    "a negative place": (
        within(tensor(blob(stored(4)), b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85")), "tensor of no shape",
    ),
    "a memo far away": (b"\x80\x02}r\xff\xff\xff\x7f.", "without a network G_ema"),
    "a memo that is not there": (b"\x80\x02h\x05.", "memo that was never made"),
    "a huge array of bytes": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "BYTEARRAY8"),
    "a text longer than the file": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.", "damaged"),
    "a module within itself": (cycle(), "without an end"),
    "modules without number": (
        b"\x80\x04}" + text("G_ema") + wide(lambda i: f"m{i}", 10) + b"s.", "without an end",
    ),
    "a state for a table of texts": (b"\x80\x04]}b.", "a state for a list"),
    "a key that is an object": (b"\x80\x04}" + call_of("numpy", "dtype", text("f4")) + b"Ns.", "key that is a Stub"),
    "a stack run empty": (b"\x80\x04R.", "without its operands"),
    "cut off": (within(call_of("numpy", "dtype", text("f4")))[:60], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_malicious_pickles_run_nothing_and_are_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, said = EVIL[name]
    path = tmp_path / "evil.pkl"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        code, out, err = call(capsys, "import", str(path), "--out", str(tmp_path / "run"))
    assert code == 2 and not out and err.count("\n") == 1 and said in err and str(path) in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.pkl"]


def test_the_canary_dies_where_python_opens_them(tmp_path: Path) -> None:
    """Those pickles do what they say when they are opened the usual way: the test above can fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name in ("os.system", "builtins.exec", "GLOBAL", "INST", "in a parameter"):
            fake = types.ModuleType("torch_utils.persistence")
            fake._reconstruct_persistent_obj = lambda meta: exec(meta["module_src"])
            patch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
            patch.setitem(sys.modules, "torch_utils.persistence", fake)
            pickle.loads(EVIL[name][0])
            assert (tmp_path / CANARY).exists(), name
            (tmp_path / CANARY).unlink()


# ---------------------------------------------------------------------------------------- files that claim too much


def unfolding(depth: int) -> bytes:
    """A list of two lists that are one, each of which is again two: 2^depth of them to whoever prints it."""
    if not depth:
        return b"]"
    return b"](" + unfolding(depth - 1) + b"q" + bytes([depth]) + b"h" + bytes([depth]) + b"e"


def array(shape: bytes, data: bytes = b"B\4\0\0\0abcd") -> bytes:
    """An array as numpy pickles it."""
    made = named("numpy.core.multiarray", "_reconstruct") + b")R(K\1" + shape
    return made + named("numpy", "dtype") + text("f4") + b"\x85R\x89" + data + b"tb"


def parameters(pairs: bytes) -> bytes:
    """A snapshot whose G_ema has these parameters."""
    state = b"}(" + text("_parameters") + b"}(" + pairs + b"u" + text("_modules") + b"}u"
    return b"\x80\x04}" + text("G_ema") + module(state) + b"s."


def older(said: bytes = b"}", variables: bytes = b"]", func: bytes = text("G"), parts: bytes = b"}") -> bytes:
    """A snapshot of TensorFlow's time."""
    network = named("dnnlib.tflib.network", "Network")
    state = text("static_kwargs") + said + text("variables") + variables + text("build_func_name") + func
    last = network + b")\x81}(" + state + text("components") + parts + b"ub"
    return b"\x80\x04" + (network + b")\x81}b") * 2 + last + b"\x87."


def shared(n: int, times: int) -> bytes:
    """One storage of n numbers named many times."""
    one = tensor(blob(stored(n)), b"K\0", b"J" + struct.pack("<i", n) + b"\x85", b"K\1\x85")
    return parameters(text("p") + one + b"q\0" + b"".join(text(f"p{i}") + b"h\0" for i in range(times)))


def networks(depth: int) -> bytes:
    """TensorFlow's network with eight parts, each of which is one network with eight parts ..."""
    network = named("dnnlib.tflib.network", "Network")
    parts = b"}"
    if depth:
        first = text("a0") + networks(depth - 1) + b"q" + bytes([depth])
        parts += b"(" + first + b"".join(text(f"a{i}") + b"h" + bytes([depth]) for i in range(1, 8)) + b"u"
    return network + b")\x81}(" + text("components") + parts + b"ub"


HUGE = b"\x8a\xff" + b"\x7f" * 255
KEYS = b"}(" + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 30001)) + b"u"
PAIRS = b"](" + b"".join(b"M" + struct.pack("<H", i) + b"N\x86" for i in range(60000)) + b"e\x85q\0"
HEAVY: dict[str, tuple[bytes, str]] = {
    "a name that unfolds": (b"\x80\x04" + unfolding(40) + text("x") + b"\x93.", "a name that is a list"),
    "a shape that unfolds": (within(array(unfolding(40) + b"\x85")), "no shape"),
    "a setting that unfolds": (older(b"}" + text("resample_kernel") + unfolding(40) + b"s"), "another resample_kernel"),
    "a function that unfolds": (older(func=unfolding(40)), "names of StyleGAN2"),
    "modules without names": (
        b"\x80\x04}" + text("G_ema") + wide(lambda i: "." * i, 10) + b"s.", "have no names",
    ),
    "networks without number": (older(parts=b"}(" + text("a") + networks(4) + b"u"), "without an end"),
    "numbers of 2,040 bits": (
        within(tensor(blob(stored(4)), b"K\0", b"](" + HUGE + b"q\x09" + b"h\x09" * 4000 + b"e",
                      b"](" + b"K\0" * 4001 + b"e")), "a number of 2039 bits",
    ),
    "keys that collide": (b"\x80\x04" + KEYS + b".", "a number of"),
    "a table copied again and again": (
        b"\x80\x04](" + named("collections", "OrderedDict") + b"q\x01" + PAIRS + b"R" + b"h\x01h\0R" * 900 + b"e.",
        "made of more than",
    ),
    "a storage named 700 times": (shared(1 << 18, 700), "more numbers than its bytes can hold"),
    "more tensors than any network": (shared(1, 5000), "more tensors"),
    "a storage of a million steps": (
        within(tensor(blob((b"\x80\x02](" + b"N" * 10**6 + b"e.") * 5), b"K\0", b"K\1\x85", b"K\1\x85")),
        "more than 100 instructions",
    ),
    "noise for an image of 2^10^10 px": (
        older(variables=b"](" + text("synthesis/noise48000000000") + array(b"(K\1K\1K\1K\1t") + b"\x86e"),
        "names of StyleGAN2",
    ),
    "a kernel of one axis": (
        older(variables=b"](" + text("synthesis/4x4/Conv/weight") + array(b"K\1\x85") + b"\x86e"), "damaged",
    ),
    "a clamp that is a text": (older(b"}" + text("conv_clamp") + text("x") + b"s"), "a clamp of no such number"),
    "a group of 2^40": (
        older(b"}" + text("mbstd_group_size") + b"\x8a\x08" + struct.pack("<q", 1 << 40) + b"s"), "a group of no such",
    ),
}  # fmt: skip


def one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The error of importing a file, which takes seconds and leaves nothing."""
    before = sorted(path.parent.iterdir())
    begun = time.process_time()
    code, out, err = call(capsys, "import", str(path), "--out", str(path.parent / "run"))
    assert code == 2 and not out and err.count("\n") == 1 and len(err) < 3000, err[:3000]
    assert all(letter.isprintable() for letter in err[:-1]) and "fault in ganloom" not in err, err
    assert time.process_time() - begun < 20 and sorted(path.parent.iterdir()) == before
    return err


@pytest.mark.parametrize("name", HEAVY)
def test_small_pickles_that_claim_much(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, said = HEAVY[name]
    (tmp_path / "heavy.pkl").write_bytes(data)
    err = one_line(tmp_path / "heavy.pkl", capsys)
    assert said in err, err


def zipped(path: Path, pickled: bytes, numbers: bytes = bytes(16), how: int = zipfile.ZIP_STORED) -> None:
    """A .pt by hand."""
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, part in (("data.pkl", pickled), ("version", b"3\n"), ("byteorder", b"little"), ("data/0", numbers)):
            archive.writestr(f"a/{name}", part)


def wanted(name: str) -> bytes:
    """GLOBAL."""
    return b"c" + "\n".join(name.rsplit(".", 1)).encode() + b"\n"


SN = "mimicry-sngan-32-G"
TABLES: dict[str, tuple[Callable[[], Any], str]] = {
    "blocks without end": (
        lambda: {"generator.layers.0.bn_0.running_means": torch.zeros(1), "generator.layers.999999999.x": torch.zeros(1)},
        "layers.999999999 in a file of 2 tensors",
    ),
    "StudioGAN's blocks without end": (
        lambda: {"blocks.0.0.conv2d1.weight": torch.zeros(1, 1, 1, 1), "linear0.weight": torch.zeros(1, 1),
                 "blocks.999999999.0.x": torch.zeros(1)}, "blocks.999999999",
    ),
    "CycleGAN's blocks without end": (
        lambda: {"model.1.weight": torch.zeros(1, 1, 7, 7), "model.10.conv_block.1.weight": torch.zeros(1, 1, 3, 3),
                 "model.999999999.conv_block.1.weight": torch.zeros(1, 1, 3, 3)}, "without its residual blocks",
    ),
    "no numbers": (lambda: state_of(SN) | {"l1.weight": torch.zeros(2**36, 0)}, "other numbers than its shape says"),
    "one number as many": (
        lambda: state_of(SN) | {"l1.weight": torch.zeros(1).expand(23000, 23000)}, "other numbers than its shape says",
    ),
    "no axes": (
        lambda: {"final_linear.1.weight": torch.zeros(()), "final_conv.0.weight": torch.zeros(())}, "not such a network",
    ),
    "NaN": (lambda: state_of(SN) | {"l1.weight": torch.full((4, 4), math.nan)}, "NaN or infinity"),
    "whole numbers": (lambda: {n: t.to(torch.int8) for n, t in state_of(SN).items()}, "which no weight is"),
    "complex numbers": (lambda: {n: t.to(torch.complex64) for n, t in state_of(SN).items()}, "which no weight is"),
    "nested": (
        lambda: state_of(SN) | {"n": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}, "_rebuild_nested_tensor",
    ),
    "a name of a terminal's": (lambda: {"\x1b[2J\x1b]0;x\x07": torch.zeros(2)}, "with an unusable name"),
    "keys of a terminal's": (lambda: {"\x1b[31mred\u202e": 1}, "no table of weights"),
    "a name of three million letters": (lambda: {"n" * 3_000_000: torch.zeros(2)}, "with an unusable name"),
    "a table within itself": (lambda: (d := {}, d.update(state_dict=d), d)[-1], "no table of weights"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch's, on what it is to save here
@pytest.mark.parametrize("name", TABLES)
def test_tables_that_no_network_has(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, said = TABLES[name]
    torch.save(make(), tmp_path / "g.pth")
    err = one_line(tmp_path / "g.pth", capsys)
    assert said in err, err


def test_files_of_torch_s_that_unfold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(pickled: bytes, said: str, **more: Any) -> None:
        zipped(tmp_path / "g.pth", pickled, **more)
        err = one_line(tmp_path / "g.pth", capsys)
        assert said in err, err

    start, many_bytes = b"\x80\x02}(" + text("x"), b"\x8a\x08" + struct.pack("<q", 2_200_000_000)
    refused(start + wanted("builtins.bytearray") + many_bytes + b"\x85Ru.", "builtins.bytearray")
    refused(start + wanted("torch.FloatTensor") + many_bytes + b"\x85Ru.", "torch.FloatTensor")
    refused(start + wanted("os.system") + text("touch x") + b"\x85Ru.", "os.system")
    refused(start + b"K\1u.", "compressed", numbers=bytes(1 << 20), how=zipfile.ZIP_DEFLATED)
    refused(b"\x80\x02" + wanted("collections.OrderedDict") + b")R}" + text("items") + b"K\1sb.", "no table of weights")
    tables = b"".join(b"q" + bytes([i]) + text("b") + b"h" + bytes([i]) + b"u" for i in range(40))
    refused(b"\x80\x02" + (b"}(" + text("a")) * 40 + b"}(" + text("x") + b"K\1u" + tables + b".", "no table of weights")
    refused(b"\x80\x02" + KEYS + b".", "a number of")
    table = wanted("collections.OrderedDict")
    refused(b"\x80\x02](" + table + b"q\x01" + PAIRS + b"R" + b"h\x01h\0R" * 900 + b"e.", "made of more than")
    refused(start + wanted("_codecs.encode") + text("x") + text("punycode") + b"\x86Ru.", "another code than latin1")


def test_files_that_two_programs_read_in_two_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is looked over is what torch then reads."""
    evil = b"\x80\x02}(" + text("x") + wanted("builtins.bytearray") + b"M\xe8\x03\x85Ru."
    path = tmp_path / "g.pth"

    def refused(data: bytes, said: str) -> None:
        path.write_bytes(data)
        err = one_line(path, capsys)
        assert said in err, err

    refused(evil[2:], "builtins.bytearray")  # without its protocol
    zipped(path, b"\x80\x02}.")
    good = path.read_bytes()
    refused(wanted("builtins.bytearray") + b"M\xe8\x03\x85R." + good, "builtins.bytearray")
    zipped(path, evil)
    bad = path.read_bytes()
    refused(bad.replace(b"data.pkl", b"data.PKL"), "builtins.bytearray")
    at = int.from_bytes(bad[-6:-2], "little")  # where bad's directory stands, which the end of both names
    refused(bad[:-22] + good[:-6] + at.to_bytes(4, "little") + b"\0\0", "two directories of its parts")
    refused(good + b"PK\x05\x06", "damaged")
    refused(good + b"more", "something behind its end")


def test_many_names_for_few_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = torch.zeros(512, 512)
    torch.save(state_of(SN) | {f"block{i}.c9.weight": one for i in range(100)}, tmp_path / "g.pth")
    assert "many names for the same numbers" in one_line(tmp_path / "g.pth", capsys)


def test_what_a_snapshot_says_of_itself_has_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts, g, d = described("ada-16-clamp")
    for name, value in (("clamp", "x"), ("clamp", math.nan), ("clamp", 10**24)):
        snapshot(tmp_path / "n.pkl", g, d, {**facts, name: value}, tmp_path / "canary")
        assert "clamp" in one_line(tmp_path / "n.pkl", capsys)
    g["mapping.fc0.weight"] = g["mapping.fc0.weight"] * math.inf
    snapshot(tmp_path / "n.pkl", g, d, facts, tmp_path / "canary")
    assert "mapping.fc0.weight holds NaN or infinity" in one_line(tmp_path / "n.pkl", capsys)


def test_a_network_is_compared_before_it_is_made(tmp_path: Path) -> None:
    _, g, _ = described("ada-16-clamp")
    g["mapping.fc0.weight"] = torch.zeros(
        1, 3_000_000
    )  # latents of three million numbers, into which the rest does not fit
    torch.save(g, tmp_path / "g.pt")
    with pytest.raises(BadInput, match=r"do not fit the recipe stylegan2 as read from the file: G\.mapping"):
        weights.read(tmp_path / "g.pt")


def test_weights_as_training_leaves_them_are_read(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Parameters that want gradients, in a file whose name is no text."""
    path = tmp_path / "n\udcff.pth" if sys.platform == "linux" else tmp_path / "n.pth"
    torch.save(
        {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in state_of(SN).items()}, tmp_path / "g.pth"
    )
    (tmp_path / "g.pth").rename(path)
    assert not any(p.requires_grad for p in weights.read(path).parameters()) and not recwarn.list


def test_files_that_a_gpu_wrote_are_read(tmp_path: Path) -> None:
    """Earlier torch named the storage of the device."""
    torch.save(state_of(SN), tmp_path / "cpu.pth")
    with zipfile.ZipFile(tmp_path / "cpu.pth") as old, zipfile.ZipFile(tmp_path / "gpu.pth", "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename.endswith("data.pkl"):
                data = data.replace(b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n")
                assert b"torch.cuda" in data
            new.writestr(part.filename, data)
    here, there = (weights.read(tmp_path / f"{name}.pth").state_dict() for name in ("cpu", "gpu"))
    assert all(torch.equal(here[name], there[name]) for name in here)
