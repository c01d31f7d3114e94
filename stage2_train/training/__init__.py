"""The training loop, its losses and steps, and how a run starts.

Imports all rooms that a training needs: `frames`, `clips`, `model`, `runs` and `evaluation`.
"""
