"""Run folders: configuration, checkpoints, logs, data and evaluations; listing of runs.

This package imports `frames`, `clips`, `model` and the recipe, but not `training` and `evaluation`,
which write to run folders.
"""
