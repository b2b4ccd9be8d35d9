"""CUT. "Contrastive Learning for Unpaired Image-to-Image Translation", Park et al. 2020, arXiv:2007.15651.

y is an image of domain A, x one of B. E_l are layers of G's first half, H_l two dense layers behind each, to 256 numbers.
D: ((D(x) - 1)^2 + D(G(y))^2) / 2
G: (D(G(y)) - 1)^2 + (NCE(y, G(y)) + NCE(x, G(x))) / 2                                             (eq. 5, lambda 1)
NCE: at 256 places of 5 layers, cross-entropy that finds among the places of the input the one a place of the output came
from, on cosines / 0.07; the others are of the same image (eq. 3 and 4). Fast: no NCE(x, G(x)), lambda 10, and half of the
time G sees the input mirrored and the features are mirrored back.
Residual generator of 9 blocks with filtered halvings and doublings, Xavier weights, 70 x 70 patches, Adam 2e-4, batch 1.

About: One generator and one direction: each patch of the output must be told, among all patches of its own input, to be of
the same place. New is that mutual information of patches stands in for CycleGAN's way back, so half of the networks go.
Use it in CycleGAN's place where only one direction is wanted, or where time is short. Watch the weight of the contrast:
much of it keeps the input as it is, little lets shapes drift. Of 2020, it is still the usual first try without pairs, and
the contrast of patches came back in many restorers and translators.

Departures from the paper: images are enlarged by 286 / 256 and cut as in the code, mirroring is the data's own flag; the
code's D is filtered too and here it is CycleGAN's; smaller patches below 70 pixels where no logit would be left.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, linear
from ganloom.losses import least_squares
from ganloom.networks.translators import PatchGAN, ResNet, grown, patch_layers
from ganloom.nn.layers import crop
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "CUT: two domains without pairs, one way"
PAPER = "Park et al. 2020, arXiv:2007.15651"
DATA = "horse2zebra, cat2dog at 256 px"
KIMG = 534.0  # the length of a run that does not say its own, thousands of images: horse2zebra, 400 epochs of 1,334


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's numbers."""

    blocks: int = 9
    """Residual blocks."""
    antialias: bool = True
    """Filtered halvings and doublings in G, as in the code."""
    nce: float = 1.0
    """Weight of the contrast; with ``fast`` 10 is meant."""
    fast: bool = False
    """FastCUT: no contrast of G(x) with x, and mirrored half of the time."""
    patches: int = 256
    """Places a layer."""
    head: int = 256
    """Numbers that a place is told apart by."""
    temperature: float = 0.07
    """What cosines are divided by."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(267.0, 534.0))
    """Optimizer of G and the heads; its rate falls to 0 over the second half of 534 kimg."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(267.0, 534.0))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels != self.shape[0] and not self.fast:
            raise BadInput(
                f"--fast is needed for domains of {self.in_channels} and {self.shape[0]} channels: G(x) must exist"
            )
        if not 1 <= self.blocks <= 32 or self.patches < 2 or self.head < 1:
            raise BadInput(
                f"--blocks lies in 1..32, --patches from 2 and --head from 1, got {self.blocks}, {self.patches}, {self.head}"
            )
        if not self.temperature > 0:
            raise BadInput(f"--temperature must be above 0, got {self.temperature}")


class CUT(Translator):
    """One generator, whose own first half tells patches apart."""

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = ResNet(cfg.in_channels, cfg.shape[0], cfg.blocks, cfg.width, antialias=cfg.antialias)
        self.D = PatchGAN(cfg.shape[0], cfg.d_width, patch_layers(*cfg.shape[1:], cfg.layers), norm="instance")
        first, w = (12 if cfg.antialias else 10), cfg.width
        places = {
            1: cfg.in_channels,
            5: 2 * w,
            (9 if cfg.antialias else 8): 4 * w,
            first + 1: 4 * w,
            first + min(5, cfg.blocks): 4 * w,
        }
        self.places = tuple(places)  # the padded input, both halvings, the first block and the fifth
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(n, cfg.head), nn.ReLU(), nn.Linear(cfg.head, cfg.head)) for n in places.values()
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                heads = isinstance(module, nn.Linear)
                nn.init.normal_(module.weight, 0.0, 0.02) if heads else nn.init.xavier_normal_(module.weight, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G heads", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        return self.judged(least_squares, self.discriminate(batch.x), self.discriminate(self.for_d(batch)))

    def g_loss(self, batch: Batch) -> Terms:
        y, cfg = batch.y, self.cfg
        assert y is not None
        fake, made, before, flips = self.for_g(batch)
        given = y if flips is None else torch.where(flips, y.flip(3), y)
        nce = self.contrast(before, made, flips, sides=1 if cfg.fast else 2)
        terms = self.g_adversarial(least_squares, self.discriminate(fake), reals=(batch.x,))
        terms["nce"] = cfg.nce * nce[: len(y)].mean()
        if not cfg.fast:
            terms["nce"] = terms["nce"] / 2
            terms["nce_same"] = cfg.nce * nce[len(y) :].mean() / 2
        return terms | self.perceived((fake, given))

    def whole(self, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor], Tensor | None]:
        """G(y); with it G(x), as the contrast needs it; the features of their inputs; which of them were mirrored."""
        y = batch.y
        assert y is not None
        if self.cfg.fast:
            flips = self.rand(len(y), 1, 1, 1) < 0.5
            made = self.direct(torch.where(flips, y.flip(3), y))
            with torch.no_grad():  # the contrast learns from its outputs' places alone
                before = self.features(y)
            return made, made, before, flips
        x = torch.cat([y, batch.x])
        images, found = self.G(grown(x, self.G.multiple), self.places, whole=True)
        made = crop(images, *x.shape[2:])
        return made[: len(y)], made, found, None

    def contrast(self, before: list[Tensor], after: Tensor, flips: Tensor | None, sides: int = 1) -> Tensor:
        """(N,): the mean over layers and places of the cross-entropy: which place of the input is one of the output of?

        ``before``: features of the inputs, ``after``: the outputs (N, C, H, W), N / ``sides`` of each of so many domains.
        """
        losses = []
        for head, key, query in zip(self.heads, before, self.features(after), strict=True):
            query = query if flips is None else torch.where(flips, query.flip(3), query)
            n, count = len(key), min(self.cfg.patches, key.shape[2] * key.shape[3])
            chance = [self.rand(n // sides, key.shape[2] * key.shape[3]) for _ in range(sides)]
            places = torch.cat(chance).argsort(1)[:, :count, None]
            some = [x.flatten(2).transpose(1, 2).gather(1, places.expand(-1, -1, x.shape[1])) for x in (key, query)]
            with torch.no_grad():  # the input's places are what is sought, and do not move
                k = F.normalize(head(some[0]), dim=2)
            cosines = F.normalize(head(some[1]), dim=2) @ k.transpose(1, 2)
            truth = torch.arange(count, device=k.device).expand(n, -1)
            logits = cosines.float().transpose(1, 2) / self.cfg.temperature
            losses.append(F.cross_entropy(logits, truth, reduction="none").mean(1))
        return torch.stack(losses).mean(0)

    def features(self, x: Tensor) -> list[Tensor]:
        """G's first half at the places that are compared."""
        found: list[Tensor] = self.G(grown(x, self.G.multiple), self.places)
        return found


MODEL = CUT
