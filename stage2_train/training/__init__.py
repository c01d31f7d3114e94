"""Training, `orn train`: what it starts from, the loop, its steps and losses.

May import `clip_store`, `clips`, `evaluation`, `model`, `runs`, `settings`, `data_manifests` and
`shared`.
"""
