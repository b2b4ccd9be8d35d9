"""What is measured of text-to-image models: the attribute reader, the matcher, the sets of captions, and known generators."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call

import ganloom
from ganloom import data as datasets
from ganloom.core.errors import BadInput
from ganloom.data import shapes, shapes_captions
from ganloom.data.captioned import Captioned
from ganloom.evaluation import caption_sets, captions
from ganloom.imaging import levels
from ganloom.metrics import matcher
from ganloom.metrics.shape_attributes import ShapeReader, centres, right
from ganloom.recipes.df_gan import DFGAN, Config


def drawn(n: int, shape: tuple[int, int, int] = (3, 32, 32), seed: int = 5) -> tuple[dict[str, Any], torch.Tensor]:
    factors = shapes.factors(n, seed)
    return factors, levels.from_uint8(torch.from_numpy(shapes.render(factors, shape)))


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 40, 64)])
def test_the_reader_reads_real_images(shape: tuple[int, int, int]) -> None:
    factors, x = drawn(200, shape)
    wanted = torch.from_numpy(shapes.combination(factors))
    noisy = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    reader = ShapeReader(shape)
    for images in (x, noisy):
        ok = right(reader(images)[0], wanted)
        assert ok["joint"].float().mean() >= 0.99, {name: float(v.float().mean()) for name, v in ok.items()}
    other = dict(factors, colour=(factors["colour"] + 1) % 8)
    ok = right(reader(levels.from_uint8(torch.from_numpy(shapes.render(other, shape))))[0], wanted)
    assert not ok["joint"].any() and not ok["colour"].any() and ok["place"].all() and ok["size"].float().mean() > 0.99


def test_centres_are_those_of_the_shapes() -> None:
    factors, x = drawn(200)
    wanted = np.take((0.2, 0.5, 0.8), factors["place"] % 3) + factors["dx"]
    assert np.abs(centres(x)[:, 0].numpy() / 32 - wanted).max() < 0.02


def test_ranks_on_known_vectors() -> None:
    texts = torch.nn.functional.normalize(torch.randn(60, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    group = torch.arange(60)
    assert matcher.r_precision(texts, texts, group) == 1.0
    shuffled = texts[torch.randperm(60, generator=torch.Generator().manual_seed(1))]
    assert abs(matcher.r_precision(shuffled, texts, group) - 0.1) < 0.05
    assert matcher.top_share(texts, texts, group, 5) == (1.0, 5 / 60)
    assert matcher.top_share(-texts, texts, group, 5)[0] == 0.0
    assert np.isnan(matcher.r_precision(texts, texts, torch.zeros(60, dtype=torch.long))), "all have one meaning"
    pairs = group // 2  # captions of equal meaning are no competitors
    assert abs(matcher.r_precision(texts[group ^ 1], texts[group // 2 * 2], pairs) - 0.55) < 0.1, (
        "one of each pair is right"
    )
    assert matcher.r_precision(texts[group // 2 * 2], texts[group // 2 * 2], pairs) == 1.0


def test_a_model_is_asked_for_the_combinations_that_its_split_held_out() -> None:
    trained = datasets.open("shapes:300,varied,seen,split=4", inputs="captions")
    assert isinstance(trained, Captioned)
    asked = {one.name: one for one in caption_sets.sets_of(trained, None, None, 80, 0)}
    held = torch.from_numpy(shapes_captions.unseen(shapes.COMBINATIONS, 4))
    numbers = {name: one.combination for name, one in asked.items() if one.combination is not None}
    assert held[numbers["unseen combinations"]].all() and not held[numbers["training captions"]].any()


def test_nearest_captions_by_words_and_by_vectors() -> None:
    others = ("a red ball", "a blue box", "a green tree")
    assert caption_sets.nearest_captions(("the blue box there", "one tree"), others).tolist() == [1, 2]
    vectors = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert caption_sets.nearest_captions(("x",), others, vectors).tolist() == [1]


def test_one_synonym_or_all_of_them_are_new() -> None:
    held = {word for own in shapes_captions.HELD_SYNONYMS.values() for word in own}

    def new_words(options: str) -> list[int]:
        texts = datasets.open(f"shapes:300,seen,{options}", inputs="captions").captions
        assert texts is not None
        return [sum(word in text for word in held) for text in texts]

    assert set(new_words("synonym")) == {1} and max(new_words("synonyms")) > 2 and min(new_words("synonyms")) == 1
    assert set(new_words("varied")) == {0}


@pytest.fixture(scope="module")
def data() -> Captioned:
    found = datasets.open("shapes:600,varied,seen", inputs="captions")
    assert isinstance(found, Captioned)
    return found


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "STEPS", 40)
    monkeypatch.setattr(captions, "VARIED", 12)


class Oracle(DFGAN):
    """Draws what a caption says: with the share ``faults`` another colour, and always at the centre of the place."""

    faults = 0.0
    ignores = False

    def caption_codes(self, text: Any) -> torch.Tensor:
        return torch.tensor([[_number(one)] for one in text])

    def generate(self, n: int = 1, seed: int = 0, *, c: Any = None, **more: Any) -> torch.Tensor:  # type: ignore[override]
        parts = np.unravel_index(c[:, 0].numpy(), (8, 6, 3, 9))
        factors = dict(zip(shapes.WORDS, parts, strict=True))
        rng = np.random.default_rng(seed)
        if self.ignores:
            factors = shapes.factors(n, seed)
        wrong = rng.random(n) < self.faults
        factors["colour"] = np.where(wrong, (factors["colour"] + 1) % 8, factors["colour"])
        return levels.from_uint8(torch.from_numpy(shapes.render(factors | {"dx": np.zeros(n), "dy": np.zeros(n)})))


def _number(caption: str) -> int:
    """The combination that a caption names, by the longest words first."""
    number = 0
    for words in shapes.WORDS.values():
        every = [
            (name, i)
            for i, word in enumerate(words)
            for name in (word, *shapes_captions.SYNONYMS.get(word, ()), *shapes_captions.HELD_SYNONYMS.get(word, ()))
        ]
        found = next(i for name, i in sorted(every, key=lambda pair: -len(pair[0])) if name in caption)
        number = number * len(words) + found
    return number


def measured(data: Captioned, **settings: Any) -> captions.CaptionFigures:
    model = Oracle(Config((3, 32, 32), width=8, z_dim=4, text_dim=8, word_dim=8))
    model.learn_data(data)
    for name, value in settings.items():
        setattr(model, name, value)
    return captions.measure_captions(model, data, n=60)


@pytest.mark.slow
def test_a_perfect_a_faulty_and_a_deaf_generator(data: Captioned) -> None:
    perfect, faulty, deaf = measured(data), measured(data, faults=0.5), measured(data, ignores=True)
    names = ["training captions", "unseen combinations", "unseen templates", "a synonym unseen", "synonyms unseen"]
    assert list(perfect.rows) == names
    for name in names:
        own = perfect.rows[name]["generated"]
        assert own["joint"] == own["colour"] == own["place"] == 1.0 and own["pixels"] > 0.95, name
        assert own["centre"] == own["spread"] == 0.0, "it draws one image for each caption"
        assert perfect.rows[name]["real"]["joint"] == 1.0
        half = faulty.rows[name]["generated"]
        assert 0.25 < half["joint"] < 0.75 and half["shape"] == 1.0 and half["spread"] > 0
        none = deaf.rows[name]["generated"]
        assert none["joint"] < 0.1 and abs(none["pixels"] - 0.1) < 0.15 and none["place"] < 0.4
    control = perfect.rows["unseen combinations"]["nearest training image"]
    assert control["joint"] == 0.0, "no training image has such a combination"
    result = perfect.to_dict()
    share = result["rows"]["training captions"]["generated"]["joint"]
    assert share["low"] < share["value"] <= share["high"] and json.dumps(result)


@pytest.mark.slow
def test_the_matcher_learns_the_pairs_and_is_kept(data: Captioned, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = matcher.Judge(data, steps=120)
    facts = shapes.describe(200, 77, shapes_captions.Wording("seen", varied=True))
    factors = facts.factors or {}
    x, group = (
        levels.from_uint8(torch.from_numpy(shapes.render(factors))),
        torch.from_numpy(shapes.combination(factors)),
    )
    texts = judge.texts(facts.captions or ())
    assert matcher.r_precision(judge.images(x), texts, group) > 0.35, "chance is 0.1"
    monkeypatch.setattr(matcher, "_train", lambda *a: pytest.fail("it is in the cache"))
    again = matcher.Judge(data, steps=120)
    assert torch.equal(again.images(x), judge.images(x))
    with pytest.raises(pytest.fail.Exception):
        matcher.Judge(data, steps=121)


def test_evaluate_prints_the_captions_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, _ = drawn(120, (3, 16, 16))
    rows = shapes.render(pixels, (3, 16, 16))
    texts = [shapes.caption(*row) for row in zip(*(pixels[name].tolist() for name in shapes.WORDS), strict=True)]
    run = tmp_path / "run"
    ganloom.train(
        "df-gan", (rows, texts), run, shape=(3, 16, 16), total_kimg=0.016, width=8, batch_size=8, z_dim=6, text_dim=8,
        word_dim=8, held_out=0.25,
    )  # type: ignore[arg-type]  # fmt: skip
    code, out, err = call(capsys, "evaluate", str(run), "--n", "40", "--features", "random", "--metrics", "fd")
    assert code == 0, err
    assert "training captions (40)" in out and "held-out captions (30)" in out and "nearest training image" in out
    saved = json.loads((run / "metrics.json").read_text())["captions"]
    assert saved["rows"]["held-out captions"]["chance"]["r_precision"]["value"] == 0.1
    few = datasets.open((rows[:12], texts[:12]), inputs="captions")
    with pytest.raises(BadInput, match="12 captions are too few"):
        captions.measure_captions(ganloom.load(run), datasets.open((rows, texts), inputs="captions"), other=few)
    with pytest.raises(BadInput, match="trained on captions"):
        captions.measure_captions(ganloom.testing.build("dcgan"), few)


def test_wording_is_that_of_the_training_data(data: Captioned) -> None:
    wording = caption_sets.wording_of_data(data)
    assert wording is not None and dataclasses.asdict(wording) == {
        "combinations": "seen", "varied": True, "templates": False, "synonyms": False, "synonym": False, "split": 0,
    }  # fmt: skip
    plain = datasets.open("shapes:50", inputs="captions")
    assert isinstance(plain, Captioned)
    assert [s.name for s in caption_sets.sets_of(plain, None, None, 30, 0)] == ["training captions"]
