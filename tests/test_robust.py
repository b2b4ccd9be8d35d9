"""Robust text classifiers: what each adversary and attack computes, budgets, the speller, and the commands."""

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from commands import call
from safetensors.torch import load_file
from test_text_encoders import encoder_folder
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.robust import Speller, WordNet, characters, fgm, freelb, hotflip, pgd, smart, synonyms, vat, wordnet
from ganloom.robust.adversaries import Adversary
from ganloom.robust.attacks import edits, typos
from ganloom.robust.classifiers import Classifier, TextClassifier, encode
from ganloom.robust.evaluation import evaluate_classifier
from ganloom.robust.folder import STATE, WEIGHTS, load_classifier, resume_in, save_classifier, training_texts
from ganloom.robust.training import DEFENCES, Settings, Training, train_classifier, usual_epochs
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
    assert sum(a != b for a, b in zip(typos(words(text), 0.2, rng), words(text), strict=True)) == 1


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
    assert encode(vocabulary, ["a", ""]).shape == (2, 8) and encode(vocabulary, ["a " * 500]).shape == (1, 64)


def test_few_texts_get_more_passes(tmp_path: Path) -> None:
    assert [usual_epochs(n) for n in (20, 1000, 1092, 3000, 7000, 10**6)] == [50, 50, 45, 18, 8, 8]
    small = TRAIN.pick(range(40))
    assert Training(small, Settings(width=8)).steps == 50 and Training(small, Settings(width=8, epochs=2)).steps == 2
    save_classifier(train_classifier(small, width=8), tmp_path / "m", small)
    assert load_classifier(tmp_path / "m")[0].classes == small.classes


