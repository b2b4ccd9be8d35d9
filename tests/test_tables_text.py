"""Made identifiers and free texts: nothing of a single row can be read in them."""

import re

import numpy as np
import pytest

from ganloom.tables.text import TextPattern, pattern_of

SAID = ("Patient has diabetes", "Patient has HIV", "Patient has cough", "Patient has asthma")
SINCE = ("since Monday", "for two weeks", "after surgery", "at night")
THEN = ("takes aspirin", "takes insulin", "refuses treatment", "was given antibiotics")
ALSO = ("smokes", "is pregnant", "lives alone", "works at night", "has two children")


def notes(n: int, seed: int = 0) -> list[str]:
    """Different sentences of words that all are in many rows."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        a, b, c, d = (parts[rng.integers(len(parts))] for parts in (SAID, SINCE, THEN, ALSO))
        found[f"{a} {b}, {c} and {d}."] = None
    return list(found)


def made(pattern: TextPattern, n: int = 300) -> list[str]:
    return pattern.make(n, np.random.default_rng(1))


def test_sentences_of_rows_are_no_likelier_than_others_of_the_same_words() -> None:
    possible = notes(320)
    cells, unseen = possible[:160], possible[160:]
    pattern = pattern_of(cells, free_text=True)
    texts = made(pattern)
    assert not set(texts) & set(cells)
    inside = [sum(cell.rstrip(".") in text for cell in part for text in texts) for part in (cells, unseen)]
    assert inside[0] <= inside[1], inside
    stored = str(pattern)
    assert not any(cell in stored for cell in cells)
    assert len(set(texts)) == 300 and all(text.endswith(".") for text in texts)
    words = {word for cell in cells for word in re.findall(r"\w+", cell)}
    assert {word for text in texts for word in re.findall(r"\w+", text)} <= words  # all words are shared
    usual = np.mean([len(cell.split()) for cell in cells])
    assert np.mean([len(text.split()) for text in texts]) == pytest.approx(usual, abs=1)
    assert made(pattern) == texts


def test_equal_counts_keep_the_order_of_the_data() -> None:
    """The order of a set differs between processes, and the same seed would give other texts."""
    words = [f"w{i}x" for i in range(60)]
    learned = pattern_of([" ".join(words)] * 6, free_text=True).sentences
    assert learned is not None and [word for word, _ in learned.words] == words
    assert [word for word, *_ in learned.pairs] == [-2, *range(59)]


def test_words_of_single_rows_are_replaced() -> None:
    rng = np.random.default_rng(0)
    secrets = ["".join(rng.choice(list("abcdefghijklmnop"), 9)).title() for _ in range(100)]
    cells = [f"The patient {name} was seen on day {i} by the doctor" for i, name in enumerate(secrets)]
    pattern = pattern_of(cells, free_text=True)
    texts = made(pattern)
    assert not any(name in text for name in secrets for text in [*texts, str(pattern)])
    assert sum("The patient " in text and " by the doctor" in text for text in texts) > 150
    assert any(re.search(r"patient [A-Z][a-p]{8} was seen on day \d+", text) for text in texts)


def test_few_texts_of_few_words_still_give_new_ones() -> None:
    for cells in (
        ["red blue"] * 6 + ["blue red"] * 6,
        ["one two three four"] * 20,
        ["!!!", "???"] * 5,
        ["東京です", "大阪です"],
    ):
        texts = made(pattern_of(cells, free_text=True), 40)
        assert not set(texts) & set(cells) and all(text.strip() for text in texts)


def test_shared_words_of_identifiers_are_kept_only_if_they_name_nobody() -> None:
    rng = np.random.default_rng(0)
    first, last = (
        ["Anna", "Bert", "Cleo", "Dora"],
        ["Smith", "Jones", "Brown", "Moore", "Patel", "Garcia", "Khan", "Wong"],
    )
    names = [f"{a} {b}" for a in first for b in last]
    texts = made(pattern_of(names, free_text=False), 100)
    assert not any(name in text for name in names for text in texts)
    assert all(re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+", text) for text in texts)
    mails = [f"{''.join(rng.choice(list('abcdef'), 6))}@{rng.choice(['mail', 'post'])}.com" for _ in range(80)]
    texts = made(pattern_of(mails, free_text=False), 100)
    assert all(re.fullmatch(r"[a-f]{6}@(mail|post)\.com", text) for text in texts) and not set(texts) & set(mails)
