"""`ganloom bench doctor`: how often the doctor is right."""
