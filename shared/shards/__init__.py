"""Shards: immutable files with the detections of about 2,000 frames each. This package imports
`jobs`, `masks`, `manifests` and `video` of `shared`, and no stage."""
