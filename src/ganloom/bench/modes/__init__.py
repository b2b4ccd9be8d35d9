"""`ganloom bench modes`: cures for mode collapse on data with known modes."""
