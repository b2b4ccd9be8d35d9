"""Measure the methods for tables on public and made tables: the figures of docs/tables.md."""
