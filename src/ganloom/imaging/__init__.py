"""Convert tensors to image files and back: grids, and PNG of 8 and 16 bits per channel."""
