"""Measure the defences of text classifiers against each attack, over seeds: the figures of docs/robust.md."""
