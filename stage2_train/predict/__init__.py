"""Predictions of a trained network for new videos, and export of the network to a folder."""
