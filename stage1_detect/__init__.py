"""Stage 1: run a detector over every frame once, or import released masks, and write shards.

Imports `shared`; `mmdet` alone imports MMDetection, and is imported when a detector is loaded.
"""

if __name__ != "orn.stage1_detect":
    raise ImportError("expected `import orn.stage1_detect`, got `import stage1_detect`")
