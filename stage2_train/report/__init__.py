"""The page of a run, `orn report`: what it got right, what it confused, and which objects and pairs
its predictions depend on.

May import `clips`, `evaluation`, `intervals`, `model`, `runs`, `settings`, `data_manifests` and
`shared`.
"""
