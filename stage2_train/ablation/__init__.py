"""Trains and measures many systems under one schedule, and compares them with intervals."""
