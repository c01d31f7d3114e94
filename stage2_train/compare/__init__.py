"""What compares runs: `orn ablate`, `compare`, `runs`, `systems` and `eval-epic100`."""
