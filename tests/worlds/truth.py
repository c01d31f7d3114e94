"""Shards of the true objects of the demo's films, in place of a detector's."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from orn.demo.render_video import RenderedFrame, render
from orn.demo.scene import FRAMES_PER_SECOND, Scene, plan_scene
from orn.demo.world import Film
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard_format import DetectorEntry, shard_path
from orn.shared.shards.writer import ShardWriter

LEAST_PIXELS = 20
TRUTH = DetectorEntry(
    config_name="ground truth",
    config_digest="sha256:0",
    checkpoint_digest="none",
    class_names=COCO_CLASSES,
)


def write_truth_shards(dataset: Path, out: Path) -> None:
    """Writes a shard of all films of a data set."""
    world = json.loads((dataset / "world.json").read_text())
    films = [
        Film(part=part, number=number, seed=world["seed"])
        for part, count in world["films"].items()
        for number in range(count)
    ]
    with ShardWriter(shard_path(out, 0), TRUTH) as writer:
        for film in films:
            scene = plan_scene(film.rng())
            rows = [
                (index, index / FRAMES_PER_SECOND, true_objects(rendered, scene))
                for index, rendered in enumerate(render(scene))
            ]
            writer.add_video(film.id, film.path(dataset), rows)
    unit = Unit(index=0, parts=tuple(UnitPart(video_id=film.id) for film in films))
    Plan(
        dataset=dataset.name,
        frames="all",
        settings={"detector": asdict(TRUTH)},
        units=(unit,),
        data_root=str(dataset.parent),
    ).save(out)


def true_objects(rendered: RenderedFrame, scene: Scene) -> FrameDetections:
    """The visible objects, with a score of 1."""
    masks_NHW = rendered.track_HW == np.arange(len(scene.actors))[:, None, None]
    tracks = np.flatnonzero(masks_NHW.sum((1, 2)) >= LEAST_PIXELS).tolist()
    labels = [COCO_CLASSES.index(scene.actors[track].class_name) for track in tracks]
    scores_NC = np.eye(len(COCO_CLASSES))[labels]
    return FrameDetections.from_masks(
        masks_NHW[tracks], labels=labels, scores=np.ones(len(labels)), class_scores=scores_NC
    )
