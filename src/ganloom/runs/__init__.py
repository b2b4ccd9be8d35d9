"""The run folder: checkpoints, settings, sessions, resume and healing."""
