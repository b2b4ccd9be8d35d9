"""Walks, mixtures, projections and directions: against their definitions, on small models, and by the commands."""

import io
import json
import math
import shutil
import subprocess
import types
from pathlib import Path

import commands
import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import ganloom
from ganloom import testing
from ganloom.apps import directions, latent, projection
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.training.callbacks import Callback


def build(recipe: str = "stylegan2", **more: object) -> GAN:
    fields = {"n_classes": 0, "z_dim": 12} | more
    gan = testing.build(recipe, (1, 32, 32), **fields).eval().requires_grad_(False)
    with torch.no_grad():
        for layer in gan.G.modules():
            if hasattr(layer, "strength"):
                layer.strength.fill_(0.05)
    return gan


def test_slerp_keeps_to_the_circle() -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    for t in (0.0, 0.25, 0.5, 1.0):
        expected = 3 * torch.tensor([[math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)]])
        torch.testing.assert_close(latent.slerp(a, b, t), expected)
    torch.testing.assert_close(latent.slerp(a, 2 * a, 0.5), 1.5 * a)


@pytest.mark.parametrize("recipe", ["stylegan2", "stylegan", "dcgan"])
def test_a_walk_passes_the_seeds_images(recipe: str) -> None:
    gan = build(recipe)
    x = latent.walked(gan, (3, 7, 9), 12)
    for i, seed in enumerate((3, 7, 9)):
        torch.testing.assert_close(x[4 * i], gan.generate(1, seed)[0], atol=1e-5, rtol=1e-4)
    steps = (x - x.roll(-1, 0)).flatten(1).norm(dim=1)
    far = (x[0] - x[4]).norm()
    assert float(steps.max()) < float(far), "a step is as long as the way"


def test_a_walk_in_w_is_straight_and_truncated() -> None:
    gan = build()
    with torch.no_grad():
        gan.G.mapping.w_mean.normal_()
    x = latent.walked(gan, (0, 1), 4, truncation=0.5)
    ws = latent.styles(gan, (0, 1), truncation=0.5)
    torch.testing.assert_close(x[1], latent.drawn(gan, ws.mean(0, keepdim=True))[0])
    torch.testing.assert_close(x[0], gan.generate(1, 0, truncation=0.5)[0], atol=1e-5, rtol=1e-4)


def test_mixing_takes_the_layers_it_says() -> None:
    gan = build()
    x = latent.mixed(gan, (0, 1), (5, 6, 7), "0-2")
    assert x.shape == (12, 1, 32, 32) and (x[0] == -1).all()
    ws = latent.styles(gan, (0, 1, 5, 6, 7))
    both = ws[1:2].clone()
    both[:, :3] = ws[3:4, :3]
    torch.testing.assert_close(x[4 * 2 + 2], latent.drawn(gan, both)[0])
    torch.testing.assert_close(latent.mixed(gan, (0,), (5,), "all")[3], latent.drawn(gan, ws[2:3])[0])
    for text, said in (
        ("9", "has the layers 0 to 7"),
        ("a", "must be like"),
        ("3-", "must be like"),
        ("", "must be like"),
    ):
        with pytest.raises(BadInput, match=said):
            latent.mixed(gan, (0,), (5,), text)


def test_sefa_finds_what_the_weights_amplify() -> None:
    """Affine maps that look along two axes alone, the first oftener: SeFa returns these axes, in this order."""
    gan = build()
    for found in gan.G.affines():
        for affine in found:
            with torch.no_grad():
                affine.weight.zero_()
                affine.weight[0, 4] = -2.0
                affine.weight[1:, 2] = torch.arange(1.0, len(affine.weight))
    made = directions.find(gan, "sefa", 2)
    expected = torch.zeros(2, 12)
    expected[0, 2] = expected[1, 4] = 1.0
    torch.testing.assert_close(made.vectors, expected)
    assert len(gan.G.affines()) == gan.G.synthesis.n_layers and made.layers == tuple(range(8))


