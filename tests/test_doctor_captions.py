"""The doctor on text-to-image runs: what it measures of captions, and the faults of captions that it finds."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_doctor import FACTS, make_rows
from torch import Tensor, nn

from ganloom import data as datasets
from ganloom.data.captioned import CaptionBatch, Captioned
from ganloom.doctor import RED, YELLOW, examine
from ganloom.doctor.caption_probe import Compared
from ganloom.doctor.probe import Probe
from ganloom.gan import Terms
from ganloom.recipes.df_gan import DFGAN, Config
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

PLAIN = dataclasses.replace(FACTS, classes=0, conditional=False)
HEALTHY: dict[str, float] = {
    "data/captions": 900, "data/caption_kinds": 700, "data/caption_fit": 0.4, "data/caption_error": 0.01, "caption_fit": 0.4,
    "caption_error": 0.02, "caption_kinds": 120, "caption_rows": 128, "caption_kinds_of_G": 30, "captions_fake_differ": 0,
    "captions_real_differ": 0, "captions_mismatched": 1, "D_matching": 0.8, "caption_effect": 0.7, "sample_caption_fit": 0.3,
    "sample_caption_error": 0.02,
}  # fmt: skip
SYMPTOMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "one caption": ("captions equal", RED, {"caption_kinds": 1, "data/captions": 1, "data/caption_kinds": 1}),
    "unknown words": ("captions equal", RED, {"caption_kinds": 1, "data/caption_kinds": 1}),
    "in the batches": ("captions equal", RED, {"caption_kinds": 1}),
    "of G": ("captions equal", RED, {"caption_kinds_of_G": 1}),
    "shuffled": ("captions shuffled", RED, {"caption_fit": 0.02}),
    "shuffled data": ("captions shuffled", YELLOW, {"data/caption_fit": 0.0, "caption_fit": 0.0, "D_matching": 0.5}),
    "fakes": ("captions differ", RED, {"captions_fake_differ": 0.9}),
    "reals": ("captions differ", RED, {"captions_real_differ": 0.9}),
    "D": ("D ignores captions", YELLOW, {"D_matching": 0.5}),
    "G": ("captions ignored", RED, {"caption_effect": 0.01}),
    "not shown": ("captions ignored", YELLOW, {"sample_caption_fit": 0.0}),
}  # fmt: skip


@pytest.mark.parametrize("case", SYMPTOMS)
def test_each_fault_of_captions_is_found_first(case: str) -> None:
    name, severity, changes = SYMPTOMS[case]
    found = examine(make_rows(**HEALTHY | changes), PLAIN)
    assert found and (found[0].name, found[0].severity) == (name, severity), [str(f) for f in found]
    assert found[0].advice and "nan" not in found[0].text


def test_healthy_captions_are_green() -> None:
    assert examine(make_rows(**HEALTHY), PLAIN) == []
    assert examine(make_rows(1, **HEALTHY | {"D_matching": 0.5, "caption_effect": 0.0}), PLAIN) == [], "too early"
    weak = HEALTHY | {"data/caption_fit": 0.01, "caption_fit": 0.0, "sample_caption_fit": 0.0}
    assert examine(make_rows(**weak), PLAIN) == [], "images that the features cannot tell apart; D can"
    effects = examine(make_rows(**HEALTHY | {"caption_fit": 0.0, "D_matching": 0.5}), PLAIN)
    assert [f.name for f in effects] == ["captions shuffled", "D ignores captions"]


def test_similar_images_have_similar_captions() -> None:
    rng = torch.Generator().manual_seed(0)
    kind = torch.arange(200) % 4
    features = torch.nn.functional.one_hot(kind, 4).float() + 0.1 * torch.randn(200, 4, generator=rng)
    words = torch.stack([kind + 1, torch.randint(5, 9, (200,), generator=rng), torch.zeros(200, dtype=torch.long)], 1)
    vectors = torch.nn.functional.one_hot(kind, 4).float() + 0.3 * torch.randn(200, 4, generator=rng)
    for codes in (words, vectors):
        compared = Compared(codes)
        fit, error = compared.fit(features, codes, features, itself=True)
        assert fit > 0.4 and error < 0.1
        mixed, error = compared.fit(features, codes[torch.randperm(200, generator=rng)], features)
        assert abs(mixed) < 4 * error
    alone, _ = Compared(words[:1].expand(200, 3)).fit(features, words[:1].expand(200, 3), features, itself=True)
    assert alone != alone, "captions that are all equal say nothing"


# ------------------------------------------------------------------------------------------------------ tiny trainings


class Shuffled(DFGAN):
    """Draws captions that belong to other images of the batch."""

    def draw(self, data: Any, rng: Any) -> CaptionBatch:
        batch = super().draw(data, rng)
        return batch._replace(c=batch.c.roll(1, 0))


class Equal(DFGAN):
    """Draws one caption for all images."""

    def draw(self, data: Any, rng: Any) -> CaptionBatch:
        batch = super().draw(data, rng)
        return batch._replace(c=batch.c[:1].expand_as(batch.c).clone())


class Swapped(DFGAN):
    """Gives D other captions with generated images than G got."""

    def g_loss(self, batch: CaptionBatch) -> Terms:
        e = self.vectors(batch.c)
        fake = self.generated(self.z(len(batch.x)), e)
        return {"adv": -self.discriminate(fake, e.roll(1, 0)).flat.mean()}


class Deaf(nn.Module):
    """Calls G with the same sentence vector for all samples."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor, e: Tensor) -> Tensor:
        """Map latents and sentence vectors to images; the vectors have no effect."""
        images: Tensor = self.net(z, torch.zeros_like(e))
        return images


