"""Whom `bench step` sets beside ours, by name: scripts of PyTorch-GAN, and StyleGAN2 and R3GAN by their authors' operations."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ganloom.bench.step import author_operations, peer_translators
from ganloom.bench.step.author_operations import STYLED, StyledRun
from ganloom.bench.step.peer_models import PeerShaped, Ready
from ganloom.bench.step.peer_translators import TRANSLATING, Sides, TranslatingRun
from ganloom.bench.step.peers import PEERS, Peer, PeerRun
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.gan import GAN

NAMES = (*PEERS, *TRANSLATING, *STYLED)


def peer_of(name: str) -> Peer | author_operations.Peer:
    """What is known of a peer; BadInput for a name that is none."""
    if name not in NAMES:
        raise BadInput(f'--peers has no "{name}"{did_you_mean(name, NAMES)}: it knows {", ".join(NAMES)}')
    known: dict[str, Any] = {**PEERS, **TRANSLATING, **STYLED}
    found: Peer | author_operations.Peer = known[name]
    return found


def run_of(name: str, device: str = "cpu") -> PeerRun | StyledRun | TranslatingRun:
    """The peer's own step and sampling."""
    if name in TRANSLATING:
        return TranslatingRun(name, device)
    return StyledRun(name, device) if name in STYLED else PeerRun(name, device)


def ours(name: str) -> GAN:
    """Our model of the same networks."""
    if name in TRANSLATING:
        return peer_translators.ours(name)
    return author_operations.ours(name) if name in STYLED else PeerShaped(name)


def data(name: str, device: str) -> Any:
    """Batches that lie ready for our model."""
    return Sides(name, device) if name in TRANSLATING else Ready(peer_of(name).shape, peer_of(name).batch, device)


def sampling(name: str, gan: GAN, device: str, precision: str = "float32") -> tuple[int, Callable[[], Tensor]]:
    """How many images our sampling makes in one call, and the call."""
    if name in TRANSLATING:
        x = peer_translators.given(TRANSLATING[name], device)
        return len(x), lambda: gan.generate(len(x), c=x, precision=precision)
    n = getattr(peer_of(name), "samples", peer_of(name).batch)
    return n, lambda: gan.generate(n, precision=precision)


def cycle(name: str) -> list[int]:
    """Steps between two runs of each of its updates."""
    return [phase.lazy for phase in ours(name).phases()] if name in STYLED else [1]
