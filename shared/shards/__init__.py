"""Shards: what the detector found in about 2,000 frames, one file each, written once and only read
after."""
