"""Stage 1: run a detector once on every frame, or import masks from elsewhere, and write shards.

May import `data_manifests` and `shared`. MMDetection is loaded together with a detector.
"""

if __name__ != "orn.stage1_detect":
    raise ImportError("expected `import orn.stage1_detect`, got `import stage1_detect`")
