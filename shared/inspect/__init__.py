"""Inspection of shards, `orn inspect`: summaries, single frames, overlays and pages.

May import `drawing`, `inspect/page`, `jobs`, `manifests`, `masks`, `pages`, `shards` and `video`.
"""
