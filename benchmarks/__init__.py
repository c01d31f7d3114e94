"""Benchmarks that compare this project with reference code in one run, and record the machine."""

if __name__ != "orn.benchmarks":
    raise ImportError("expected `import orn.benchmarks`, got `import benchmarks`")
