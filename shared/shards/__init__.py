"""Shards: immutable files with the detections of about 2,000 frames each.

May import `config`, `jobs`, `masks` and `video`.
"""
