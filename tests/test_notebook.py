"""What Python users hold: seeds, samples and runs that a notebook shows, functions as callbacks, progress in notebooks."""

import copy
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from test_train import IMAGES, LABELS, QUICK, SMALL

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.imaging.samples import Samples
from ganloom.report.notebook import run_html
from ganloom.training.callbacks import Callback, Console, Tick


def train(out: Path, **options: Any) -> ganloom.Run:
    options = {"total_kimg": 0.2, "doctor": False, "console": Callback()} | QUICK | SMALL["default"] | options
    return ganloom.train("default", IMAGES, out, labels=LABELS, **options)


# ------------------------------------------------------------------------------------------------------------ seeds


@pytest.mark.parametrize("recipe", ["default", "stylegan2", "biggan", "ddpm", "infogan"])
def test_each_sample_has_its_own_seed(recipe: str) -> None:
    gan = testing.build(recipe).eval()
    options: dict[str, Any] = {"noise": "random"} if gan.sample_options.noise else {}
    x = gan.generate(seeds=[3, 7, 11], **options)
    assert torch.equal(x, torch.cat([gan.generate(1, seed=seed, **options) for seed in (3, 7, 11)]))
    if gan.c(1) is not None:
        x = gan.generate(3, seeds=(3, 3, 5), c=[0, 2, 1], **options)
        assert torch.equal(x[1:2], gan.generate(1, seed=3, c=2, **options))
    assert torch.equal(gan.generate(2, **options), gan.generate(2, seed=0, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": [1], "seed": 0}, "seeds and seed both say"),
        ({"seeds": [1], "z": torch.zeros(1, 6)}, "seeds and z both say"),
        ({"seeds": [1, 2], "n": 3}, "2 entries for 3 samples"),
        ({"seeds": []}, "at least one seed"),
        ({"z": torch.zeros(1, 6), "c": [0, 1]}, "2 entries for 1 samples"),
        ({"seeds": 5}, "whole numbers"),
        ({"seeds": [0.5]}, "whole numbers"),
        ({"seeds": [1, 2], "c": [0, 1, 2]}, "3 entries for 2 samples"),
    ],
)
def test_seeds_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        testing.build("default").generate(**options)


# ---------------------------------------------------------------------------------------------------------- samples


def test_samples_are_a_plain_tensor_that_shows_itself(tmp_path: Path) -> None:
    gan = testing.build("default").eval()
    x = gan.generate(3, seed=1)
    assert isinstance(x, Samples) and isinstance(x, torch.Tensor)
    plain = x.clone()
    assert type(plain) is torch.Tensor and torch.equal(plain, x) and x.equal(plain)
    results = (
        x + 1,
        x[0],
        x[:2],
        x.mean(),
        torch.cat([x, x]),
        x.cpu().float().mul(2),
        x.detach(),
        torch.stack([x]),
        x.to(torch.float64),
    )
    assert all(type(result) in (torch.Tensor, Samples) for result in results) and type(x[:2]) is torch.Tensor
    assert x.numpy().shape == (3, 1, 16, 16) and np.array_equal(np.asarray(x), plain.numpy())
    assert x.tolist() == plain.tolist() and repr(x) == repr(plain) and str(x[0]) == str(plain[0])
    assert torch.equal(torch.func.vmap(lambda one: one * 2)(x), plain * 2)
    assert torch.equal(torch.compile(lambda t: t * 2, backend="eager")(x), plain * 2)
    assert [n for n, _ in torch.nn.ParameterList([torch.nn.Parameter(x)]).named_parameters()] == ["0"]
    for copied in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert torch.equal(copied, plain) and isinstance(copied, torch.Tensor)
    assert type(pickle.loads(pickle.dumps(x))) is torch.Tensor
    file = io.BytesIO()
    torch.save({"x": x}, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True)["x"], plain), "no class of ganloom is in the file"
    safetensors.torch.save_file({"x": x}, tmp_path / "x.safetensors")
    assert torch.equal(safetensors.torch.load_file(tmp_path / "x.safetensors")["x"], plain)
    layer = torch.nn.Conv2d(1, 2, 3)
    y = layer(x)
    y.sum().backward()
    assert type(y) is torch.Tensor and layer.weight.grad is not None
    leaf = gan.generate(2).requires_grad_(True)
    (leaf * 2).sum().backward()
    assert leaf.grad is not None and bool((leaf.grad == 2).all())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=2)
    assert torch.equal(torch.cat([batch[0] for batch in loader]), plain)


