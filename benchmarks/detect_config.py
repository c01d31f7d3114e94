"""What the benchmark of detection is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchDetectConfig:
    """What `measure` compares."""

    video: Path | None = None
    """A video file; default: a generated video."""
    checkpoint: Path | None = None
    """Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco; default: random ones."""
    frames: int = 3
    """Number of frames per measurement."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto selects a GPU if there is one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of our backbone; the loop uses fp32."""
    batch_size: int | None = None
    """Frames per forward pass of the detector; default: 1, on a GPU 8."""
    short: int = 2000
    """Frames of the short video for peak memory."""
    long: int = 20_000
    """Frames of the long video for peak memory; 0: skip."""
    repeats: int = 3
    """Number of measurements of each side."""
    tiny: bool = False
    """Whether to use tiny sizes, for a test run."""
