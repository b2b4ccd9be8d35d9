"""TVAE. "Modeling Tabular Data using Conditional GAN", Xu et al. 2019, arXiv:1907.00503, section 4.5: a VAE for tables.

The encoder E gives q(z | x) = N(mu, diag sigma^2) by two layers of 128 units with ReLU; the decoder G, with two layers too,
gives p(x | z): a number in its mode is N(tanh(.), delta^2) with one learned delta for each column, modes and categories are
softmax. Both minimise the negative evidence lower bound with Adam, learning rate 1e-3.

About: TVAE is the companion and competitor of CTGAN: one loss that falls steadily and no discriminator. It needs far fewer
steps than CTGAN and is often better on small tables. Use it as the baseline when the question is whether a GAN is needed. Watch
the KL term: near zero, the decoder ignores z. It was published in 2019 together with CTGAN.

Departures from the paper: reconstruction counts twice as much as the KL term, as in the authors' code; there is an EMA of both
networks; the random numbers of p(x | z) are part of the latent; a missing number is a mode of its own. With ``dp_noise``, both
networks are trained with DP-SGD: see ``ganloom.training.private_gradients``.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganloom.core.errors import BadInput
from ganloom.data.encoded_table import is_layout
from ganloom.gan import GAN, Adam, Batch, Phase, Rng, Terms
from ganloom.networks.tabular import Heads, gumbel
from ganloom.training import private_gradients
from ganloom.training.private_gradients import PoissonBatch

TITLE = "Variational autoencoder for tables of numbers and categories"
PAPER = "Xu et al. 2019, arXiv:1907.00503"
DATA = "tables, through `ganloom table fit`"
KIMG = 1500.0  # default length of a run, thousands of rows


@dataclass(frozen=True)
class Config:
    """The hyperparameters of the paper and the authors' code. The layout comes from the table."""

    layout: tuple[tuple[str, int], ...] = (("value", 3), ("choice", 2), ("choice", 3))
    """The parts of a row: ("value", modes) or ("choice", categories)."""
    z_dim: int = 128
    """Length of the latent vector."""
    widths: tuple[int, ...] = (128, 128)
    """Widths of the layers of the encoder; the decoder has them in reverse order."""
    weight: float = 2.0
    """Weight of the reconstruction."""
    batch_size: int = 500
    """Rows per batch."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.999), weight_decay=1e-5)
    """Optimizer of both networks."""
    dp_noise: float = 0.0
    """Noise of DP-SGD in units of ``dp_clip``; 0: no differential privacy. `ganloom table fit --epsilon` sets it."""
    dp_clip: float = 1.0
    """Longest gradient of a row in DP-SGD."""
    dp_steps: int = 0
    """Most steps of DP-SGD. 0: no limit."""

    def __post_init__(self) -> None:
        if not self.layout or not is_layout(self.layout):
            raise BadInput('layout must list ("value", modes) or ("choice", categories)')
        private_gradients.check_settings(self.dp_noise, self.dp_clip, self.dp_steps)


class Decoder(nn.Module):
    """Map z (n, z_dim) to raw rows (n, width); ``log_delta`` holds the log standard deviation of each column of numbers."""

    bf16 = False

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.heads = Heads(cfg.layout)
        self.body = _layers((cfg.z_dim, *cfg.widths[::-1]))
        self.out = nn.Linear(cfg.widths[0], self.heads.width)
        self.log_delta = nn.Parameter(torch.full((len(self.heads.values),), -2.3))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (n, z_dim) to raw rows (n, width)."""
        raw: Tensor = self.out(self.body(z))
        return raw


