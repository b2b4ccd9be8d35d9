"""Benchmarks (`ganloom bench`): speed, methods against mode collapse, all recipes, and how often the doctor is right."""
