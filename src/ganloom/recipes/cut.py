"""CUT. "Contrastive Learning for Unpaired Image-to-Image Translation", Park et al. 2020, arXiv:2007.15651.

y is an image of domain A, x one of domain B. E_l are layers of the first half of G. H_l are two dense layers behind each
E_l that map to 256 numbers.
D: ((D(x) - 1)^2 + D(G(y))^2) / 2
G: (D(G(y)) - 1)^2 + (NCE(y, G(y)) + NCE(x, G(x))) / 2                                             (eq. 5, lambda 1)
NCE: at 256 positions of 5 layers, a cross-entropy over cosine similarities / 0.07: each output position must pick the
input position that it came from. The negatives are other positions of the same image (eq. 3 and 4).
FastCUT: no NCE(x, G(x)), lambda 10; for half of the images G sees the input mirrored, and the features are mirrored back.
The generator has 9 residual blocks and filtered down- and upsampling. Xavier weights with gain 0.02 in G, D and H_l,
70 x 70 patches, Adam 2e-4, batch 1.

About: CUT learns one direction with one generator: each patch of the output must match the patch of the input at the same
place better than all other patches of that input. New is that this mutual information between patches replaces the way
back of CycleGAN, so half of the networks are not needed. Use it instead of CycleGAN when you need one direction only, or
when time is short. Watch the weight of the contrastive loss: a large weight keeps the input unchanged, a small one lets
shapes drift. It was published in 2020, is still the usual first choice without pairs, and contrastive patch losses have
since been used in many restoration and translation models.

Departures from the paper: images are enlarged by 286 / 256 and cropped, as in the authors' code; mirroring is a data flag
(``--flip``); D is CycleGAN's, without the filtered downsampling of the authors' code; below 70 pixels the patches are
smaller, so that at least one logit is left.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, linear
from ganloom.losses import least_squares
from ganloom.networks.translators import PatchGAN, ResNet, pad_to_multiple, patch_layers
from ganloom.nn.layers import crop
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "CUT: two domains without pairs, one way"
PAPER = "Park et al. 2020, arXiv:2007.15651"
DATA = "horse2zebra, cat2dog at 256 px"
KIMG = 534.0  # default length of a run, thousands of images: horse2zebra, 400 epochs of 1,334


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's hyperparameters."""

    blocks: int = 9
    """Number of residual blocks in G, 1 to 32."""
    antialias: bool = True
    """Filter the down- and upsampling in G, as in the authors' code."""
    nce: float = 1.0
    """Weight of the contrastive loss; use 10 with ``fast``."""
    fast: bool = False
    """Train FastCUT: no contrastive loss of G(x) with x, and half of the inputs mirrored."""
    patches: int = 256
    """Positions compared per layer, at least 2."""
    head: int = 256
    """Length of the feature vector of a position."""
    temperature: float = 0.07
    """Temperature: cosine similarities are divided by it."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(267.0, 534.0))
    """Optimizer of G and the projection heads; the learning rate falls to 0 over the second half of 534 kimg."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999), schedule=linear(267.0, 534.0))
    """Optimizer of D, with the same schedule."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.in_channels != self.shape[0] and not self.fast:
            raise BadInput(
                f"domains of {self.in_channels} and {self.shape[0]} channels need --fast: otherwise G is applied to both domains"
            )
        if not 1 <= self.blocks <= 32 or self.patches < 2 or self.head < 1:
            raise BadInput(
                "--blocks must be in 1..32, --patches at least 2 and --head at least 1, "
                f"got {self.blocks}, {self.patches}, {self.head}"
            )
        if not self.temperature > 0:
            raise BadInput(f"--temperature must be above 0, got {self.temperature}")


class CUT(Translator):
    """One generator whose first half also provides the features of the contrastive loss."""

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
        self.places = tuple(places)  # the padded input, both downsamplings, the first and the fifth block
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(n, cfg.head), nn.ReLU(), nn.Linear(cfg.head, cfg.head)) for n in places.values()
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.xavier_normal_(module.weight, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G heads", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        return self.d_terms(least_squares, self.discriminate(batch.x), self.discriminate(self.fakes_for_d(batch)))

    def g_loss(self, batch: Batch) -> Terms:
        y, cfg = batch.y, self.cfg
        assert y is not None
        fake, outputs, before, flips = self.outputs_for_g(batch)
        inputs = y if flips is None else torch.where(flips, y.flip(3), y)
        nce = self.contrast(before, outputs, flips, sides=1 if cfg.fast else 2)
        terms = self.g_adversarial(least_squares, self.discriminate(fake), reals=(batch.x,))
        terms["nce"] = cfg.nce * nce[: len(y)].mean()
        if not cfg.fast:
            terms["nce"] = terms["nce"] / 2
            terms["nce_same"] = cfg.nce * nce[len(y) :].mean() / 2
        return terms | self.perceptual_terms((fake, inputs))

    def g_outputs(self, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor], Tensor | None]:
        """Run G once for both updates of a step.

        Returns:
            (G(y), images for the contrastive loss, features of the inputs, which inputs were mirrored or None).
        """
        y = batch.y
        assert y is not None
        if self.cfg.fast:
            flips = self.rand(len(y), 1, 1, 1) < 0.5
            outputs = self.direct(torch.where(flips, y.flip(3), y))
            with torch.no_grad():  # gradients flow through the outputs only
                before = self.features(y)
            return outputs, outputs, before, flips
        x = torch.cat([y, batch.x])
        images, features = self.G(pad_to_multiple(x, self.G.multiple), self.places, whole=True)
        outputs = crop(images, *x.shape[2:])
        return outputs[: len(y)], outputs, features, None

    def contrast(self, before: list[Tensor], after: Tensor, flips: Tensor | None, sides: int = 1) -> Tensor:
        """Compute the contrastive loss of each image, averaged over layers and positions.

        Args:
            before: Features of the inputs, one tensor per layer.
            after: Outputs of G (N, C, H, W).
            flips: Which inputs were mirrored, (N, 1, 1, 1) bool; None: none of them.
            sides: Number of domains in the batch; each has N / sides images.

        Returns:
            Losses (N,).
        """
        losses = []
        for head, key, query in zip(self.heads, before, self.features(after), strict=True):
            query = query if flips is None else torch.where(flips, query.flip(3), query)
            n, count = len(key), min(self.cfg.patches, key.shape[2] * key.shape[3])
            scores = [self.rand(n // sides, key.shape[2] * key.shape[3]) for _ in range(sides)]
            places = torch.cat(scores).argsort(1)[:, :count, None]
            sampled = [x.flatten(2).transpose(1, 2).gather(1, places.expand(-1, -1, x.shape[1])) for x in (key, query)]
            with torch.no_grad():  # the input's features are fixed targets
                k = F.normalize(head(sampled[0]), dim=2)
            cosines = F.normalize(head(sampled[1]), dim=2) @ k.transpose(1, 2)
            targets = torch.arange(count, device=k.device).expand(n, -1)
            logits = cosines.float().transpose(1, 2) / self.cfg.temperature
            losses.append(F.cross_entropy(logits, targets, reduction="none").mean(1))
        return torch.stack(losses).mean(0)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the features of G's first half that the contrastive loss compares."""
        features: list[Tensor] = self.G(pad_to_multiple(x, self.G.multiple), self.places)
        return features


MODEL = CUT
