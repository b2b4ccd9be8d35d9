"""Images with captions: every form in which people hold them, what is left out with a note, draws and the report."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganloom import data
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data import caption_words, shapes, shapes_captions
from ganloom.data.captioned import Captioned, all_captions
from ganloom.data.dataset_check import check

NAMES = ("a.png", "sub/b.jpg", "sub/c.png")
TEXTS = {"a.png": "a red ball", "sub/b.jpg": "two cats, one dog", "sub/c.png": "Straße im Nebel"}


def images(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (40 * i, 200 - 20 * i, 90)).save(root / name)
    return root


def opened(root: Path) -> Captioned:
    found = data.open(str(root), inputs="captions", shape=(3, 8, 8))
    assert isinstance(found, Captioned)
    return found


def as_dict(found: Captioned, names: tuple[str, ...] = NAMES) -> dict[str, tuple[str, ...]]:
    return dict(zip(names, all_captions(found.facts), strict=True))


def csv(rows: list[tuple[str, str]], header: str = "file_name,text", delimiter: str = ",") -> str:
    lines = [f'{name}{delimiter}"{text}"' for name, text in rows]
    return "\n".join([header.replace(",", delimiter), *lines] if header else lines) + "\n"


def coco(rows: list[tuple[str, str]]) -> str:
    names = list(dict.fromkeys(name for name, _ in rows))
    return json.dumps(
        {
            "images": [{"id": i + 7, "file_name": name.rpartition("/")[2]} for i, name in enumerate(names)],
            "annotations": [{"image_id": names.index(n) + 7, "id": k, "caption": t} for k, (n, t) in enumerate(rows)],
        }
    )


ROWS = list(TEXTS.items())
FORMS = {
    "metadata.jsonl": "\n".join(json.dumps({"file_name": n, "text": t}) for n, t in ROWS),
    "metadata.csv": csv(ROWS),
    "captions.csv": csv(ROWS, "image,caption"),
    "captions.tsv": csv(ROWS, "filename,description", "\t"),
    "results.csv": csv([(n, f"0| {t}") for n, t in ROWS], "image_name| comment_number| comment", "|").replace('"', ""),
    "captions.txt": csv(ROWS, ""),
    "annotations/captions_train2017.json": coco(ROWS),
    "captions.json": json.dumps(dict(ROWS)),
    "dataset_flickr.json": json.dumps(
        {"images": [{"filename": n.rpartition("/")[2], "sentences": [{"raw": t}]} for n, t in ROWS]}
    ),
    "Flickr.token.txt": "".join(f"{n}#0\t{t}\n" for n, t in ROWS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_table_gives_the_same_captions(form: str, tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / form).parent.mkdir(exist_ok=True)
    (tmp_path / form).write_text(FORMS[form], encoding="utf-8")
    found = opened(tmp_path)
    assert as_dict(found) == {name: (text,) for name, text in TEXTS.items()}
    assert not found.notes, found.notes


@pytest.mark.parametrize(
    "name, content",
    [
        ("captions.csv", 'file_name,text\r\na.png,"a red\r\n\r\nball"\r\nsub/b.jpg,two\u2028cats\x85\r\n,\r\n'),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "text": "a red ball"}\r{"file_name": "sub/b.jpg", "text": "two\u2028cats"}',
        ),
    ],
)
def test_a_caption_may_hold_line_ends_of_its_own(name: str, content: str, tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / name).write_bytes(content.encode())
    assert opened(tmp_path).texts == ("a red ball", "two cats")


@pytest.mark.parametrize("place", ["{stem}.txt", "{stem}.caption", "texts/{stem}.txt"])
def test_a_text_file_for_each_image(place: str, tmp_path: Path) -> None:
    images(tmp_path)
    for name, text in ROWS:
        path = tmp_path / place.format(stem=name.rpartition(".")[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n\n", encoding="utf-8")
    assert as_dict(opened(tmp_path)) == {name: (text,) for name, text in TEXTS.items()}


def test_a_zip_archive_and_several_captions_of_an_image(tmp_path: Path) -> None:
    images(tmp_path / "x")
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in NAMES:
            file.write(tmp_path / "x" / name, name)
        more = [*ROWS, ("a.png", "a second one"), ("a.png", "a red ball")]
        file.writestr("captions.json", coco(more))
    found = opened(archive)
    assert as_dict(found)["a.png"] == ("a red ball", "a second one")
    npz = tmp_path / "saved.npz"
    found.save(npz)
    again = opened(npz)
    assert all_captions(again.facts) == all_captions(found.facts) and again.fingerprint == found.fingerprint
    assert data.reopen(found.source).fingerprint == found.fingerprint
    other = data.open(str(archive), shape=(3, 8, 8))
    assert other.fingerprint != found.fingerprint, "captions are part of what a training depends on"


def test_nothing_is_dropped_without_a_note(tmp_path: Path) -> None:
    images(tmp_path, (*NAMES, "d.png", "e.png"))
    rows = [*ROWS, ("gone.png", "not there"), ("d.png", "  "), ("e.png", "word " * 10_000)]
    (tmp_path / "captions.csv").write_text(csv(rows))
    found = opened(tmp_path)
    notes = "\n".join(found.notes)
    assert len(found) == 4 and len(found.notes) == 4
    assert "gone.png" in notes and "1 caption is empty, such as that of d.png" in notes
    assert "10,000" in notes and "1 of 5 images have no caption, such as d.png" in notes
    assert max(len(text.split()) for text in found.texts) == caption_words.LONGEST
    lines = "\n".join(check(str(tmp_path)).lines())
    assert "1 image, such as d.png" in lines and "gone.png" in lines and "max 200" in lines


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    images(tmp_path)
    table = tmp_path / "captions.csv"
    for content, says in (
        ("file_name,text\na.png,Straße\n".encode("latin-1"), "not UTF-8"),
        (b"file_name,text\n", "no captions"),
        (b"", "empty"),
        (b"file_name,size,colour\na.png,3,red\n", "columns file_name, size, colour"),
        (b"file_name,text,n\na.png,b\n", "line 2 has 2 columns"),
        (b'file_name,text\na.png,"b\nc"\n\nd.png\n', "line 5 has 1 columns"),
        (b"file_name,text\nx.png,b\n", "names none of the images"),
        (b",\n,\n", "empty"),
    ):
        table.write_bytes(content)
        with pytest.raises(BadInput) as error:
            opened(tmp_path)
        assert says in str(error.value) and "\n" not in str(error.value)
    table.write_bytes("file_name,text\na.png,Straße\n".encode("utf-16"))
    assert opened(tmp_path).texts == ("Straße",)
    table.unlink()
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "sub" / "b.txt").write_text("fine")
    found = opened(tmp_path)
    assert found.texts == ("fine",) and "a.txt cannot be used" in found.notes[0]
    with pytest.raises(BadInput, match="has no captions"):
        data.open("digits", inputs="captions", labels=False)


def test_objects_in_memory(tmp_path: Path) -> None:
    pixels = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    texts = ["one", "two", "one"]
    for source in ((pixels, texts), {"images": pixels, "captions": texts}):
        found = data.open(source, inputs="captions")
        assert isinstance(found, Captioned) and found.captions == texts and found.n_classes == 0


def test_draws_are_a_function_of_the_position_and_mismatches_have_another_meaning() -> None:
    found = data.open("shapes:400,varied,seen", inputs="captions")
    assert isinstance(found, Captioned)
    a, b = (found.draw(32, Rng(3, 2, 64), near=0.5) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert bool((a.mismatched == 1).all()) and bool((a.group != a.wrong_group).all())
    known = {text: int(group) for text, group in zip(found.captions, found.facts.caption_groups, strict=True)}
    assert [known[found.texts[i]] for i in a.c.tolist()] == a.group.tolist()

    def common(near: float) -> float:
        batch = found.draw(128, Rng(0, 0, 0), near=near)
        pairs = [
            [set(found.texts[i].split()) for i in row]
            for row in zip(batch.c.tolist(), batch.wrong.tolist(), strict=True)
        ]
        return float(np.mean([len(one & other) / len(one | other) for one, other in pairs]))

    assert common(1.0) > 2 * common(0.0)


def test_images_of_one_meaning_have_no_mismatch() -> None:
    found = data.open((np.zeros((4, 8, 8, 3), np.uint8), ["same"] * 4), inputs="captions")
    batch = found.draw(8, Rng(0, 0, 0), near=1.0)  # type: ignore[call-arg]
    assert not batch.mismatched.any() and torch.equal(batch.wrong, batch.c)  # type: ignore[attr-defined]


def test_held_out_combinations_and_words_of_shapes() -> None:
    seen, unseen = (data.open(f"shapes:900,{which}", inputs="captions") for which in ("seen", "unseen"))
    numbers = [set(shapes.combination(one.factors).tolist()) for one in (seen, unseen)]
    assert not numbers[0] & numbers[1] and len(numbers[1]) > 200
    assert round(shapes_captions.UNSEEN * shapes.COMBINATIONS) == shapes_captions.unseen(shapes.COMBINATIONS).sum()
    words = set(data.open("shapes:2000,varied,seen", inputs="captions").vocabulary)  # type: ignore[attr-defined]
    held = {
        word for own in shapes_captions.HELD_SYNONYMS.values() for one in own for word in caption_words.words_of(one)
    }
    other = set(data.open("shapes:500,synonyms,seen", inputs="captions").vocabulary)  # type: ignore[attr-defined]
    assert "crimson" in other and not {"crimson", "huge", "lilac"} & words and len(held & words) <= 3
    assert data.open("shapes:5").captions == data.open("shapes:9").captions[:5]
    fresh = [data.open(f"shapes:900,split=7,{which}", inputs="captions") for which in ("seen", "unseen")]
    others = [set(shapes.combination(one.factors).tolist()) for one in fresh]
    assert not others[0] & others[1] and len(others[1] & numbers[0]) > 100, (
        "another number holds out other combinations"
    )
    for bad in (
        "shapes:10,vary",
        "shapes:10,seen,unseen",
        "shapes:10,split=x",
        "shapes:10,split=-1",
        "shapes:10,split=1,split=2",
    ):
        with pytest.raises(BadInput, match="shapes:10"):
            data.open(bad)


def test_the_report_names_vocabulary_lengths_and_shared_captions(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "metadata.csv").write_text(
        csv([("a.png", "a cat"), ("sub/b.jpg", "a cat"), ("sub/c.png", "the old dog")])
    )
    report = check(str(tmp_path))
    captions = report.captions
    assert captions is not None and captions.vocabulary == 5 and captions.words == (2, 2, 3) and captions.shared == 1
    assert captions.example == ("a cat", 2) and captions.without == 0
    assert not [note for note in report.notes if "metadata.csv" in note], "it is read, as captions"
    assert json.dumps(report.to_dict())
    assert check("shapes:50").captions is not None
