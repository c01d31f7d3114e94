"""The HTML page of a shard: a folder that opens in a browser without a server.

May import `drawing`, `jobs`, `masks`, `pages` and `shards`.
"""