@pytest.mark.parametrize("recipe", ["stylegan2", "stylegan"])
def test_pca_is_that_of_w(recipe: str) -> None:
    gan = build(recipe)
    w = directions.many_w(gan)
    made = directions.find(gan, "pca", 4, "1-3")
    away = w - w.mean(0)
    _, values, vectors = torch.linalg.svd(away, full_matrices=False)
    torch.testing.assert_close(made.deviations, values[:4] / math.sqrt(len(w) - 1), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close((made.vectors @ vectors[:4].T).abs(), torch.eye(4), atol=2e-2, rtol=0)
    ws = latent.styles(gan, (0,))
    moved = made.edit(ws, 1, 2.0)
    torch.testing.assert_close(moved[:, 1:4], ws[:, 1:4] + 2 * made.deviations[1] * made.vectors[1])
    assert torch.equal(moved[:, 4:], ws[:, 4:]) and torch.equal(moved[:, :1], ws[:, :1])
    with pytest.raises(BadInput, match="direction 4"):
        made.edit(ws, 4, 1.0)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_projection_finds_own_samples(space: str) -> None:
    gan = build()
    target = gan.generate(2, seed=40)
    told = []
    made = projection.project(gan, target, space=space, steps=150, progress=lambda *said: told.append(said))
    assert made.psnr > 25 and made.ws.shape == (2, 8, 12) and len(told) == 150 and told[-1][2] < told[10][2]
    torch.testing.assert_close(latent.drawn(gan, made.ws), made.x)
    same = (made.ws == made.ws[:, :1]).all()
    assert bool(same) == (space == "w")
    again = projection.project(gan, target, space=space, steps=20)
    assert torch.equal(again.ws, projection.project(gan, target, space=space, steps=20).ws)


def test_features_count_beside_the_pixels() -> None:
    from ganloom.metrics.extractors import by_name

    gan, net = build(), by_name.get("fashion")
    target = gan.generate(1, seed=40)
    x = target.clone().requires_grad_(True)
    torch.testing.assert_close(projection.perceived(net, target), net(target))
    projection.perceived(net, x).sum().backward()
    assert float(x.grad.abs().sum()) > 0
    made = projection.project(gan, target, steps=40, net=net)
    assert made.psnr > 15


# ------------------------------------------------------------------------------------------------------- the commands


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on labelled images."""
    folder = tmp_path_factory.mktemp("latent")
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(60) % 3)
    made = ganloom.train("stylegan2", folder / "data.npz", folder / "run", total_kimg=0.1, width=8, z_dim=8, batch_size=8,
                         judge=0)  # fmt: skip
    return made.path


def call(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    return commands.call(capsys, "latent", *argv)


def opened(path: Path) -> Image.Image:
    """An image or animation, its file closed."""
    return Image.open(io.BytesIO(path.read_bytes()))


def test_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "walk", run, "--frames", 6, "--seeds", 1, 2, "--c", 2, "--out", tmp_path / "w.webp")
    assert not code and "6 frames" in out and opened(tmp_path / "w.webp").n_frames == 6
    code, out, _ = call(capsys, "walk", run, "--frames", 6, "--space", "z", "--json")
    assert not code and json.loads(out) == {"out": str(run / "walk.gif"), "frames": 6}
    gif = opened(run / "walk.gif")
    assert gif.n_frames == 6 and gif.info["duration"] == 50 and gif.info["loop"] == 0 and gif.width >= 512
    code, out, _ = call(capsys, "mix", run, "--rows", 0, "--columns", 4, 5, "--layers", "0,2")
    assert not code and "next: ganloom latent directions" in out and opened(run / "mix.png").mode == "RGB"
    for method in ("sefa", "pca"):
        code, out, _ = call(capsys, "directions", run, "--method", method, "--n", 2, "--steps", 3, "--json")
        vectors = safetensors.torch.load_file(run / f"{method}.safetensors")
        said = json.loads(out)
        assert not code and len(said["deviations"]) == 2 and vectors["vectors"].shape == (2, 8)
        assert 0 < said["seconds"] < 1
    code, out, _ = call(capsys, "directions", run, "--n", 2, "--steps", 3, "--out", tmp_path / "d.png")
    assert not code and out.startswith("2 directions in w by sefa in 0.") and (tmp_path / "d.png").exists()
    (tmp_path / "d.png").unlink()
    code, _, err = call(capsys, "directions", run, "--n", 2, "--steps", 3, "--out", tmp_path / "d.png")
    assert code == 2 and "d.safetensors" in err and not (tmp_path / "d.png").exists(), "vectors are not written over"
    image = tmp_path / "photo.png"
    grid.save_png(grid.to_uint8(torch.rand(1, 3, 20, 24) * 2 - 1)[0], image)
    code, out, err = call(capsys, "project", run, image, "--steps", 20)
    assert not code and "PSNR" in out and err.count("step") == 10
    assert {p.name for p in (run / "projected" / "photo").iterdir()} == {
        "target.png", "projected.png", "both.png", "ws.safetensors",
    }  # fmt: skip


def test_noise_and_cutoff_of_sample(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def sample(*argv: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["sample", str(run), "--n", "2", "--json", *map(str, argv)])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out or said.err

    gan = ganloom.load(run)
    for argv, options in (
        ((), {}),
        (("--truncation", 0.5, "--cutoff", 2), {"truncation": 0.5, "cutoff": 2}),
        (("--noise-mode", "none"), {"noise": "none"}),
        (("--noise-mode", "random"), {"noise": "random"}),
    ):
        code, out = sample(*argv)
        assert not code, out
        folder = Path(json.loads(out)["out"])
        shown = np.asarray(opened(folder / "seed000000.png"))
        assert np.array_equal(shown, grid.to_uint8(gan.generate(2, 0, **options))[0]), argv
    assert {p.name for p in (run / "generated").iterdir()} >= {
        f"{base(gan)}-truncation0.5-cutoff2",
        f"{base(gan)}-noise-none",
    }
    code, err = sample("--cutoff", 99)
    assert code == 2 and "cutoff (a number of layers) must be in 0.." in err
    plain = ganloom.train("gan", np.zeros((40, 16, 16, 1), np.uint8), tmp_path / "gan", total_kimg=0.1, judge=0,
                          g_widths=(16,), d_widths=(16,))  # fmt: skip
    for flag, value in (("--cutoff", "1"), ("--noise-mode", "none")):
        with pytest.raises(SystemExit) as left:
            main(["sample", str(plain.path), flag, value])
        assert left.value.code == 2 and f"{flag}: this run's recipe does not have" in capsys.readouterr().err


def base(gan: GAN) -> str:
    return f"kimg{gan.kimg:g}-seed0-n2"


def test_mp4_by_ffmpeg(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "w.mp4"
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        code, _, err = call(capsys, "walk", run, "--frames", 6, "--out", out)
    assert code == 2 and "ffmpeg, which is not on the PATH" in err and err.count("\n") == 1
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here")
    code, text, _ = call(capsys, "walk", run, "--frames", 6, "--seeds", 1, 2, "--fps", 10, "--out", out)
    assert not code and "6 frames" in text and [p.name for p in tmp_path.iterdir()] == ["w.mp4"]
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(out), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    frames = [grid.grid(x[None]).convert("RGB") for x in latent.walked(ganloom.load(run), (1, 2), 6)]
    width, height = frames[0].size
    shown = np.frombuffer(raw, np.uint8).reshape(6, height + height % 2, width + width % 2, 3)[:, :height, :width]
    for frame, seen in zip(frames, shown, strict=True):  # colour is halved in resolution, and the rest coded with loss
        grey = [np.asarray(Image.fromarray(np.asarray(x)).convert("L"), float) for x in (frame, seen)]
        assert np.abs(grey[0] - grey[1]).mean() < 4


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("walk", "RUN", "--out", "x.avi"), "must end in .gif or .webp or .mp4"),
        (("walk", "RUN", "--seeds", "1"), "at least two"),
        (("walk", "RUN", "--frames", "2"), "fewer than"),
        (("walk", "RUN", "--fps", "0"), "--fps"),
        (("walk", "RUN", "--c", "7"), "0..2"),
        (("mix", "RUN", "--layers", "99"), "has the layers"),
        (("directions", "RUN", "--n", "99"), "--n must be in"),
        (("directions", "RUN", "--steps", "1"), "--steps"),
        (("project", "RUN", "nowhere.png"), "there is no file nowhere.png"),
        (("project", "RUN", "bad.png"), "cannot be read as an image"),
        (("dance", "RUN"), 'unknown command "latent dance"'),
        (("walk", "nowhere"), "no run at"),
    ],
)
def test_faults_are_one_line(
    argv: tuple[str, ...], said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"no image")
    extra = (
        ()
        if "--out" in argv or argv[0] in ("dance", "project")
        else ("--out", "x.gif" if argv[0] == "walk" else "x.png")
    )
    code, out, err = call(capsys, *(run if word == "RUN" else word for word in argv), *extra)
    assert code == 2 and not out and err.count("\n") == 1 and said in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.png"]


def test_nothing_is_overwritten_and_a_model_without_styles_says_so(tmp_path: Path) -> None:
    gan = build("dcgan")
    latent.walk(gan, tmp_path / "w.gif", frames=5)
    with pytest.raises(BadInput, match="already exists"):
        latent.walk(gan, tmp_path / "w.gif", frames=5)
    for act in (
        lambda: latent.mixed(gan, (0,), (1,), "0"),
        lambda: directions.find(gan, layers="0-1"),
        lambda: projection.project(gan, torch.zeros(1, *gan.cfg.shape), space="w"),
        lambda: latent.walked(gan, (0, 1), 4, "w"),
    ):
        with pytest.raises(BadInput, match="has no styles"):
            act()
    with pytest.raises(BadInput, match="has shape"):
        projection.project(build(), torch.zeros(1, 3, 32, 32))


# ------------------------------------------------------------------------------------------------------------------ z


class Linear(GAN):
    """G(z, c) = A z, of which the directions are known."""

    def __init__(self) -> None:
        super().__init__(types.SimpleNamespace(z_dim=6, n_classes=0, shape=(1, 4, 4)))
        self.G = torch.nn.Linear(6, 16, bias=False)
        with torch.no_grad():
            self.G.weight.zero_()
            for row, (column, size) in enumerate(((4, 0.5), (1, -0.3), (0, 0.1))):
                self.G.weight[row, column] = size

    def sample(self, z: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        x: torch.Tensor = self.G(z).unflatten(1, (1, 4, 4))
        return x


@pytest.mark.parametrize("method", ["auto", "jacobian", "pca"])
def test_directions_in_z_are_those_that_change_the_image_most(method: str) -> None:
    found = directions.find(Linear(), method, 3)
    assert found.space == "z" and found.layers == () and found.vectors.shape == (3, 6)
    wanted = torch.eye(6)[[4, 1, 0]]
    assert ((found.vectors * wanted).sum(1) > 0.98).all(), found.vectors
    assert found.deviations == pytest.approx([1.0] * 3, abs=0.1)
    moved = found.edit(torch.zeros(2, 6), 1, 2.0)
    assert moved[:, 1] == pytest.approx([2.0, 2.0], abs=0.3)
    with pytest.raises(BadInput, match="z has no layers"):
        directions.find(Linear(), layers="0")
    with pytest.raises(BadInput, match="jacobian or pca"):
        directions.find(Linear(), "sefa")
    with pytest.raises(BadInput, match=r"--n must be in 1\.\.6"):
        directions.find(Linear(), n=7)


def strong(recipe: str, **more: object) -> GAN:
    """An untrained model whose images differ clearly."""
    gan = build(recipe, **more)
    with torch.no_grad():
        for p in gan.G.parameters():
            if p.dim() > 1:
                p.mul_(2 / p.flatten(1).norm(dim=1).mean())
    return gan


@pytest.mark.parametrize("recipe", ["dcgan", "cgan", "gan"])
def test_projection_into_z_finds_the_image_again(recipe: str) -> None:
    gan = strong(recipe, n_classes=3)
    c = 1 if gan.c(1) is not None else None
    target = gan.generate(2, seed=5, c=c).cpu()
    near = projection.project(gan, target, steps=1, c=c)
    found = projection.project(gan, target, steps=100, c=c)
    assert found.ws is None and found.z is not None and found.z.shape == (2, *gan.z(1).shape[1:])
    assert found.psnr > near.psnr + 6, (near.psnr, found.psnr)
    usual = gan.z(500).norm(dim=1)
    assert (found.z.norm(dim=1) < 1.2 * usual.max()).all() and (found.z.norm(dim=1) > 0.6 * usual.min()).all()
    assert torch.allclose(gan.generate(z=found.z, c=found.c).cpu().clamp(-1, 1), found.x, atol=1e-5)
    assert found.c is None if c is None else found.c is not None and found.c.tolist() == [1, 1]
    again = projection.project(gan, target, steps=3, c=c, seed=1)
    assert torch.equal(again.x, projection.project(gan, target, steps=3, c=c, seed=1).x)


def test_models_without_latents_say_so() -> None:
    translator = testing.build("pix2pix", (1, 16, 16))
    pixels = testing.build("autoregressive", (1, 8, 8))
    for gan, message in ((translator, "translates images"), (pixels, "not a differentiable function of z")):
        for act in (
            lambda gan=gan: directions.find(gan),
            lambda gan=gan: projection.project(gan, torch.zeros(1, *gan.cfg.shape), steps=1),
        ):
            with pytest.raises(BadInput, match=message):
                act()
    points = testing.build("gan", (2,))
    assert directions.find(points, n=2).vectors.shape == (2, points.cfg.z_dim)
    with pytest.raises(BadInput, match="makes points of 2 numbers"):
        projection.project(points, torch.zeros(1, 2))


def test_commands_in_z(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    run = ganloom.train(
        "dcgan", images, tmp_path / "run", width=4, batch_size=8, total_kimg=0.02, judge=0, doctor=False,
        console=Callback(),
    ).path  # fmt: skip
    grid.save_png(images[0], tmp_path / "photo.png")
    code, out, _ = call(capsys, "project", run, tmp_path / "photo.png", "--steps", 3)
    assert not code and "both, z.safetensors" in out and "next: ganloom latent directions" in out
    saved = safetensors.torch.load_file(run / "projected" / "photo" / "z.safetensors")
    assert set(saved) == {"z"} and saved["z"].shape == (1, 100)
    code, out, _ = call(capsys, "directions", run, "--n", 2, "--steps", 3)
    assert not code and out.startswith("2 directions in z by jacobian in ") and (run / "jacobian.png").exists()
    assert safetensors.torch.load_file(run / "jacobian.safetensors")["vectors"].shape == (2, 100)
    code, _, err = call(capsys, "directions", run, "--method", "sefa")
    assert code == 2 and "jacobian or pca for a model without styles" in err
    code, _, err = call(capsys, "project", run, tmp_path / "photo.png", "--space", "w", "--out", tmp_path / "p")
    assert code == 2 and "has no styles" in err
