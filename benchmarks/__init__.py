"""Benchmarks: each measures ours against a reference in one run and says on what machine."""
