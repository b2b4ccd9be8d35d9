"""Rules of the doctor, one file per subject, and the engine that applies them."""
