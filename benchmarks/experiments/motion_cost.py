"""CPU time of motion beside that of decoding, per decoded frame, alternately on the same videos.

python benchmarks/experiments/motion_cost.py VIDEO... --out record.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2

from orn.shared.video.read import Frame, read_frames
from orn.stage2_train.clip_store.motion import gray_picture
from orn.stage2_train.clip_store.motion_windows import MotionSequence


def seconds_a_frame(path: Path, use: Callable[[Iterable[Frame]], Iterable[Any]]) -> float:
    """Return the CPU seconds per frame of decoding a video and using its frames."""
    began = time.process_time()
    number = sum(1 for _ in use(read_frames(path)))
    return (time.process_time() - began) / number


def main() -> None:
    """Measure all videos and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    uses: dict[str, Callable[[Iterable[Frame]], Iterable[Any]]] = {
        "decode": lambda frames: frames,
        "decode and shrink": lambda frames: (gray_picture(frame.image) for frame in frames),
        "decode and describe": lambda frames: map(MotionSequence().add, frames),
    }
    for use in uses.values():
        seconds_a_frame(arguments.videos[0], use)  # the first call takes longer
    measured: dict[str, list[float]] = {name: [] for name in uses}
    for path in arguments.videos:
        for name, use in uses.items():
            measured[name].append(seconds_a_frame(path, use))
    milliseconds = {name: round(1000 * statistics.median(own), 3) for name, own in measured.items()}
    record = {
        "what": "median CPU milliseconds per decoded frame, one thread",
        "videos": len(arguments.videos),
        "milliseconds": milliseconds,
        "versions": {"opencv": cv2.__version__},
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
