"""Trains and measures many systems under one schedule, and compares them seed by seed.

Imports any room of `stage2_train` but `leaks` and `predict`.
"""
