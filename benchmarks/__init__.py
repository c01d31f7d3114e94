"""Benchmarks: each measures ours against a reference in one run and says on what machine."""

if __name__ != "orn.benchmarks":
    raise ImportError("expected `import orn.benchmarks`, got `import benchmarks`")
