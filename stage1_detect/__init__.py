"""Stage 1: run a detector over every frame once and write shards."""
