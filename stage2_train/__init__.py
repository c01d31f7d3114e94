"""Stage 2: train and evaluate the two-headed network on clips and shards."""

if __name__ != "orn.stage2_train":
    raise ImportError("expected `import orn.stage2_train`, got `import stage2_train`")
