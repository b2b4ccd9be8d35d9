"""StyleGAN2's published layouts: their own code's figures, and thirty pickles that would run something.

``figures/style.npz`` was computed once by the projects' code (stylegan2-ada-pytorch d72cc7d with its reference operations,
rosinality/stylegan2-pytorch bef283a; torch 2.13, CPU, float32): narrow networks with the weights of ``made_style.made`` for
their own names and shapes. Each case has names and shapes, what the modules say of themselves, up to 400 numbers of G's
pictures at several truncations with constant noise, and D's logits.
"""

import argparse
import io
import json
import pickle
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from made_style import made, snapshot, tensorflow_snapshot
from made_weights import inputs

import ganloom
from ganloom import weights
from ganloom.errors import BadInput
from ganloom.weights import pickled

FIGURES = np.load(Path(__file__).parent / "figures" / "style.npz")
CASES = sorted({name.split("/")[0] for name in FIGURES.files})


def described(case: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(facts, G's weights, D's weights) of a case."""
    found = json.loads(FIGURES[f"{case}/facts"].tobytes())
    g, d = (made({name: tuple(shape) for name, shape in found[net].items()}) for net in "GD")
    return found["facts"], g, d


def written(case: str, folder: Path) -> Path:
    """A case's file, as its project writes it."""
    facts, g, d = described(case)
    if not case.startswith("rosinality"):
        return snapshot(folder / "network.pkl", g, d, facts, folder / "canary")
    mean = made({"w_avg": (32,)})["w_avg"]
    args = argparse.Namespace(size=32, latent=32)
    torch.save({"g": g, "d": d, "g_ema": g, "latent_avg": mean, "args": args, "ada_aug_p": 0.1}, folder / "ros.pt")
    return folder / "ros.pt"


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_reference_code(case: str, tmp_path: Path) -> None:
    gan = weights.read(written(case, tmp_path))
    cfg = gan.cfg
    n = 4 if case == "ada-256" else 8
    z, c = inputs(n, cfg.z_dim), torch.arange(n) % cfg.n_classes if cfg.n_classes else None
    seen = 0
    for name in FIGURES.files:
        if name.startswith(f"{case}/G "):
            psi, cutoff = name.split(" ")[1:]
            ws = gan.mapping(z, c, float(psi), None if cutoff == "None" else int(cutoff))
            flat = gan.synthesis(ws).flatten()
            ours = flat[:: max(len(flat) // 400, 1)][:400].numpy()
            np.testing.assert_allclose(ours, FIGURES[name], atol=1e-4, rtol=0)
            seen += 1
    assert seen == (2 if case.startswith("ros") else 3)
    logits = gan.D(inputs(n, *cfg.shape).tanh(), c)
    np.testing.assert_allclose(logits.numpy(), FIGURES[f"{case}/D"], atol=1e-3, rtol=0)
    assert float(np.std(FIGURES[f"{case}/D"])) > 1e-3 * (case != "ada-256")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("ada") and case != "ada-32-cifar"])
def test_the_same_networks_of_tensorflow_s_time(case: str, tmp_path: Path) -> None:
    """Their variables, renamed and turned, are those of the PyTorch version."""
    facts, g, d = described(case)
    old = weights.read(tensorflow_snapshot(tmp_path / "tf.pkl", g, d, facts))
    new = weights.read(written(case, tmp_path))
    assert old.cfg == new.cfg
    for name, value in new.state_dict().items():
        torch.testing.assert_close(old.state_dict()[name], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize("protocol", [3, 5])
def test_other_protocols(protocol: int, tmp_path: Path) -> None:
    facts, g, d = described("ada-16-clamp")
    read = weights.read(snapshot(tmp_path / "n.pkl", g, d, facts, tmp_path / "canary", protocol)).state_dict()
    for name, value in weights.read(written("ada-16-clamp", tmp_path)).state_dict().items():
        assert torch.equal(value, read[name])


def test_what_a_pickle_says_beside_its_tensors(tmp_path: Path) -> None:
    cfg = weights.read(written("ada-32-cifar", tmp_path)).cfg
    assert (cfg.residual, cfg.group, cfg.clamp, cfg.n_classes, cfg.layers, cfg.shape) == (
        False,
        32,
        256,
        4,
        2,
        (1, 32, 32),
    )
    cfg = weights.read(written("ada-16-clamp", tmp_path)).cfg
    assert (cfg.residual, cfg.group, cfg.clamp, cfg.base, cfg.width) == (True, 0, 1.5, 256, 32)
    cfg = weights.read(written("ada-256", tmp_path)).cfg
    assert (cfg.z_dim, cfg.w_dim, cfg.base, cfg.width, cfg.d_base) == (32, 16, 1024, 16, 1024)


def test_imported_it_samples_and_is_fine_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    code, said, _ = call(capsys, "import", str(written("ada-32-labels", tmp_path)), "--out", str(out))
    assert not code and "stylegan2 of 3x32x32, 3 classes: G and D read" in said
    gan = ganloom.load(out)
    a, b = gan.generate(2, c=1, truncation=0.5), gan.generate(2, c=1, truncation=0.5, noise="none")
    assert a.shape == (2, 3, 32, 32) and not torch.equal(a, b)
    code, said, _ = call(capsys, "sample", str(out), "--n", "4", "--c", "2", "--truncation", "0.7", "--json")
    assert not code and json.loads(said)["files"] == 4


def test_a_state_dict_alone(tmp_path: Path) -> None:
    facts, g, d = described("ada-32-labels")
    torch.save(g, tmp_path / "g.pt")
    torch.save({"state_dict": d}, tmp_path / "d.pt")
    gan = weights.read(tmp_path / "g.pt", tmp_path / "d.pt")
    whole = weights.read(written("ada-32-labels", tmp_path))
    z, c = inputs(2, 64), torch.tensor([0, 2])
    assert torch.equal(gan.G(z, c), whole.G(z, c)) and gan.cfg.clamp is None
    x = inputs(2, 3, 32, 32)
    assert torch.equal(gan.D(x, c), whole.D(x, c))


def test_rosinality_without_a_mean_takes_one(tmp_path: Path) -> None:
    _, g, _ = described("rosinality-32")
    torch.save({"g_ema": g}, tmp_path / "g.pt")
    gan = weights.read(tmp_path / "g.pt")
    many = gan.G.mapping(torch.randn(4096, 32)).mean(0)
    assert float((gan.G.mapping.w_mean - many).abs().max()) < 0.1 < float(many.abs().max())


def test_networks_that_ours_cannot_equal_are_refused_in_one_line(tmp_path: Path) -> None:
    facts, g, d = described("ada-32-labels")

    def refused(change: Callable[[], None], said: str) -> None:
        nonlocal facts, g, d
        facts, g, d = described("ada-32-labels")
        change()
        with pytest.raises(BadInput, match=said) as error:
            weights.read(snapshot(tmp_path / "n.pkl", g, d, facts, tmp_path / "canary"))
        assert "\n" not in str(error.value)

    refused(lambda: g.update({"synthesis.b8.skip.weight": torch.zeros(3, 3, 1, 1)}), "parts that ganloom's has not")
    refused(lambda: g.update({"synthesis.b8.conv1.resample_filter": torch.ones(4, 4) / 16}), "another filter")
    refused(lambda: g.pop("synthesis.b16.torgb.bias"), "conversion|has no synthesis.b16.torgb.bias|do not fit")
    refused(lambda: [g.pop(n) for n in list(g) if n.startswith("synthesis.b8.")], "not 4 and its doublings")
    refused(lambda: g.update({"synthesis.b8.conv1.weight": torch.zeros(5, 24, 3, 3)}), "channels")
    refused(lambda: d.update({n: t[:, :1] for n, t in d.items() if n == "b32.fromrgb.weight"}), "two models: shape")
    (tmp_path / "empty.pkl").write_bytes(pickle.dumps({"G": None}))
    with pytest.raises(BadInput, match="without a network G_ema"):
        weights.read(tmp_path / "empty.pkl")


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


def many(depth: int = 10) -> bytes:
    """Modules with twenty children each, all of them one, ten deep: 20^10 of them."""

    def module(depth: int) -> bytes:
        children = b""
        if depth:
            again = b"".join(text(f"m{i}") + b"h" + bytes([depth]) for i in range(1, 20))
            children = b"(" + text("m0") + module(depth - 1) + b"q" + bytes([depth]) + again + b"u"
        state = b"}(" + text("_modules") + b"}" + children + b"u"
        return (
            named("torch_utils.persistence", "_reconstruct_persistent_obj") + b"}(" + text("state") + state + b"u\x85R"
        )

    return b"\x80\x04}" + text("G_ema") + module(depth) + b"s."


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
        "a call of what is no name",
    ),
    "in a parameter": (within(call_of("os", "system", text(TOUCH))), "os.system"),
    "an allowed name in a parameter": (within(call_of("numpy", "dtype", text("O"))), "where a tensor is due"),
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
    "a huge array of bytes": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "damaged"),
    "a text longer than the file": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.", "damaged"),
    "a module within itself": (cycle(), "without an end"),
    "modules without number": (many(), "without an end"),
    "a state for a table of texts": (b"\x80\x04]}b.", "a state for a list"),
    "a key that is an object": (b"\x80\x04}" + call_of("numpy", "dtype", text("f4")) + b"Ns.", "key that is a Made"),
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


def test_the_interpreter_agrees_with_python_on_plain_values(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "x" * 300, b"y" * 300], "b": (1, (2,), (3, 4), (5, 6, 7), tuple(range(9))), "c": {},
             "d": [-1, 1 << 20, 1 << 70], 7: "seven"}  # fmt: skip
    value["again"] = value["a"]
    for protocol in (3, 4, 5):
        (tmp_path / "v.pkl").write_bytes(pickle.dumps(value, protocol))
        assert pickled.open_pickle(tmp_path / "v.pkl") == value
    assert pickled.is_pickle(tmp_path / "v.pkl")
    torch.save({"a": torch.zeros(2)}, tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    assert not pickled.is_pickle(tmp_path / "t.pt")
