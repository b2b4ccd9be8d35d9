"""The benchmark of inpainting: a model beside methods that need no training, by hole size."""
