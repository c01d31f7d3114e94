"""Shards: what the detector found in about 2,000 frames, one file each, written once and only read
after. Imports `jobs`, `masks`, `manifests` and `video` of `shared`, and no stage."""
