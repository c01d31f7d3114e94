"""Experiments on the demo worlds."""
