"""Layers, norms and other modules that several networks use."""
