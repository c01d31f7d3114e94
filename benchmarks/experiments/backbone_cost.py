"""CPU time of the maps of frozen networks beside the network alone, alternately on one window or
batch of frames, and the peak memory of `orn clips` on a short and on a long video.

python benchmarks/experiments/backbone_cost.py --out record.json
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import timm
import torch
import torchvision
from torchvision.models import get_model

from orn.stage2_train.clip_store.frame_maps import MAPPED_FRAMES, compute_maps
from orn.stage2_train.clip_store.store_format import map_bytes
from orn.stage2_train.model.backbones import build_backbone, map_shape, published_size
from orn.stage2_train.model.video_backbone import published_weights
from orn.stage2_train.settings.model_config import WINDOWS

IMAGE_NETWORK = "timm/tf_efficientnet_lite0"
MINUTES = (1, 10)
STORED_RATE = 0.1
"""Stored frames per second of the videos whose memory is measured."""


def cpu_seconds(use: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    use()
    return time.process_time() - began


def cost(backbone: str, repetitions: int) -> dict[str, Any]:
    """Return the CPU seconds per map of a network, ours and alone, with random weights."""
    size, window = published_size(backbone), WINDOWS.get(backbone)
    network = build_backbone(backbone)
    batch: tuple[int, ...] = (MAPPED_FRAMES,)
    given: tuple[int, ...]
    if window is None:
        number = MAPPED_FRAMES
        whole, given = timm.create_model(backbone.split("/")[1]), (MAPPED_FRAMES, 3, *size)
    else:
        number, batch = 1, (1, window.frames)
        whole, given = get_model(backbone.split("/")[1]), (1, 3, window.frames, *size)
    images, inputs = np.zeros((*batch, *size, 3), np.uint8), torch.zeros(given)
    whole.eval()
    uses = {"maps": lambda: compute_maps(network, images), "alone": lambda: whole(inputs)}
    measured: dict[str, list[float]] = {name: [] for name in uses}
    with torch.inference_mode():
        for turn in range(repetitions + 1):
            for name, use in uses.items():
                used = cpu_seconds(use)
                if turn:  # the first call takes longer
                    measured[name].append(used / number)
    seconds = {name: round(statistics.median(own), 4) for name, own in measured.items()}
    shape = map_shape(backbone, size)
    record = {"size": size, "shape": shape, "bytes": map_bytes(shape), "seconds": seconds}
    if window is not None:
        record["download_mb"] = published_weights(backbone).meta["_file_size"]
    return record | {"ratio": round(seconds["alone"] / seconds["maps"], 3)}


def peak_memory(folder: Path, minutes: int) -> int:
    """Return the peak resident memory in MiB of `orn clips` on a video of this length, or of the
    longest video before."""
    folder.mkdir()
    with av.open(str(folder / "film.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(minutes * 60 * 30):
            picture = np.full((240, 320, 3), index % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())
    (folder / "labels.csv").write_text("video,label\nfilm.mp4,push\n", encoding="utf-8")
    torch.manual_seed(0)
    torch.save(get_model("s3d").state_dict(), folder / "s3d.pth")
    orn = (sys.executable, "-m", "orn")
    subprocess.run([*orn, "manifest", "new", "labels.csv"], cwd=folder, check=True)
    words = ("--backbone", "torchvision/s3d", "--weights", "s3d.pth", "--rate", str(STORED_RATE))
    manifest = f"{folder.name}.toml"
    subprocess.run([*orn, "clips", manifest, *words, "--workers", "1"], cwd=folder, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def main() -> None:
    """Measure all networks and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    costs = {}
    for backbone in (IMAGE_NETWORK, *WINDOWS):
        costs[backbone] = cost(backbone, arguments.repetitions)
        print(backbone, costs[backbone], file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        memory = {
            minutes: peak_memory(Path(folder) / f"v{minutes}", minutes) for minutes in MINUTES
        }
    record = {
        "what": "median CPU seconds per map, one thread, random weights; peak memory of orn clips",
        "networks": costs,
        "peak_mib_by_minutes": memory,
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
