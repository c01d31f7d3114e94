"""A trained network on new videos, and a trained network taken along as a folder."""
