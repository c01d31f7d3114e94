"""Baselines of a data set, `orn baseline`: a random forest on statistics of the objects, and a
linear probe of stored feature maps.

May import `clip_store`, `clips`, `model`, `evaluation`, `parts`, `runs`, `settings`,
`data_manifests` and `shared`.
"""
