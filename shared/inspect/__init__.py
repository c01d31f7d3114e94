"""Inspection of shards: summaries, single frames, overlays and pages."""