@pytest.fixture(scope="module")
def data() -> Captioned:
    found = datasets.open("shapes:400,seen", shape=(3, 16, 16), inputs="captions")
    assert isinstance(found, Captioned)
    return found


def probed(
    data: Captioned, kind: type[DFGAN] = DFGAN, change: Callable[[DFGAN], None] = lambda gan: None, **settings: Any
) -> tuple[dict[str, float], Probe]:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 8, "z_dim": 8, "text_dim": 16, "word_dim": 16, "batch_size": 32, "neutral": False}
    gan = kind(Config((3, 16, 16), **{**sizes, **settings}))
    change(gan)
    gan.learn_data(data)
    trainer = Trainer(gan, data, TrainConfig(total_kimg=1.0))
    found = Probe(trainer, 64)
    return found.look(trainer, {}), found


def findings(figures: dict[str, float]) -> list[str]:
    rows = make_rows(4, **HEALTHY) + make_rows(8, **figures)[4:]
    return [f.name for f in examine(rows, PLAIN) if "aption" in f.name]


def test_what_is_measured_of_a_model_without_a_fault(data: Captioned) -> None:
    figures, found = probed(data)
    assert figures["data/caption_fit"] > 0.1 and figures["caption_fit"] > figures["data/caption_fit"], (
        "it is its own neighbour"
    )
    assert figures["data/caption_kinds"] > 300 and 64 < figures["caption_kinds"] <= figures["caption_rows"] == 128
    assert (
        figures["captions_fake_differ"] == figures["captions_real_differ"] == 0 and figures["caption_kinds_of_G"] > 16
    )
    assert (
        figures["caption_effect"] > 0.05
        and abs(figures["D_matching"] - 0.5) < 0.15
        and figures["captions_mismatched"] == 1
    )
    wanted = (
        "D_accuracy",
        "D_overlap",
        "diversity",
        "distance",
        "batch_shift",
        "live_distance",
        "D_uses_fake",
        "G_uses_fake",
    )
    assert all(name in figures for name in wanted) and found.refused == {}
    assert findings(figures | {"D_matching": 0.8, "sample_caption_fit": 0.3}) == []


def test_faults_of_draw_and_of_the_losses(data: Captioned) -> None:
    shuffled = probed(data, Shuffled)[0]
    assert findings(shuffled | {"sample_caption_fit": 0.3})[0] == "captions shuffled", shuffled
    assert findings(probed(data, Equal)[0])[0] == "captions equal"
    few_words = probed(data, words=1)[0]  # the most common word is in all captions
    assert (
        few_words["data/caption_kinds"] == 1
        and few_words["data/captions"] > 200
        and findings(few_words)[0] == "captions equal"
    )
    swapped = probed(data, Swapped)[0]
    assert swapped["captions_fake_differ"] > 0.8 and findings(swapped)[0] == "captions differ"


def test_captions_without_effect_on_g_and_a_d_that_knows_them(data: Captioned) -> None:
    def deaf(gan: DFGAN) -> None:
        gan.G = Deaf(gan.G)

    figures = probed(data, change=deaf)[0]
    assert figures["caption_effect"] < 1e-3
    assert findings(figures | {"diversity": 0.8, "D_matching": 0.8}) == ["captions ignored"]

    class Knows(nn.Module):
        """A D that knows the caption of each image."""

        def __init__(self, gan: DFGAN) -> None:
            super().__init__()
            self.gan, self.rows = [gan], {row.numpy().tobytes(): i for i, row in enumerate(data.get(slice(None)))}
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor, e: Tensor, *, wrong: Tensor | None = None, compare: bool = False) -> Any:
            """Return 1 for the caption of the image, else 0."""
            known = [self.rows.get(row.numpy().tobytes(), 0) for row in x.detach()]
            own = self.gan[0].vectors(self.gan[0].inputs(data, known))
            logits = self.scale * (own - e).abs().amax(1).lt(1e-4).float()
            return logits if wrong is None else [logits, logits]

    def knowing(gan: DFGAN) -> None:
        gan.D = Knows(gan)

    assert probed(data, change=knowing)[0]["D_matching"] == 1.0
