"""Export the objects in shards for other tools.

May import `imports` and `shared`.
"""
