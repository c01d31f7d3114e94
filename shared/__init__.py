"""What both stages stand on: manifests, video, masks, shards and the command line."""

if __name__ != "orn.shared":
    raise ImportError("expected `import orn.shared`, got `import shared`")
