"""Statistics of features and images, as plain functions."""
