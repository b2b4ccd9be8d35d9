"""Measure a model in training: a few hundred samples, D's logits, weights and batches, as a row of numbers.

A probe is a function of the model, its data and the seed. It does not touch the run's random state, and it restores modes and
buffers. Figures that need what the model does not have (a D, labels, held-out data) are left out. So are figures that the
model does not support; ``refused`` keeps the reason.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ganloom import metrics
from ganloom.core import randomness
from ganloom.doctor import live_probe, loss_probe, queries
from ganloom.doctor import statistics as st
from ganloom.doctor.caption_probe import CaptionProbe
from ganloom.doctor.two_samples import energy_distance, kappa, repeated_share
from ganloom.training import optimizers

REALS = 1000
"""Real samples whose features are stored."""
HASHED = 2**28
"""Most values of a data set whose copies are counted in the whole set."""
NOISE_ROWS = 32
"""Rows of the batch that G gets twice, to measure how random its output is for one latent."""
FEW = 96
"""Rows of the batches whose labels are compared with those of their neighbours."""
CAPTIONS = 128
"""Rows of the batches whose captions are measured, at least."""
SMALL = 64
"""For images up to this side, the random network runs at half its usual size, which is four times faster."""
Figures = dict[str, float]


class Probe:
    """Measures a model; holds what stays the same: the feature network, features and classes of real samples.

    Args:
        trainer: The trainer of the run.
        n: Number of samples.
        held: Held-out data, or None.
        seed: Seed of the probe.
    """

    def __init__(self, trainer: Any, n: int = 256, held: Any = None, seed: int = 0) -> None:
        data = trainer.data
        self.n, self.seed, self.held = min(n, _fitting(data.shape)), seed, held
        self.refused = queries.Refused()
        """Queries that the model does not support, with the reason."""
        self.extractor = self._extractor(data)
        rng = torch.Generator().manual_seed(randomness.key(seed, "doctor"))
        picks = torch.randperm(len(data), generator=rng)[:REALS]
        self.images = data.kind == "images"
        self.row_shape = tuple(data.shape)
        parts = [(self.features(x), _digests(x)) for x in (data.get(some).cpu() for some in picks.split(CHUNK))]
        self.real = torch.cat([features for features, _ in parts])
        self.copies = repeated_share(self._all_digests(data, [d for _, digests in parts for d in digests]), len(data))
        x = data.get(picks[: min(len(picks), _fitting(data.shape))]).cpu()
        self.real_small = live_probe.small(x[: self.n]) if self.images else None
        labels = None if data.labels is None else torch.as_tensor(data.labels)[picks].long()
        self.labels, self.classes = labels, int(data.n_classes)
        if labels is not None and not 1 < self.classes <= len(picks) // 10:
            self.labels = None
        self.train_picks = picks[:n]
        self.filled: Tensor | None = None
        self.of_data = self._data(data, x)
        self.captioned = trainer.gan.conditions_on == "captions"
        self.captions = CaptionProbe(trainer, self.features, self.real, picks, seed) if self.captioned else None

    @staticmethod
    def _extractor(data: Any) -> Any:
        if data.kind != "images":
            return None
        if data.name.startswith("fashion") and data.shape[0] == 1:
            return metrics.get("fashion")
        return metrics.get("random", size=32) if max(data.shape[1:]) <= SMALL else metrics.get("random")

    def _all_digests(self, data: Any, some: list[int]) -> list[int]:
        """Return a hash of every image, or ``some`` if there are too many values to read."""
        if len(data) <= REALS or len(data) * math.prod(data.shape) > HASHED:
            return some
        return [d for rows in torch.arange(len(data)).split(REALS) for d in _digests(data.get(rows).cpu())]

    def features(self, x: Tensor) -> Tensor:
        """Compute features (N, d) of samples (N, ...) in [-1, 1]."""
        x = x.float().cpu()
        features: Tensor = self.extractor(x.clamp(-1, 1)) if self.extractor else x.flatten(1)
        return features

    def _data(self, data: Any, x: Tensor) -> Figures:
        """Measure the data once; ``x`` holds some of their rows."""
        figures: Figures = {}
        if self.images:
            figures["data/low"], figures["data/high"] = float(x.min()), float(x.max())
            figures["data/constant"] = float(len(st.constant_channels(x)))
            figures["data/checker"] = st.spectrum(x)
            figures["data/mean"], figures["data/sd"] = float(x.mean()), float(x.std())
        figures["data/repeated"] = self.copies
        figures["data/size"] = float(len(data))
        if data.labels is not None and self.classes > 1:
            counts = torch.bincount(torch.as_tensor(data.labels).long(), minlength=self.classes)
            self.filled = counts > 0  # classes that have images
            figures["data/empty"] = float((counts == 0).sum())
        if self.labels is not None:
            votes = st.vote(self.real, self.real, self.labels, self.classes, itself=True)
            self.fair = st.shares(votes, self.classes)  # shares among the reals by the same vote
            figures["data/labels_fit"] = st.agreement(votes, self.labels)
            figures["data/kappa"], figures["data/kappa_error"] = kappa(votes, self.labels, self.classes)
            largest = st.shares(self.labels, self.classes).max().item()
            figures["data/labels_chance"] = largest
        return figures

    # ------------------------------------------------------------------------------------------------------ the look
    def look(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Return all figures at this step by name; those that are not finite are left out."""
        figures: Figures = dict(self.of_data)
        parts = (
            self._latents, self._batches, self._samples, self._d_figures, self._live, self._losses, self._captions,
            self._weights,
        )  # fmt: skip
        self.trained_fakes: Tensor | None = None
        self.sample_labels: Tensor | None = None
        self.sample_features: Tensor | None = None
        for part in parts:
            with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
                randomness.seed_all(randomness.key(self.seed, "doctor", trainer.step))
                figures |= part(trainer, row)
        return {name: value for name, value in figures.items() if math.isfinite(value)}

    def untrained(self, trainer: Any) -> Figures:
        """Return distance, coverage and diversity of samples, to be called before the first step."""
        with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
            randomness.seed_all(randomness.key(self.seed, "doctor", trainer.step))
            figures = self._samples(trainer, {})
        names = ("distance", "pixel_distance", "coverage", "diversity")
        return {name: figures[name] for name in names if math.isfinite(figures.get(name, math.nan))}

    def _latents(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Measure the spread and size of the latents, and the classes that c() draws."""
        figures: Figures = {}
        z = queries.latents(trainer.gan, 64, self.refused)
        if z is not None:
            figures["z_sd"], figures["z_size"] = z.std(0).mean().item(), z.square().mean().sqrt().item()
            figures["z_drawn"] = float(z.shape[1])
            figures["z_directions"] = float(live_probe.spread_of(z))
        c = queries.classes(trainer.gan, 64 * self.classes, self.refused) if self.filled is not None else None
        if c is not None and self.filled is not None and c.max() < self.classes:
            figures["c_empty"] = float(((torch.bincount(c, minlength=self.classes) == 0) & self.filled).sum())
        return figures

    def _batches(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Measure range, labels and repetition in four batches from different places of an epoch."""
        data, gan, figures = trainer.data, trainer.gan, Figures()
        size = len(data)
        batches = [gan.draw(data, randomness.Rng(self.seed, i, i * max(1, size // 8))) for i in range(4)]
        batches = [type(b)(*(None if v is None else v[: self.n // 4] for v in b)) for b in batches]
        x = torch.cat([b.x.flatten(1).cpu().float() for b in batches if b.x.dim() > 1])
        if self.images and x.shape[0]:
            figures["batch_low"], figures["batch_high"] = x.min().item(), x.max().item()
            if batches[0].x.shape[1:] == self.row_shape:
                figures["batch_constant"] = float(len(st.constant_channels(batches[0].x)))
        n = len(batches[0].x)
        if n * 4 <= size:  # batches of an epoch share no row
            figures["batch_repeated"] = max(0.0, st.repeated(x) - self.of_data["data/repeated"])
        labels = [b.c for b in batches if getattr(b, "c", None) is not None] if not self.captioned else []
        if not labels and self.images and batches[0].x.shape[1:] == self.row_shape:
            features = self.features(torch.cat([b.x[: FEW // 4].cpu() for b in batches]))
            figures["batch_shift"] = energy_distance(features, self.real)
            figures["batch_variety"] = self._variety(features)
        if self.labels is None or not labels or labels[0].dim() != 1 or labels[0].is_floating_point():
            return figures
        c = torch.cat([batch_c.cpu().long() for batch_c in labels])
        if c.max() >= self.classes:
            return figures
        if batches[0].x.shape[1:] == self.row_shape:
            images = torch.cat([b.x[: FEW // 4].cpu() for b in batches])
            image_labels = torch.cat([batch_c[: FEW // 4].cpu().long() for batch_c in labels])
            features = self.features(images)
            votes = st.vote(features, self.real, self.labels, self.classes)
            figures["batch_labels_fit"] = st.agreement(votes, image_labels)
            figures["batch_kappa"], figures["batch_kappa_error"] = kappa(votes, image_labels, self.classes)
            figures["batch_variety"] = self._variety(features)
            alike = self._alike(image_labels)
            figures["batch_shift"] = energy_distance(features, self.real)
            if alike is not None:  # batches may have other shares of the classes than the data
                figures["batch_shift"] = min(figures["batch_shift"], energy_distance(features, self.real[alike]))
        more_labels = [
            gan.draw(data, randomness.Rng(self.seed, i, i * n)).c for i in range(4, 4 + 24 * self.classes // n)
        ]
        all_labels = torch.cat([c, *(batch_c.cpu().long() for batch_c in more_labels)])
        expected = st.shares(torch.as_tensor(data.labels), self.classes)
        counts = torch.bincount(all_labels, minlength=self.classes)
        # Under a fair draw a class of n expected rows is absent with probability exp(-n): 12 make it 6e-6.
        figures["batch_empty"] = float(((counts == 0) & (expected * len(all_labels) >= 12)).sum())
        return figures

    def _variety(self, features: Tensor) -> float:
        """Return the mean distance of two images of one batch, relative to that of all four batches, whose features these are."""
        ratios = [st.diversity(some, features) for some in features.chunk(4) if len(some) > 1]
        return sum(ratios) / len(ratios) if ratios else math.nan

    def _alike(self, labels: Tensor) -> Tensor | None:
        """Return real samples with the classes of ``labels``, two for each if there are enough, None if a class lacks some."""
        assert self.labels is not None
        classes, counts = (values.tolist() for values in torch.unique(labels, return_counts=True))
        own = [torch.nonzero(self.labels == k).flatten() for k in classes]
        times = min(2, *(len(rows) // n for rows, n in zip(own, counts, strict=True)))
        return torch.cat([rows[: times * n] for rows, n in zip(own, counts, strict=True)]) if times else None

    def _live(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Measure samples without the EMA, and which networks are trained."""
        figures = live_probe.activity(trainer)
        if trainer.gan.conditions_on == "images" or not self.images:
            return figures
        return figures | live_probe.live(
            trainer, self.features, self.real[: self.n], self.trained_fakes, self.sample_labels, self.refused
        )

    def _losses(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Evaluate both losses once."""
        if trainer.gan.conditions_on == "images":
            return {}
        return loss_probe.measure(trainer, self.seed, self.refused)

    def _captions(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Measure the captions of a text-to-image model."""
        if self.captions is None:
            return {}
        draws = range(11, 11 + max(2, -(-CAPTIONS // int(trainer.gan.cfg.batch_size))))
        batches = [trainer.gan.draw(trainer.data, randomness.Rng(self.seed, i, i * len(self.real))) for i in draws]
        known = self.sample_features is not None and self.sample_labels is not None
        samples = (self.sample_features, self.sample_labels) if known else None
        return self.captions.look(trainer, batches, samples, self.refused)  # type: ignore[arg-type]

    def _samples(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Compare samples of the EMA with the reals: diversity, copies, classes, spectrum."""
        n, figures = self.n, Figures()
        conditional = int(getattr(getattr(trainer.ema, "cfg", None), "n_classes", 0) or 0)
        drawn = trainer.ema.drawn_classes or range(conditional)  # those that have images
        c = torch.tensor(drawn)[torch.arange(n) % len(drawn)] if conditional else None
        if conditional and self.labels is not None and conditional == self.classes:
            c = self.labels[torch.arange(n) % len(self.labels)]
        if self.captioned:  # captions of the data
            c = trainer.ema.inputs(trainer.data, self.train_picks[:n])
            n = len(c)
        with queries.watched(getattr(trainer.ema, "G", None)) as dead:
            fake = self._generated(trainer, n, self.seed + 1_000_003, c)
        if fake is None:
            return figures
        n = len(fake)
        self.sample_labels = c
        figures["G_dead"] = max(dead, default=0.0)
        if fake.shape[1:] != self.row_shape or not bool(fake.isfinite().all()):
            return {"samples_bad": float(not bool(fake.isfinite().all()))}
        real = self.real[:n]
        f = self.sample_features = self.features(fake)
        figures["diversity"] = st.diversity(f, real)
        figures["duplicates"], support = st.duplicates(f, real)
        figures["support"] = support
        if self.real_small is not None:
            figures["pixel_distance"] = energy_distance(live_probe.small(fake.float()), self.real_small)
        figures["distance"] = energy_distance(f, self.real[: self.n])
        figures["precision"], figures["coverage"] = st.coverage(f, real)
        if self.images:
            figures["checker"] = st.spectrum(fake)
            figures["sample_low"], figures["sample_high"] = fake.min().item(), fake.max().item()
            figures["sample_mean"], figures["sample_sd"] = fake.mean().item(), fake.std().item()
        if self.labels is not None:
            votes = st.vote(f, self.real, self.labels, self.classes)
            shares, fair = st.shares(votes, self.classes), self.fair
            missing = (fair * n >= 10) & (shares < 0.2 * fair)
            figures["classes_lost"] = float(missing.sum())
            present = ~missing & (fair * n >= 10)
            figures["classes_least"] = (
                float((shares / fair.clamp_min(1e-9))[present].min()) if present.any() else math.nan
            )
            if c is not None and conditional == self.classes:
                figures["c_agrees"] = st.agreement(votes, c)
                figures["diversity_within"] = st.diversity_within(f, c, real, self.labels[:n])
        return figures

    def _generated(self, trainer: Any, n: int, seed: int, c: Tensor | None) -> Tensor | None:
        """Generate samples (n, ...) with the EMA, of classes ``c``; an image-to-image model gets inputs from the data."""
        inputs = trainer.ema.inputs(trainer.data, self.train_picks[:n])
        c = c if inputs is None else inputs
        fake = self.refused.unless("samples", lambda: trainer.ema.generate(n, seed=seed, c=c))
        return None if fake is None else fake.cpu()

    def _d_figures(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Compare D's logits, in training mode, on training images, held-out images and fakes."""
        gan, figures = trainer.gan, Figures()
        if not isinstance(getattr(gan, "D", None), nn.Module):
            return figures
        if gan.conditions_on == "images":
            self.refused.note("D's logits", "its D may also need the input image")
            return figures
        half = min(self.n // 2, len(self.train_picks))
        conditional = int(getattr(getattr(gan, "cfg", None), "n_classes", 0) or 0)
        if conditional and trainer.data.labels is None:
            return figures
        batch = int(getattr(getattr(gan, "cfg", None), "batch_size", 64) or 64)
        # Drawn as in training, with whatever the recipe's draw() does to them.
        batches = [gan.draw(trainer.data, randomness.Rng(self.seed, i, i * batch)) for i in range(-(-half // batch))]
        x = torch.cat([b.x for b in batches])[:half]
        labels = torch.cat([b.c for b in batches])[:half].long() if conditional and batches[0].c is not None else None
        labels = torch.cat([b.c for b in batches])[:half] if self.captioned else labels
        fake = queries.fakes(gan, len(x), labels, batch, self.refused)
        self.trained_fakes = fake if fake is not None and fake.shape[1:] == self.row_shape else None
        figures |= queries.noise(gan, min(len(x), batch, NOISE_ROWS), labels, self.refused)
        with queries.watched(gan.D) as dead:
            real_logits = queries.logits(gan, x, labels, batch, self.refused)
        figures["D_dead"] = max(dead, default=0.0)
        figures |= queries.d_noise(
            gan, x[:NOISE_ROWS], None if labels is None else labels[:NOISE_ROWS], batch, self.refused
        )
        fake_logits = None if fake is None else queries.logits(gan, fake, labels, batch, self.refused)
        if real_logits is None or fake_logits is None:
            return figures
        figures["D_real"], figures["D_fake"] = real_logits.mean().item(), fake_logits.mean().item()
        figures["D_accuracy"], figures["D_overlap"] = (
            st.accuracy(real_logits, fake_logits),
            st.overlap(real_logits, fake_logits),
        )
        logits = torch.cat([real_logits, fake_logits])
        figures["D_spread"], figures["D_lowest"], figures["D_highest"] = (
            logits.std().item(),
            logits.min().item(),
            logits.max().item(),
        )
        figures["D_ordered"] = st.ordered(real_logits, fake_logits)
        if self.held is not None and len(self.held) >= half // 2:
            train_logits = self._plain_logits(trainer, trainer.data, self.train_picks[:half], conditional, batch)
            held_logits = self._plain_logits(
                trainer, self.held, torch.arange(min(half, len(self.held))), conditional, batch
            )
            if train_logits is not None and held_logits is not None:
                figures["D_held"], figures["memorised"] = (
                    held_logits.mean().item(),
                    st.memorised(train_logits, held_logits, fake_logits),
                )
        loss = getattr(gan, "loss", None)
        if hasattr(loss, "g") and hasattr(loss, "equilibrium"):
            figures["pull"] = queries.pull(loss, real_logits, fake_logits)
        return figures

    def _plain_logits(self, trainer: Any, data: Any, picks: Tensor, conditional: int, batch: int) -> Tensor | None:
        """Return D's logits of stored rows, without the recipe's draw()."""
        c = torch.as_tensor(data.labels)[picks].long() if conditional else trainer.gan.inputs(data, picks)
        return queries.logits(trainer.gan, data.get(picks).to(trainer.device), c, batch, self.refused)

    def _weights(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Measure the size of each network's weight matrices, and of one step relative to it."""
        figures: Figures = {}
        for (net, _, _), optimizer in trainer.optimizers.items():
            letter = net.split()[0].split(".")[0]
            module = optimizers.find(trainer.gan, letter)
            matrices = [p for p in module.parameters() if p.dim() > 1]
            if not matrices:
                continue
            figures[f"{letter}_weights"] = st.rms([p.detach() for p in matrices])
            figures[f"{letter}_norm"] = sum(float(p.detach().square().sum()) for p in module.parameters()) ** 0.5
            norm = row.get(f"{letter}/grad_norm", math.nan)
            step = st.stride(optimizer, {id(p) for p in matrices}, norm)
            if not math.isnan(step):
                figures[f"{letter}_stride"] = max(step, figures.get(f"{letter}_stride", 0.0))
            rate = max(float(group["lr"]) for group in optimizer.param_groups)
            figures[f"{letter}_lr"] = max(rate, figures.get(f"{letter}_lr", 0.0))
        return figures


CHUNK = 64
"""Batch size of the feature network."""
VALUES = 2**26
"""Most values that the images of a probe may have in total: 256 MB of float32."""


def _digests(x: Tensor) -> list[int]:
    """Return a hash of each row's values."""
    return [hash(row.tobytes()) for row in x.contiguous().numpy()]


def _fitting(shape: Any) -> int:
    """Return how many samples of a shape fit into ``VALUES``, at least 32."""
    numbers: int = math.prod(shape)
    return max(32, VALUES // max(1, numbers))
