"""Stage 1: run a detector over every frame once and write shards."""

from stage1_detect.interface import load_detector

__all__ = ["load_detector"]
