"""Shards, turned into what other programs read."""
