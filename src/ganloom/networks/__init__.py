"""The networks, one file per family: ``G(z, c)`` and ``D(x, c)``; D returns logits."""
