"""A trained generator as a file for other programs: ONNX, a web page."""
