"""The page of a shard: one file or a folder, to look at in a browser without a server."""
