"""What compares runs: `orn ablate`, `compare`, `runs`, `systems` and `eval-epic100`."""

if __name__ != "orn.study":
    raise ImportError("expected `import orn.study`, got `import study`")
