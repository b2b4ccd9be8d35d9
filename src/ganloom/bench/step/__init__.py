"""`ganloom bench step`: speed of training steps and of sampling."""
