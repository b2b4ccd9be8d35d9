"""The Trainer and what belongs to it: optimizers, NaN guard, best checkpoint, callbacks."""
