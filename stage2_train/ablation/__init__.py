"""Train and evaluate many systems with one recipe and compare them, paired by seed.

This package may import every other package of `stage2_train` except `predict`.
"""
