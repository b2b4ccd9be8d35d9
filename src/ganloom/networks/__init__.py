"""The networks, a file a family: ``G(z, c)`` and ``D(x, c)``; D returns logits."""
