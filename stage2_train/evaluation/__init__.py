"""Evaluation of a run on a split, `orn eval`: predictions, metrics, and their intervals.

May import `clip_store`, `clips`, `model`, `runs`, `settings`, `data_manifests` and `shared`.
"""
