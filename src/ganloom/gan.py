"""The base class of all models: the interface that the Trainer needs.

A recipe subclasses ``GAN``: it owns its networks, says in ``phases`` which losses update which network and how often, and
keeps every running quantity as a buffer. The Trainer does the rest and knows no recipe by name.

A loss calls the discriminator through ``self.discriminate(x)``, its adversarial terms are ``self.d_adversarial(loss, real,
fake)`` and ``self.g_adversarial(loss, fake)``, and penalties get ``self.critic()``. Stabilisers (``ganloom.stabilisers``) work
in these methods; a model without any computes the plain terms.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganloom import sampling
from ganloom.core import randomness
from ganloom.core.batch import Batch as Batch
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng as Rng
from ganloom.core.randomness import key as key
from ganloom.core.schedules import Knots as Knots
from ganloom.core.schedules import at as at
from ganloom.core.schedules import constant as constant
from ganloom.core.schedules import cosine as cosine
from ganloom.core.schedules import inverse as inverse
from ganloom.core.schedules import linear as linear
from ganloom.imaging.samples import Samples
from ganloom.losses import Loss
from ganloom.optim import SGD as SGD
from ganloom.optim import Adam as Adam
from ganloom.optim import Opt as Opt
from ganloom.optim import RMSprop as RMSprop
from ganloom.sampling import SampleOptions as SampleOptions
from ganloom.scoring import Critic, Generated, Logits, Scores, Stabilising, Trace, joined

Terms = dict[str, Tensor]
"""Named scalars. Those with a gradient are summed and backpropagated, detached ones are only logged."""


@dataclass(frozen=True)
class Phase:
    """One kind of update. Phases with equal (net, opt, kimg) share one optimizer; a new window starts a new one."""

    net: str
    """What it updates: "G"; several: "E G"; parts: "G D.features D.q"."""
    loss: Callable[[Any], Terms]
    """Called once a micro-batch: may add to sums kept in buffers, decides nothing."""
    opt: Opt | None = None
    """None: ``cfg.g_opt`` or ``cfg.d_opt``, by the first net's letter."""
    lazy: int = 1
    """A regulariser each n-th step, with gain n; learning rate and betas are paced if its optimizer steps each step."""
    repeat: int = 1
    """Updates a step, each on a fresh batch: n_critic, the only way to write a ratio."""
    kimg: tuple[float, float] = (0.0, math.inf)
    """Active in [from, until): stages are windows."""

    def __post_init__(self) -> None:
        if self.lazy < 1 or self.repeat < 1:
            raise BadInput(f"a phase's lazy and repeat count steps from 1, got {self.lazy} and {self.repeat}")
        if not self.kimg[0] < self.kimg[1]:
            raise BadInput(f"a phase's window must begin before it ends, got {self.kimg}")


def kind_of_inputs(model: Any) -> str | None:
    """Return what a model, or its class, learns from beside images: the option ``inputs`` of ``data.open``.

    Returns:
        "pairs", "domains", "crops" (the model makes its inputs from crops of the images), "captions", "volumes", or None.
    """
    if getattr(model, "conditions_on", "labels") == "captions":
        return "captions"
    if getattr(model, "learns", "images") == "volumes":
        return "volumes"
    if getattr(model, "conditions_on", "labels") != "images" or model.makes_inputs:
        return None
    if model.upscales:
        return "crops"
    return "pairs" if model.paired else "domains"


def net_names(phase: Phase) -> list[str]:
    """The dotted names of the networks that a phase updates."""
    return phase.net.split()


