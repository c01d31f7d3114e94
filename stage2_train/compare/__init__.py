"""What compares runs: `orn ablate`, `compare`, `runs`, `systems` and `eval-epic100`.

May import `clip_store`, `evaluation`, `model`, `runs`, `settings`, `training`, `data_manifests` and
`shared`.
"""
