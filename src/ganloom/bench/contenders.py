"""Whom `bench step` sets beside ours, by name: scripts of PyTorch-GAN, and StyleGAN2 and R3GAN by their authors' operations."""

from ganloom.bench import styled
from ganloom.bench.peers import PEERS, Peer, PeerRun
from ganloom.bench.styled import STYLED, StyledRun
from ganloom.bench.variants import PeerShaped
from ganloom.errors import BadInput, did_you_mean
from ganloom.gan import GAN

NAMES = (*PEERS, *STYLED)


def peer_of(name: str) -> Peer | styled.Peer:
    """What is known of a peer; BadInput for a name that is none."""
    if name not in NAMES:
        raise BadInput(f'--peers has no "{name}"{did_you_mean(name, NAMES)}: it knows {", ".join(NAMES)}')
    return STYLED[name] if name in STYLED else PEERS[name]


def run_of(name: str, device: str = "cpu") -> PeerRun | StyledRun:
    """The peer's own step and sampling."""
    return StyledRun(name, device) if name in STYLED else PeerRun(name, device)


def ours(name: str) -> GAN:
    """Our model of the same networks."""
    return styled.ours(name) if name in STYLED else PeerShaped(name)


def cycle(name: str) -> list[int]:
    """Steps between two runs of each of its updates."""
    return [phase.lazy for phase in ours(name).phases()] if name in STYLED else [1]
