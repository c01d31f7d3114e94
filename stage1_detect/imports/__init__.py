"""Convert objects from other sources to shards, with the same kind of job as detection.

May import the detect job and `shared`.
"""
