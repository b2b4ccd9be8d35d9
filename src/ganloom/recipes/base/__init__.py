"""Base classes that several recipes share."""
