"""Export the objects in shards for other tools.

May import `shared`.
"""
