"""Generate the films of the demo world and their ground truth.

May import `shared`.
"""
