"""`ganloom bench recipes`: train and measure every recipe."""
