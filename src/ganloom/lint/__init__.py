"""Checks before training: settings that contradict each other."""
