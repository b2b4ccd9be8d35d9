"""The benchmark of anomaly detection: one class of Fashion-MNIST is normal, the nine others are anomalies."""
