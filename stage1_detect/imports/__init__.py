"""Released masks, turned into shards."""
