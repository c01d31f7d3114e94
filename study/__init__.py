"""What compares runs: `orn ablate`, `compare`, `runs`, `systems` and `eval-epic100`.

May import `shared` and `stage2_train`.
"""

if __name__ != "orn.study":
    raise ImportError("expected `import orn.study`, got `import study`")
