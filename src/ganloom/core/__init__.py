"""Foundations of all other packages: errors, config, random numbers, precision, device, processes, statistics."""
