"""The page: what is in its folder, where its runtime comes from, and in a real browser the same images as torch's.

The browser is Chromium, driven by playwright; where one of them, or onnxruntime-web's files, is missing, those tests are left
out. GANLOOM_ORT_WEB names a folder with the files, GANLOOM_CHROMIUM the browser.
"""

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput, GanloomError
from ganloom.export import npm_files, onnx, web
from ganloom.gan import GAN

with onnx._quiet():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

ORT = os.environ.get("GANLOOM_ORT_WEB")
CHROMIUM = os.environ.get("GANLOOM_CHROMIUM") or shutil.which("chromium")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the runtime's files, empty but for their names."""
    folder = tmp_path / "ort" / "node_modules" / web.RUNTIME / "dist"
    folder.mkdir(parents=True)
    for name in web.FILES:
        (folder / name).write_text(f"// {name}")
    return tmp_path / "ort"


def read(path: Path, name: str) -> Any:
    """The value of a constant in a script of the page."""
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"const {name} = "))
    return json.loads(line.removeprefix(f"const {name} = ").removesuffix(";"))


def test_the_folder_is_whole_and_holds_the_seeds_of_torch(files: Path, tmp_path: Path) -> None:
    gan = testing.build("infogan", (1, 28, 28))
    made = web.to_web(gan, tmp_path / "page", title="t", runtime=files)
    names = {str(p.relative_to(made.folder)) for p in made.folder.rglob("*") if p.is_file()}
    assert names == {
        "index.html",
        "generate.js",
        "settings.js",
        "model.js",
        "ort/ort.wasm.min.js",
        "ort/parts.js",
        "ort/LICENSE",
    }
    assert made.bytes == sum((made.folder / name).stat().st_size for name in names)
    page = (made.folder / "index.html").read_text()
    assert all(f'src="{name}"' in page for name in names if name.endswith(".js")) and "http" not in page
    found = read(made.folder / "settings.js", "SETTINGS")
    latents = np.frombuffer(base64.b64decode(found["latents"]), "<f4").reshape(web.SEEDS, -1)
    assert found["z"] + found["code"] == latents.shape[1] and found["categories"] == list(gan.cfg.categories)
    torch.testing.assert_close(gan.generate(z=torch.tensor(latents[7:9])), gan.generate(2, seed=7))
    assert base64.b64decode(read(made.folder / "ort/parts.js", "ORT_BINARY")) == b"// ort-wasm-simd-threaded.wasm"
    with pytest.raises(BadInput, match="not an empty folder"):
        web.to_web(gan, tmp_path / "page", runtime=files)


def test_where_the_runtime_comes_from(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BadInput, match="holds no onnxruntime-web"):
        web.runtime_files(tmp_path)
    monkeypatch.setattr(npm_files.shutil, "which", lambda name: None)
    with pytest.raises(BadInput, match="there is no npm"):
        web.runtime_files()
    made = web.runtime_files(files)
    monkeypatch.setattr(npm_files, "download", lambda package: made)
    with pytest.raises(GanloomError, match=r"ort\.wasm\.min\.js .* SHA-256 differs"):
        web.runtime_files()
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(web, "FILES", {name: hashlib.sha256(data).hexdigest() for name, data in made.items()})
    assert web.runtime_files() == made
    monkeypatch.setattr(npm_files, "download", lambda package: pytest.fail("asked again"))
    assert web.runtime_files() == made, "the second time from the cache"


def test_what_no_page_can_draw(tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="use --format onnx"):
        web.to_web(testing.build("pix2pix"), tmp_path / "page", runtime=files)
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    run = ganloom.train("gan", images, tmp_path / "run", total_kimg=0.1, judge=0, g_widths=(16,), d_widths=(16,))

    def call(*argv: str) -> tuple[int, str, str]:
        return commands.call(capsys, "export", run.path, *argv)

    code, out, _ = call("--format", "web", "--runtime", str(files))
    assert not code and "index.html in a browser" in out and (run.path / "web" / "index.html").exists()
    assert "http.server" in out and "largest difference from torch" in out
    assert call("--format", "web", "--runtime", str(files))[0] == 2
    code, _, err = call("--runtime", str(files))
    assert code == 2 and "--runtime needs --format web" in err


# -------------------------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Any:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def runtime() -> str | None:
    if ORT is None and shutil.which("npm") is None:
        pytest.skip("no onnxruntime-web here: GANLOOM_ORT_WEB names a folder with its files")
    return ORT


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dcgan", "stylegan2", "infogan", "biggan"])
def test_the_browser_draws_what_torch_draws(recipe: str, browser: Any, tmp_path: Path) -> None:
    gan: GAN = testing.build(recipe, (3, 32, 32)).eval()
    web.to_web(gan, tmp_path / "page", classes=["a", "b", "c"], runtime=runtime())
    labelled = bool(getattr(gan.cfg, "n_classes", 0))
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.set_default_timeout(240_000)
    page.goto((tmp_path / "page" / "index.html").as_uri())
    page.wait_for_function("/images in|error/.test(document.getElementById('status').textContent)")
    assert "images in" in page.inner_text("#status"), page.inner_text("#status")
    for n, seed, psi, c in ((5, 0, 1.0, None), (3, 40, 0.5, 1 if labelled else None)):
        drawn = page.evaluate(
            "async ([n, seed, psi, c]) => { const x = await generate(n, seed, psi, c); return [Array.from(x.data), x.dims]; }",
            [n, seed, psi, c],
        )
        expected = gan.generate(n, seed, truncation=psi, c=c).numpy()
        assert tuple(drawn[1]) == expected.shape
        np.testing.assert_allclose(np.array(drawn[0], np.float32).reshape(expected.shape), expected, atol=1e-4)
    pixels = page.evaluate(
        "() => Array.from(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 32, 32).data)"
    )
    shown = np.array(pixels).reshape(32, 32, 4)[:, :, :3]
    from ganloom.imaging import grid

    assert np.abs(shown - grid.to_uint8(gan.generate(1, 0))[0].astype(int)).max() <= 1
    page.click("#draw")
    page.wait_for_function("document.querySelector('canvas').title.startsWith('seed 16')")
    page.click("#walk")
    page.wait_for_function("document.querySelectorAll('canvas').length === 1")
    page.click("#walk")
    assert not faults and all(url.startswith(("file:", "blob:", "data:")) for url in asked), (faults, asked)
    context.close()
