"""One look at a model that trains: a few hundred samples, D's logits, weights and batches, as a row of plain figures.

A probe is a function of the model, its data and the seed: it draws no random number of the run's, and puts modes and
buffers back. What a model does not have (a D, labels, held-out data) is left out of the row.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ganloom import metrics, optim, randomness
from ganloom.compose import logits_of
from ganloom.doctor import statistics as st
from ganloom.errors import BadInput
from ganloom.gan import net_names

REALS = 1000
"""Reals whose features are kept."""
RATE, FIXED, LAYER = 3e10, 0.04, 6e-4
"""Operations a second of one core, and beside them seconds of a probe, and of a step for each layer: a model of what a probe
costs, which must be the same on every machine, so that a resumed run probes where the uninterrupted one does."""
FEW = 96
"""Rows of batches whose labels are compared with their neighbours'."""
SMALL = 64
"""Pictures up to so many pixels a side are seen by the random net at half its usual size, which is four times faster."""
Figures = dict[str, float]


class Probe:
    """What stays the same from look to look: the feature net, the reals' features and classes, the held-out reals."""

    def __init__(self, trainer: Any, n: int = 256, held: Any = None, seed: int = 0) -> None:
        data = trainer.data
        self.n, self.seed, self.held = min(n, _fitting(data.shape)), seed, held
        self.extractor = self._extractor(data)
        rng = torch.Generator().manual_seed(randomness.key(seed, "doctor"))
        picks = torch.randperm(len(data), generator=rng)[:REALS]
        self.pictures = data.kind == "images"
        self.row_shape = tuple(data.shape)
        parts = [(self.features(x), _digests(x)) for x in (data.get(some).cpu() for some in picks.split(CHUNK))]
        self.real = torch.cat([features for features, _ in parts])
        self.copies = 1 - len(set().union(*(seen for _, seen in parts))) / len(picks)
        x = data.get(picks[: min(len(picks), _fitting(data.shape))]).cpu()
        labels = None if data.labels is None else torch.as_tensor(data.labels)[picks].long()
        self.labels, self.classes = labels, int(data.n_classes)
        if labels is not None and not 1 < self.classes <= len(picks) // 10:
            self.labels = None
        self.train_picks = picks[:n]
        self.of_data = self._data(data, x)

    @staticmethod
    def _extractor(data: Any) -> Any:
        if data.kind != "images":
            return None
        if data.name.startswith("fashion") and data.shape[0] == 1:
            return metrics.get("fashion")
        return metrics.get("random", size=32) if max(data.shape[1:]) <= SMALL else metrics.get("random")

    def features(self, x: Tensor) -> Tensor:
        """Features (N, d) of samples."""
        x = x.float().cpu()
        found: Tensor = self.extractor(x.clamp(-1, 1)) if self.extractor else x.flatten(1)
        return found

    def _data(self, data: Any, x: Tensor) -> Figures:
        """What the data themselves say, ``x`` being some of their rows: once is enough."""
        found: Figures = {}
        if self.pictures:
            found["data/low"], found["data/high"] = float(x.min()), float(x.max())
            found["data/constant"] = float(len(st.constant_channels(x)))
            found["data/checker"] = st.spectrum(x)
        found["data/repeated"] = self.copies
        found["data/size"] = float(len(data))
        if data.labels is not None and self.classes > 1:
            counts = torch.bincount(torch.as_tensor(data.labels).long(), minlength=self.classes)
            found["data/empty"] = float((counts == 0).sum())
        if self.labels is not None:
            said = st.vote(self.real, self.real, self.labels, self.classes, itself=True)
            self.fair = st.shares(said, self.classes)  # as the same vote finds them among the reals
            found["data/labels_fit"] = st.agreement(said, self.labels)
            largest = st.shares(self.labels, self.classes).max().item()
            found["data/labels_chance"] = largest
        return found

    # ------------------------------------------------------------------------------------------------------ the look
    def look(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """All figures of this moment, finite or left out."""
        found: Figures = dict(self.of_data)
        for part in (self._latents, self._batches, self._samples, self._judgements, self._weights):
            with torch.no_grad(), _apart(trainer.gan, trainer.ema):
                randomness.seed_all(randomness.key(self.seed, "doctor", trainer.step))
                found |= part(trainer, row)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _latents(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Spread and size of what z() draws, and which classes c() draws."""
        found: Figures = {}
        z = _called(trainer.gan.z, 64)
        if isinstance(z, Tensor) and z.is_floating_point() and len(z) == 64:
            z = z.flatten(1).cpu().double()
            found["z_sd"], found["z_size"] = z.std(0).mean().item(), z.square().mean().sqrt().item()
        c = _called(trainer.gan.c, 64 * max(1, self.classes)) if self.classes > 1 else None
        if isinstance(c, Tensor) and c.dim() == 1 and not c.is_floating_point():
            found["c_empty"] = float((torch.bincount(c.cpu().long(), minlength=self.classes) == 0).sum())
        return found

    def _batches(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """The range, labels and freshness of what training draws: two of its batches far from each other."""
        data, gan, found = trainer.data, trainer.gan, Figures()
        size = len(data)
        drawn = [gan.draw(data, randomness.Rng(self.seed, i, i * max(1, size // 8))) for i in range(4)]
        drawn = [type(b)(*(None if v is None else v[: self.n // 4] for v in b)) for b in drawn]
        x = torch.cat([b.x.flatten(1).cpu().float() for b in drawn if b.x.dim() > 1])
        if self.pictures and x.shape[0]:
            found["batch_low"], found["batch_high"] = x.min().item(), x.max().item()
            if drawn[0].x.shape[1:] == self.row_shape:
                found["batch_constant"] = float(len(st.constant_channels(drawn[0].x)))
        n = len(drawn[0].x)
        if n * 4 <= size:  # batches of an epoch share no row
            found["batch_repeated"] = max(0.0, st.repeated(x) - self.of_data["data/repeated"])
        labels = [b.c for b in drawn if getattr(b, "c", None) is not None]
        if self.labels is None or not labels or labels[0].dim() != 1 or labels[0].is_floating_point():
            return found
        c = torch.cat([one.cpu().long() for one in labels])
        if c.max() >= self.classes:
            return found
        if drawn[0].x.shape[1:] == self.row_shape:
            pictures = torch.cat([b.x[: FEW // 4].cpu() for b in drawn])
            asked = torch.cat([one[: FEW // 4].cpu().long() for one in labels])
            said = st.vote(self.features(pictures), self.real, self.labels, self.classes)
            found["batch_labels_fit"] = st.agreement(said, asked)
        more = [gan.draw(data, randomness.Rng(self.seed, i, i * n)).c for i in range(4, 4 + 24 * self.classes // n)]
        seen = torch.cat([c, *(one.cpu().long() for one in more)])
        wanted = st.shares(torch.as_tensor(data.labels), self.classes)
        got = torch.bincount(seen, minlength=self.classes)
        # Under a fair draw a class of n expected rows is absent with probability exp(-n): 12 make it 6e-6.
        found["batch_empty"] = float(((got == 0) & (wanted * len(seen) >= 12)).sum())
        return found

    def _samples(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """The average's samples against the reals: variety, copies, classes, spectrum."""
        n, found = self.n, Figures()
        conditional = int(getattr(getattr(trainer.ema, "cfg", None), "n_classes", 0) or 0)
        c = torch.arange(n) % conditional if conditional else None
        if conditional and self.labels is not None and conditional == self.classes:
            c = self.labels[torch.arange(n) % len(self.labels)]
        with _watched(getattr(trainer.ema, "G", None)) as dead:
            fake = trainer.ema.generate(n, seed=self.seed + 1_000_003, c=c).cpu()
        found["G_dead"] = max(dead, default=0.0)
        if fake.shape[1:] != self.row_shape or not bool(fake.isfinite().all()):
            return {"samples_bad": float(not bool(fake.isfinite().all()))}
        real = self.real[:n]
        f = self.features(fake)
        found["diversity"] = st.diversity(f, real)
        found["duplicates"], support = st.duplicates(f, real)
        found["support"] = support
        found["precision"], found["coverage"] = st.coverage(f, real)
        if self.pictures:
            found["checker"] = st.spectrum(fake)
            found["sample_low"], found["sample_high"] = fake.min().item(), fake.max().item()
        if self.labels is not None:
            said = st.vote(f, self.real, self.labels, self.classes)
            got, fair = st.shares(said, self.classes), self.fair
            lost = (fair * n >= 10) & (got < 0.2 * fair)
            found["classes_lost"] = float(lost.sum())
            kept = ~lost & (fair * n >= 10)
            found["classes_least"] = float((got / fair.clamp_min(1e-9))[kept].min()) if kept.any() else math.nan
            if c is not None and conditional == self.classes:
                found["c_agrees"] = st.agreement(said, c)
                found["diversity_within"] = st.diversity_within(f, c, real, self.labels[:n])
        return found

    def _judgements(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """D's logits, as it trains, on train reals, held-out reals and G's own fakes."""
        gan, found = trainer.gan, Figures()
        if not isinstance(getattr(gan, "D", None), nn.Module):
            return found
        half = min(self.n // 2, len(self.train_picks))
        conditional = int(getattr(getattr(gan, "cfg", None), "n_classes", 0) or 0)
        if conditional and trainer.data.labels is None:
            return found
        batch = int(getattr(getattr(gan, "cfg", None), "batch_size", 64) or 64)
        # As training draws them, whatever a recipe's draw() does to them.
        drawn = [gan.draw(trainer.data, randomness.Rng(self.seed, i, i * batch)) for i in range(-(-half // batch))]
        x = torch.cat([b.x for b in drawn])[:half]
        labels = torch.cat([b.c for b in drawn])[:half].long() if conditional and drawn[0].c is not None else None
        fake = _fakes(gan, len(x), labels, batch)
        with _watched(gan.D) as dead:
            train = _logits(gan, x, labels, batch)
        found["D_dead"] = max(dead, default=0.0)
        made = None if fake is None else _logits(gan, fake, labels, batch)
        if train is None or made is None:
            return found
        found["D_real"], found["D_fake"] = train.mean().item(), made.mean().item()
        found["D_accuracy"], found["D_overlap"] = st.accuracy(train, made), st.overlap(train, made)
        found["D_spread"] = torch.cat([train, made]).std().item()
        if self.held is not None and len(self.held) >= half // 2:
            known = self._plain_logits(trainer, trainer.data, self.train_picks[:half], conditional, batch)
            unseen = self._plain_logits(trainer, self.held, torch.arange(min(half, len(self.held))), conditional, batch)
            if known is not None and unseen is not None:
                found["D_held"], found["memorised"] = unseen.mean().item(), st.memorised(known, unseen, made)
        loss = getattr(gan, "loss", None)
        if hasattr(loss, "g") and hasattr(loss, "equilibrium"):
            found["pull"] = _pull(loss, train, made)
        return found

    def _plain_logits(self, trainer: Any, data: Any, picks: Tensor, conditional: int, batch: int) -> Tensor | None:
        """D's logits of rows as they are stored."""
        c = torch.as_tensor(data.labels)[picks].long() if conditional else None
        return _logits(trainer.gan, data.get(picks).to(trainer.device), c, batch)

    def _weights(self, trainer: Any, row: dict[str, Any]) -> Figures:
        """Size of each network's matrices, and how far a step moves them."""
        found: Figures = {}
        for (net, _, _), optimizer in trainer.optimizers.items():
            letter = net.split()[0].split(".")[0]
            module = optim.find(trainer.gan, letter)
            matrices = [p for p in module.parameters() if p.dim() > 1]
            if not matrices:
                continue
            found[f"{letter}_weights"] = st.rms([p.detach() for p in matrices])
            norm = row.get(f"{letter}/grad_norm", math.nan)
            step = st.stride(optimizer, {id(p) for p in matrices}, norm)
            if not math.isnan(step):
                found[f"{letter}_stride"] = max(step, found.get(f"{letter}_stride", 0.0))
            rate = max(float(group["lr"]) for group in optimizer.param_groups)
            found[f"{letter}_lr"] = max(rate, found.get(f"{letter}_lr", 0.0))
        return found


CHUNK = 64
"""Rows that are turned into features at once."""
VALUES = 2**26
"""Numbers that the pictures of a look may hold in all: 256 MB."""


def _digests(x: Tensor) -> set[int]:
    """What tells rows apart, value by value."""
    return {hash(row.tobytes()) for row in x.contiguous().numpy()}


def _fitting(shape: Any) -> int:
    """How many rows of a shape are not too many at once."""
    numbers: int = math.prod(shape)
    return max(32, VALUES // max(1, numbers))


def cost(trainer: Any, probe: Probe) -> tuple[float, float]:
    """(a probe, a thousand images of training) in seconds of the model that ``RATE`` stands for."""
    gan = trainer.gan
    batch = int(getattr(getattr(gan, "cfg", None), "batch_size", 64) or 64)
    with torch.no_grad(), _apart(trainer.gan, trainer.ema):
        randomness.seed_all(0)
        g = _operations(lambda: trainer.ema.generate(4, seed=0)) / 4
        x = trainer.data.get(probe.train_picks[:4])
        c = None if trainer.data.labels is None else torch.as_tensor(trainer.data.labels)[probe.train_picks[:4]].long()
        conditional = int(getattr(getattr(gan, "cfg", None), "n_classes", 0) or 0)
        has_d = isinstance(getattr(gan, "D", None), nn.Module)
        d = _operations(lambda: _logits(gan, x, c if conditional else None, 4)) / len(x) if has_d else 0.0
    f = _operations(lambda: probe.features(x)) / len(x)
    n, layers = probe.n, sum(not list(m.children()) for m in gan.modules())
    look = n * (1.5 * g + 1.5 * d + 1.4 * f) / RATE + FIXED
    # Of a step: fakes, then D forward and backward on both; G's own update is left out, for it may come rarely.
    train = 1000 * (g + 6 * d if d else 3 * g) / RATE + 1000 / batch * LAYER * layers
    return look, train


def _operations(call: Any) -> float:
    """Floating-point operations of a forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return float(counter.get_total_flops())


def sizes(gan: Any, trained: set[str]) -> Figures:
    """Root mean square of each trained network's matrices."""
    found = {}
    for net in sorted(trained):
        matrices = [p.detach() for p in optim.find(gan, net).parameters() if p.dim() > 1]
        if matrices:
            found[net] = st.rms(matrices)
    return found


def updates(phases: list[Any]) -> dict[str, int]:
    """Updates a step of each network, by its first phase that comes each step."""
    found: dict[str, int] = {}
    for phase in phases:
        if phase.lazy == 1:
            found.setdefault(phase.net.split()[0].split(".")[0], phase.repeat)
    return found


def rates(trainer: Any) -> Figures:
    """The learning rate of each network before schedules."""
    found: Figures = {}
    for (net, _, _), optimizer in trainer.optimizers.items():
        letter = net.split()[0].split(".")[0]
        found[letter] = max(found.get(letter, 0.0), *(float(group["base_lr"]) for group in optimizer.param_groups))
    return found


def usual_rates(gan: Any) -> Figures:
    """The recipe's own learning rates by network, where it has a config with defaults."""
    try:
        usual = type(gan.cfg)()
    except (AttributeError, TypeError, BadInput):
        return {}
    found = {}
    for letter in ("G", "D"):
        own = getattr(usual, f"{letter.lower()}_opt", None)
        if own is not None and getattr(own, "lr", 0) > 0:
            found[letter] = float(own.lr)
    return found


def nets_trained(trainer: Any) -> set[str]:
    """The networks that some phase trains."""
    return {name.split(".")[0] for phase in trainer.phases for name in net_names(phase)}


def _called(draw: Any, n: int) -> Any:
    try:
        return draw(n)
    except Exception:  # a model whose z or c is of another kind
        return None


def _fakes(gan: Any, n: int, c: Tensor | None, batch: int) -> Tensor | None:
    """What D is trained on: G in the mode in which it trains, in batches."""
    found = []
    for start in range(0, n, batch):
        rows = slice(start, min(n, start + batch))
        try:
            z = gan.z(rows.stop - rows.start)
            found.append(gan.sample(z, None if c is None else c[rows].to(gan.device)))
        except Exception:  # a model that is sampled in a way of its own
            return None
    x = torch.cat(found).float()
    return x if bool(x.isfinite().all()) else None


def _logits(gan: Any, x: Tensor, c: Tensor | None, batch: int) -> Tensor | None:
    """D's logits (N,) as float64 on the CPU, in its training mode; None of a D that answers otherwise."""
    found = []
    x = x.to(gan.device)
    for start in range(0, len(x) // batch * batch or len(x), batch):  # whole batches, as D is used to
        rows = slice(start, start + batch)
        args = () if c is None else (c[rows].to(gan.device),)
        try:
            logits = logits_of(gan.D(x[rows], *args))
        except Exception:
            if not args:
                return None
            try:
                logits = logits_of(gan.D(x[rows]))
            except Exception:
                return None
        if (
            not isinstance(logits, Tensor)
            or len(logits) != len(x[rows])
            or (logits.dim() > 2 and logits.numel() > 4096)
        ):
            return None
        found.append(logits.reshape(len(logits), -1).float().mean(1).cpu().double())
    return torch.cat(found)


def _pull(loss: Any, real: Tensor, fake: Tensor) -> float:
    """Mean size of the loss's slope at a fake's logit: what is left of G's gradient (Arjovsky & Bottou 2017, theorem 2.4)."""
    n = min(len(real), len(fake))
    with torch.enable_grad():
        logits = fake[:n].clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(loss.g(real[:n], logits), logits)
    return slope.abs().sum().item()


LAYERS = (nn.ReLU, nn.LeakyReLU, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose channels may be dead."""


@contextlib.contextmanager
def _watched(net: Any) -> Iterator[list[float]]:
    """The share of dead channels of each layer in here, by the first batch that passes."""
    found: dict[nn.Module, float] = {}
    shares: list[float] = []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        if module not in found and isinstance(out, Tensor) and out.dim() in (2, 4) and min(out.shape[:2]) >= 8:
            found[module] = st.dead(out)

    modules = net.modules() if isinstance(net, nn.Module) else ()
    handles = [m.register_forward_hook(hook) for m in modules if isinstance(m, LAYERS)]
    try:
        yield shares
    finally:
        shares += found.values()
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _apart(*models: nn.Module) -> Iterator[None]:
    """Modes, buffers and random states are afterwards what they were."""
    modes = [(m, m.training) for model in models for m in model.modules()]
    buffers = [(b, b.clone()) for model in models for b in model.buffers()]
    device = next((p.device for p in models[0].parameters()), torch.device("cpu"))
    cuda = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for buffer, kept in buffers:
                buffer.copy_(kept)
