"""Predictions of a trained network for new videos, and its export to a folder."""
