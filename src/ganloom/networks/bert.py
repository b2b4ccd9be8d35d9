"""A sentence encoder in plain PyTorch: BERT with mean pooling (Reimers & Gurevych 2019, arXiv:1908.10084), as all-MiniLM-L6-v2.

It reads a folder in the form of Hugging Face: config.json, vocab.txt and model.safetensors.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.networks.wordpiece import SPECIAL, WordPiece

LONGEST = 128
"""Tokens of a text that are read."""
BATCH = 64
_AGAIN = "Install or download it again"


class _Config(TypedDict):
    """The keys of config.json that are used."""

    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    intermediate_size: int
    max_position_embeddings: int
    vocab_size: int
    type_vocab_size: int
    layer_norm_eps: float


class Layer(nn.Module):
    """One layer: self-attention and two linear layers, each added to its input and normalised."""

    def __init__(self, cfg: _Config) -> None:
        super().__init__()
        width, self.heads = cfg["hidden_size"], cfg["num_attention_heads"]
        self.query, self.key, self.value, self.attended = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, cfg["intermediate_size"]), nn.Linear(cfg["intermediate_size"], width)
        self.norm_attended, self.norm = (nn.LayerNorm(width, cfg["layer_norm_eps"]) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (N, T, width) to the same; ``mask`` (N, 1, 1, T) is true where a token is read."""
        n, t, width = x.shape
        query, key, value = (
            f(x).view(n, t, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = self.norm_attended(x + self.attended(attended.transpose(1, 2).reshape(n, t, width)))
        return self.norm(x + self.narrow(F.gelu(self.wide(x))))  # type: ignore[no-any-return]


class Bert(nn.Module):
    """Map token numbers (N, T) to sentence vectors (N, width) of length 1: the mean over the tokens of the last layer."""

    def __init__(self, cfg: _Config) -> None:
        super().__init__()
        width = cfg["hidden_size"]
        self.words = nn.Embedding(cfg["vocab_size"], width)
        self.positions = nn.Embedding(cfg["max_position_embeddings"], width)
        self.types = nn.Embedding(cfg["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, cfg["layer_norm_eps"])
        self.layers = nn.ModuleList([Layer(cfg) for _ in range(cfg["num_hidden_layers"])])

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Map tokens (N, T) int64 with their mask (N, T) bool to vectors (N, width)."""
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.types.weight[0]
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, mask[:, None, None])
        weights = mask[..., None].to(x.dtype)
        return F.normalize((x * weights).sum(1) / weights.sum(1), dim=1)


_NAMES = {
    "words": "embeddings.word_embeddings", "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm",
}  # fmt: skip
_IN_LAYER = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "attended": "attention.output.dense", "norm_attended": "attention.output.LayerNorm", "wide": "intermediate.dense",
    "narrow": "output.dense", "norm": "output.LayerNorm",
}  # fmt: skip


def _published(name: str) -> str:
    """The published name of one of our parameters."""
    parts = name.split(".")
    if parts[0] == "layers":
        return f"encoder.layer.{parts[1]}.{_IN_LAYER[parts[2]]}.{parts[3]}"
    return f"{_NAMES[parts[0]]}.{parts[1]}"


def width_of(folder: Path) -> int:
    """Return the length of the sentence vectors of the encoder in a folder. Raises BadInput if it is none."""
    return _config(folder)["hidden_size"]


def _config(folder: Path) -> _Config:
    if not (folder / "config.json").is_file():
        raise BadInput(f"{folder} is no text encoder: it has no config.json; give a folder with config.json, vocab.txt and "
                       "model.safetensors of a BERT model")  # fmt: skip
    read: _Config = json_files.read(folder / "config.json", _Config, _AGAIN)  # type: ignore[assignment]
    sizes = [read[key] for key in _Config.__annotations__ if key != "layer_norm_eps"]  # type: ignore[literal-required]
    if min(sizes) < 1 or max(sizes) > 2**20 or read["hidden_size"] % read["num_attention_heads"]:
        raise BadInput(f"{folder / 'config.json'} has sizes that are not possible. {_AGAIN}")
    return read


class SentenceEncoder:
    """The frozen encoder of a folder: texts to vectors. It is never changed, so copies share it.

    Args:
        folder: Holds config.json, vocab.txt and model.safetensors.

    Raises:
        BadInput: A file is missing, damaged, or of another kind of model.
    """

    def __init__(self, folder: Path) -> None:
        cfg, weights, vocabulary = _config(folder), folder / "model.safetensors", folder / "vocab.txt"
        try:
            content, text = weights.read_bytes(), vocabulary.read_text("utf-8")
            tensors = safetensors.torch.load(content)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the text encoder in {folder} cannot be read: {error}") from None
        except Exception as error:
            raise BadInput(f"{weights} is damaged ({type(error).__name__}). {_AGAIN}") from None
        tokens = text.removesuffix("\n").split("\n")
        if not set(SPECIAL) <= set(tokens) or len(tokens) > cfg["vocab_size"]:
            raise BadInput(
                f"{vocabulary} is not the vocabulary of a BERT model with {cfg['vocab_size']:,} tokens. {_AGAIN}"
            )
        self.digest = hashlib.sha256(hashlib.sha256(content).digest() + text.encode()).hexdigest()
        self.pieces, self.width = WordPiece(tokens), cfg["hidden_size"]
        self.longest = min(LONGEST, cfg["max_position_embeddings"])
        self._net = _loaded(cfg, tensors, weights)

    def __deepcopy__(self, memo: object) -> "SentenceEncoder":
        return self

    @torch.no_grad()
    def encode(self, texts: Sequence[str], each: Callable[[int, int], None] | None = None) -> Tensor:
        """Return the vectors of texts, float32 (N, width) of length 1, on the CPU.

        Args:
            texts: Any texts; of a long one the first ``longest`` tokens are read.
            each: Called with (texts done, N) after each batch.
        """
        rows = [self.pieces.tokens(text, self.longest) for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # texts of one length need no padding
        result = torch.empty(len(rows), self.width)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            longest = max(len(rows[i]) for i in chosen)
            tokens = torch.tensor([rows[i] + [self.pieces.pad] * (longest - len(rows[i])) for i in chosen])
            lengths = torch.tensor([len(rows[i]) for i in chosen])
            result[chosen] = self._net(tokens, torch.arange(longest) < lengths[:, None])
            if each is not None:
                each(start + len(chosen), len(rows))
        return result


def _loaded(cfg: _Config, tensors: dict[str, Tensor], path: Path) -> Bert:
    """The network with the tensors of a file, of which each must be there and have its shape."""
    with torch.device("meta"):
        net = Bert(cfg)
    known = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    state = {}
    for name, parameter in net.state_dict().items():
        tensor = known.get(_published(name))
        if tensor is None or tensor.shape != parameter.shape:
            shape = "is missing" if tensor is None else f"has the shape {tuple(tensor.shape)}"
            raise BadInput(f"{path} is not of the model that its config.json describes: {_published(name)} {shape}")
        state[name] = tensor.float()
    net.load_state_dict(state, strict=True, assign=True)
    return net.eval().requires_grad_(False)


def folder_of(name: str | os.PathLike[str]) -> Path:
    """The folder of an encoder as an absolute path."""
    return Path(os.path.abspath(os.path.expanduser(name)))
