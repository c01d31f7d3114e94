"""Clips (frames sampled from a segment, with their objects) and batches of clips.

This package imports `frames` and the network's inputs (`model/inputs.py`).
"""
