"""Robust text classifiers: what each adversary and attack computes, budgets, the speller, and the commands."""

import json
import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from commands import call
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.robust import Speller, characters, fgm, freelb, hotflip, pgd, smart, vat
from ganloom.robust.attacks import edits, random_typos
from ganloom.robust.classifiers import TextClassifier, encode
from ganloom.robust.training import DEFENCES, Classifier, load_classifier, save_classifier, train_classifier
from ganloom.texts import Texts, build, words
from ganloom.texts.reports_corpus import reports

DATA = reports(700)
TRAIN, TEST = DATA.pick(range(500)), DATA.pick(range(500, 700))


@pytest.fixture(scope="module")
def plain() -> Classifier:
    return train_classifier(TRAIN, epochs=3, width=32)


def linear() -> tuple[nn.Linear, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(2, 4, generator=generator))
        layer.bias.zero_()
    embedded = torch.randn(3, 5, 4, generator=generator)
    embedded[0, 3:] = 0.0
    return layer, embedded, torch.tensor([0, 1, 0])


def test_fgm_is_the_worst_step_of_a_linear_model() -> None:
    """On a linear model of the mean, the gradient is the same at every token: the step is known in closed form."""
    layer, embedded, target = linear()
    seen: list[Tensor] = []

    def model(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        return layer(rows.sum(1))

    loss = fgm(model, F.cross_entropy, size=0.3)(embedded, target)
    shift = seen[-1] - embedded
    assert torch.allclose(shift.flatten(1).norm(dim=1), 0.3 * embedded.flatten(1).norm(dim=1), rtol=1e-4)
    assert shift[0, 3:].abs().max() == 0, "padding stays"
    away = (layer.weight[1 - target] - layer.weight[target]).detach()
    for row, direction, inside in zip(shift, away, (3, 5, 5), strict=True):
        assert torch.cosine_similarity(row[:inside].mean(0), direction, dim=0) > 0.999
    assert loss > F.cross_entropy(layer(embedded.sum(1)), target)
    loss.backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("build_it", [fgm, vat, smart, freelb])
def test_adversaries_have_gradients_and_keep_to_their_size(build_it: object) -> None:
    torch.manual_seed(0)
    network = TextClassifier(20, 3, width=8)
    tokens = torch.tensor([[5, 6, 7, 0, 0], [8, 9, 10, 11, 12]])
    seen: list[Tensor] = []

    def head(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        return network.head(rows)

    embedded = network.embedded(tokens)
    loss = build_it(head, size=0.2)(embedded, torch.tensor([0, 2]))  # type: ignore[operator]
    assert loss.ndim == 0 and float(loss.detach()) > 0
    loss.backward()
    assert network.embedding.weight.grad is not None and network.embedding.weight.grad.abs().sum() > 0
    radius = embedded.detach().flatten(1).norm(dim=1)
    for rows in seen:
        shift = rows - embedded.detach()
        assert (shift.flatten(1).norm(dim=1) <= 0.2 * radius * 1.001).all() and shift[0, 3:].abs().max() == 0


def test_vat_and_smart_need_no_labels() -> None:
    layer, embedded, target = linear()
    for build_it in (vat, smart):
        values = []
        for labels in (target, 1 - target):
            torch.manual_seed(0)
            values.append(float(build_it(lambda rows: layer(rows.sum(1)))(embedded, labels).detach()))
        assert values[0] == values[1]


def test_pgd_in_closed_form() -> None:
    """A linear model falls where the distance to the border is below the radius, and only there."""
    layer, embedded, _ = linear()
    with torch.no_grad():
        logits = layer(embedded.sum(1))
    target = logits.argmax(1)
    inside = (embedded != 0).any(2).sum(1)
    gap = (logits.gather(1, target[:, None]) - logits.gather(1, 1 - target[:, None])).squeeze(1)
    slope = (layer.weight[0] - layer.weight[1]).detach().norm() * inside.sqrt()
    border = gap / slope / embedded.flatten(1).norm(dim=1)
    for i in range(3):
        for factor, expected in ((0.9, True), (1.1, False)):
            found = pgd(
                lambda rows: layer(rows.sum(1)), embedded[i : i + 1], target[i : i + 1], size=float(border[i]) * factor
            )
            assert bool(found) is expected
    assert not pgd(lambda rows: layer(rows.sum(1)), embedded, 1 - target).any(), "a text that was wrong stays wrong"


def test_edits_are_single_and_inside() -> None:
    rng = random.Random(0)
    for word in ("word", "network", "letters"):
        for other in edits(word, rng):
            assert other[0] == word[0] and other[-1] == word[-1] and abs(len(other) - len(word)) <= 1 and other != word
    assert edits("the", rng) == [] and len(edits("network", rng, 5)) == 5
    text = "several damp showers across the plain"
    assert sum(a != b for a, b in zip(words(random_typos(text, 0.2, rng)), words(text), strict=True)) == 1


def test_speller() -> None:
    speller = Speller(["the network trains", "the networks train", "network network"])
    for wrong in ("netwrk", "nework", "netwokr", "netwoork", "netwurk"):
        assert speller(f"The {wrong} trains") == "the network trains"
    assert speller("a zebra nxtwxrk") == "a zebra nxtwxrk" and speller.word("tha") == "tha"
    assert speller("networks") == "networks", "a known word stays"


def test_character_attack_keeps_its_budget_and_is_repeatable(plain: Classifier) -> None:
    labels = plain.numbers(TEST.labels or [])
    found = characters(plain.predict, TEST.texts[:60], labels[:60], share=0.2, candidates=10)
    again = characters(plain.predict, TEST.texts[:60], labels[:60], share=0.2, candidates=10)
    assert found == again and found.queries > 1
    clean = plain.predict(TEST.texts[:60]).argmax(1)
    assert found.right < float((clean == torch.tensor(labels[:60])).float().mean())
    now = plain.predict(found.texts).argmax(1)
    assert found.right == pytest.approx(float((now == torch.tensor(labels[:60])).float().mean()))
    for before, after in zip(TEST.texts, found.texts, strict=False):
        one, two = words(before.lower()), after.split(" ")
        assert sum(a != b for a, b in zip(one, two, strict=True)) <= max(1, round(0.2 * len(one)))


def test_hotflip_keeps_its_budget_and_fools(plain: Classifier) -> None:
    labels = plain.numbers(TEST.labels or [])[:60]
    found = hotflip(plain.network, plain.vocabulary, TEST.texts[:60], labels, share=0.2)
    clean = (plain.predict(TEST.texts[:60]).argmax(1) == torch.tensor(labels)).float().mean()
    assert found.right < float(clean)
    for before, after in zip(TEST.texts, found.texts, strict=False):
        one, two = words(before.lower()), after.split(" ")
        assert sum(a != b for a, b in zip(one, two, strict=True)) <= max(1, round(0.2 * len(one)))
    now = plain.predict(found.texts).argmax(1)
    assert found.right == pytest.approx(float((now == torch.tensor(labels)).float().mean()))


def test_encode_pads_and_cuts() -> None:
    vocabulary = build(["a b c"])
    assert encode(vocabulary, ["a", ""]).shape == (2, 3) and encode(vocabulary, ["a " * 500]).shape == (1, 64)


@pytest.mark.parametrize("defence", DEFENCES)
@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_every_defence_trains_and_is_saved(defence: str, kind: str, tmp_path: Path) -> None:
    small = TRAIN.pick(range(64))
    made = train_classifier(small, defence=defence, kind=kind, epochs=1, width=8)  # type: ignore[arg-type]
    save_classifier(made, tmp_path / "m", small)
    again, speller = load_classifier(tmp_path / "m")
    assert torch.equal(made.predict(TEST.texts[:5]), again.predict(TEST.texts[:5])) and again.defence == defence
    assert speller.word(words(small.texts[0].lower())[0])


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "d.jsonl"
    source.write_text(
        "\n".join(json.dumps({"text": t, "label": l}) for t, l in zip(TRAIN.texts, TRAIN.labels or [], strict=True))
    )
    code, said, err = call(
        capsys, "robust", "train", source, "--out", tmp_path / "m", "--epochs", "2", "--defence", "fgm"
    )
    assert code == 0 and "a classifier of 6 classes" in said, err
    code, said, err = call(capsys, "robust", "evaluate", tmp_path / "m", source, "--n", "30")
    assert code == 0, err
    for part in ("speller + the model", "characters, 2 edits a word", "hotflip", "pgd 0.3", "clean"):
        assert part in said
    code, said, _ = call(capsys, "robust", "evaluate", tmp_path / "m", source, "--n", "20", "--json")
    assert code == 0 and json.loads(said)["results"][0]["count"] == 20
    rare = tmp_path / "rare.jsonl"
    rare.write_text(
        "\n".join(
            json.dumps({"text": t, "label": l, "split": "test"})
            for t, l in zip(TEST.texts[:20], TEST.labels or [], strict=False)
        )
        + '\n{"text": "a rare one", "label": "rare", "split": "test"}'
        + '\n{"text": "another text", "label": "music", "split": "train"}'
    )
    code, said, err = call(capsys, "robust", "evaluate", tmp_path / "m", rare, "--json")
    assert code == 0 and json.loads(said)["results"][0]["count"] == 20 and "such as rare" in err
    (tmp_path / "m" / "model.safetensors").write_bytes(b"damaged")
    lines = tmp_path / "a.txt"
    lines.write_text("one text\nand another\n")
    for args, message in (
        (("robust", "train", lines, "--out", tmp_path / "n"), "has no labels"),
        (("robust", "train", source, "--label", "clas", "--out", tmp_path / "n"), "has the columns text, label"),
        (("robust", "train", source, "--out", tmp_path / "m"), "not an empty folder"),
        (("robust", "train", source, "--out", tmp_path / "n", "--epochs", "0"), "--epochs"),
        (("robust", "evaluate", tmp_path / "m", source), "is damaged"),
        (("robust", "evaluate", tmp_path, source), "is no robust classifier"),
    ):
        code, _, err = call(capsys, *args)
        assert code == 2 and message in err and err.count("\n") == 1, err
    with pytest.raises(BadInput, match="one class only"):
        train_classifier(Texts(["a b"] * 30, ["x"] * 30))
    with pytest.raises(BadInput, match="no class of the model"):
        Classifier(TextClassifier(9, 2), build(["a"]), ["a", "b"]).numbers(["c"])
