"""The HTML page of a shard: a file or a folder that opens in a browser without a server."""
