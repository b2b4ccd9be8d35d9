"""CTGAN. "Modeling Tabular Data using Conditional GAN", Xu et al. 2019, arXiv:1907.00503.

A number is encoded as its mode in a variational Gaussian mixture and its place in the mode, (x - mean) / (4 sd)     (sec. 4.2)
The condition is one value of one categorical column: the column is drawn uniformly, the value by the logarithm of its
frequency, and the real rows are drawn from those that have it                                                      (sec. 4.3)
h0 = z + c, h1 = h0 + ReLU(BN(FC(h0))), h2 = h1 + ReLU(BN(FC(h1))), where + joins vectors; tanh for numbers, Gumbel softmax
with temperature 0.2 for modes and categories                                                                       (sec. 4.4)
D sees packs of ten rows with their conditions: two layers of 256 units with LeakyReLU(0.2) and dropout             (sec. 4.4)
D minimises E[D(G(z, c), c)] - E[D(x, c)] + 10 E[(|grad D| - 1)^2]; the gradient is by the rows, not by the condition
G minimises -E[D(G(z, c), c)] + the cross entropy between c and G's column of the condition                         (alg. 1)

About: CTGAN is the best known GAN for tables with numbers and categories. Mode-specific normalisation lets a network draw
numbers with several peaks, and conditional sampling lets it see rare categories as often as common ones. Use it through
`ganloom table`, which encodes the table and prints classical methods beside it: on small tables, a Gaussian copula is often
better, and takes seconds. Watch the loss of the condition (G/condition): near 0, G draws the category that it was asked for.
Published in 2019, it is the method that later work on tables compares with.

Departures from the paper: there is an EMA of G, and rows are drawn with it; the random numbers of the Gumbel softmax are part
of the latent; a missing number is a mode of its own; the number of rows in a pack must divide the batch. With ``dp_noise``, D is
trained with DP-SGD (see ``ganloom.training.private_gradients``): G sees real rows through D only. There is then no conditional
vector, because training by sampling draws rare rows more often, and no pack.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad

from ganloom import penalties
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.data.encoded_table import is_layout
from ganloom.gan import GAN, Adam, Batch, Phase, Rng, Terms
from ganloom.losses import wasserstein
from ganloom.networks.tabular import Critic, Generator, gumbel
from ganloom.training import private_gradients
from ganloom.training.private_gradients import PoissonBatch

TITLE = "Conditional GAN for tables of numbers and categories"
PAPER = "Xu et al. 2019, arXiv:1907.00503"
DATA = "tables, through `ganloom table fit`"
KIMG = 1500.0  # default length of a run, thousands of rows: 3,000 steps of 500


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters. The layout and the counts come from the table."""

    layout: tuple[tuple[str, int], ...] = (("value", 3), ("choice", 2), ("choice", 3))
    """The parts of a row: ("value", modes) or ("choice", categories)."""
    counts: tuple[int, ...] = (1, 1, 1, 1, 1)
    """How many rows have each category, for all choices one after the other."""
    z_dim: int = 128
    """Length of the latent vector."""
    g_widths: tuple[int, ...] = (256, 256)
    """Widths of G's residual layers."""
    d_widths: tuple[int, ...] = (256, 256)
    """Widths of D's layers."""
    pac: int = 10
    """Rows in a pack (PacGAN)."""
    temperature: float = 0.2
    """Temperature of the Gumbel softmax."""
    dropout: float = 0.5
    """Rate of dropout in D."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty."""
    batch_size: int = 500
    """Rows per batch; a multiple of ``pac``."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.9), weight_decay=1e-6)
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.9), weight_decay=1e-6)
    """Optimizer of D."""
    conditional: bool = True
    """Whether G and D get the conditional vector, and rows are drawn by it."""
    dp_noise: float = 0.0
    """Noise of DP-SGD in units of ``dp_clip``; 0: no differential privacy. `ganloom table fit --epsilon` sets it."""
    dp_clip: float = 1.0
    """Longest gradient of a row in DP-SGD."""
    dp_steps: int = 0
    """Most steps of DP-SGD. 0: no limit."""

    def __post_init__(self) -> None:
        if not self.layout or not is_layout(self.layout):
            raise BadInput('layout must list ("value", modes) or ("choice", categories)')
        if len(self.counts) != sum(size for kind, size in self.layout if kind == "choice"):
            raise BadInput("counts must have one number for each category of the layout")
        if self.pac < 1 or self.batch_size % self.pac:
            raise BadInput(f"--batch-size {self.batch_size} must be a multiple of --pac {self.pac}")
        if not 0 < self.temperature or not 0 <= self.dropout < 1:
            raise BadInput("--temperature must be positive and --dropout in [0, 1)")
        private_gradients.check_settings(self.dp_noise, self.dp_clip, self.dp_steps)
        if self.dp_noise and (self.conditional or self.pac > 1):
            raise BadInput("--dp-noise needs --no-conditional and --pac 1: D must see each row alone")


class CTGAN(GAN):
    """Conditional GAN for encoded table rows."""

    private_steps: Tensor
    splits_by = None  # BatchNorm in G
    learns = "table"

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.rows_together = cfg.pac
        self.sizes = [size for kind, size in cfg.layout if kind == "choice"] if cfg.conditional else []
        self.conditions_count = sum(self.sizes)
        self.G = Generator(cfg.layout, cfg.z_dim, self.conditions_count, cfg.g_widths)
        width = self.G.heads.width
        self.D = Critic(cfg.pac * (width + self.conditions_count), cfg.d_widths, cfg.dropout)
        kinds = [kind for kind, size in cfg.layout for _ in range(size)]
        choices = torch.tensor([i for i, kind in enumerate(kinds) if kind == "choice"], dtype=torch.long)
        if cfg.dp_noise:
            self.register_buffer("private_steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("soft_choices", choices, persistent=False)
        self.soft_choices: Tensor
        with torch.device("cpu"):  # rows are drawn on the CPU
            counts = torch.tensor(cfg.counts, dtype=torch.float64)
            self.shares = _shares(counts, self.sizes)
            self.log_shares = _shares((1 + counts).log() * (counts > 0), self.sizes)
            self.first = torch.tensor([0, *self.sizes]).cumsum(0)[:-1]

    @classmethod
    def check_data(cls, data: Any) -> None:
        if data.kind != "table":
            raise BadInput(
                f"{data.name}: ctgan learns tables. Use `ganloom table fit TABLE --method ctgan`, with a CSV file"
            )

    def phases(self) -> list[Phase]:
        if self.cfg.dp_noise:
            return [Phase("D", self.private_d_loss), Phase("G", self.private_g_loss)]
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def after_update(self, phase: Phase) -> None:
        if self.cfg.dp_noise and phase.net == "D":
            self.private_steps += 1

    # ---- conditions and latents
    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Training by sampling: a condition for each row, and a real row that fulfils it."""
        if self.cfg.dp_noise:
            return private_gradients.draw(data, self.cfg.batch_size, rng)
        if not self.sizes:
            batch: Batch = data.draw(self.cfg.batch_size, rng)
            return batch
        n = self.cfg.batch_size
        columns = torch.randint(len(self.sizes), (n,), generator=rng)
        u = torch.rand(2, n, generator=rng, dtype=torch.float64)
        c = self.first[columns] + _invert(self.log_shares[columns], u[0])
        rows = data.rows_with(c, u[1])[rng.rank :: rng.world]
        return Batch(data.get(rows), c[rng.rank :: rng.world].to(data.device))

    def c(self, n: int) -> Tensor | None:
        """Draw n conditions: a column uniformly, and its value by its frequency; None without categorical columns."""
        if not self.sizes:
            return None
        columns = randomness.randint(len(self.sizes), n, self.draw_device).cpu()
        u = randomness.rand(n, device=self.draw_device).cpu().double()
        return (self.first[columns] + _invert(self.shares[columns], u)).to(self.device)

    def conditions(self, n: int, c: Any) -> Tensor:
        """Check conditions: numbers of categories, as in ``counts``, (n,) or one for all."""
        given = torch.as_tensor(c, device=self.device)
        given = given.expand(n) if given.dim() == 0 else given
        if given.is_floating_point() or len(given) != n or bool(((given < 0) | (given >= self.conditions_count)).any()):
            raise BadInput(f"c must be one or {n} whole numbers from 0 to {self.conditions_count - 1}")
        return given

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim + one-hot numbers): the input of G, and uniform numbers for the Gumbel softmax.

        So a latent holds all random numbers of a row.
        """
        return torch.cat([self.randn(n, self.cfg.z_dim), self.rand(n, self.G.heads.soft)], 1)

    def _raw(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """G's output before the activations, and the Gumbel noise."""
        raw: Tensor = self.G(z[:, : self.cfg.z_dim], self._one_hot(c))
        return raw, gumbel(z[:, self.cfg.z_dim :])

    def _one_hot(self, c: Tensor | None) -> Tensor | None:
        return None if c is None else F.one_hot(c, self.conditions_count).float()

    def _packs(self, rows: Tensor | None) -> Tensor | None:
        return None if rows is None else rows.reshape(len(rows) // self.cfg.pac, -1)

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        raw, noise = self._raw(z, c)
        rows: Tensor = self.G.heads(raw, noise, self.cfg.temperature)
        return rows

    # ---- losses
    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self._packs(self.sample(self.z(len(batch.x)), batch.c))
        real, c = self._packs(batch.x), self._packs(self._one_hot(batch.c))
        assert real is not None and fake is not None
        inputs = () if c is None else (c,)
        terms = self.d_adversarial(wasserstein, self.discriminate(real, *inputs), self.discriminate(fake, *inputs))
        terms["gp"] = self.cfg.gp_weight * penalties.wgan_gp(self.critic(*inputs), real, fake)
        return terms

    def g_loss(self, batch: Batch) -> Terms:
        raw, noise = self._raw(self.z(len(batch.x)), batch.c)
        fake = self._packs(self.G.heads(raw, noise, self.cfg.temperature))
        real, c = self._packs(batch.x), self._packs(self._one_hot(batch.c))
        assert real is not None and fake is not None
        inputs = () if c is None else (c,)
        terms = self.g_adversarial(wasserstein, self.discriminate(fake, *inputs), reals=(real, *inputs))
        if batch.c is not None:
            chances = self.G.heads.log_softmax(raw[:, self.G.heads.columns])[:, self.soft_choices]
            terms["condition"] = -chances.gather(1, batch.c[:, None]).mean()
        return terms

    # ---- losses with differential privacy
    def private_d_loss(self, batch: PoissonBatch) -> Terms:
        """Return a term whose gradient is that of DP-SGD. D's loss itself is not logged, because it is not private."""
        cfg = self.cfg
        private_gradients.check_step(self, batch)
        with torch.no_grad():  # a fixed number of fakes, of which each row takes one: fakes depend on no row
            fakes = self.sample(self.z(cfg.batch_size))
        own = fakes[(batch.u * cfg.batch_size).long()]
        inputs = (batch.x, own, torch.rand(len(own), 1, device=own.device))
        gradients = private_gradients.noisy_gradients(
            self._d_loss_of_row, private_gradients.parameters_of(D=self.D), inputs, clip=cfg.dp_clip, noise=cfg.dp_noise,
            size=cfg.batch_size,
        )  # fmt: skip
        return {"private": private_gradients.with_gradients({"D": self.D}, gradients)}

    def _d_loss_of_row(
        self, parameters: dict[str, dict[str, Tensor]], real: Tensor, fake: Tensor, mix: Tensor
    ) -> Tensor:
        """D's loss of one real row and one fake (width,), with the penalty at real + mix (fake - real)."""

        def score(row: Tensor) -> Tensor:
            return cast(Tensor, functional_call(self.D, parameters["D"], (row[None],)).sum())

        slope = grad(score)(real + mix * (fake - real))
        penalty = ((slope.square().sum() + 1e-12).sqrt() - 1).square()
        return cast(Tensor, score(fake) - score(real) + self.cfg.gp_weight * penalty)

    def private_g_loss(self, batch: PoissonBatch) -> Terms:
        """Return G's terms; no real row has a part in them."""
        fake = self.sample(self.z(self.cfg.batch_size))
        return self.g_adversarial(wasserstein, self.discriminate(fake))


def _shares(weights: Tensor, sizes: list[int]) -> Tensor:
    """Cumulated shares (columns, most categories) of the categories of each column; 1 after the last one."""
    table = torch.zeros(len(sizes), max(sizes, default=0), dtype=torch.float64)
    for column, own in enumerate(weights.split(sizes) if sizes else ()):
        own = own if float(own.sum()) > 0 else torch.ones_like(own)
        table[column, : len(own)] = own / own.sum()
    return table.cumsum(1)


def _invert(cumulated: Tensor, u: Tensor) -> Tensor:
    """The category (n,) for uniform numbers (n,) and cumulated shares (n, categories); one with share 0 is never chosen."""
    last = (cumulated < cumulated[:, -1:] - 1e-12).sum(1)
    return torch.minimum((cumulated <= u[:, None]).sum(1), last)


MODEL = CTGAN
