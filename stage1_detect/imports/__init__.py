"""Convert objects from other sources to shards, using the same kind of job as detection.

May import the detect job and `shared`.
"""
