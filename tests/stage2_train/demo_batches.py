"""A few films of each demo data set, their true objects in a shard, and clips of them."""

import json
from pathlib import Path

import numpy as np

from orn.demo.world.dials import FRAMES_PER_SECOND, Dials, category_id
from orn.demo.world.make import SIZES, write_dataset
from orn.shared.manifests.load import load_dataset
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.writer import ShardWriter
from orn.stage2_train.frames.make_clips import ClipsRequest, make_clips
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.runs.sources import Sources
from tests.worlds.shards import video_entry

_FILMS = SIZES["short"] | {"demo": (2, 2, 0), "demo-touch": (2, 2, 0), "demo-long": (1, 1, 0)}
_TRUTH = DetectorEntry(
    config_name="ground truth",
    config_digest="sha256:0",
    checkpoint_digest="unknown",
    class_names=tuple(COCO_CLASSES),
)
_LABELS = {category_id(name): label for label, name in enumerate(COCO_CLASSES)}


def write_demo(name: str, folder: Path) -> Sources:
    """Draws the films, stores their frames, and writes what is in them as if it were detected."""
    root = folder / "data"
    write_dataset(name, root, films=_FILMS[name], dials=Dials(), seed=0, workers=1)
    make_clips(ClipsRequest(manifest=name, data_root=root, out=folder / f"{name}.h5"))
    clips, shards = ClipStore(folder / f"{name}.h5"), folder / "shards" / name
    with ShardWriter(shards / "shard-000000.zarr.zip", _TRUTH) as writer:
        for part in ("train", "validation"):
            document = root / name / "ground_truth" / f"{part}.json"
            _write_truth(writer, json.loads(document.read_text()), clips)
    return Sources(
        dataset=load_dataset(name, root),
        clips=clips,
        detections=DetectionFolder(shards),
    )


def _write_truth(writer: ShardWriter, document: dict, clips: ClipStore) -> None:
    objects: dict[int, list[dict]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        objects[annotation["image_id"]].append(annotation)
    for video in document["videos"]:
        images = [image for image in document["images"] if image["video_id"] == video["id"]]
        writer.begin_video(
            video_entry(
                video["name"],
                height=images[0]["height"],
                width=images[0]["width"],
                rate=FRAMES_PER_SECOND,
                source_bytes=0,
                source_digest=clips.frames(video["name"]).source_digest,
            )
        )
        for image in images:
            detections = _detections(image, objects[image["id"]])
            writer.add(image["frame_index"], image["seconds"], detections)
        writer.end_video()


def _detections(image: dict, objects: list[dict]) -> FrameDetections:
    corners = np.array([each["bbox"] for each in objects], np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    labels = np.array([_LABELS[each["category_id"]] for each in objects], np.uint8)
    class_scores = np.zeros((len(objects), len(COCO_CLASSES)), np.float16)
    class_scores[np.arange(len(objects)), labels] = 1
    return FrameDetections(
        height=image["height"],
        width=image["width"],
        boxes=corners,
        scores=np.ones(len(objects), np.float32),
        labels=labels,
        class_scores=class_scores,
        masks=tuple(each["segmentation"]["counts"].encode() for each in objects),
    )
