"""Training: the loop, its losses and steps, and the initialization of a run.

Imports the packages that training needs: `frames`, `clips`, `model`, `runs` and `evaluation`.
"""
