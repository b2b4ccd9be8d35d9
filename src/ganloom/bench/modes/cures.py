"""The methods against mode collapse and unstable training ("cures") of the benchmark: a loss and what is added to it."""

from dataclasses import dataclass

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.losses import LOSSES
from ganloom.penalties import PENALTIES

NOT_HERE = ("weight_clip", "weight_decay", "orthogonal", "lecam")
"""Penalties that are not functions of D's gradient at samples."""
SCALED = ("r1", "r2", "zero_centred")
"""Penalties whose weight is multiplied by the mean square of the data's coordinates. If the data is s times as large, D's
gradient is 1/s as large, so the weight times s^2 gives the same penalty."""


@dataclass(frozen=True)
class Cure:
    """How one toy GAN is trained. All else is equal for all cures: networks, batch size, steps, learning rate."""

    title: str
    """A few words on what it is."""
    paper: str
    """Authors, year, arXiv id."""
    against: tuple[str, ...] = ()
    """The failures that it should prevent: keys of ``failures.SICKNESSES``."""
    loss: str = "nonsaturating"
    """One of ``ganloom.losses.LOSSES``."""
    penalties: tuple[tuple[str, float], ...] = ()
    """Names of ``ganloom.penalties.PENALTIES`` with their weights; weights of ``SCALED`` are for data with mean square 1."""
    anneal: float = 1.0
    """The weight of the penalties falls geometrically over the run to this part of its start."""
    spectral: bool = False
    """Spectral norm on each layer of D."""
    clip: float | None = None
    """Largest absolute value of D's weights."""
    n_critic: int = 1
    """Steps of D for each step of G."""
    noise: float = 0.0
    """Instance noise, in root mean squares of the data; it falls linearly to 0 at ``noise_until`` of the run."""
    noise_until: float = 0.75
    """Part of the run with noise."""
    smooth: float = 0.0
    """One-sided label smoothing: the target for real samples is 1 - ``smooth``."""
    pack: int = 1
    """Number of samples that D judges as one (PacGAN)."""
    batch: str = ""
    """What D gets from the whole batch: "stddev", "discrimination", or nothing."""
    unroll: int = 0
    """Steps of D before G's step, undone afterwards (first order: no gradient through D's steps)."""
    matching: bool = False
    """G's loss is only |E f(x) - E f(G(z))|^2, where f is D's last hidden layer."""
    consistency: tuple[float, float] = (0.0, 0.0)
    """Weights of D's squared change between x and x + noise, for real and for fake x. The noise is 0.02 root mean squares."""
    latent: tuple[float, float] = (0.0, 0.0)
    """Weights of the squared change between z and z + noise of 0.05: for D, to make it small; for G, to make it large."""
    lecam: float = 0.0
    """Weight of the squared distance of D's logits from the running mean (decay 0.99) of its logits on the other kind."""
    top: float = 1.0
    """G learns from this part of its batch, with the highest logits. It falls linearly from 1 over the run."""
    history: float = 0.0
    """Weight of the squared distance of all weights from their mean over the run."""
    weight_decay: float = 0.0
    """Weight of half of D's squared weights."""
    orthogonal: float = 0.0
    """Weight of ``penalties.orthogonal`` of G."""
    ema: float = 0.0
    """Half-life of the EMA of G as a part of the run. 0: the last weights are measured."""
    lr: tuple[float, float] = (1e-3, 1e-3)
    """Adam's learning rates of G and D."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Adam's betas."""
    decay_from: float = 0.5
    """Part of the run after which the learning rates fall linearly to 0."""

    def __post_init__(self) -> None:
        unknown = [name for name, _ in self.penalties if name not in PENALTIES or name in NOT_HERE]
        if self.loss not in LOSSES or unknown:
            raise BadInput(f"cure: there is no loss or penalty on samples with the name {[*unknown, self.loss][0]!r}")


_R1 = "Mescheder et al. 2018, arXiv:1801.04406"
_GAN = "Goodfellow et al. 2014, arXiv:1406.2661"
_PAC = "Lin et al. 2018, arXiv:1712.04086"
_TRICKS = "Salimans et al. 2016, arXiv:1606.03498"
_FAST_G = (2e-3, 1e-3)
"""R1 makes D flat at real samples only. With equal rates, one seed in ten then keeps uneven shares of the modes."""
_COLLAPSE, _CIRCLES, _VANISHES, _FEW, _SURE = (
    ("mode collapse",), ("oscillation",), ("vanishing gradients",), ("overfitting of few data",), ("a D too sure",)
)  # fmt: skip