class Encoder(nn.Module):
    """Map rows (n, width) to mean and log variance of q(z | x), both (n, z_dim)."""

    bf16 = False

    def __init__(self, cfg: Config, width: int) -> None:
        super().__init__()
        self.body = _layers((width, *cfg.widths))
        self.out = nn.Linear(cfg.widths[-1], 2 * cfg.z_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (n, width) to (mean, log variance), both (n, z_dim)."""
        mean, log_variance = self.out(self.body(x)).chunk(2, 1)
        return mean, log_variance


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class TVAE(GAN):
    """Variational autoencoder for encoded table rows: encoder E, decoder G."""

    private_steps: Tensor
    averaged = ("G", "E")
    learns = "table"

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = Decoder(cfg)
        self.E = Encoder(cfg, self.G.heads.width)
        if cfg.dp_noise:
            self.splits_by = None
            self.register_buffer("private_steps", torch.zeros((), dtype=torch.long))

    @classmethod
    def check_data(cls, data: Any) -> None:
        if data.kind != "table":
            raise BadInput(
                f"{data.name}: tvae learns tables. Use `ganloom table fit TABLE --method tvae`, with a CSV file"
            )

    def phases(self) -> list[Phase]:
        return [Phase("G E", self.private_loss if self.cfg.dp_noise else self.loss)]

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw a batch; with differential privacy, each row independently of all others."""
        return private_gradients.draw(data, self.cfg.batch_size, rng) if self.cfg.dp_noise else super().draw(data, rng)

    def after_update(self, phase: Phase) -> None:
        if self.cfg.dp_noise:
            self.private_steps += 1

    def loss(self, batch: Batch) -> Terms:
        """Return the bound and its two parts for logging."""
        mean, log_variance = self.E(batch.x)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        misfit = self._misfit(batch.x, self.G(mean + (log_variance / 2).exp() * self.randn(*mean.shape)))
        total = (self.cfg.weight * misfit + kl).mean()
        return {"loss": total, "misfit": misfit.detach().mean(), "kl": kl.detach().mean()}

    def private_loss(self, batch: PoissonBatch) -> Terms:
        """Return a term whose gradient is that of DP-SGD. The bound itself is not logged, because it is not private."""
        cfg = self.cfg
        private_gradients.check_step(self, batch)
        inputs = (batch.x, torch.randn(len(batch.x), cfg.z_dim, device=batch.x.device))
        gradients = private_gradients.noisy_gradients(
            self._loss_of_row, private_gradients.parameters_of(G=self.G, E=self.E), inputs, clip=cfg.dp_clip,
            noise=cfg.dp_noise, size=cfg.batch_size,
        )  # fmt: skip
        return {"private": private_gradients.with_gradients({"G": self.G, "E": self.E}, gradients)}

    def _loss_of_row(self, parameters: dict[str, dict[str, Tensor]], x: Tensor, noise: Tensor) -> Tensor:
        """The bound of one row x (width,), with noise (z_dim,), as a function of the parameters."""
        mean, log_variance = functional_call(self.E, parameters["E"], (x[None],))
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        raw = functional_call(self.G, parameters["G"], (mean + (log_variance / 2).exp() * noise,))
        return cast(Tensor, self.cfg.weight * self._misfit(x[None], raw, parameters["G"]["log_delta"]).sum() + kl)

    def _misfit(self, x: Tensor, raw: Tensor, log_delta: Tensor | None = None) -> Tensor:
        """-log p(x | z), (n,), up to a constant; ``log_delta`` is that of G unless given."""
        heads = self.G.heads
        total: Tensor = -(x[:, heads.columns] * heads.log_softmax(raw[:, heads.columns])).sum(1)
        if not len(heads.values):
            return total
        error = x[:, heads.values] - raw[:, heads.values].tanh()
        # Below 0.01 the column is constant within its mode: a smaller delta would only make the loss unbounded.
        log_delta = (self.G.log_delta if log_delta is None else log_delta).clamp(-4.6, 0.0)
        total = total + (error.square() / (2 * (2 * log_delta).exp()) + log_delta).sum(1)
        return total

    def z(self, n: int) -> Tensor:
        """Draw latents: the input of G and the noise of p(x | z): normal for numbers, uniform for modes and categories."""
        heads = self.G.heads
        return torch.cat([self.randn(n, self.cfg.z_dim + len(heads.values)), self.rand(n, heads.soft)], 1)

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Draw rows (n, width) from p(x | z)."""
        heads, start = self.G.heads, self.cfg.z_dim
        until = start + len(heads.values)
        raw = self.G(z[:, :start])
        rows: Tensor = heads(raw, gumbel(z[:, until:]), temperature=0)
        if len(heads.values):
            noisy = rows[:, heads.values] + self.G.log_delta.clamp(-4.6, 0.0).exp() * z[:, start:until]
            rows = rows.index_copy(1, heads.values, noisy.clamp(-1, 1))
        return rows


MODEL = TVAE
