"""Measure detection with torchvision's Mask R-CNN against torchvision's own loop.

python benchmarks/experiments/torchvision_cost.py VIDEO --frames 3 --repeats 3 --out record.json

Both sides decode the same frames and run the same random weights on one thread, alternately, after
a first run. Ours also encodes masks and writes a shard; torchvision's pastes masks into the frame.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
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
from orn.stage1_detect.torchvision_detector import load_torchvision

NAMES = ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")
THRESHOLD = 0.3
_SPREAD = 30.0
"""Factor of random weights of the classes, so that the network finds objects."""


def cost(name: str, video: Path, *, frames: int, repeats: int) -> dict[str, Any]:
    """Return the CPU seconds per frame of both sides."""
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
        detector = load_torchvision(
            "cpu", config=f"torchvision/{name}", checkpoint=path, score_threshold=THRESHOLD
        )
        detect = UnitDetector(
            detector, videos={"video": Video(id="video", path=video)}, folder=Path(folder)
        )
        unit = Unit(index=0, parts=(UnitPart(video_id="video", start=0, stop=frames),))
        objects = []

        @torch.inference_mode()
        def alone() -> None:
            for frame in islice(read_frames(video), frames):
                image = torch.from_numpy(frame.image).permute(2, 0, 1) / 255
                (result,) = network([image])
                objects.append(len(result["scores"]))

        sides: dict[str, Callable[[], object]] = {"ours": lambda: detect(unit), "alone": alone}
        rounds = [{side: _timed(run) for side, run in sides.items()} for _ in range(repeats + 1)]
    seconds = {
        side: round(statistics.median(one[side] for one in rounds[1:]) / frames, 4)
        for side in sides
    }
    return {
        "seconds": seconds,
        "ratio": round(seconds["alone"] / seconds["ours"], 3),
        "objects_a_frame": round(statistics.mean(objects), 1),
    }


def _timed(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    """Measure both networks and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    costs = {
        name: cost(name, arguments.video, frames=arguments.frames, repeats=arguments.repeats)
        for name in NAMES
    }
    record = {
        "what": "median CPU seconds per frame, one thread, random weights",
        "video": arguments.video.name,
        "frames": arguments.frames,
        "repeats": arguments.repeats,
        "networks": costs,
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
