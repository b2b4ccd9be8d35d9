"""What everything stands on: errors, settings, randomness, precision, devices."""
