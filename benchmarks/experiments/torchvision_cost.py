"""Measure detection with torchvision's Mask R-CNN against torchvision's own loop.

python benchmarks/experiments/torchvision_cost.py VIDEO --out record.json

Both sides decode the same frames and run the same random weights on one thread, after a first
frame. In each repeat, both process all frames, and the side that begins alternates. Ours also
encodes masks and writes a shard; torchvision's pastes masks into the frame. The record is written
after each repeat, and has the ratio of the medians and the ratio of each repeat.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torchvision.models import get_model

from orn.data_manifests.records import Video
from orn.shared.environment import describe_environment
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.video.read import read_frames
from orn.stage1_detect.detect_unit import UnitDetector
from orn.stage1_detect.torchvision_detector import load_detector

NAMES = ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")
THRESHOLD = 0.3
_SPREAD = 30.0
"""Factor of random weights of the classes, so that the network finds objects."""


def rounds_of(name: str, video: Path, *, frames: int, repeats: int) -> Iterator[dict[str, float]]:
    """Yield the CPU seconds per frame of both sides, and the objects per frame, of each repeat."""
    torch.manual_seed(0)
    network = get_model(
        name, weights=None, weights_backbone=None, num_classes=91, box_score_thresh=THRESHOLD
    )
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.weight.mul_(_SPREAD)
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(network.state_dict(), path)
        detector = load_detector(
            "cpu", config=f"torchvision/{name}", checkpoint=path, score_threshold=THRESHOLD
        )
        detect = UnitDetector(
            detector, videos={"video": Video(id="video", path=video)}, folder=Path(folder)
        )
        objects = []

        def ours(number: int) -> None:
            detect(Unit(index=0, parts=(UnitPart(video_id="video", start=0, stop=number),)))

        @torch.inference_mode()
        def alone(number: int) -> None:
            for frame in islice(read_frames(video), number):
                image = torch.from_numpy(frame.image).permute(2, 0, 1) / 255
                (result,) = network([image])
                objects.append(len(result["scores"]))

        sides = {"ours": ours, "alone": alone}
        for run in sides.values():
            run(1)
        for repeat in range(repeats):
            order = sorted(sides, reverse=repeat % 2 == 1)
            seconds = {side: _timed(partial(sides[side], frames)) / frames for side in order}
            yield seconds | {"objects": statistics.mean(objects[1:])}


def summary_of(rounds: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the median seconds per frame, and the ratios of the speeds."""
    medians = {side: statistics.median(one[side] for one in rounds) for side in ("ours", "alone")}
    return {
        "repeats": len(rounds),
        "seconds": {side: round(seconds, 4) for side, seconds in medians.items()},
        "ratio": round(medians["alone"] / medians["ours"], 3),
        "ratios": [round(one["alone"] / one["ours"], 3) for one in rounds],
        "objects_a_frame": round(rounds[-1]["objects"], 1),
    }


def _timed(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    """Measure both networks and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "what": "median CPU seconds per frame, one thread, random weights",
        "video": arguments.video.name,
        "frames": arguments.frames,
        "networks": {},
        "environment": describe_environment(),
    }
    measured = {"frames": arguments.frames, "repeats": arguments.repeats}
    for name in NAMES:
        record["networks"][name] = summary_of([*rounds_of(name, arguments.video, **measured)])
        record["load_averages"] = [round(load, 1) for load in os.getloadavg()]
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
