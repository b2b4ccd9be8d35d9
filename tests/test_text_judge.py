"""The judge of generated texts: closed forms of each figure, the detector on damage it has not seen, the command."""

import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from test_text_encoders import encoder_folder

from ganloom import texts
from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.texts.judge import diversity
from ganloom.texts.judge.auc import auc
from ganloom.texts.judge.classifier import length_bin, matched, tell_apart
from ganloom.texts.judge.corruptions import CORRUPTIONS, TRAINED, WordSource
from ganloom.texts.judge.judgement import UNSEEN, _Ruler, judge
from ganloom.texts.judge.mauve import area, divergence_curve, kmeans, mauve
from ganloom.texts.judge.network import LONGEST, Encoder, TextNetwork
from ganloom.texts.judge.replaced import Detector, train_detector
from ganloom.texts.judge.table import verdict
from ganloom.texts.reports_corpus import reports

REPORTS = [texts.words(text.lower()) for text in reports(1200).texts]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train_detector(REPORTS[:800], steps=250, width=32)


# ----------------------------------------------------------------------------------------------------------------- figures


def test_auc() -> None:
    real, fake = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0])
    pairs = [(f > r) + 0.5 * (f == r) for r in real.tolist() for f in fake.tolist()]
    assert auc(real, fake).value == pytest.approx(sum(pairs) / 6)
    assert auc(real, real).value == pytest.approx(0.5)
    assert auc(real, real + 10).value == 1.0 and auc(real + 10, real).value == 0.0
    rng = np.random.default_rng(0)
    held = [auc(torch.tensor(rng.normal(size=80)), torch.tensor(rng.normal(size=80) + 1)) for _ in range(300)]
    truth = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1))
    assert 0.91 < np.mean([a.low <= truth <= a.high for a in held]) < 0.99


def test_divergence_curve_in_closed_form() -> None:
    p, q = torch.tensor([0.7, 0.3]).double(), torch.tensor([0.2, 0.8]).double()
    curve = divergence_curve(p, q, points=3)
    assert curve[0].tolist() == [0.0, 1.0] and curve[-1].tolist() == [1.0, 0.0]
    r = (p + q) / 2
    expected = [
        math.exp(-5 * sum(a * math.log(a / b) for a, b in zip(x.tolist(), r.tolist(), strict=True))) for x in (p, q)
    ]
    assert curve[2].tolist() == pytest.approx(expected)
    assert area(p, p) == pytest.approx(1.0) and area(p, q) == pytest.approx(area(q, p))
    assert area(torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()) < 0.01


def test_kmeans_finds_clusters_and_uses_all() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]).double()
    rows = (
        centres.repeat_interleave(30, 0) + 0.1 * torch.randn(90, 2, generator=torch.Generator().manual_seed(0)).double()
    )
    found = kmeans(rows, 3)
    assert [len(set(found[i : i + 30].tolist())) for i in (0, 30, 60)] == [1, 1, 1] and len(set(found.tolist())) == 3
    same = torch.zeros(20, 2).double()
    assert kmeans(same, 4).shape == (20,)


def test_mauve_orders_and_ends() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200, 8)).astype(np.float32)
    values = [mauve(a, b + shift) for shift in (0.0, 0.5, 1.0, 8.0)]
    assert values == sorted(values, reverse=True) and values[0] > 0.9 and values[-1] < 0.05
    assert mauve(a, b) == values[0] and mauve(a, a) == pytest.approx(1.0)
    with pytest.raises(BadInput, match="at least 20"):
        mauve(a[:10], b)