class GAN(nn.Module):
    """Networks, losses and running quantities of one model; a VAE or a diffusion baseline is one too.

    Every parameter exists from the start. A subclass sets ``self.cfg``, its networks as children (a layer that two
    networks share is one child), and overrides what differs. The Trainer and ``load`` write the clock ``kimg``; a model
    without a clock is a finished one.
    """

    averaged: tuple[str, ...] = ("G",)
    """Children that are kept as an exponential moving average."""
    splits_by: int | None = 1
    """The losses keep their meaning on micro-batches of a multiple of this size; None: on the whole batch only."""
    conditions_on: str = "labels"
    """What c is: "labels" (or nothing); "images", which are a data set's ``inputs`` and cannot be drawn; or "captions"."""
    paired: bool = False
    """Whether each input must have its own target."""
    upscales: bool = False
    """Whether the inputs are made from the data's own images, such as smaller copies of them; see ``kind_of_inputs``."""
    makes_inputs: bool = False
    """Whether a model with ``conditions_on`` "images" makes its inputs from plain images itself, as inpainting does."""
    learns: str = "images"
    """What the model learns: "images"; "table", the rows of a ``data.encoded_table.EncodedTable``; "texts", those of a
    ``data.encoded_texts.EncodedTexts``; or "volumes", see ``data.volumes.Volumes``: its samples are views of them."""
    rows_together: int = 1
    """How many rows of a batch the discriminator judges together; the batch size must be a multiple."""
    supports_points: bool = False
    """Whether the model can learn points (n, d) as well as images."""
    penalises_normed_d: bool = False
    """Whether a gradient penalty on a discriminator with BatchNorm is meant: by the published method, or by the user."""
    clips_weights: bool = False
    """Whether ``after_update`` clips the discriminator's weights."""
    labels_to_d: bool = True
    """Whether the discriminator of a model with labels takes them: D(x, c)."""
    sample_options: SampleOptions = SampleOptions()
    """Which options ``sample`` takes itself."""
    not_onnx: str = ""
    """Why sampling cannot be written as an ONNX file, and what to use instead; empty if it can."""
    frozen: frozenset[str] = frozenset()
    """Names of parameters that no phase trains (FreezeD)."""
    label_group: int = 1
    """Size of the groups of equal labels in a batch of real data (``--stddev-alike``)."""
    fake_label_group: int = 1
    """Size of the groups of equal labels that ``c`` draws; stabilisers set it while a loss runs."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, by number; empty where they are not known, then the numbers are the names."""
    drawn_classes: tuple[int, ...] | None = None
    """Numbers of the classes that ``c`` draws: those that have images in the training data. None: all."""
    kimg: float = math.inf
    """Thousands of real images drawn so far."""
    stabilisers: Stabilising | None = None
    """What ``stabilisers.apply.compose`` has put on the model."""
    trace: Trace | None = None
    """Where the calls of a loss are noted while the lint runs it."""
    parts: Any
    """The settings of the stabilisers, where there are some."""
    cfg: Any
    G: Any
    D: Any

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg = cfg
        self._draw_on: str | None = None

    # ---- what a recipe defines
    def phases(self) -> list[Phase]:
        """The updates of one step, in order."""
        raise NotImplementedError(f"{type(self).__name__} must define phases()")

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """Draw one batch, shared by the phases of a step; override for class balance or a batch size by clock."""
        alike = {"alike": self.label_group} if self.label_group > 1 else {}
        batch: NamedTuple = data.draw(self.cfg.batch_size, rng, **alike)
        return batch

    def reals(self, batch: Any) -> Tensor:
        """Return the real data that D's loss gives to D. The doctor compares them with what D gets.

        Override it in a class whose loss changes the data of a batch before D sees them, such as to a lower resolution.
        """
        real: Tensor = batch[0]
        return real

    def after_update(self, phase: Phase) -> None:
        """Called once per optimizer step under no_grad: weight clipping, augmentation strength, running means."""

    def average_kimg(self) -> float | None:
        """Present half-life of the EMA in kimg, if it follows the clock. None: the config's ``ema_kimg``."""
        return None

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim), standard normal."""
        return self.randn(n, self.cfg.z_dim)

    def c(self, n: int) -> Tensor | None:
        """Draw n labels, uniform over the classes that have images; None for a model without labels."""
        classes = int(getattr(self.cfg, "n_classes", 0) or 0)
        if not classes:
            return None
        drawn = self.drawn_classes
        labels = randomness.randint(classes if drawn is None else len(drawn), n, self.draw_device).to(self.device)
        if drawn is not None:
            labels = torch.tensor(drawn, device=labels.device)[labels]
        group = math.gcd(n, self.fake_label_group)
        return labels if group == 1 else labels[: n // group].repeat(group)

    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raise BadInput if this model cannot learn from ``data``."""

    def learn_data(self, data: Any, each: Callable[[int, int], None] | None = None) -> None:
        """Keep what the model must know of its training data, such as a vocabulary. Called before training; again has no effect.

        Args:
            data: The training data.
            each: Called with (done, total) where it takes long.
        """

    def data_record(self) -> dict[str, Any]:
        """Return what ``learn_data`` kept, as JSON values; empty if there is nothing."""
        return {}

    def restore_data(self, record: dict[str, Any]) -> None:
        """Set what ``data_record`` returned. Raises BadInput if it is not such a record."""

    def shown_inputs(self, c: Tensor) -> Tensor:
        """Return input images as they are shown beside the outputs."""
        return c

    def make_ready(self, device: torch.device) -> None:
        """Called before a run has a folder: raise BadInput if something that training needs is missing."""

    def inputs(self, data: Any, rows: Any) -> Tensor | None:
        """The input images of rows of a data set; None for a model that starts from latents."""
        return None

    def input_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an input image, for a model that starts from images."""
        raise NotImplementedError(f"{type(self).__name__} starts from latents")

    def d_inputs(self, c: Tensor | None) -> tuple[Tensor, ...]:
        """What the discriminator gets beside images with the conditions ``c``, such as labels."""
        return (c,) if c is not None and self.labels_to_d else ()

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents and conditions to data; images are (N, C, H, W) in [-1, 1]."""
        out: Tensor = self.G(z) if c is None else self.G(z, c)
        return out

    def logits_of(self, output: Any) -> Logits:
        """The logits in what the discriminator returns; override if it returns more than logits."""
        logits: Logits = output
        return logits

    # ---- what a loss calls
    def generated(self, z: Tensor, *inputs: Any, net: str = "G", **options: Any) -> Generated:
        """Call G and keep how it was called.

        Args:
            z: Latents (N, z_dim).
            inputs: Further inputs of G, such as labels.
            net: The generator's name.
            options: Keywords of G.
        """
        call = functools.partial(_call, self.get_submodule(net), inputs, options)
        made = Generated(call(z), z, call)
        if self.trace is not None:
            self.trace.generated.append((made, inputs))
        return made

    def discriminate(
        self,
        x: Tensor | Generated,
        *inputs: Any,
        net: str = "D",
        call: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Scores:
        """Call the discriminator. All losses do it here, so that stabilisers can change what it receives.

        Args:
            x: A batch (N, ...), or what ``generated`` returned.
            inputs: Further inputs, such as labels.
            net: The discriminator's name, such as "D" or "D.b".
            call: Called instead of the network, for a discriminator with other weights.
            options: Keywords of the discriminator.

        Returns:
            The logits and how they came about.
        """
        source = x if isinstance(x, Generated) else None
        batch = source.x if source is not None else x
        assert isinstance(batch, Tensor)
        network = self.get_submodule(net)
        called = network if call is None else call

        def output_for(images: Tensor) -> Any:
            received = images
            if self.stabilisers is not None:
                received = self.stabilisers.receive(self, images, inputs, options)
            return called(received, *inputs, **options)

        if self.trace is not None:
            self.trace.differentiated |= batch.requires_grad and batch.is_leaf
        if self.stabilisers is None:
            output, features = output_for(batch), None
        else:
            output, features = self.stabilisers.call(network, lambda: output_for(batch))
        again = Critic(lambda images: joined(self.logits_of(output_for(images))))
        given = (*inputs, *options.values())
        scores = Scores(batch, self.logits_of(output), output, again, net, given, source, features)
        if self.trace is not None:
            self.trace.scored.append(scores)
        return scores

    def critic(self, *inputs: Any, net: str = "D", **options: Any) -> Critic:
        """The discriminator as a function of the batch alone, for penalties.

        Args:
            inputs: Further inputs, such as labels.
            net: The discriminator's name.
            options: Keywords of the discriminator.
        """
        return Critic(lambda x: self.discriminate(x, *inputs, net=net, **options).flat, self.trace)

    def objective(self, loss: Loss) -> Loss:
        """The adversarial loss as the stabilisers change it (label smoothing, top-k)."""
        return loss if self.stabilisers is None else self.stabilisers.wrap(self, loss)

    def d_adversarial(self, loss: Loss, real: Scores, fake: Scores, *, weight: float = 1.0, side: str = "") -> Terms:
        """D's adversarial terms.

        Args:
            loss: The adversarial loss.
            real: The discriminator's scores of real data.
            fake: Its scores of fakes.
            weight: Factor on the adversarial loss.
            side: Suffix of the terms' names, for a model with several discriminators.

        Returns:
            "adv" and the mean logits "logits_real" and "logits_fake". Stabilisers add their terms in ``loss_terms``.
        """
        if self.trace is not None:
            self.trace.losses.append(("d", loss, real.logits))
        end = side and f"_{side}"
        adv = _over_scales(self.objective(loss).d, real.logits, fake.logits)
        terms = {
            f"adv{end}": adv if weight == 1.0 else weight * adv,
            f"logits_real{end}": real.first.detach().mean(),
            f"logits_fake{end}": fake.first.detach().mean(),
        }
        if self.stabilisers is not None:
            self.stabilisers.add_d_terms(self, loss, real, fake, end)
        return terms

    def g_adversarial(
        self,
        loss: Loss,
        fake: Scores,
        real: Scores | None = None,
        *,
        reals: tuple[Any, ...] | None = None,
        weight: float = 1.0,
        side: str = "",
    ) -> Terms:
        """G's adversarial terms.

        Args:
            loss: The adversarial loss.
            fake: The discriminator's scores of fakes.
            real: Its scores of real data, for losses that compare the two.
            reals: Real data (N, ...) and their further inputs, as this discriminator sees them.
            weight: Factor on the adversarial loss.
            side: Suffix of the terms' names, for a model with several discriminators.

        Returns:
            "adv". Stabilisers add their terms in ``loss_terms``.
        """
        if self.trace is not None:
            self.trace.losses.append(("g", loss, None))
        end = side and f"_{side}"
        adv = _over_scales(self.objective(loss).g, None if real is None else real.logits, fake.logits)
        if self.stabilisers is not None:
            self.stabilisers.add_g_terms(self, fake, reals, end)
        return {f"adv{end}": adv if weight == 1.0 else weight * adv}

    # ---- what the Trainer calls
    def loss_terms(self, phase: Phase, batch: Any) -> Terms:
        """The terms of a phase's loss, with those that stabilisers add."""
        return phase.loss(batch) if self.stabilisers is None else self.stabilisers.loss_terms(self, phase, batch)

    def finish_update(self, phase: Phase) -> None:
        """Call ``after_update``, and let stabilisers do what follows an update."""
        self.after_update(phase)
        if self.stabilisers is not None:
            self.stabilisers.after_update(self, phase)

    # ---- what a recipe uses
    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def draw_device(self) -> torch.device:
        """Where random numbers are drawn: on the device in training, on the CPU in ``generate``."""
        return torch.device(self._draw_on) if self._draw_on else self.device

    def randn(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers (n, *shape): the global batch is drawn and this process takes its slice."""
        return randomness.randn(n, *shape, device=self.draw_device).to(self.device)

    def rand(self, n: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of shape (n, *shape), drawn like ``randn``."""
        return randomness.rand(n, *shape, device=self.draw_device).to(self.device)

    # ---- what a user calls
    @torch.no_grad()
    def generate(
        self,
        n: int = 1,
        seed: int | None = None,
        *,
        seeds: Sequence[int] | None = None,
        c: Tensor | Sequence[int | str] | int | str | None = None,
        text: str | Sequence[str] | None = None,
        z: Tensor | None = None,
        truncation: float = 1.0,
        noise: str = "const",
        batch: int = 64,
        precision: str = "float32",
        each: Callable[[int, int], None] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Draw samples.

        The call has no side effects: eval mode, random state, modes and buffers are restored. The latent (and a drawn label)
        of sample i depends on ``seed + i`` alone, whatever n and the device are; images of equal seeds agree to rounding.

        Args:
            n: Number of samples. Where it is 1, the length of ``seeds``, ``c`` or ``z`` counts.
            seed: Seed of the first sample's latent. None: 0.
            seeds: One seed per sample instead of ``seed``: sample i equals that of ``seed=seeds[i]`` alone.
            c: A class for all samples, or one per sample: its name, or else its number (see ``class_names``). A tensor holds
                numbers. A model that makes images from images takes those, (n, C, H, W).
            text: For a model that was trained with captions: one for all samples, or one per sample. None: captions of the
                training data are drawn.
            z: Latents (n, z_dim) to use; then ``seed`` is not used for them.
            truncation: Below 1, latents are pulled towards their mean: more typical and less varied samples.
            noise: For models with noise inputs: "const", "random" or "none".
            batch: Samples computed at once.
            precision: "float32" or "bf16".
            each: Called with (samples done, n) after each batch.
            kwargs: Further keywords of the recipe's ``sample``.

        Returns:
            (n, C, H, W) float32 in [-1, 1] for images; points (n, d) for 2-D data. A notebook shows it as images.

        Raises:
            BadInput: If an argument does not fit the model.
        """
        if text is not None:
            if c is not None:
                raise BadInput("text and c both say what to generate: give one")
            c = self.caption_codes(text)
            c = c.expand(n, *c.shape[1:]) if len(c) == 1 and n > 1 else c
        if self.sample_options.noise:
            kwargs["noise"] = noise
        if seeds is None:
            x = sampling.generate(self, n, seed or 0, c, z, truncation, batch, precision, kwargs, each)
        else:
            sampling.check_seeds(seed, z)
            x = sampling.generate_each(self, n, seeds, c, truncation, precision, kwargs, each)
        return Samples.of(x)

    def code_example(self, n: int) -> Tensor:
        """Return n conditions of the right shape for an export; only for a model that takes captions."""
        raise NotImplementedError(f"{type(self).__name__} takes no captions")

    def caption_codes(self, text: str | Sequence[str]) -> Tensor:
        """Return captions as conditions (N, ...) of ``generate``. Raises BadInput for a model that takes none."""
        raise BadInput("text was given, but this model was trained without captions: leave it out")

    def conditions(self, n: int, c: Any) -> Tensor:
        """Check conditions given by the user and return them as a tensor with n rows; see ``generate``."""
        return sampling.labels(self, n, c)


def _call(network: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any], z: Tensor) -> Tensor:
    out: Tensor = network(z, *inputs, **options)
    return out


def _over_scales(formula: Callable[..., Tensor], real: Logits | None, fake: Logits) -> Tensor:
    """A loss of logits; of several scales, the sum."""
    if isinstance(fake, Tensor):
        return formula(real, fake)
    reals = [None] * len(fake) if real is None else list(real)
    return torch.stack([formula(*pair) for pair in zip(reals, fake, strict=True)]).sum()
