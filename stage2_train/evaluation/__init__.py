"""Evaluation of a run on a split: predictions, metrics, and the files that hold them."""
