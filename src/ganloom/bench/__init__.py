"""Benchmarks that print what this machine does: no timed test, no figure without the command that gave it."""