@pytest.mark.parametrize("defence", DEFENCES)
@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_every_defence_trains_and_is_saved(defence: str, kind: str, tmp_path: Path) -> None:
    small = TRAIN.pick(range(64))
    made = train_classifier(small, defence=defence, kind=kind, epochs=1, width=8)  # type: ignore[arg-type]
    save_classifier(made, tmp_path / "m", small)
    again, speller = load_classifier(tmp_path / "m")
    assert torch.equal(made.predict(TEST.texts[:5]), again.predict(TEST.texts[:5])) and again.defence == defence
    wrong = " ".join(typos(words(small.texts[0].lower()), 1.0, random.Random(0)))
    assert speller(wrong) == Speller(small.texts)(wrong) != wrong


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
    trained = tmp_path / "trained.jsonl"
    trained.write_text("\n".join(json.dumps({"text": t, "label": "music"}) for t in training_texts(tmp_path / "m")))
    only = tmp_path / "only.csv"
    only.write_text("text,label,split\n" + "a text,a,test\nanother,b,test\n" * 20)
    code, _, err = call(capsys, "robust", "evaluate", tmp_path / "m", trained)
    assert code == 2 and "was trained on all texts" in err and err.count("\n") == 1, err
    (tmp_path / "m" / "model.safetensors").write_bytes(b"damaged")
    lines = tmp_path / "a.txt"
    lines.write_text("one text\nand another\n")
    for args, message in (
        (("robust", "train", lines, "--out", tmp_path / "n"), "has no labels"),
        (("robust", "train", only, "--out", tmp_path / "n"), 'no text has "train"'),
        (("robust", "train", source, "--out", tmp_path / "n", "--encoder", tmp_path), "--kind sentence only"),
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


# --------------------------------------------------------------------------------------------------- kinds and wrappers


@pytest.mark.parametrize("kind", ["cnn", "lstm", "chars"])
def test_padding_has_no_influence(kind: str) -> None:
    torch.manual_seed(0)
    network = TextClassifier(30, 3, kind, 16).eval()  # type: ignore[arg-type]
    row = torch.randint(1, 30, (1, 9))
    with torch.no_grad():
        alone, padded = network(row), network(F.pad(row, (0, 13)))
    assert torch.allclose(alone, padded, atol=1e-6)


def test_a_classifier_on_characters_learns() -> None:
    made = train_classifier(TRAIN, kind="chars", epochs=10, width=64)
    assert made.vocabulary.kind == "char"
    labels = torch.tensor(made.numbers(TEST.labels or []))
    assert float((made.predict(TEST.texts).argmax(1) == labels).float().mean()) > 0.5
    found = hotflip(made.network, made.vocabulary, TEST.texts[:10], labels[:10].tolist())
    for before, after in zip(TEST.texts, found.texts, strict=False):
        changed = sum(a != b for a, b in zip(before.lower(), after, strict=True))
        assert changed <= max(1, round(0.2 * len(words(before))))


def test_a_sentence_encoder_with_a_head(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "encoder")
    data = Texts(["red red", "ball ball", "a red", "a ball", "red", "ball"] * 8, list("ababab") * 8)
    made = train_classifier(data, kind="sentence", defence="both", epochs=40, encoder=str(folder))
    assert made.predict(data.texts[:6]).argmax(1).tolist() == [0, 1, 0, 1, 0, 1]
    stopped = Training(data, made_with := Settings("both", "sentence", epochs=40, encoder=str(folder)))
    assert not stopped.run(stop=lambda: True) and stopped.step == 0, "it stops while it encodes"
    left = iter([False] * 5 + [True])
    assert not stopped.run(stop=lambda: next(left)) and stopped.step == 5
    continued = Training(data, made_with)
    continued.load_state({name: value.clone() for name, value in stopped.state().items()})
    assert continued.run()
    assert torch.equal(continued.classifier.predict(data.texts[:6]), made.predict(data.texts[:6]))
    save_classifier(made, tmp_path / "m", data)
    again, speller = load_classifier(tmp_path / "m")
    assert torch.equal(made.predict(data.texts[:6]), again.predict(data.texts[:6]))
    shares = evaluate_classifier(again, speller, data, n=12)[0].shares
    assert "hotflip" not in shares and shares["pgd 0.1"] <= shares["clean"] == 1.0
    encoder_folder(folder, seed=1)
    with pytest.raises(BadInput, match="another version of the encoder"):
        load_classifier(tmp_path / "m")
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(BadInput, match=r"config\.json"):
        load_classifier(tmp_path / "m")
    (tmp_path / "m" / WEIGHTS).unlink()
    with pytest.raises(BadInput, match=r"is no text encoder: it has no config\.json") as raised:
        resume_in(tmp_path / "m")
    assert "damaged" not in str(raised.value)


class _Output(NamedTuple):
    """What a model of Hugging Face returns."""

    loss: Tensor | None
    logits: Tensor


class HuggingFaceModel(nn.Module):
    """A small encoder with the interface of transformers' sequence classifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(30, 16)
        self.position = nn.Parameter(torch.randn(12, 16) * 0.1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.classifier = nn.Linear(16, 3)

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> _Output:
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("You must specify exactly one of input_ids or inputs_embeds")
        rows = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        hidden = self.layer(rows + self.position[: rows.shape[1]], src_key_padding_mask=attention_mask == 0)
        logits = self.classifier(hidden[:, 0])
        return _Output(None if labels is None else F.cross_entropy(logits, labels), logits)


@pytest.mark.parametrize("build_it", [fgm, vat, smart, freelb])
def test_a_hugging_face_model_through_inputs_embeds(build_it: Callable[..., Adversary]) -> None:
    """As docs/robust.md shows it; the loss of the perturbed model falls, and tokens outside of the mask have no influence."""
    torch.manual_seed(0)
    bert = HuggingFaceModel()
    tokens, labels = torch.randint(1, 30, (16, 12)), torch.arange(16) % 3
    mask = (torch.arange(12) < torch.randint(4, 12, (16, 1))).long()
    seen: list[Tensor] = []

    def model(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        logits: Tensor = bert(inputs_embeds=rows, attention_mask=mask).logits
        return logits

    adversary, optimizer = build_it(model, size=0.2), torch.optim.Adam(bert.parameters(), 3e-3)
    embedded = bert.get_input_embeddings()(tokens)
    clean = F.cross_entropy(model(embedded), labels)
    if build_it in (fgm, freelb):
        assert adversary(embedded, labels, mask) > clean
    for rows in seen:
        assert ((rows - embedded.detach())[mask == 0] == 0).all(), "padding stays"
    for _ in range(40):
        embedded = bert.get_input_embeddings()(tokens)
        loss = F.cross_entropy(model(embedded), labels) + adversary(embedded, labels, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    embedded = bert.get_input_embeddings()(tokens).detach()
    assert F.cross_entropy(model(embedded), labels) < 0.5 * clean, "it learns"
    small, large = (float(pgd(model, embedded, labels, mask, size=size).float().mean()) for size in (0.01, 0.5))
    assert small > large, "the attack has the same interface"


# ------------------------------------------------------------------------------------------------------------ synonyms


def wordnet_folder(root: Path) -> Path:
    """A tiny WordNet in the published form."""
    root.mkdir()
    licence = "  1 This software and database is being provided to you\n"
    for part in ("noun", "verb", "adj", "adv"):
        (root / f"data.{part}").write_text(licence)
        (root / f"index.{part}").write_text(licence)
    (root / "data.noun").write_text(
        licence + "00000100 06 n 03 car 0 auto 0 motor_car 0 001 @ 00000200 n 0000 | a vehicle  \n"
        "00000300 06 n 02 car 0 gondola 1 000 | of an airship  \n"
    )
    (root / "index.noun").write_text(licence + "car n 2 1 @ 2 1 00000100 00000300  \nauto n 1 1 @ 1 0 00000100  \n")
    (root / "data.adj").write_text(licence + "00000400 00 s 02 quick(a) 0 Fast 0 000 | swift  \n")
    (root / "index.adj").write_text(licence + "quick a 1 0 1 0 00000400  \n")
    return root


def test_wordnet_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = WordNet(wordnet_folder(tmp_path / "dict"))
    assert known("car") == ["auto", "gondola"] and known("cars") == ["autos", "gondolas"]
    assert known("quick") == ["fast"] and known("zebra") == [] and known("s") == []
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path / "dict"))
    found = wordnet.find()
    assert found is not None and found.folder == tmp_path / "dict"
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.raises(BadInput, match=r"has no index\.noun"):
        wordnet.find()
    (tmp_path / "dict" / "data.noun").write_bytes(b"\x00\xff\x00 n car\n")
    with pytest.raises(BadInput, match=r"damaged: index\.noun or data\.noun"):
        WordNet(tmp_path / "dict")
    (tmp_path / "dict" / "data.verb").unlink()
    wordnet_folder(tmp_path / "other")
    (tmp_path / "other" / "index.adv").unlink()
    with pytest.raises(BadInput, match="not complete"):
        WordNet(tmp_path / "other")


def test_synonyms_keep_their_budget_and_fool(plain: Classifier) -> None:
    """Synonyms of words of one class are words of another one: the attack finds them."""
    labels = plain.numbers(TEST.labels or [])[:40]
    texts = TEST.texts[:40]
    rare = plain.vocabulary.tokens[-1]

    class Known(WordNet):
        def __init__(self) -> None:
            self._sets = {}

        def __call__(self, word: str) -> list[str]:
            return [rare, "zzzz"]

    found = synonyms(plain.predict, texts, labels, Known())
    clean = float((plain.predict(texts).argmax(1) == torch.tensor(labels)).float().mean())
    assert found.right < clean and len(found.hit) == 40
    for before, after in zip(texts, found.texts, strict=True):
        one, two = words(before.lower()), after.split(" ")
        assert sum(a != b for a, b in zip(one, two, strict=True)) <= max(1, round(0.2 * len(one)))


# -------------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize(("kind", "defence"), [("cnn", "both"), ("lstm", "freelb"), ("chars", "smart")])
def test_a_stopped_training_continues_with_the_same_result(kind: str, defence: str, tmp_path: Path) -> None:
    small = TRAIN.pick(range(150))
    settings = Settings(defence, kind, epochs=3, width=8)  # type: ignore[arg-type]
    whole = Training(small, settings)
    assert whole.run()
    stopped, left = Training(small, settings), iter([False, False, False, True])
    assert not stopped.run(stop=lambda: next(left)) and stopped.step == 4
    torch.rand(7)
    again = Training(small, settings)
    again.load_state({name: value.clone() for name, value in stopped.state().items()})
    assert again.run() and again.step == whole.step == 9
    for one, other in zip(whole.classifier.network.parameters(), again.classifier.network.parameters(), strict=True):
        assert torch.equal(one, other)
    other_width = Training(small, Settings(defence, kind, epochs=3, width=9))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="does not fit"):
        other_width.load_state(stopped.state())


def test_ctrl_c_saves_and_resume_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "d.jsonl"
    rows = zip(TRAIN.texts[:200], TRAIN.labels or [], strict=False)
    source.write_text("\n".join(json.dumps({"text": t, "label": l}) for t, l in rows))
    train = ("robust", "train", source, "--kind", "lstm", "--epochs", "2", "--defence", "vat")
    assert call(capsys, *train, "--out", tmp_path / "whole")[0] == 0
    real, calls = Training._update, iter(range(100))

    def update(self: Training, rows: list[int]) -> None:
        real(self, rows)
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "_update", update)
        code, _, err = call(capsys, *train, "--out", tmp_path / "cut")
    assert code == 130 and "stopped by Ctrl-C at step 2 of 6, saved" in err and err.count("\n") == 1, err
    code, _, err = call(capsys, "robust", "evaluate", tmp_path / "cut", source)
    assert code == 2 and "is not finished; continue it with ganloom resume" in err
    code, _, err = call(capsys, "resume", tmp_path / "cut", "--total-kimg", "3")
    assert code == 2 and "--total-kimg" in err
    source.unlink()
    code, said, err = call(capsys, "resume", tmp_path / "cut")
    assert code == 0 and "trained on" in said, err
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one) and not (tmp_path / "cut" / STATE).exists()
    code, _, err = call(capsys, "resume", tmp_path / "cut")
    assert code == 0 and "nothing is left to train" in err
    (tmp_path / "cut" / "model.safetensors").unlink()
    (tmp_path / "cut" / STATE).write_bytes(b"no state")
    code, _, err = call(capsys, "resume", tmp_path / "cut")
    assert code == 2 and "is damaged" in err and err.count("\n") == 1
