"""Looking into shards: what one holds as a whole, and what was found in one frame."""
