"""Training, `orn train`: what it starts from, the loop, its steps and losses.

May import `clip_store`, `clips`, `evaluation`, `intervals`, `model`, `parts`, `runs`,
`settings`, `data_manifests` and `shared`.
"""