def features(
    n: int, m: int, d: int, kinds: int, shift: float, different: int = 0
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Two sets of features around 20 centres, of which the second uses ``kinds``; rows are repeated if ``different`` is given."""
    rng = np.random.default_rng(0)
    mix, centres = rng.normal(size=(d, d)) * np.linspace(2, 0.1, d), rng.normal(size=(20, d))
    a = (centres[rng.integers(0, 20, n)] + 0.6 * rng.normal(size=(n, d))) @ mix
    b = (centres[rng.integers(0, kinds, m)] + 0.6 * rng.normal(size=(m, d)) + shift) @ mix
    if different:
        a, b = a[rng.integers(0, different, n)], b[rng.integers(0, different, m)]
    return a.astype(np.float32), b.astype(np.float32)


SETS: dict[tuple[Any, ...], float] = {
    (300, 300, 32, 20, 0.0): 0.9760,
    (500, 300, 32, 15, 0.0): 0.6401,
    (300, 500, 64, 20, 0.1): 0.9870,
    (400, 200, 384, 18, 0.02): 0.9583,
    (300, 300, 16, 20, 0.0, 60): 0.1881,
}
"""Arguments of ``features``, and the value of ``mauve_text`` 0.4.0 with faiss-cpu 1.15.1 and scikit-learn 1.9.1."""


@pytest.mark.parametrize("case", SETS)
def test_mauve_is_that_of_the_reference_package(case: tuple[Any, ...]) -> None:
    assert mauve(*features(*case)) == pytest.approx(SETS[case], abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*SETS, (1000, 1000, 32, 20, 0.3), (800, 800, 48, 18, 0.1), (2000, 1500, 128, 20, 0.05, 700)]
)
def test_mauve_is_that_of_the_reference_package_now(case: tuple[Any, ...]) -> None:
    """Needs `pip install mauve-text`."""
    reference = pytest.importorskip("mauve")
    a, b = features(*case)
    for seed in (25, 1, 2):
        theirs = reference.compute_mauve(p_features=a, q_features=b, seed=seed, verbose=False).mauve
        assert mauve(a, b, seed=seed) == pytest.approx(theirs, abs=0.02)


def naive_bleu(tokens: list[str], references: list[list[str]], n: int) -> float:
    """BLEU from its definition, with add-one smoothing from pairs on."""
    orders, total = min(n, len(tokens)), 0.0
    for order in range(1, orders + 1):
        counts = Counter(diversity.ngrams(tokens, order))
        tables = [Counter(diversity.ngrams(r, order)) for r in references]
        hits = sum(min(c, max(t[g] for t in tables)) for g, c in counts.items())
        smooth = int(order > 1)
        if not hits + smooth:
            return 0.0
        total += math.log((hits + smooth) / (sum(counts.values()) + smooth))
    closest = min((len(r) for r in references), key=lambda l: (abs(l - len(tokens)), l))
    return min(1.0, math.exp(1 - closest / len(tokens))) * math.exp(total / orders)


def test_bleu_and_self_bleu_are_those_of_the_definition() -> None:
    rng = random.Random(0)
    rows = [[rng.choice("abcde") for _ in range(rng.randrange(1, 9))] for _ in range(25)]
    for n in (1, 2, 4):
        expected = [naive_bleu(row, rows[:i] + rows[i + 1 :], n) for i, row in enumerate(rows)]
        assert diversity.self_bleu(rows, n) == pytest.approx(sum(expected) / 25)
        expected = [naive_bleu(row, rows[10:], n) for row in rows[:10]]
        assert diversity.bleu(rows[:10], rows[10:], n) == pytest.approx(sum(expected) / 10)
    assert diversity.self_bleu([["a", "b"]] * 3, 2) == 1.0


def test_distinct_and_copies() -> None:
    rows = ["the cat sat".split(), "the cat ran".split()]
    assert (
        diversity.distinct(rows, 1) == 4 / 6
        and diversity.distinct(rows, 2) == 3 / 4
        and diversity.distinct(rows, 4) == 0
    )
    training = ["a b c d e f g h".split(), "x y".split()]
    found = diversity.copies(
        ["x y".split(), "q b c d e f g".split(), "a b c q d e f".split(), "h g f e d c b".split()], training
    )
    assert found.whole == 0.25 and found.long == pytest.approx(1 / 3) and found.overlap == pytest.approx(3 / 12)


# ------------------------------------------------------------------------------------------------------------ corruptions


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_mark_what_they_change(name: str) -> None:
    source, rng = WordSource(REPORTS), random.Random(0)
    changed = 0
    for tokens in REPORTS[:200]:
        same, marks = CORRUPTIONS[name](list(tokens), 0.0, rng, source)
        assert same == tokens and not any(marks)
        new, marks = CORRUPTIONS[name](list(tokens), 0.3, rng, source)
        assert len(new) == len(marks) and new
        changed += sum(marks)
        if name in ("replace", "follow", "swap", "shuffle", "typo"):
            assert [int(a != b) for a, b in zip(new, tokens, strict=True)] == marks
        if name in ("swap", "shuffle"):
            assert sorted(new) == sorted(tokens)
        if name in ("insert", "repeat"):
            assert [token for token, mark in zip(new, marks, strict=True) if not mark] == tokens
    total = sum(map(len, REPORTS[:200]))
    assert 0.12 < changed / total < 0.36, (
        "about the share that was asked for; typos leave short words, draws may be equal"
    )


def test_matched_lengths_are_equal() -> None:
    rng = random.Random(0)
    a, b = [["x"] * rng.randrange(1, 60) for _ in range(400)], [["y"] * rng.randrange(5, 90) for _ in range(300)]
    one, two = matched(a, b, rng)
    assert Counter(length_bin(len(t)) for t in one) == Counter(length_bin(len(t)) for t in two) and len(one) > 100
    bins = [length_bin(n) for n in range(1, 5000)]
    assert bins == sorted(bins) and len(set(bins)) < 150 and bins[:16] == list(range(1, 17))


def test_a_classifier_of_lengths_stands_beside(detector: Detector) -> None:
    """Sets that differ in nothing but length: the length alone tells them apart, and nothing at equal lengths does."""
    rng = random.Random(0)
    rows = [t for row in REPORTS[800:] for t in [row]]
    long = [a + b for a, b in itertools.pairwise(rows)]
    mixed = [long[i] if rng.random() < 0.5 else rows[i] for i in range(300)]
    told = tell_apart(rows[100:400], [t for t in mixed], detector, epochs=2)
    assert told.length.value > 0.6 and told.matched < 0.9
    assert told.length_matched is not None and 0.35 < told.length_matched.value < 0.65
    far = tell_apart(rows[:60], [["a"] * 60] * 60 + [["b"] * 61] * 60, detector)
    assert far.network is None and far.length.value == 1.0 and far.matched == 0.0


# ------------------------------------------------------------------------------------------------------------ the network


def test_padding_and_company_do_not_matter() -> None:
    encoder = Encoder(texts.build([" ".join(row) for row in REPORTS[:50]]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TextNetwork(len(encoder.vocabulary), 16).eval()
    rows = [REPORTS[0], REPORTS[1] + REPORTS[2], ["word"], ["never-seen"] * (LONGEST + 9), []]
    together = network.token_logits(encoder(rows))
    for i, row in enumerate(rows[:4]):
        alone = network.token_logits(encoder([row]))[0]
        torch.testing.assert_close(together[i, : len(alone)], alone, rtol=1e-4, atol=1e-5)
    assert together.shape[1] == LONGEST and torch.isfinite(network.text_logits(encoder(rows))).all()


def test_the_detector_sees_damage_that_it_was_not_trained_on(detector: Detector) -> None:
    """Monotone in the share of damage; AUC on shuffled words, which it never saw; and the worst tokens are the damaged ones."""
    assert "shuffle" not in TRAINED and "swap" not in TRAINED
    source, real, other = WordSource(REPORTS[:800]), REPORTS[800:1000], REPORTS[1000:]
    base = detector.scores(real)
    assert 0.4 < auc(base, detector.scores(other)).value < 0.6
    for kind in ("shuffle", "swap"):
        values = []
        for rate in (0.0, 0.1, 0.2, 0.4):
            rows = [CORRUPTIONS[kind](tokens, rate, random.Random(i), source)[0] for i, tokens in enumerate(other)]
            values.append(auc(base, detector.scores(rows)).value)
        assert values == sorted(values) and values[-1] > 0.85, (kind, values)
    marked = [CORRUPTIONS["replace"](tokens, 0.1, random.Random(i), source) for i, tokens in enumerate(other)]
    scores = detector.token_scores([tokens for tokens, _ in marked])
    bad = torch.tensor(
        [s for row, (_, m) in zip(scores, marked, strict=True) for s, mark in zip(row, m, strict=True) if mark]
    )
    good = torch.tensor(
        [s for row, (_, m) in zip(scores, marked, strict=True) for s, mark in zip(row, m, strict=True) if not mark]
    )
    assert auc(good, bad).value > 0.7, "not 1: some replacements fit as well"


def test_a_sentence_encoder_gives_the_features(detector: Detector) -> None:
    def encode(lines: Sequence[str], each: object = None) -> torch.Tensor:
        return torch.tensor([[len(line), line.count("a"), line.count("the "), 1.0] for line in lines])

    a, b = REPORTS[800:900], REPORTS[900:1000]
    row = _Ruler(detector, a, REPORTS[:800], encode, 0, None).short("real", b)
    left, right = encode(list(map(texts.join, a))), encode(list(map(texts.join, b)))
    assert row.frechet == frechet_distance(left, right) and row.mauve == mauve(left, right, seed=0, repeats=5)


def test_training_is_repeatable_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = (train_detector(REPORTS[:100], steps=3, width=8) for _ in range(2))
    assert torch.rand(1) == expected
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    )


# ------------------------------------------------------------------------------------------------------------ the command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake, out = tmp_path / "real.txt", tmp_path / "fake.txt", tmp_path / "out.html"
    real.write_text("\n".join(map(texts.join, REPORTS[:500])))
    rng = random.Random(0)
    fake.write_text("\n".join("<b>" + " ".join(rng.sample(row, len(row))) for row in REPORTS[500:620]))
    words = ("text", "judge", real, fake, "--out", out)
    code, said, err = call(capsys, *words, "--steps", "60", "--json")
    assert code == 0, err
    found = json.loads(said)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["generated"]["detector"]["value"] > rows["real"]["detector"]["value"]
    assert rows["generated"]["mauve"] < rows["real"]["mauve"] and rows["generated"]["told"]["length"]["value"] > 0
    page = out.read_text()
    assert "<b>" not in page and "&lt;" in page and "rgba(" in page and "<script" not in page
    sentences = encoder_folder(tmp_path / "bert")
    code, said, err = call(capsys, *words, "--n", "200", "--steps", "2", "--overwrite", "--encoder", sentences)
    assert code == 0 and f"of the features of {sentences}" in said, err
    for part in ("length only", "MAUVE", "Frechet", "distinct", "self-BLEU", "copied words", "swap 20%", "next: "):
        assert part in said, part
    code, _, err = call(capsys, *words)
    assert code == 2 and "already exists" in err


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, one = tmp_path / "real.txt", tmp_path / "one.txt"
    real.write_text("\n".join(map(texts.join, REPORTS[:300])))
    one.write_text("a single line\n")
    same = tmp_path / "same.txt"
    same.write_text("the same line\n" * 400)
    cases = (
        (("text", "judge", real, one), "has 1 text; a judgement (GENERATED) needs at least 40"),
        (("text", "judge", one, real), "has 1 text; a judgement (REAL) needs at least 200"),
        (("text", "judge", same, real), "repeats itself"),
        (("text", "judge", real, tmp_path / "none"), "does not exist"),
        (("text", "judge", real, real, "--n", "5"), "give at least 200"),
        (("text", "judge", real, real, "--out", tmp_path / "a.txt"), "must end in .html"),
        (("text", "judge", real, real, "--device", "tpu"), "--device must be"),
        (("text", "judge", real, real, "--encoder", tmp_path), "is no text encoder"),
    )
    for words, message in cases:
        code, _, err = call(capsys, *words)
        assert code == 2 and message in err and err.count("\n") == 1, err


@pytest.mark.slow
def test_acceptance_of_the_judge() -> None:
    """On the built-in corpus, at the default size: monotone, real within 10 % of shuffled, AUC on unseen damage."""
    found = judge(
        reports(), texts.Texts([texts.join(random.Random(0).sample(row, len(row))) for row in REPORTS]), steps=800
    )
    real, shuffled = found.row("real"), found.row("real, words shuffled")
    assert real.frechet <= 0.1 * shuffled.frechet
    for kind in UNSEEN[:2]:
        rows = [real, *(found.row(f"{kind} {rate}") for rate in ("10%", "20%", "40%"))]
        for figure in (
            [row.detector.value for row in rows],
            [row.frechet for row in rows],
            [-row.mauve for row in rows],
        ):
            assert figure == sorted(figure), (kind, figure)
        assert rows[-1].detector.value >= 0.85
    assert (
        real.told is not None and real.told.network is not None and real.told.network.low < 0.5 < real.told.network.high
    )
    assert "can be told" in verdict(found)[0]
