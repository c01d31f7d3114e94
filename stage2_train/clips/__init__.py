"""Clips: the frames sampled from a segment with the objects in them, and batches of clips.

Imports `frames`, and of the network what it reads (`model/inputs.py`).
"""
