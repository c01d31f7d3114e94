"""Convert objects from other sources to shards, using the same kind of job as detection.

May import `data_manifests` and `shared`.
"""
