"""Clips: the frames sampled from a segment with the objects in them, and batches of clips."""
