"""Train the demo's Mask R-CNN from random weights on drawn frames: OUT, and its record OUT.json.

The weights in orn/demo/detector were trained with release 0.2.0, on frames of its worlds, which had
the same sprites.
"""

import argparse
import io
import json
import math
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from orn.benchmarks.measuring import describe_machine
from orn.demo.detector.average_precision import average_precision
from orn.demo.world.make import coco_document, frame_annotations
from orn.demo.world.render_film import render
from orn.demo.world.scene import FRAMES, HEIGHT, WIDTH, plan_scene
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import progress
from orn.shared.masks.rle import decode
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.library import BitmapMasks, DetDataSample, InstanceData
from orn.stage1_detect.mmdet.model import build_model, read_config

CONFIG = Path(__file__).parents[2] / "orn" / "demo" / "detector" / "mask_rcnn_demo.py"
FRAMES_PER_FILM = 2
LEARNING_RATE, WARMUP_STEPS, WEIGHT_DECAY, LARGEST_NORM = 2e-3, 200, 0.01, 10.0
LARGEST_GAIN, LARGEST_OFFSET = 0.2, 20.0
"""Color jitter: each channel is multiplied by 1 +- gain, and shifted by at most the offset."""

Frame = tuple[np.ndarray, list[dict[str, Any]]]
"""(H, W, 3) uint8 RGB, and its COCO annotations."""


def draw_film(index: int, *, seed: int) -> list[Frame]:
    """Return two frames of a film of the demo world, after JPEG compression."""
    rng = np.random.default_rng([seed, index])
    scene = plan_scene(rng)
    kept = set(rng.choice(FRAMES, size=FRAMES_PER_FILM, replace=False).tolist())
    quality = int(rng.integers(70, 96))
    frames = []
    for number, rendered in enumerate(render(scene)):
        if number in kept:
            buffer = io.BytesIO()
            Image.fromarray(rendered.image).save(buffer, "JPEG", quality=quality)
            frames.append((np.asarray(Image.open(buffer)), frame_annotations(rendered, scene)))
    return frames


def draw_frames(films: range, *, seed: int) -> list[Frame]:
    """Draw the frames of films in parallel."""
    with Pool() as pool, progress("draw", total=len(films), unit="films") as bar:
        frames: list[Frame] = []
        for drawn in pool.imap(partial(draw_film, seed=seed), films, chunksize=8):
            frames += drawn
            bar.advance()
    return frames


def augmented(frame: Frame, rng: np.random.Generator) -> tuple[torch.Tensor, DetDataSample]:
    """Return a frame and its objects for the loss of MMDetection, with a random flip and colors."""
    image_HWC, objects = frame
    boxes_N4 = np.array([annotation["bbox"] for annotation in objects], np.float32).reshape(-1, 4)
    boxes_N4[:, 2:] += boxes_N4[:, :2]  # COCO boxes are x y width height
    counts = [annotation["segmentation"]["counts"].encode() for annotation in objects]
    masks_NHW = np.zeros((len(objects), HEIGHT, WIDTH), np.uint8)
    for row, annotation in enumerate(counts):
        masks_NHW[row] = decode(annotation, height=HEIGHT, width=WIDTH)
    if rng.random() < 0.5:
        image_HWC, masks_NHW = image_HWC[:, ::-1], np.ascontiguousarray(masks_NHW[:, :, ::-1])
        boxes_N4[:, [0, 2]] = WIDTH - boxes_N4[:, [2, 0]]
    gain_3 = rng.uniform(1 - LARGEST_GAIN, 1 + LARGEST_GAIN, 3)
    offset = rng.uniform(-LARGEST_OFFSET, LARGEST_OFFSET)
    image_HWC = np.clip(image_HWC * gain_3 + offset, 0, 255).astype(np.uint8)
    bgr_CHW = torch.from_numpy(image_HWC[..., ::-1].transpose(2, 0, 1).copy())
    sample = DetDataSample(metainfo={"img_shape": (HEIGHT, WIDTH), "scale_factor": (1.0, 1.0)})
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes_N4),
        labels=torch.tensor([one["category_id"] - 1 for one in objects], dtype=torch.int64),
        masks=BitmapMasks(masks_NHW, HEIGHT, WIDTH),
    )
    return bgr_CHW, sample


def learning_rate(step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 0."""
    if step < WARMUP_STEPS:
        return LEARNING_RATE * (step + 1) / WARMUP_STEPS
    rest = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * rest))


def trained(frames: Sequence[Frame], *, steps: int, batch: int, seed: int) -> dict[str, Any]:
    """Train a network and return its weights, in half precision except for vectors."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    detector = read_config(CONFIG)
    for name in ("bbox_roi_extractor", "mask_roi_extractor"):  # torchvision computes the gradient
        detector.config.model.roi_head[name].roi_layer.use_torchvision = True
    model = build_model(detector, initialize=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    order = [int(i) for _ in range(-(-steps * batch // len(frames)))
             for i in rng.permutation(len(frames))]  # fmt: skip
    with progress("train", total=steps, unit="steps") as bar:
        for step in range(steps):
            chosen = [frames[i] for i in order[step * batch : (step + 1) * batch]]
            inputs, samples = zip(*(augmented(frame, rng) for frame in chosen), strict=True)
            data = model.data_preprocessor(
                {"inputs": list(inputs), "data_samples": list(samples)}, True
            )
            loss, _ = model.parse_losses(model.loss(data["inputs"], data["data_samples"]))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(
                model.parameters(), LARGEST_NORM, error_if_nonfinite=True
            )
            optimizer.step()
            bar.advance(note=f"loss {loss.item():.3f}")
    return {
        name: (weight.half() if weight.ndim > 1 else weight).contiguous()
        for name, weight in model.state_dict().items()
    }


def scored(weights: Path, frames: Sequence[Frame], truth: Path) -> dict[str, float]:
    """Return COCO's average precision on frames, whose annotations are written to `truth`."""
    size = {"height": HEIGHT, "width": WIDTH}
    numbered = [({"id": i, **size}, objects) for i, (_, objects) in enumerate(frames, start=1)]
    write_text(truth, json.dumps(coco_document(numbered)))
    detector = load_detector(config=CONFIG, checkpoint=weights, device="cpu", score_threshold=0.0)
    detections = [detection for image, _ in frames for detection in detector.detect([image])]
    ids = range(1, len(frames) + 1)
    return average_precision(truth, ids, detections, detector.entry.class_names)


def main() -> None:
    """Parse the options, draw, train, and write the weights and the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    parser.add_argument("--films", type=int, default=4000, help="films, two frames each")
    parser.add_argument("--validation-films", type=int, default=250)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, films = time.monotonic(), options.films
    train = draw_frames(range(films), seed=options.seed)
    validation = draw_frames(range(films, films + options.validation_films), seed=options.seed)
    weights = trained(train, steps=options.steps, batch=options.batch, seed=options.seed)
    torch.save(weights, options.out)
    record = {
        "options": {name: str(value) for name, value in vars(options).items()},
        "average_precision": scored(
            options.out, validation, options.out.with_suffix(".validation.json")
        ),
        "seconds": round(time.monotonic() - began, 1),
        "machine": describe_machine(),
    }
    write_text(options.out.with_suffix(options.out.suffix + ".json"), json.dumps(record, indent=2))
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
