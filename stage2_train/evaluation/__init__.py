"""Evaluation of a run on a split, `orn eval`: predictions, metrics, and their intervals.

May import `clips`, `runs`, `settings`, `data_manifests` and `shared`.
"""
