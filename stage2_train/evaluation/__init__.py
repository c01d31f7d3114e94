"""Evaluation of runs: predictions and figures of a split (`orn eval`), temperatures, the baseline,
and runs beside one another (`orn compare`, `runs`, `eval-epic100`).

May import `clip_store`, `clips`, `intervals`, `model`, `parts`, `runs`, `settings`,
`data_manifests` and `shared`.
"""
