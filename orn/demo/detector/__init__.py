"""The detector of the demo world and its accuracy.

May import `world` and `shared`.
"""
