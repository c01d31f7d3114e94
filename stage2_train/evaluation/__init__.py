"""Evaluation of a run on a split, `orn eval`: predictions, metrics, and their intervals.

May import `clip_store`, `clips`, `intervals`, `model`, `parts`, `runs`, `settings`,
`data_manifests` and `shared`.
"""
