"""Manifests: definitions of data sets, and readers for their label tables."""
