"""The page of a run, `orn report`: what it got right, what it confused, and why.

May import `baseline`, `clips`, `evaluation`, `explanation`, `model`, `runs`, `settings`,
`data_manifests` and `shared`.
"""
