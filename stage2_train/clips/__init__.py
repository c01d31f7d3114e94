"""Clips (frames sampled from a segment, with their objects) and batches of clips.

May import `clip_store`, `model`, `settings`, `data_manifests` and `shared`.
"""
