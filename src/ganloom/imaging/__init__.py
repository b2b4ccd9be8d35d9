"""Tensors to image files and back: grids, PNG of 8 and 16 bits."""
