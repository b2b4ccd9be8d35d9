"""Synthetic tables: learn a table, sample rows of the same kind, and report how good and how private they are."""

EXTRA = "tables"
"""The extra of the package that tables need."""
