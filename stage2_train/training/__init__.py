"""Training: the loop, its losses and steps, and the initialization of a run.

This package imports the packages `frames`, `clips`, `model`, `runs` and `evaluation`.
"""
