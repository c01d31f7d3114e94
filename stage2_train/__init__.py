"""Stage 2: train and evaluate the two-headed network on clips and shards.

Data flow from `clip_store` and shards to `clips`, `model`, `training` and `evaluation`; they all
stand on `settings`. May import `data_manifests` and `shared`.
"""

if __name__ != "orn.stage2_train":
    raise ImportError("expected `import orn.stage2_train`, got `import stage2_train`")
