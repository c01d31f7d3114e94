"""Benchmarks that compare this project with reference code in one run, and record the machine.

May import `shared`, `stage1_detect` and `stage2_train`.
"""

if __name__ != "orn.benchmarks":
    raise ImportError("expected `import orn.benchmarks`, got `import benchmarks`")
