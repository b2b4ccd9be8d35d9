"""Text-to-image recipes: their losses in closed form, what trains the text encoder, exact resume, and captions of the user."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from test_text_encoders import encoder_folder

import ganloom
from ganloom import testing
from ganloom.apps import captions as app
from ganloom.apps.sample import write_samples
from ganloom.cli import main
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.imaging import grid
from ganloom.imaging.caption_grid import captioned_grid
from ganloom.recipes import presets
from ganloom.recipes.base.text_conditional import contrast

RECIPES = ("gan-cls", "df-gan")
TINY = {"width": 8, "batch_size": 8, "z_dim": 6, "text_dim": 8, "words": 40, "word_dim": 8}
SMALL_DF = {"most": 2, "gate": 1.0, "near": 0.5, "contrast_weight": 0.5, "contrast_dim": 8, "lazy": 2, "neutral": False,
            "text_at_base": True, "hidden": 8}  # fmt: skip


def changed(recipe: str, before: dict[str, torch.Tensor], gan: Any) -> set[str]:
    return {n.split(".")[0] for n, p in gan.named_parameters() if not torch.equal(before[n], p)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_d_trains_the_word_encoder_and_g_does_not(recipe: str) -> None:
    run = testing.trainer(recipe)
    for index, phase in run.active:
        before = {n: p.detach().clone() for n, p in run.gan.named_parameters()}
        run._update(index, phase, 0, run._draw())
        assert changed(recipe, before, run.gan) == set(phase.net.split()), phase.net


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_frozen_encoder_is_not_trained_and_resumes_exactly(recipe: str, tmp_path: Path) -> None:
    folder = str(encoder_folder(tmp_path / "e"))

    def trained(steps: int, at: Any = None) -> Any:
        torch.manual_seed(3)
        gan = testing.build(recipe, encoder=folder)
        run = testing.Trainer(gan, testing.make_data(gan=gan), testing.TrainConfig(), ema_kimg=0.05)
        if at is not None:
            run.load_state(*at)
        for _ in range(steps):
            run.train_step()
        return run

    run = trained(3)
    assert not list(run.gan.E.parameters()) and bool((run.gan.E.mean != 0).any())
    assert {phase.net for phase in run.phases} == {"D", "G"}
    tensors = {part: {n: t.clone() for n, t in own.items()} for part, own in run.tensors().items()}
    again = trained(2, (tensors, run.state()))
    for _ in range(2):
        run.train_step()
    for name, tensor in run.gan.state_dict().items():
        assert torch.equal(tensor, again.gan.state_dict()[name]), name
    encoder_folder(tmp_path / "e", seed=1)
    other = testing.build(recipe, encoder=folder)
    other.restore_data(run.gan.data_record())
    with pytest.raises(BadInput, match="not the one that this model was trained with"):
        other.caption_codes("a red ball")


def test_df_gan_with_all_additions_passes_the_conformance_suite(tmp_path: Path) -> None:
    gan = testing.build("df-gan", **SMALL_DF)
    assert gan.splits_by is None, "the contrastive loss compares a whole batch"
    for check in (testing.check_phases, testing.check_resume, testing.check_generate):
        folder = tmp_path / check.__name__
        folder.mkdir()
        check(lambda shape, classes: testing.build("df-gan", shape, **SMALL_DF), folder)
    plan = presets.plan("df-gan").options
    assert plan["contrast_weight"] == 0.5 and plan["near"] == 0.5 and plan["gate"] == 1.0


@pytest.mark.parametrize("recipe", RECIPES)
def test_losses_in_closed_form(recipe: str) -> None:
    gan = testing.build(recipe, **({"gate": 0.7, "gp_weight": 0.0} if recipe == "df-gan" else {}))
    gan.eval()  # BatchNorm with fixed statistics
    batch = gan.draw(testing.make_data(gan=gan), Rng(0, 0, 0))
    batch = batch._replace(mismatched=torch.tensor([1.0] * 6 + [0.0] * 2))
    e, wrong = gan.vectors(batch.c), gan.vectors(batch.wrong)
    torch.manual_seed(5)
    terms = gan.d_loss(batch)
    torch.manual_seed(5)
    fake = gan.G(gan.z(8), e)
    real_l, wrong_l, fake_l = gan.D(batch.x, e), gan.D(batch.x, wrong), gan.D(fake, e)
    wrong_l = torch.where(batch.mismatched > 0, wrong_l, fake_l)
    if recipe == "df-gan":
        expected = F.relu(1 - real_l).mean() + 0.5 * (F.relu(1 + fake_l).mean() + F.relu(1 + wrong_l).mean())
    else:
        expected = F.softplus(-real_l).mean() + 0.5 * (F.softplus(fake_l).mean() + F.softplus(wrong_l).mean())
    assert torch.allclose(sum(t for t in terms.values() if t.requires_grad), expected, atol=1e-5)
    torch.manual_seed(6)
    g = sum(t for t in gan.g_loss(batch).values() if t.requires_grad)
    torch.manual_seed(6)
    own = gan.D(gan.G(gan.z(8), e), e)
    if recipe == "df-gan":
        assert torch.allclose(g, -own.mean(), atol=1e-5)
    else:
        mixed = (e + wrong) / 2
        assert torch.allclose(
            g, F.softplus(-own).mean() + F.softplus(-gan.D(gan.G(gan.z(8), mixed), mixed)).mean(), atol=1e-5
        )
    alone = testing.build(recipe, mismatch=False)
    assert "mismatch" not in alone.d_loss(alone.draw(testing.make_data(gan=alone), Rng(0, 0, 0)))


def test_the_penalty_is_the_sixth_power_of_the_joint_gradient() -> None:
    gan = testing.build("df-gan", gate=0.7)
    batch = gan.draw(testing.make_data(gan=gan), Rng(0, 0, 0))
    x, e = batch.x.clone().requires_grad_(True), gan.vectors(batch.c).detach().requires_grad_(True)
    grads = torch.autograd.grad(gan.D(x, e).sum(), [x, e])
    norm = sum(g.flatten(1).square().sum(1) for g in grads).sqrt()
    assert torch.allclose(gan.d_penalty(batch)["ma_gp"], 2 * norm.pow(6).mean(), rtol=1e-4)
    assert not gan.d_penalty(batch)["ma_gp"].isnan() and float(norm.min()) > 0


def test_contrast_ignores_captions_of_equal_meaning() -> None:
    s = torch.tensor([[5.0, 9.0, 0.0], [9.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
    alike, distinct = contrast(s, torch.tensor([1, 1, 2])), contrast(s, torch.tensor([1, 3, 2]))
    expected = (
        2 * torch.log(1 + torch.exp(torch.tensor(-5.0))) * 2 / 3
        + 2 * torch.log(1 + 2 * torch.exp(torch.tensor(-5.0))) / 3
    )
    assert torch.allclose(alike, expected, atol=1e-5) and float(distinct) > 2
    more = contrast(s, torch.tensor([1, 1, 2]), torch.full((3, 1), 5.0), torch.tensor([1]))
    assert float(more) > float(alike), "a further caption is a negative of those of other meaning only"


def test_captions_of_the_user() -> None:
    gan = testing.trainer("df-gan").gan
    a = gan.generate(text=["a red ball", "a blue box"], seed=4)
    assert a.shape == (2, 1, 16, 16)
    assert torch.allclose(a[1:], gan.generate(text="a blue box", seed=5), atol=1e-5)
    assert len(gan.generate(3, text="a red ball")) == 3 and len(gan.generate(2)) == 2
    assert gan.unseen_words(["A Red zebra, a huge ZEBRA"]) == ["zebra", "huge"]
    path = gan.between("a red ball", "a blue box", 3)
    ends = gan.E(gan.caption_codes(["a red ball", "a blue box"]))
    assert torch.allclose(path[0], ends[0]) and torch.allclose(path[1], ends.mean(0), atol=1e-6)
    assert len(gan.generate(c=path)) == 3
    for bad in ("", [], ["a", " "], 3):
        with pytest.raises(BadInput):
            gan.generate(text=bad)
    with pytest.raises(BadInput, match="2 captions for 3 samples"):
        gan.generate(3, text=["a", "b"])
    with pytest.raises(BadInput, match="text and c"):
        gan.generate(text="a", c=path)
    with pytest.raises(BadInput, match="without captions"):
        testing.build("dcgan").generate(text="a")


def test_the_grid_has_the_captions_under_the_images() -> None:
    x = torch.zeros(5, 3, 8, 8)
    plain = captioned_grid(x, [""] * 5, 2)
    worded = captioned_grid(x, ["a cat", "a cat", "a very long caption " * 9, "字" * 60, "x" * 200], 2)
    assert worded.width == plain.width and worded.height > plain.height
    for channels, mode in ((1, "L"), (2, "LA"), (4, "RGBA")):
        assert captioned_grid(torch.zeros(2, channels, 8, 8), ["a", "b"]).mode == mode


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("text") / "run"
    ganloom.train(
        "df-gan",
        "shapes:60,varied",
        out,
        shape=(3, 16, 16),
        total_kimg=0.032,
        seed=1,
        neutral=False,
        text_at_base=True,
        **TINY,
    )  # type: ignore[arg-type]
    return out


def test_a_run_keeps_its_encoder_and_samples_captions(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = json.loads((run / "config.json").read_text())["learned"]
    assert learned["encoder"] == "words" and len(learned["digest"]) == 64 and "circle" in learned["vocabulary"]
    assert (run / "samples" / "reals.png").is_file()
    file = tmp_path / "c.txt"
    file.write_text("a small red circle on the left\n\na large blue star at the top\n")
    with pytest.raises(SystemExit, match="0"):
        main(["sample", str(run), "--text", str(file), "a huge zebra", "--n", "2", "--out", str(tmp_path / "o")])
    output = capsys.readouterr().out
    assert "never seen in training: huge, zebra; they are left out" in output and "wrote 6 samples" in output
    again = ganloom.data.open(str(tmp_path / "o"), inputs="captions")
    assert len(again) == 6 and again.captions is not None and again.captions[-1] == "a huge zebra", (
        "grid.png has no caption"
    )
    first = Image.open(tmp_path / "o" / "000000.png")
    written = write_samples(run, text=["a large blue star at the top"], n=2, out=tmp_path / "p")
    assert np.array_equal(Image.open(written.files[0]), Image.open(tmp_path / "o" / "000002.png")), (
        "by caption and seed alone"
    )
    assert not np.array_equal(first, Image.open(tmp_path / "o" / "000002.png"))
    model = ganloom.load(run / "model")
    x = model.generate(text="a large blue star at the top", seed=1)
    assert np.abs(grid.to_uint8(x)[0].astype(int) - np.asarray(Image.open(written.files[1])).astype(int)).max() <= 1
    assert app.notes_on(model, ["a red zebra"]) == ["never seen in training: zebra; it is left out"]  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="got 1 caption, --n 4"):
        write_samples(run, text=["a red star"], n=4, interpolate=True, out=tmp_path / "one")
    walk = write_samples(run, text=["a red star", "a blue star"], n=4, interpolate=True, out=tmp_path / "w")
    assert len(walk.files) == 4
    assert len(write_samples(run, n=3, out=tmp_path / "t").files) == 3


def test_bad_requests_are_one_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for text, more in (
        ([""], {}), ([str(tmp_path / "no.txt")], {}), ([str(tmp_path / "empty.txt")], {}), ([str(tmp_path / "latin.txt")], {}),
        (["a"], {"interpolate": True}), ([], {"interpolate": True}),
    ):  # fmt: skip
        with pytest.raises(BadInput) as error:
            write_samples(run, text=text, out=tmp_path / "x", **more)
        assert "\n" not in str(error.value)
    assert "only the first 200" in app.notes_on(app.text_model(ganloom.load(run)), ["red " * 10_000])[0]
    with pytest.raises(BadInput, match="has no captions"):
        ganloom.train("df-gan", "fashion-10k", tmp_path / "r", total_kimg=0.01)
