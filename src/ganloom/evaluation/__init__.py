"""Measure a trained model: samples, features, reference rows, memorisation and the cost of sampling."""
