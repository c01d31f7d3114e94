"""Code shared by both stages: manifests, videos, masks, shards, jobs and the command line."""

if __name__ != "orn.shared":
    raise ImportError("expected `import orn.shared`, got `import shared`")
