"""Shards of the true objects of the demo's films, in place of a detector's."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard_format import DetectorEntry, shard_path
from orn.shared.shards.writer import ShardWriter

RATE = 8.0
TRUTH = DetectorEntry(
    config_name="ground truth",
    config_digest="sha256:0",
    checkpoint_digest="none",
    class_names=COCO_CLASSES,
)


def write_truth_shards(dataset: Path, out: Path) -> None:
    """Writes a shard of all films of a data set; objects that are hardly visible are left out."""
    paths = sorted((dataset / "ground_truth").glob("*.json"))
    documents = [json.loads(path.read_text()) for path in paths]
    with ShardWriter(shard_path(out, 0), TRUTH) as writer:
        for document in documents:
            for video in document["videos"]:
                add_film(writer, dataset, video, document)
    names = [video["name"] for document in documents for video in document["videos"]]
    parts = tuple(UnitPart(video_id=name, start=0, stop=None) for name in names)
    Plan(
        dataset=dataset.name,
        frames="all",
        settings={"detector": asdict(TRUTH)},
        units=(Unit(index=0, parts=parts),),
        data_root=str(dataset.parent),
    ).save(out)


def add_film(
    writer: ShardWriter, dataset: Path, video: dict[str, Any], document: dict[str, Any]
) -> None:
    """Adds the true objects of a film."""
    frames = [image for image in document["images"] if image["video_id"] == video["id"]]
    annotations: dict[int, list[dict[str, Any]]] = {frame["id"]: [] for frame in frames}
    for annotation in document["annotations"]:
        if annotation["image_id"] in annotations and not annotation["iscrowd"]:
            annotations[annotation["image_id"]].append(annotation)
    size = {name: frames[0][name] for name in ("height", "width")}
    objects = [true_objects(annotations[frame["id"]], **size) for frame in frames]
    rows = [(index, index / RATE, detections) for index, detections in enumerate(objects)]
    writer.add_video(video["name"], dataset / frames[0]["file_name"], rows)


def true_objects(annotations: list[dict[str, Any]], *, height: int, width: int) -> FrameDetections:
    """Objects with a score of 1."""
    xywh_N4 = np.array([annotation["bbox"] for annotation in annotations], np.float32).reshape(
        -1, 4
    )
    labels_N = np.array([annotation["category_id"] - 1 for annotation in annotations], np.uint16)
    scores_NS = np.zeros((len(annotations), len(COCO_CLASSES)), np.float16)
    scores_NS[np.arange(len(annotations)), labels_N] = 1
    return FrameDetections(
        height=height,
        width=width,
        boxes=np.concatenate([xywh_N4[:, :2], xywh_N4[:, :2] + xywh_N4[:, 2:]], axis=1),
        scores=np.ones(len(annotations), np.float32),
        labels=labels_N,
        class_scores=scores_NS,
        masks=tuple(
            annotation["segmentation"]["counts"].encode("ascii") for annotation in annotations
        ),
    )
