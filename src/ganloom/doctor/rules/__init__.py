"""The doctor's rules, one file a subject, and the engine that applies them."""
