"""Texts: reading, encodings, tables, folders, vocabularies, splits, the check and the corpora; bad input is one line."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commands import call
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganloom import texts
from ganloom.core.errors import BadInput
from ganloom.texts import corpora, wordpiece
from ganloom.texts.reports_corpus import reports
from ganloom.texts.vocabulary import SPECIAL, UNK

THREE = "one two three\nfour five\n\nsix\n"
WORDY = "The cat sat on the mat.\n" * 3


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_a_line(tmp_path: Path, mark: bytes, end: str) -> None:
    found = texts.read(file(tmp_path, "a.txt", mark + THREE.replace("\n", end).encode()))
    assert list(found.texts) == ["one two three", "four five", "six"] and found.labels is None
    assert found.notes == ["1 empty lines were left out"]


CSV = 'text,label\n"one, two",a\nthree,b\n"four\nfive",a\n'


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", CSV),
        ("a.csv", CSV.replace("one, two", "one; two").replace(",", ";").replace("one; two", "one, two")),
        ("a.tsv", CSV.replace("one, two", "one; two").replace(",", "\t").replace("one; two", "one, two")),
        ("a.csv", CSV.replace("text", "Review").replace("label", "Category")),
        ("a.csv", CSV.replace("\n", "\r\n")),
        ("a.csv", "id," + CSV.replace('"one', '1,"one').replace("three", "2,three").replace('"four', '3,"four')),
        (
            "a.jsonl",
            '{"text": "one, two", "label": "a"}\n\n{"text": "three", "label": "b"}\n{"text": "four\\nfive", "label": "a"}',
        ),
        (
            "a.json",
            '[{"text": "one, two", "label": "a"}, {"text": "three", "label": "b"}, {"text": "four\\nfive", "label": "a"}]',
        ),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str) -> None:
    found = texts.read(file(tmp_path, name, content))
    assert [" ".join(text.split()) for text in found.texts] == ["one, two", "three", "four five"]
    assert list(found.labels or ()) == ["a", "b", "a"] and found.classes == ["a", "b"]


def test_columns_by_name_and_values_of_labels(tmp_path: Path) -> None:
    path = file(tmp_path, "a.jsonl", '{"q": "a b", "stars": 1, "ok": true}\n{"q": "c d", "stars": 2, "ok": false}\n')
    assert texts.read(path).labels is None  # one wordy column, no column with a usual name
    assert "--label COLUMN" in texts.read(path).notes[0]
    assert list(texts.read(path, label="stars").labels or ()) == ["1", "2"]
    assert list(texts.read(path, text="q", label="ok").labels or ()) == ["true", "false"]
    csv = file(tmp_path, "b.csv", CSV)
    assert texts.read(csv, label="none").labels is None


def test_rows_without_text_or_label_are_counted(tmp_path: Path) -> None:
    found = texts.read(file(tmp_path, "a.csv", "text,label\n,a\nx y,\nz,b\n"))
    assert list(found.texts) == ["z"]
    assert found.notes == ["1 rows without a text were left out", '1 rows without a label in "label" were left out']


def test_class_folders_and_folders(tmp_path: Path) -> None:
    for name in ("pos/1.txt", "pos/2.txt", "neg/1.txt"):
        file(tmp_path, f"c/{name}", f"{name}\nsecond line")
    file(tmp_path, "c/neg/bad.txt", b"\0\1\2")
    file(tmp_path, "c/neg/picture.png", b"x")
    found = texts.read(tmp_path / "c")
    assert list(found.labels or ()) == ["neg", "pos", "pos"] and "second line" in found.texts[0]
    assert any("bad.txt" in note for note in found.notes) and any("picture.png" in note for note in found.notes)
    assert len(texts.read(tmp_path / "c" / "pos")) == 2
    with pytest.raises(BadInput, match="has folders in it"):
        texts.read(tmp_path)


def test_strings() -> None:
    assert texts.read(["a b", "c"], ["x", "y"]).classes == ["x", "y"]
    for bad, labels in (([], None), (["a", ""], None), (["a", 3], None), (["a"], ["x", "y"])):
        with pytest.raises(BadInput):
            texts.read(bad, labels)  # type: ignore[arg-type]


LATIN = "caf\xe9 au lait\n".encode("latin-1")
BAD = {
    "empty.txt": (b"", "is empty"),
    "blank.txt": (b" \n\n\t\n", "is empty"),
    "bom.txt": (b"\xef\xbb\xbf", "is empty"),
    "one.txt": (b"only one line here\n", "has 1 text"),
    "utf16.txt": (WORDY.encode("utf-16"), "is UTF-16, not UTF-8; add --encoding utf-16"),
    "utf16be.txt": (WORDY.encode("utf-16-be"), "is UTF-16BE"),
    "utf16le.txt": (WORDY.encode("utf-16-le"), "is UTF-16LE"),
    "utf32.txt": (WORDY.encode("utf-32"), "is UTF-32"),
    "utf16.csv": (CSV.encode("utf-16"), "is UTF-16"),
    "utf16.jsonl": (b'\xff\xfe{\0"\0', "is UTF-16"),
    "binary.txt": (bytes(range(256)) * 10, "is binary"),
    "noise.txt": (b"\x01\x02\x03\x04abc\x05\x06" * 50, "is binary"),
    "nul.txt": (b"good line\nbad \0 line\n" * 3, "line 2 has a NUL byte"),
    "pack.txt": (b"\x1f\x8b\x08\x00rest", "a gzip archive"),
    "book.csv": (b"PK\x03\x04rest", "a zip archive or an office document"),
    "page.txt": (b"%PDF-1.4\n", "a PDF document"),
    "latin.txt": (b"plain\n" + LATIN, "line 2 has the byte 0xe9"),
    "long.txt": (b"short\n" + b"word " * 210_000 + b"\n", "line 2: a text of 1,050,000 characters"),
    "long.csv": (b"text,label\n" + b"word " * 210_000 + b",a\n", "line 2: a text of 1,050,000 characters"),
    "long.jsonl": (b'{"text": "%s"}\n' % (b"word " * 210_000), "line 1: a text of 1,050,000 characters"),
    "header.csv": (b"text,label\n", "has a header but no rows"),
    "short.csv": (b"text,label\na b,x\nc d\n", "line 3: 1 values, but the header has 2"),
    "comma.csv": (b"text,label\na, b,x\n", "double quotes"),
    "quote.csv": (b'text,label\n"a b,x\nc d,y\n', "not valid CSV"),
    "twice.csv": (b"text,text\na,b\n", 'two columns are named "text"'),
    "numbers.csv": (b"a,b\n1,2\n3,4\n", "no column of texts among a, b"),
    "cut.jsonl": (b'{"text": "a b"}\n{"text": "c', "line 2 is not valid JSON"),
    "list.jsonl": (b"[1, 2]\n", "is no JSON object"),
    "number.jsonl": (b'{"text": "a b"}\n{"text": 3}\n', 'line 2: "text" is no text but 3'),
    "deep.jsonl": (b'{"text": ' + b"[" * 100_000, "not valid JSON"),
    "nothing.csv": (b"text,label\n,a\n ,b\n", "no row has a text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD[name]
    path = file(tmp_path, name, content)
    code, out, err = call(capsys, "text", "check", path)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1 and err.startswith("error: "), err


def test_missing_columns_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv, txt = file(tmp_path, "a.csv", CSV), file(tmp_path, "a.txt", THREE)
    for words, message in (
        ((csv, "--label", "labl"), f'--label labl: {csv} has the columns text, label (did you mean "label"?)'),
        ((csv, "--text", "body"), "--text body"),
        ((csv, "--label", "text"), "cannot be both"),
        ((txt, "--label", "class"), "has no columns"),
        ((tmp_path / "none.txt",), "does not exist"),
        (("report",), 'did you mean "reports"?'),
        ((txt, "--encoding", "utf-17"), "unknown encoding utf-17"),
        ((txt, "--encoding", "base64"), "encoding"),
    ):
        code, _, err = call(capsys, "text", "check", *words)
        assert code == 2 and message in err and err.count("\n") == 1, err


def test_other_encodings_on_request(tmp_path: Path) -> None:
    assert texts.read(file(tmp_path, "a.txt", LATIN), encoding="latin-1").texts[0] == "café au lait"
    for encoding in ("utf-16", "utf-16-le"):
        assert texts.read(file(tmp_path, "b.txt", THREE.encode(encoding)), encoding=encoding).texts[2] == "six"


@given(st.binary(max_size=200), st.sampled_from(["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.json"]))
def test_any_bytes_are_texts_or_bad_input(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        found = texts.read(path)
    except BadInput as error:
        assert "\n" not in str(error)
    else:
        assert found.texts and all(text.strip() for text in found.texts)


# ------------------------------------------------------------------------------------------------------------ vocabularies


def test_words_and_join() -> None:
    assert texts.words("Don't stop: 3.5 (or so) e-mails!") == [
        "Don't",
        "stop",
        ":",
        "3.5",
        "(",
        "or",
        "so",
        ")",
        "e-mails",
        "!",
    ]
    assert texts.join(texts.words("Stop: it is 3.5 (or so), no?")) == "Stop: it is 3.5 (or so), no?"


def test_marks_and_joiners_are_parts_of_words() -> None:
    for text in (
        "हिन्दी में",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "cafe\u0301 noir",
        "שָׁלוֹם",
        "ok ❤️ 👍🏽 👨‍👩‍👧!",
    ):
        assert texts.join(texts.words(text)) == text
    assert texts.words("cafe\u0301 👍🏽❤️") == ["cafe\u0301", "👍🏽", "❤️"]


def test_pieces_are_learned_by_counts_and_make_up_unknown_words() -> None:
    words = {
        "low": 5,
        "lower": 2,
        "newest": 6,
        "widest": 3,
        "I": 1,
    }  # the example of Sennrich et al. 2016, arXiv:1508.07909
    learned = wordpiece.learn(words)
    characters = [piece for piece in learned if len(piece.removeprefix("##")) == 1]
    assert learned[: len(characters)] == characters
    assert learned[len(characters) : len(characters) + 4] == ["##es", "##est", "##ow", "low"]
    assert {"e", "##e", "i", "##I"} <= set(characters), "each letter at both places"
    assert len(set(learned)) == len(learned) and wordpiece.learn(dict(reversed(words.items()))) == learned
    assert wordpiece.learn(words, 4) == ["##e", "##w", "##s", "##t"], (
        "the most frequent characters, if there is room for no more"
    )
    assert wordpiece.pieces("lowest", set(learned), 6) == ["low", "##est"]
    assert wordpiece.pieces("lowz", set(learned), 6) is None
    assert wordpiece.joined(["##low", "##est", ".", "##s", "a"]) == ["lowest", ".s", "a"]

    lines = [f"{a}{b}ing the {b}{a}" for a in ("walk", "talk", "look", "cook") for b in ("un", "re", "over")] * 3
    vocabulary = texts.build(lines, "wordpiece", size=80)
    assert vocabulary.decode(vocabulary.encode("Cooking the recook")) == "cooking the recook"
    assert len(vocabulary.encode("lookrelook")) < len("lookrelook") and UNK not in vocabulary.encode("lookrelook")
    assert vocabulary.encode("look Ωlook").count(UNK) == 1


@pytest.mark.parametrize("kind", ["word", "char", "wordpiece"])
@settings(max_examples=30, deadline=None)
@given(lines=st.lists(st.text(max_size=30), min_size=1, max_size=5))
@example(lines=["##a <unk> <eos>", "x##y #", "İstanbul ($3.5)", "a\u0301 '\u0301 👍🏽\u200d"])
def test_decoding_gives_the_text_back(kind: Any, lines: list[str]) -> None:
    if not any(line.split() for line in lines):
        return
    vocabulary = texts.build(lines, kind, lower=kind != "char")
    for line in lines:
        expected = line if kind == "char" else texts.join(texts.words(line.lower()))
        assert vocabulary.decode(vocabulary.encode(line)) == expected


@pytest.mark.parametrize("kind", ["word", "char", "wordpiece"])
def test_vocabularies(kind: str) -> None:
    lines = ["the cat sat", "the dog sat down", "a cat"]
    vocabulary = texts.build(lines, kind, size=len(SPECIAL) + 6)  # type: ignore[arg-type]
    assert len(vocabulary) == len(SPECIAL) + 6
    again = texts.Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert again == vocabulary
    full = texts.build(lines, kind)  # type: ignore[arg-type]
    assert full.decode(full.encode("the dog sat down")) == "the dog sat down"
    assert UNK in full.encode("zebra")
    assert 0 not in full.encode("<pad>"), "text cannot spell padding"
    assert len(full.encode("the dog sat down", longest=2)) == 2
    with pytest.raises(BadInput, match="no token occurs 9 times"):
        texts.build(lines, kind, least=9)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ splits, check


def test_a_split_keeps_groups_and_duplicates_together() -> None:
    lines = [f"text {i // 2}" for i in range(400)]
    parts = texts.split(texts.Texts(lines), (0.7, 0.3))
    assert not set(parts[0].texts) & set(parts[1].texts) and 90 < len(parts[1]) < 150
    groups = [f"g{i % 40}" for i in range(400)]
    parts = texts.split(texts.Texts([f"text {i}" for i in range(400)], groups=groups), (0.5, 0.5), seed=1)
    assert not set(parts[0].groups or ()) & set(parts[1].groups or ()) and min(map(len, parts)) > 50
    linked = texts.Texts(["x", "X ", "y", "z"], groups=["a", "b", "b", "a"])  # the duplicate links both groups
    assert sorted(len(part) for part in texts.split(linked, (0.5, 0.5))) == [0, 4]


def test_check_counts() -> None:
    data = texts.Texts(
        ["A cat.", "a  cat.", "A cat.", "a dog runs", "cafÃ© au lait"],
        ["x", "x", "y", "y", "y"],
        splits=["train", "test", "train", "train", "test"],
    )
    report = texts.check(data)
    assert (report.count, report.duplicates, report.near_duplicates, report.conflicts, report.leaks) == (5, 1, 2, 1, 1)
    assert report.words.largest == 4 and report.classes == {"x": 2, "y": 3}
    said = "\n".join(report.lines())
    for part in (
        "2 classes: y 3, x 2",
        "two different labels",
        "are in train too",
        "broken characters",
        "repeat another",
    ):
        assert part in said, part
    json.dumps(report.to_dict())
    assert not [w for w in texts.check(reports()).warnings], "the built-in corpus is clean"


# ------------------------------------------------------------------------------------------------------------ corpora


def test_reports_is_the_same_on_every_machine() -> None:
    found = reports()
    assert len(set(found.texts)) == len(found) == 4000 and len(found.classes) == 6
    assert found.texts[:2] == reports(2).texts
    assert hashlib.sha256("\n".join(found.texts).encode()).hexdigest()[:8] == "9979a97d"


PACKAGES = """Package: alpha
Source: family (1.0)
Description: Tool for tests
 long text
