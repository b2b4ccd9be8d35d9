"""A second set of weights of a network, such as the best or the mean ones, and a context in which a network is in eval mode."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Inside, the network is in eval mode; afterwards in the mode before."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)


class Weights(nn.Module):
    """A second set of weights of a network, kept in buffers, so that it is saved with the model and never trained.

    Args:
        net: The network.
    """

    loss: Tensor
    known: Tensor
    updates: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.names = {name: f"w_{name.replace('.', '__')}" for name, _ in net.named_parameters()}
        for name, weights in net.named_parameters():
            self.register_buffer(self.names[name], weights.detach().clone())
        self.register_buffer("loss", torch.zeros(()))
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def kept(self) -> bool:
        """Whether weights with a known loss are kept."""
        return bool(self.known)

    @torch.no_grad()
    def move(self, net: nn.Module, share: float = 1.0) -> None:
        """Move the kept weights towards those of the network; 1: copy them."""
        for name, weights in net.named_parameters():
            kept = self.get_buffer(self.names[name])
            if share < 1:
                kept.lerp_(weights, share)
            else:
                kept.copy_(weights)

    @torch.no_grad()
    def restore(self, net: nn.Module) -> None:
        """Copy the kept weights into the network."""
        for name, weights in net.named_parameters():
            weights.copy_(self.get_buffer(self.names[name]))

    @contextlib.contextmanager
    def in_use(self, net: nn.Module) -> Iterator[None]:
        """Inside, the network has the kept weights; afterwards its own, bit for bit."""
        own = [weights.detach().clone() for weights in net.parameters()]
        self.restore(net)
        try:
            yield
        finally:
            with torch.no_grad():
                for weights, value in zip(net.parameters(), own, strict=True):
                    weights.copy_(value)

    def keep_best(self, net: nn.Module, loss: float) -> None:
        """Keep the network's weights if their loss is the lowest so far."""
        if math.isfinite(loss) and (not self.kept or loss < float(self.loss)):
            self.move(net)
            self.loss.fill_(loss)
            self.known.fill_(True)
