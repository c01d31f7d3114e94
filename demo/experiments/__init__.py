"""Experiments on the demo world, and evaluations that need its ground truth.

May import `demo.world`, `stage2_train` and `shared`.
"""
