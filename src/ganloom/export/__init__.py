"""Export a trained generator for other programs: an ONNX file, or a web page."""
