"""Evaluation of a run on a split: predictions, metrics, and the files that store them."""
