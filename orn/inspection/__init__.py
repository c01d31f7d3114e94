"""Inspection of shards, `orn inspect` and `orn verify`: summaries, pages and checks."""
