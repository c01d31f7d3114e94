"""Run folders: configuration, checkpoints, logs, data and evaluations, which other folders write.

May import `clip_store`, `clips`, `intervals`, `model`, `parts`, `settings`, `data_manifests`
and `shared`.
"""
