"""What both stages stand on: manifests, video, masks, shards and the command line."""
