"""Train and evaluate many systems with one recipe and compare them, paired by seed.

May import every package of `stage2_train` except `leaks` and `predict`.
"""
