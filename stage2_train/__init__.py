"""Stage 2: train and evaluate the two-headed network on clips and shards."""
