"""ganloom: generative adversarial networks that you can train, watch, measure and use."""

__version__ = "0.1.0"
