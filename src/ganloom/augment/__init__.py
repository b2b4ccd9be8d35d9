"""Augmentation of D's inputs: DiffAugment, ADA, and the choice between them."""