Section: devel

Package: beta
Source: family
Description: Another tool for tests
Section: contrib/devel

Package: gamma
Description: Game of words
Section: games

Package: delta
Section: games

"""


def test_debian_packages() -> None:
    assert list(corpora.debian_packages(PACKAGES)) == [
        ("Tool for tests", "devel", "family"),
        ("Another tool for tests", "devel", "family"),
        ("Game of words", "games", "gamma"),
    ]


def test_bible_and_fortunes(tmp_path: Path) -> None:
    listing = "Ge1:1 In the beginning.\n1Sa2:3 And he said: Go.\n\n"
    assert list(corpora.bible_verses(listing)) == [
        ("In the beginning.", "Ge", "Ge1"),
        ("And he said: Go.", "1Sa", "1Sa2"),
    ]
    file(tmp_path, "pets", "A dog.\n%\nA cat\n\t-- Somebody\n%\nA dog.\n")
    file(tmp_path, "pets.dat", b"\0\0")
    file(tmp_path, "pets.u8", "A dog.\n")
    found = corpora.fortunes(tmp_path)
    assert list(found.texts) == ["A dog.", "A cat -- Somebody"] and found.classes == ["pets"]
    with pytest.raises(BadInput, match="apt-get install bible-kjv"):
        corpora.bible("no-such-program-as-bible")
    with pytest.raises(BadInput, match="apt-get install fortunes"):
        corpora.fortunes(tmp_path / "none")


def test_a_corpus_is_written_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.jsonl"
    code, said, _ = call(capsys, "text", "corpus", "reports", "--out", out, "--classes", "3")
    assert code == 0 and "of 3 classes" in said
    found = texts.read(out)
    assert found.splits is not None and set(found.splits) == {"train", "validation", "test"}
    code, said, _ = call(capsys, "text", "check", out, "--json")
    assert code == 0 and json.loads(said)["leaks"] == 0 and len(json.loads(said)["classes"]) == 3
    code, _, err = call(capsys, "text", "corpus", "reports", "--out", out)
    assert code == 2 and "already exists" in err
    code, _, err = call(capsys, "text", "corpus", "reports", "--out", tmp_path / "r.txt")
    assert code == 2 and ".jsonl" in err
    code, _, err = call(capsys, "text", "corpus", "reports", "--out", tmp_path / "s.jsonl", "--classes", "70")
    assert code == 2 and "give 2 to 6" in err


@pytest.mark.parametrize("name", ["debian", "bible", "fortunes"])
def test_the_corpora_of_this_machine(name: str) -> None:
    """Whole source packages are on one side, and no text is twice in the corpus."""
    try:
        found = corpora.CORPORA[name]()
    except (BadInput, subprocess.TimeoutExpired) as error:
        pytest.skip(f"not on this machine: {error}")
    side: dict[str, set[str]] = {}
    for group, part in zip(found.groups or (), found.splits or (), strict=True):
        side.setdefault(group, set()).add(part)
    assert all(len(parts) == 1 for parts in side.values())
    assert len(set(map(texts.normalised, found.texts))) == len(found) > 1000
