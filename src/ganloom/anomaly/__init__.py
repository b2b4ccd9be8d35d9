"""Anomaly detection: learn normal images or tables, score new ones, and show beside each GAN what simple methods give.

The controls need no GAN, or a discriminator that has learned nothing of use. They stand beside every result, because much of
what looks like the merit of a GAN is blur or random features. No method, threshold or setting ever sees an anomaly.
"""
