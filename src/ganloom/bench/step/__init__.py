"""`ganloom bench step`: the speed of training steps and of sampling."""
