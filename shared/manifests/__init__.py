"""Manifests: definitions of data sets, and readers of their label tables."""
