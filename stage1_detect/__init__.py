"""Stage 1: run a detector over every frame once and write shards."""

if __name__ != "orn.stage1_detect":
    raise ImportError("expected `import orn.stage1_detect`, got `import stage1_detect`")
