"""`ganloom bench recipes`: every recipe trained and measured."""
