"""The benchmark of 3D recipes: generated objects against held-out objects whose shape is known."""
