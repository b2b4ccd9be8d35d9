"""Measure a trained model: samples, features, baseline rows, memorisation and the cost of sampling."""
