"""Run folders: what a run is, its checkpoints, its log, its data, and runs side by side.

Imports `frames`, `clips`, `model` and the recipe; not `training`, which writes what is kept here.
"""
