"""Intervals of activities in long videos: the head over time, the decoder of its probabilities, and
the counts by which found intervals are measured.

May import `clip_store`, `clips`, `model`, `settings`, `data_manifests` and `shared`.
"""

FILM_HEAD_NAME = "film_head.safetensors"
