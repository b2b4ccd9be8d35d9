"""Generators of token sequences, LSTM and causal transformer, and the functions that sample from them.

Each network maps the last token and its state to the logits of the next token, so that one function samples from all. A
class adds its vector to each input.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.texts.vocabulary import BOS, EOS, PAD, UNK

State = tuple[Tensor, ...]
"""What a network remembers of the tokens before: tensors whose first dimension is the batch."""


class SequenceNetwork(nn.Module):
    """The base of the generators.

    Args:
        vocabulary: V, the number of tokens, with the special ones.
        length: L, the number of tokens in a row.
        classes: Number of classes; 0: without.
        embedding: Length of a token's vector.
        fixed_length: Rows have no end token and no unknown token: each of the L tokens is a true one.
    """

    bf16 = False
    forbidden: Tensor

    def __init__(self, vocabulary: int, length: int, classes: int, embedding: int, fixed_length: bool) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        self.embed = nn.Embedding(vocabulary, embedding)
        self.label = nn.Embedding(classes, embedding) if classes else None
        never = torch.zeros(vocabulary, dtype=torch.bool)
        never[[PAD, BOS, UNK, EOS] if fixed_length else [PAD, BOS]] = True
        self.register_buffer("forbidden", never, persistent=False)

    def begin(self, n: int) -> State:
        """The state before the first token of n rows."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one vector.

        Args:
            x: (n, embedding).
            state: The state before.

        Returns:
            Logits of the next token (n, V), and the state after. Tokens that cannot occur have minus infinity.
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor, c: Tensor | None = None) -> Tensor:
        """The logits of each token, given those before it.

        Args:
            tokens: int64 (n, L).
            c: Classes (n,), or None.

        Returns:
            (n, L, V).
        """
        state, logits = self.begin(len(tokens)), []
        for x in self.inputs(tokens, c).unbind(1):
            step, state = self.step(x, state)
            logits.append(step)
        return torch.stack(logits, 1)

    def inputs(self, tokens: Tensor, c: Tensor | None) -> Tensor:
        """The vectors that the network reads (n, L, embedding): the beginning, then all tokens but the last."""
        first = torch.full_like(tokens[:, :1], BOS)
        return self.vectors(torch.cat([first, tokens[:, :-1]], 1), c)

    def vectors(self, tokens: Tensor, c: Tensor | None) -> Tensor:
        """The vectors of tokens (n, ...), with that of the class of each row added."""
        x: Tensor = self.embed(tokens)
        if self.label is None or c is None:
            return x
        own: Tensor = self.label(c)
        return x + own.view(len(c), *([1] * (x.dim() - 2)), -1)

    def allowed(self, logits: Tensor) -> Tensor:
        """Logits with minus infinity for tokens that cannot occur."""
        return logits.masked_fill(self.forbidden, -math.inf)


class LSTM(SequenceNetwork):
    """One LSTM layer; ``hidden`` is its width. All weights start as N(0, 0.1^2), as in SeqGAN."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        classes: int,
        embedding: int,
        hidden: int,
        fixed_length: bool,
        dropout: float,
    ) -> None:
        super().__init__(vocabulary, length, classes, embedding, fixed_length)
        self.cell = nn.LSTM(embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, vocabulary)
        for weights in self.parameters():
            nn.init.normal_(weights, 0.0, 0.1)

    def begin(self, n: int) -> State:
        """Zeros."""
        zeros = self.embed.weight.new_zeros(n, self.cell.hidden_size)
        return zeros, zeros

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one vector; see the base class."""
        h, (hidden, cell) = self.cell(x[:, None], (state[0][None].contiguous(), state[1][None].contiguous()))
        return self.allowed(self.out(self.dropout(h[:, 0]))), (hidden[0], cell[0])

    def forward(self, tokens: Tensor, c: Tensor | None = None) -> Tensor:
        """The logits of each token, all at once; see the base class."""
        h, _ = self.cell(self.inputs(tokens, c))
        return self.allowed(self.out(self.dropout(h)))


