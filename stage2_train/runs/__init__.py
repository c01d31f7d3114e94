"""Run folders: configuration, checkpoints, logs, data and evaluations; listing of runs.

Imports `frames`, `clips`, `model` and the recipe; not `training` and `evaluation`, which write to
run folders.
"""
