"""Run folders: what a run is, its checkpoints, log, data and figures, and runs side by side.

Imports `frames`, `clips`, `model` and the recipe; not `training` and `evaluation`, which write what
is kept here.
"""
