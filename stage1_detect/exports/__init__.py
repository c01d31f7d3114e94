"""Shards, turned into what other programs read; imports `shared` alone."""
