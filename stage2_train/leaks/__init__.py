"""Shortcut baselines of any data set: how well simple models predict its labels.

This package imports `ablation`, which trains the networks for a report, and `evaluation`. The
command `orn leaks` is in demo/experiments/commands.py, because it adds baselines from the ground
truth for demo data sets, and this package must not import the demo.
"""
