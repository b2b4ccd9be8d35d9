"""Settings that contradict each other, found before training."""