class Transformer(SequenceNetwork):
    """Causal self-attention with norms before each part, learned positions, and four times the width in the MLP."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        classes: int,
        hidden: int,
        layers: int,
        heads: int,
        fixed_length: bool,
        dropout: float,
    ) -> None:
        super().__init__(vocabulary, length, classes, hidden, fixed_length)
        self.heads = heads
        self.position = nn.Embedding(length, hidden)
        self.layers = nn.ModuleList([_Block(hidden, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, vocabulary)
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                nn.init.normal_(weights, 0.0, 0.02 if "layers" in name else 0.05)

    def begin(self, n: int) -> State:
        """No keys and values yet."""
        width = self.position.embedding_dim // self.heads
        return tuple(self.embed.weight.new_zeros(n, self.heads, 0, width) for _ in range(2 * len(self.layers)))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one vector; see the base class."""
        x = (x + self.position.weight[state[0].shape[2]])[:, None]
        after: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x, keys, values = layer(x, state[2 * i], state[2 * i + 1])
            after += [keys, values]
        return self.allowed(self.out(self.norm(x[:, 0]))), tuple(after)

    def forward(self, tokens: Tensor, c: Tensor | None = None) -> Tensor:
        """The logits of each token, all at once; see the base class."""
        x = self.inputs(tokens, c) + self.position.weight[: tokens.shape[1]]
        for layer in self.layers:
            x, _, _ = layer(x)
        return self.allowed(self.out(self.norm(x)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, x: Tensor, keys: Tensor | None = None, values: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map (n, t, width) to the same shape, with the keys and values of all tokens so far."""
        n, t, width = x.shape
        q, k, v = self.qkv(self.before(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if keys is not None and values is not None:
            k, v = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=keys is None)
        x = x + self.dropout(self.mix(mixed.transpose(1, 2).reshape(n, t, width)))
        return x + self.dropout(self.mlp(self.between(x))), k, v


def draw(
    net: SequenceNetwork,
    u: Tensor,
    c: Tensor | None = None,
    *,
    prefix: Tensor | None = None,
    state: State | None = None,
    temperature: float = 1.0,
    never: Tensor | None = None,
) -> Tensor:
    """Sample rows. A row is a function of its uniform numbers, whatever the other rows are.

    Args:
        net: The network.
        u: Uniform numbers in [0, 1), (n, L); those of the prefix are not used.
        c: Classes (n,), or None.
        prefix: int64 (n, t), the first tokens of each row; None: none.
        state: The network's state before the last token of the prefix, if it is known.
        temperature: Divides the logits. Below 1: more probable and less varied.
        never: bool (V,), further tokens that are not drawn.

    Returns:
        int64 (n, L); padding after the end of a text.
    """
    n, length = u.shape
    rows = [] if prefix is None else [prefix]
    token = torch.full((n,), BOS, device=u.device) if prefix is None else prefix[:, -1]
    if state is None:
        state = net.begin(n) if prefix is None else states(net, prefix, c)[-1]
    done = (token == EOS) | (token == PAD)
    for t in range(0 if prefix is None else prefix.shape[1], length):
        logits, state = net.step(net.vectors(token, c), state)
        token = choose(logits if never is None else logits.masked_fill(never, -math.inf), u[:, t], temperature)
        token = token.masked_fill(done, PAD)
        done = done | (token == EOS)
        rows.append(token[:, None])
    return torch.cat(rows, 1)


def choose(logits: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
    """Choose tokens (n,) by their probabilities: the first whose cumulative probability is above u.

    Args:
        logits: (n, V).
        u: Uniform numbers in [0, 1), (n,).
        temperature: Divides the logits.
    """
    cumulative = (logits / temperature).softmax(1).cumsum(1)
    places = torch.searchsorted(cumulative, (u[:, None] * cumulative[:, -1:]), right=True)[:, 0]
    return places.clamp(max=logits.shape[1] - 1)


def states(net: SequenceNetwork, tokens: Tensor, c: Tensor | None) -> list[State]:
    """The state before each token is read as an input, for t = 0 to L: the beginning, then the tokens."""
    found, state = [], net.begin(len(tokens))
    first = torch.full_like(tokens[:, :1], BOS)
    for x in net.vectors(torch.cat([first, tokens], 1), c).unbind(1)[:-1]:
        found.append(state)
        _, state = net.step(x, state)
    return [*found, state]


def soft_draw(net: SequenceNetwork, gumbel: Tensor, sharpness: float, c: Tensor | None = None) -> Tensor:
    """Sample rows as Gumbel softmax, with a gradient (Jang et al. 2016, arXiv:1611.01144).

    The next input is the token with the largest logit plus noise, without a gradient, as in RelGAN's code.

    Args:
        net: The network.
        gumbel: Gumbel noise (n, L, V).
        sharpness: The inverse temperature; large: almost one-hot.
        c: Classes (n,), or None.

    Returns:
        (n, L, V), each a distribution over the tokens; the padding for certain after the end of a text.
    """
    n, length, _ = gumbel.shape
    state, token, rows = net.begin(n), torch.full((n,), BOS, device=gumbel.device), []
    padding = F.one_hot(torch.tensor(PAD, device=gumbel.device), net.vocabulary).to(gumbel.dtype)
    done = torch.zeros(n, dtype=torch.bool, device=gumbel.device)
    for t in range(length):
        logits, state = net.step(net.vectors(token, c), state)
        noisy = logits + gumbel[:, t]
        rows.append(torch.where(done[:, None], padding, (sharpness * noisy).softmax(1)))
        token = noisy.detach().argmax(1).masked_fill(done, PAD)
        done = done | (token == EOS)
    return torch.stack(rows, 1)


def log_likelihood(logits: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor:
    """log p of each token (n, L), given its logits (n, L, V); 0 for padding."""
    found = -F.cross_entropy((logits / temperature).flatten(0, 1), tokens.flatten(), reduction="none", ignore_index=PAD)
    return found.view(tokens.shape)
