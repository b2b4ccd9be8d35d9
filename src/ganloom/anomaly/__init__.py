"""Anomaly detection: learn normal images or tables, score new ones, and compare each GAN with simple methods, the controls.

The controls need no GAN, or only a discriminator that has learned next to nothing. They are printed with every result, because
much of what looks like the merit of a GAN is blur or random features. No anomaly is used to choose a method, a threshold or a
setting.
"""
