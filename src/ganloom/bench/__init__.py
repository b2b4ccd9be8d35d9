"""Measurements of this machine: how fast training steps and sampling run, and what bounds them (`ganloom bench`)."""
