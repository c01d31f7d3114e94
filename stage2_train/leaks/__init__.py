"""Shortcut baselines of any data set: how well simple models predict its labels.

Imports `ablation`, which trains the networks of a report, and `evaluation`. The command `orn leaks`
is in demo/experiments/commands.py: for worlds of the demo it adds baselines from their ground
truth, and nothing here may import the demo.
"""
