"""The other projects of `bench step` by name: scripts of PyTorch-GAN, and StyleGAN2 and R3GAN with their authors' operations."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ganloom.bench.step import author_run, peer_translators
from ganloom.bench.step.author_run import STYLED, StyledRun
from ganloom.bench.step.peer_models import PeerShaped, Ready
from ganloom.bench.step.peer_translators import TRANSLATING, Sides, TranslatingRun
from ganloom.bench.step.peers import PEERS, Peer, PeerRun
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.gan import GAN

NAMES = (*PEERS, *TRANSLATING, *STYLED)


def peer_of(name: str) -> Peer | author_run.Peer:
    """Return the description of a project.

    Raises:
        BadInput: There is no such name.
    """
    if name not in NAMES:
        raise BadInput(f'--peers: there is no "{name}"{did_you_mean(name, NAMES)}; use {", ".join(NAMES)}')
    known: dict[str, Any] = {**PEERS, **TRANSLATING, **STYLED}
    peer: Peer | author_run.Peer = known[name]
    return peer


def run_of(name: str, device: str = "cpu") -> PeerRun | StyledRun | TranslatingRun:
    """Build the project's own training step and sampling."""
    if name in TRANSLATING:
        return TranslatingRun(name, device)
    return StyledRun(name, device) if name in STYLED else PeerRun(name, device)


def ours(name: str) -> GAN:
    """Build ganloom's model with the same networks."""
    if name in TRANSLATING:
        return peer_translators.ours(name)
    return author_run.ours(name) if name in STYLED else PeerShaped(name)


def data(name: str, device: str) -> Any:
    """Prepare batches for ganloom's model."""
    return Sides(name, device) if name in TRANSLATING else Ready(peer_of(name).shape, peer_of(name).batch, device)


def sampling(name: str, gan: GAN, device: str, precision: str = "float32") -> tuple[int, Callable[[], Tensor]]:
    """Return ganloom's sampling: (images in one call, the call)."""
    if name in TRANSLATING:
        x = peer_translators.inputs_of(TRANSLATING[name], device)
        return len(x), lambda: gan.generate(len(x), c=x, precision=precision)
    n = getattr(peer_of(name), "samples", peer_of(name).batch)
    return n, lambda: gan.generate(n, precision=precision)


def cycle(name: str) -> list[int]:
    """Steps between two runs of each update."""
    return [phase.lazy for phase in ours(name).phases()] if name in STYLED else [1]
