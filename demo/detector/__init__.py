"""The detector of the demo world, and its training."""
