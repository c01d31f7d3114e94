"""Inspection of shards, `orn inspect` and `orn verify`: summaries, frames, overlays, pages and
checks.
"""