def shown(x: torch.Tensor) -> str:
    text = Samples.of(x)._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_how_a_notebook_shows_a_tensor() -> None:
    for channels in (1, 2, 3, 4):
        page = shown(torch.rand(3, channels, 8, 8) * 2 - 1)
        assert 'src="data:image/png;base64,' in page and f"3 samples (3 x {channels} x 8 x 8)" in page
    assert "the first 64 are shown" in shown(torch.zeros(100, 1, 4, 4))
    assert "50 points (50 x 2)" in shown(torch.randn(50, 2))
    assert "<img" in shown(torch.full((2, 1, 4, 4), float("nan")))
    for other in (torch.zeros(3), torch.zeros(2, 5, 4, 4), torch.zeros(0, 1, 4, 4), torch.zeros(()), torch.zeros(2, 3)):
        page = shown(other)
        assert page.startswith("<pre>") and "<img" not in page
    assert "<script" not in shown(torch.zeros(1, 1, 4, 4))


def test_translations_show_themselves_too() -> None:
    gan = testing.build("pix2pix", (3, 32, 32)).eval()
    assert isinstance(gan.translate(torch.zeros(1, 3, 32, 32)), Samples)  # type: ignore[operator]


def test_how_a_notebook_shows_a_run(tmp_path: Path) -> None:
    run = train(tmp_path / "a<b>&c", judge=0)
    page = run._repr_html_()
    assert 'src="data:image/png;base64,' in page and "<b>default</b> on" in page and "finished" in page
    assert "a&lt;b&gt;&amp;c" in page and "<b>&c" not in page and "<script" not in page
    assert re.search(r"kimg</th><td[^>]*>0\.\d+ of 0\.2</td>", page) and "training time" in page
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"default"', '"<img src=x onerror=alert(1)>"'))
    assert "<img src=x" not in run_html(run.path) and "&lt;img src=x" in run_html(run.path)
    config.write_text("{")
    assert "<table>" in run_html(run.path)
    assert "No samples yet." in run_html(tmp_path / "nothing")


# -------------------------------------------------------------------------------------------------------- callbacks


def test_a_function_is_called_at_each_tick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ticks: list[Tick] = []
    run = train(tmp_path / "a", callbacks=[ticks.append, Callback()])
    assert [tick.metrics["kimg"] for tick in ticks] == [row["kimg"] for row in run.metrics] and len(ticks) > 1
    last = ticks[-1]
    assert last.kimg == run.metrics[-1]["kimg"] and last.total_kimg == pytest.approx(0.2) and last.run == run.path
    assert "G/adv" in last.metrics and torch.equal(last.model.generate(2, seed=3), run.load().generate(2, seed=3))
    last.metrics.clear()

    def fails(tick: Tick) -> None:
        raise RuntimeError("no network")

    train(tmp_path / "b", callbacks=fails)
    assert "fails switched off: RuntimeError: no network" in capsys.readouterr().err, "the training goes on"
    more: list[Tick] = []
    ganloom.resume(run, total_kimg=0.3, callbacks=[more.append], console=Callback())
    assert more and more[-1].kimg > last.kimg
    with pytest.warns(DeprecationWarning, match="observers"):
        train(tmp_path / "c", observers=[more.append])


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([Callback], r"Callback is a class; give an instance, Callback\(\)"),
        (["log"], "str is neither"),
        (5, "int is neither"),
    ],
)
def test_what_is_no_callback(callbacks: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        train(tmp_path / "a", callbacks=callbacks)
    assert not (tmp_path / "a").exists()


class Cell(io.StringIO):
    """The stream of a notebook's cell: no terminal, no file."""

    encoding = "UTF-8"

    def isatty(self) -> bool:
        return False


def test_progress_shows_in_a_notebook(tmp_path: Path) -> None:
    cell = Cell()
    train(tmp_path / "a", console=Console(stream=cell))
    lines = cell.getvalue().splitlines()
    assert lines[0].startswith("default (") and sum(line.startswith("kimg 0.") for line in lines) > 1
    assert "\x1b" not in cell.getvalue() and "\r" not in cell.getvalue()
