"""Unrolled GAN. "Unrolled Generative Adversarial Networks", Metz et al. 2016, arXiv:1611.02163.

f(G, D) = E[log D(x)] + E[log(1 - D(G(z)))]                                                        (eq. 1)
D^0 = D, D^{i+1} = D^i + inner_lr * df(G, D^i) / dD^i, all on one batch                        (eq. 7 and 8)
G minimises f(G, D^K(G, D)): its gradient is df/dG + df/dD^K * dD^K/dG                          (eq. 10 to 12)
D maximises f(G, D), by one ordinary step.

The second term of G's gradient says how D would answer a move of G; it needs second derivatives. ``second_order=False``
drops it: G then plays against the D of K steps ahead as if that were fixed. ``steps=0`` is the ordinary GAN. The inner D
is a function of D's weights that lives in the loss alone: neither D nor its running statistics are touched by it.

About: G is trained against the D that would answer it some steps later, so that jumping to one mode no longer pays. The
loss is the ordinary one; new is that G's gradient runs through D's next updates, by differentiating through them. Use
it on small data to study mode collapse; each step costs 2 K more passes of D and their second derivatives. Watch
``inner_lr``: at 0 it is a GAN, and too large the inner D is nonsense. It is of 2016 and is cited more than used:
penalties cure the same sickness (docs/known-truth.md) for less.

Departures from the paper: G minimises the non-saturating -E[log D^K(G(z))], because f saturates on images (fashion-10k,
width 8, K = 3: the norm of G's gradient fell from 3.1 to 0.07 within 20 kimg); ``g_loss="minimax"`` is the paper's f.
``inner="adam"`` starts its moments afresh in each G step (the authors' program goes on from D's own), and its first steps
are then near to a sign, which passes little of the second order, so that the default is plain gradient ascent, as eq. 7
has it. In the authors' notebook (github.com/poolio/unrolled_gan: ring of points, batch 512, z 256, 5 steps) the inner rule is D's
own Adam at 1e-4, G's rate 1e-3, and the networks are two tanh layers of 128, orthogonal with gain 1.4; G minimises f itself,
as ``body="dense" g_loss="minimax"`` does here. The networks are DCGAN's. A G step costs 2 K more passes of D than a GAN's.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call

from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.gan import Adam, Batch, Terms
from ganloom.losses import minimax, nonsaturating
from ganloom.networks import dcgan, dense
from ganloom.recipes.base.adversarial import Adversarial
from ganloom.scoring import Generated, Scores

TITLE = "Unrolled GAN"
PAPER = "Metz et al. 2016, arXiv:1611.02163"
DATA = "CIFAR-10"
KIMG = 500.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers where it has them."""

    shape: tuple[int, ...] = (3, 32, 32)
    """Channels, height, width; or the dimension of points."""
    body: Literal["conv", "dense"] = "conv"
    """Which networks; points always take the dense ones (sec. 3.1: two hidden layers of 128)."""
    steps: int = 5
    """Steps of D that G looks ahead (K); 0: none."""
    second_order: bool = True
    """Whether G's gradient goes through D's steps (eq. 12)."""
    inner: Literal["sgd", "adam"] = "sgd"
    """The rule of D's inner steps."""
    inner_lr: float = 0.01
    """Learning rate of D's inner steps (eta)."""
    g_loss: Literal["minimax", "nonsaturating"] = "nonsaturating"
    """G's objective on the unrolled D: f itself (eq. 10), or -E[log D^K(G(z))]."""
    z_dim: int = 256
    """Numbers in a latent (sec. 3.1)."""
    width: int = 64
    """Channels of the layer next to the image, body conv."""
    g_widths: tuple[int, ...] = (128, 128)
    """Hidden layers of G, body dense (sec. 3.1)."""
    d_widths: tuple[int, ...] = (128, 128)
    """Hidden layers of D, body dense (sec. 3.1)."""
    batch_size: int = 128
    """Real images a batch (512 for the points of sec. 3.1)."""
    ema_kimg: float = 5.0
    """Half-life of G's average, thousands of images (not in the paper)."""
    g_opt: Adam = Adam(1e-4, betas=(0.5, 0.999))
    """Optimizer of G (1e-3 for the points of sec. 3.1)."""
    d_opt: Adam = Adam(1e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise BadInput(f"--steps counts D's inner steps from 0, got {self.steps}")
        if self.inner_lr <= 0:
            raise BadInput(f"--inner-lr must be above 0, got {self.inner_lr}")


class Unrolled(Adversarial):
    """GAN whose generator looks K steps of its discriminator ahead."""

    splits_by = None  # BatchNorm; the inner steps are on the whole batch
    supports_points = True
    loss = minimax

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "dense" or len(cfg.shape) == 1:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, cfg.g_widths, norm=False, slope=0.0)
            self.D = dense.Discriminator(cfg.shape, cfg.d_widths, slope=0.0)
        else:
            shape = (cfg.shape[0], cfg.shape[1], cfg.shape[2])
            self.G = dcgan.Generator(shape, cfg.z_dim, cfg.width)
            self.D = dcgan.Discriminator(shape, cfg.width)

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        with full_precision():  # second derivatives, like a penalty's
            weights = self.unroll(batch.x, fake.x)
            fake_scores = self._with(weights, fake)
            if self.cfg.g_loss == "nonsaturating":
                return self.g_adversarial(nonsaturating, fake_scores)
            if not (self.cfg.steps and self.cfg.second_order):
                return self.g_adversarial(minimax, fake_scores)
            # The reals' term of f moves with G too, through the weights that the fakes have led D to.
            return {"adv": -self.objective(minimax).d(self._with(weights, batch.x).first, fake_scores.first)}

    def unroll(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """D's weights after K steps on these images, by name (eq. 7); with ``second_order`` functions of the fakes."""
        cfg = self.cfg
        fake = fake if cfg.second_order else fake.detach()
        weights = {name: p.detach().requires_grad_(True) for name, p in self.D.named_parameters()}
        first = {name: torch.zeros_like(w) for name, w in weights.items()}
        second = {name: torch.zeros_like(w) for name, w in weights.items()}
        for step in range(1, cfg.steps + 1):
            loss = self.objective(minimax).d(self._with(weights, real).first, self._with(weights, fake).first)
            grads = torch.autograd.grad(loss, list(weights.values()), create_graph=cfg.second_order)
            for (name, weight), grad in zip(list(weights.items()), grads, strict=True):
                move = grad
                if cfg.inner == "adam":
                    (b1, b2), eps = cfg.d_opt.betas, cfg.d_opt.eps
                    first[name] = b1 * first[name] + (1 - b1) * grad
                    second[name] = b2 * second[name] + (1 - b2) * grad.square()
                    # eps under the root: the root's own derivative is infinite at 0.
                    move = first[name] / (1 - b1**step) / (second[name] / (1 - b2**step) + eps**2).sqrt()
                weights[name] = weight - cfg.inner_lr * move
                if not cfg.second_order:
                    weights[name] = weights[name].detach().requires_grad_(True)
        return weights

    def _with(self, weights: dict[str, Tensor], x: Tensor | Generated) -> Scores:
        """D's scores under other weights; its buffers are copies, so that running statistics stay."""
        buffers = {name: buffer.clone() for name, buffer in self.D.named_buffers()}

        def d(images: Tensor) -> Any:
            return functional_call(self.D, {**weights, **buffers}, (images,))

        return self.discriminate(x, call=d)


MODEL = Unrolled
