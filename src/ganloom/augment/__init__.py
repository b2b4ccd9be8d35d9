"""Augmentation of what D sees: DiffAugment, ADA, and which of them to use."""
