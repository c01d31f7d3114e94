"""Train the demo's Mask R-CNN from random weights on drawn frames: OUT, and its record OUT.json.

The weights in orn/demo/detector were trained with release 0.2.0, on frames of its worlds, which had
the same sprites.
"""

import argparse
import contextlib
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
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from orn.benchmarks.measuring import describe_machine
from orn.demo.render_video import RenderedFrame, render
from orn.demo.scene import FRAMES, HEIGHT, WIDTH, Scene, plan_scene
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import progress
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import decode, encode_crop
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.model import (
    BitmapMasks,
    DetDataSample,
    InstanceData,
    build_model,
    read_config,
)

CONFIG = Path(__file__).parents[2] / "orn" / "demo" / "detector" / "mask_rcnn_demo.py"
FRAMES_PER_FILM = 2
LEARNING_RATE, WARMUP_STEPS, WEIGHT_DECAY, LARGEST_NORM = 2e-3, 200, 0.01, 10.0
LARGEST_GAIN, LARGEST_OFFSET = 0.2, 20.0
"""Color jitter: each channel is multiplied by 1 +- gain, and shifted by at most the offset."""

LEAST_PIXELS = 20
"""Objects with a smaller visible area are ignored in the evaluation."""

L1 = {"type": "L1Loss", "loss_weight": 1.0}
ASSIGNER = {"type": "MaxIoUAssigner", "match_low_quality": True, "ignore_iof_thr": -1}
SAMPLER = {"type": "RandomSampler", "neg_pos_ub": -1}
COMMON = {"pos_weight": -1, "debug": False}
HEADS = {
    "backbone": {"norm_eval": False},
    "rpn_head": {"loss_bbox": L1},
    "roi_head": {"bbox_head": {"loss_bbox": L1}},
}
TRAINING = {
    "rpn": {
        "assigner": {**ASSIGNER, "pos_iou_thr": 0.6, "neg_iou_thr": 0.3, "min_pos_iou": 0.3},
        "sampler": {**SAMPLER, "num": 128, "pos_fraction": 0.5, "add_gt_as_proposals": False},
        "allowed_border": -1,
        **COMMON,
    },
    "rpn_proposal": {
        "nms": {"type": "nms", "iou_threshold": 0.7},
        "min_bbox_size": 0,
        "nms_pre": 300,
        "max_per_img": 150,
    },
    "rcnn": {
        "assigner": {**ASSIGNER, "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0.5},
        "sampler": {**SAMPLER, "num": 40, "pos_fraction": 0.4, "add_gt_as_proposals": True},
        "mask_size": 28,
        **COMMON,
    },
}
"""Settings of the configuration that only training reads."""

Frame = tuple[np.ndarray, list[dict[str, Any]]]
"""(H, W, 3) uint8 RGB, and its COCO annotations."""


def annotations(rendered: RenderedFrame, scene: Scene) -> list[dict[str, Any]]:
    """Return COCO annotations of the visible area of every object in a frame, without ids."""
    found = []
    for track, actor in enumerate(scene.actors):
        visible_HW = rendered.track_HW == track
        rows, columns = (np.flatnonzero(visible_HW.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            continue
        y, x = int(rows[0]), int(columns[0])
        crop = visible_HW[y : rows[-1] + 1, x : columns[-1] + 1]
        counts = encode_crop(crop, x=x, y=y, height=HEIGHT, width=WIDTH)
        found.append(
            {
                "category_id": COCO_CLASSES.index(actor.class_name) + 1,
                "bbox": [x, y, crop.shape[1], crop.shape[0]],
                "area": int(crop.sum()),
                "iscrowd": int(crop.sum() < LEAST_PIXELS),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode("ascii")},
            }
        )
    return found


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
            frames.append((np.asarray(Image.open(buffer)), annotations(rendered, scene)))
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
    detector.config.merge_from_dict({"model": HEADS})
    detector.config.model.train_cfg = TRAINING
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


def scored(weights: Path, frames: Sequence[Frame]) -> dict[str, float]:
    """Return COCO's average precision on frames, over the classes that occur in them."""
    size = {"height": HEIGHT, "width": WIDTH}
    detector = load_detector(config=CONFIG, checkpoint=weights, device="cpu", score_threshold=0.0)
    truth, results = COCO(), []
    objects = [one | {"image_id": i} for i, (_, own) in enumerate(frames) for one in own]
    truth.dataset = {
        "images": [{"id": i, **size} for i in range(len(frames))],
        "annotations": [one | {"id": i} for i, one in enumerate(objects, start=1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(COCO_CLASSES, start=1)],
    }
    for i, (image, _) in enumerate(frames):
        (found,) = detector.detect([image])
        boxes_N4 = found.boxes.astype(np.float64)
        boxes_N4[:, 2:] -= boxes_N4[:, :2]  # COCO boxes are x y width height
        results += [
            {
                "image_id": i,
                "category_id": int(found.labels[row]) + 1,
                "bbox": boxes_N4[row].tolist(),
                "score": float(found.scores[row]),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": found.masks[row]},
            }
            for row in range(len(found))
        ]
    figures: dict[str, float] = {}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth.createIndex()
        for name, kind in (("box", "bbox"), ("mask", "segm")) if results else ():
            evaluation = COCOeval(truth, truth.loadRes(results), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            figures |= {f"{name}_ap50": evaluation.stats[1], f"{name}_ap": evaluation.stats[0]}
    return figures


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
        "average_precision": scored(options.out, validation),
        "seconds": round(time.monotonic() - began, 1),
        "machine": describe_machine(),
    }
    write_text(options.out.with_suffix(options.out.suffix + ".json"), json.dumps(record, indent=2))
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
