"""Unrolled GAN. "Unrolled Generative Adversarial Networks", Metz et al. 2016, arXiv:1611.02163.

f(G, D) = E[log D(x)] + E[log(1 - D(G(z)))]                                                        (eq. 1)
D^0 = D, D^{i+1} = D^i + inner_lr * df(G, D^i) / dD^i, all on one batch                        (eq. 7 and 8)
G minimises f(G, D^K(G, D)): its gradient is df/dG + df/dD^K * dD^K/dG                          (eq. 10 to 12)
D maximises f(G, D), by one ordinary step.

The second term of G's gradient says how D would react to a change of G; it needs second derivatives. ``second_order=False``
drops it: G then trains against D after K more steps as if that D were fixed. ``steps=0`` is the ordinary GAN. The inner D
is a function of D's weights and exists only inside the loss: D and its running statistics do not change.

About: G is trained against a D that has made K more updates in response, so that moving all samples to one mode no longer
pays. The loss is the ordinary one; new is that G's gradient passes through the next updates of D. Use it on small data to
study mode collapse; each step costs 2 K more passes of D and their second derivatives. Watch ``inner_lr``: near 0 this
is an ordinary GAN, and if it is too large the inner D is useless. It was published in 2016 and is cited more than used:
gradient penalties fix the same problem (docs/known-truth.md) at a lower cost.

Departures from the paper: G minimises the non-saturating -E[log D^K(G(z))], because f saturates on images (fashion-10k,
width 8, K = 3: the norm of G's gradient fell from 3.1 to 0.07 within 20 kimg); ``g_loss="minimax"`` is the paper's f.
``inner="adam"`` resets its moments in each step of G (the authors' program continues from D's own); Adam's first steps are
close to the sign of the gradient, which passes on little of the second order, so the default is plain gradient ascent, as in
eq. 7. In the authors' notebook (github.com/poolio/unrolled_gan: ring of points, batch 512, z 256, 5 steps) the inner rule is
D's own Adam at 1e-4, the learning rate of G is 1e-3, and the networks are two tanh layers of 128, orthogonal with gain 1.4;
G minimises f itself, as with ``body="dense" g_loss="minimax"`` here. The networks are DCGAN's.
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
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters where it gives them."""

    shape: tuple[int, ...] = (3, 32, 32)
    """Image shape: channels, height, width; or the dimension of points."""
    body: Literal["conv", "dense"] = "conv"
    """Network type: convolutional or fully connected; points always use dense (sec. 3.1: two hidden layers of 128)."""
    steps: int = 5
    """Steps of D that G looks ahead (K); 0: ordinary GAN."""
    second_order: bool = True
    """Differentiate G's loss through D's inner steps (eq. 12)."""
    inner: Literal["sgd", "adam"] = "sgd"
    """Update rule of D's inner steps."""
    inner_lr: float = 0.01
    """Learning rate of D's inner steps (eta)."""
    g_loss: Literal["minimax", "nonsaturating"] = "nonsaturating"
    """Loss of G on the unrolled D: minimax (f itself, eq. 10), or nonsaturating (-E[log D^K(G(z))])."""
    z_dim: int = 256
    """Length of the latent vector (sec. 3.1)."""
    width: int = 64
    """Channels of the layer next to the image (body conv only)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    g_widths: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of G (body dense only; sec. 3.1)."""
    d_widths: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of D (body dense only; sec. 3.1)."""
    batch_size: int = 128
    """Real images per batch (512 for the points of sec. 3.1)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-4, betas=(0.5, 0.999))
    """Optimizer of G (1e-3 for the points of sec. 3.1)."""
    d_opt: Adam = Adam(1e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise BadInput(f"--steps must not be negative, got {self.steps}")
        if self.inner_lr <= 0:
            raise BadInput(f"--inner-lr must be above 0, got {self.inner_lr}")


class Unrolled(Adversarial):
    """GAN whose generator looks K steps of its discriminator ahead."""

    splits_by = None  # BatchNorm; the inner steps use the whole batch
    supports_points = True
    loss = minimax

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "dense" or len(cfg.shape) == 1:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, cfg.g_widths, norm=False, slope=0.0)
            self.D = dense.Discriminator(cfg.shape, cfg.d_widths, slope=0.0)
        else:
            shape = (cfg.shape[0], cfg.shape[1], cfg.shape[2])
            self.G = dcgan.Generator(shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = dcgan.Discriminator(shape, cfg.width, smallest=cfg.smallest)

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        with full_precision():  # second derivatives, as for a penalty
            weights = self.unroll(batch.x, fake.x)
            fake_scores = self._with(weights, fake)
            if self.cfg.g_loss == "nonsaturating":
                return self.g_adversarial(nonsaturating, fake_scores)
            if not (self.cfg.steps and self.cfg.second_order):
                return self.g_adversarial(minimax, fake_scores)
            # The term of f on reals depends on G too, because the unrolled weights depend on the fakes.
            return {"adv": -self.objective(minimax).d(self._with(weights, batch.x).first, fake_scores.first)}

    def unroll(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return D's weights after K inner steps (eq. 7).

        Args:
            real: Real samples.
            fake: Samples of G; with ``second_order`` the weights are functions of them.

        Returns:
            Weights by parameter name.
        """
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
                    # eps is inside the root, whose derivative is infinite at 0.
                    move = first[name] / (1 - b1**step) / (second[name] / (1 - b2**step) + eps**2).sqrt()
                weights[name] = weight - cfg.inner_lr * move
                if not cfg.second_order:
                    weights[name] = weights[name].detach().requires_grad_(True)
        return weights

    def _with(self, weights: dict[str, Tensor], x: Tensor | Generated) -> Scores:
        """Return D's scores for other weights; buffers are copied, so running statistics do not change."""
        buffers = {name: buffer.clone() for name, buffer in self.D.named_buffers()}

        def d(images: Tensor) -> Any:
            return functional_call(self.D, {**weights, **buffers}, (images,))

        return self.discriminate(x, call=d)


MODEL = Unrolled