CURES: dict[str, Cure] = {
    "plain": Cure("non-saturating, nothing else", _GAN, _VANISHES),
    "plain-fast-g": Cure("non-saturating, G at twice D's rate", _GAN, _COLLAPSE, lr=_FAST_G),
    "r1": Cure("R1, G at twice D's rate", _R1, _COLLAPSE + _CIRCLES, penalties=(("r1", 0.0125),), lr=_FAST_G),
    "r1-equal": Cure("R1, equal rates", _R1, _COLLAPSE + _CIRCLES, penalties=(("r1", 0.0125),)),
    "r1-annealed": Cure("R1, weight falling to 1/100, G at twice D's rate", _R1, _COLLAPSE + _CIRCLES,
                        penalties=(("r1", 0.0125),), anneal=0.01, lr=_FAST_G),
    "zero-centred": Cure("zero-centred, interpolated", "Thanh-Tung et al. 2019, arXiv:1902.03984", _COLLAPSE + _CIRCLES,
                         penalties=(("zero_centred", 0.025),)),
    "spectral-norm": Cure("spectral norm", "Miyato et al. 2018, arXiv:1802.05957", _COLLAPSE + _CIRCLES, spectral=True),
    "wgan-gp": Cure("WGAN-GP, lambda 0.1", "Gulrajani et al. 2017, arXiv:1704.00028", _COLLAPSE + _VANISHES, loss="wasserstein",
                    penalties=(("wgan_gp", 0.1),)),
    "rpgan-r1-r2": Cure("relativistic pairing, R1 and R2", "Huang et al. 2024, arXiv:2501.05441", _COLLAPSE,
                        loss="relativistic", penalties=(("r1", 0.0125), ("r2", 0.0125))),
    "recommended": Cure("zero-centred, weight falling to 1/10", "Thanh-Tung et al. 2019, arXiv:1902.03984",
                        _COLLAPSE + _CIRCLES, penalties=(("zero_centred", 0.025),), anneal=0.1),
    "minimax": Cure("minimax loss", _GAN, loss="minimax"),
    "lsgan": Cure("least-squares loss", "Mao et al. 2016, arXiv:1611.04076", _VANISHES, loss="least_squares"),
    "hinge": Cure("hinge loss", "Lim & Ye 2017, arXiv:1705.02894", _VANISHES, loss="hinge"),
    "rpgan": Cure("relativistic pairing alone", "Jolicoeur-Martineau 2018, arXiv:1807.00734", _COLLAPSE,
                  loss="relativistic"),
    "wgan-clip": Cure("WGAN, weights clipped", "Arjovsky et al. 2017, arXiv:1701.07875", _VANISHES, loss="wasserstein",
                      clip=0.1),
    "wgan-gp-10": Cure("WGAN-GP, lambda 10", "Gulrajani et al. 2017, arXiv:1704.00028", _COLLAPSE + _VANISHES, loss="wasserstein",
                       penalties=(("wgan_gp", 10.0),)),
    "dragan": Cure("DRAGAN, lambda 10", "Kodali et al. 2017, arXiv:1705.07215", _COLLAPSE, penalties=(("dragan", 10.0),)),
    "instance-noise": Cure("instance noise 0.2 to 0", "Sonderby et al. 2016, arXiv:1610.04490", _CIRCLES, noise=0.2),
    "minimax-noise": Cure("minimax, instance noise 0.2 to 0", "Arjovsky & Bottou 2017, arXiv:1701.04862", _VANISHES,
                          loss="minimax", noise=0.2),
    "minimax-spectral": Cure("minimax, spectral norm", "Miyato et al. 2018, arXiv:1802.05957", _VANISHES,
                             loss="minimax", spectral=True),
    "label-smoothing": Cure("one-sided label smoothing 0.1", _TRICKS, _SURE, smooth=0.1),
    "ttur": Cure("two time scales, D 4 x G", "Heusel et al. 2017, arXiv:1706.08500", _CIRCLES, lr=(5e-4, 2e-3)),
    "pacgan-2": Cure("packing of 2", _PAC, _COLLAPSE, pack=2),
    "pacgan-4": Cure("packing of 4", _PAC, _COLLAPSE, pack=4),
    "stddev": Cure("minibatch standard deviation", "Karras et al. 2017, arXiv:1710.10196", _COLLAPSE, batch="stddev"),
    "discrimination": Cure("minibatch discrimination", _TRICKS, _COLLAPSE, batch="discrimination"),
    "unrolled": Cure("unrolled, 5 steps, first order", "Metz et al. 2016, arXiv:1611.02163", _COLLAPSE, unroll=5),
    "feature-matching": Cure("feature matching as G's loss", _TRICKS, _CIRCLES, matching=True),
    "historical-averaging": Cure("historical averaging 0.001", _TRICKS, _CIRCLES, history=1e-3),
    "ema": Cure("average of G's weights", "Yazici et al. 2018, arXiv:1806.04498", _CIRCLES, ema=0.02),
    "top-k": Cure("G learns from D's best half", "Sinha et al. 2020, arXiv:2002.06224", ("bad samples",), top=0.5),
    "weight-decay": Cure("D's weight decay 0.0001", "Krogh & Hertz 1991", _SURE, weight_decay=1e-4),
    "orthogonal": Cure("orthogonal regularisation of G", "Brock et al. 2018, arXiv:1809.11096", ("truncation's artefacts",),
                       orthogonal=1e-4),
    "cr": Cure("consistency on real samples", "Zhang et al. 2019, arXiv:1910.12027", _FEW, consistency=(10.0, 0.0)),
    "bcr": Cure("consistency on both", "Zhao et al. 2020, arXiv:2002.04724", _FEW, consistency=(10.0, 10.0)),
    "zcr": Cure("latent consistency", "Zhao et al. 2020, arXiv:2002.04724", _COLLAPSE, latent=(5.0, 0.5)),
    "lecam": Cure("LeCam 0.1", "Tseng et al. 2021, arXiv:2104.03310", _FEW, lecam=0.1),
}  # fmt: skip
"""By the names of `ganloom bench modes --cure`."""

MAIN = ("plain", "r1", "zero-centred", "spectral-norm", "wgan-gp", "rpgan-r1-r2")
"""The cures that are compared without ``--cure``."""


def find(name: str) -> Cure:
    """Return a cure by its name.

    Raises:
        BadInput: There is no such cure.
    """
    if name not in CURES:
        raise BadInput(f'--cure: there is no cure "{name}"{did_you_mean(name, CURES)}; use {", ".join(CURES)}')
    return CURES[name]
