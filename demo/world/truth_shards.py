"""Write shards of ground truth instead of detections, as a control for experiments.

Every visible object (`iscrowd` 0) becomes a detection with a score of 1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from orn.demo.world.films import FilmTruth, true_films
from orn.demo.world.parameters import FRAMES_PER_SECOND, HEIGHT, WIDTH
from orn.shared.errors import DataRootError
from orn.shared.jobs.atomic_file import remove_stale_temporaries
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.jobs.progress import progress
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.shards.schema import DetectorEntry, VideoEntry
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.frame_selection import places_at_rate
from orn.shared.video.read import content_bytes, content_digest

_FILMS_PER_UNIT = 150


def write_truth_shards(
    dataset: str,
    root: Path,
    out: Path,
    *,
    rate: float | None = None,
    class_names: tuple[str, ...] = COCO_CLASSES,
) -> int:
    """Write the missing shards of a data set.

    Args:
        dataset: name of the data set.
        root: folder of all data sets.
        out: folder of the shards.
        rate: frame rate in Hz at which films are sampled, as in `orn detect`; None for every frame.
        class_names: names of the classes, which include all classes in the films.

    Returns:
        The number of shards written by this call.
    """
    SHARD_FILES.check_folder(out)
    folder = root / dataset
    films = _films(folder)
    parts = [UnitPart(video_id=name, start=0, stop=None) for name in films]
    units = tuple(
        Unit(index=index, parts=tuple(parts[start : start + _FILMS_PER_UNIT]))
        for index, start in enumerate(range(0, len(parts), _FILMS_PER_UNIT))
    )
    detector = _entry(folder, rate, class_names)
    plan = Plan(
        dataset=dataset,
        frames="all",
        settings={"detector": asdict(detector)},
        units=units,
        data_root=str(root),
    )
    saved = SHARD_FILES.saved_plan(out, remedy="choose a different --out")
    plan.resumed_from(saved, out).save(out)
    remove_stale_temporaries(out)
    missing = SHARD_FILES.missing(units, out)
    with progress("true shards", total=len(missing), unit="shards") as bar:
        for unit in missing:
            path = shard_path(out, unit.index)
            with ShardWriter(path, detector, has_tracks=True) as writer:
                for part in unit.parts:
                    _add_film(writer, films[part.video_id], folder, detector)
            bar.advance()
    return len(missing)


def _films(folder: Path) -> dict[str, FilmTruth]:
    paths = sorted((folder / "ground_truth").glob("*.json"))
    if not paths:
        raise DataRootError(
            f"{folder}: expected ground_truth/*.json, got none; generate the films with `orn demo "
            f"world {folder.name}`"
        )
    return {name: film for path in paths for name, film in true_films(folder, path.stem).items()}


def _entry(folder: Path, rate: float | None, class_names: tuple[str, ...]) -> DetectorEntry:
    world = (folder / "world.json").read_bytes()
    return DetectorEntry(
        config_name="ground truth",
        config_digest=f"sha256:{hashlib.sha256(world).hexdigest()}",
        checkpoint_digest="none",
        frame_rate=rate,
        class_names=class_names,
    )


def _add_film(writer: ShardWriter, film: FilmTruth, folder: Path, detector: DetectorEntry) -> None:
    path = folder / "videos" / f"{film.video_id}.mp4"
    writer.begin_video(
        VideoEntry(
            id=film.video_id,
            frames=0,
            height=HEIGHT,
            width=WIDTH,
            rate=float(FRAMES_PER_SECOND),
            header_frames=len(film.frames),
            source_bytes=content_bytes(path),
            source_digest=content_digest(path),
        )
    )
    seconds_F = np.arange(len(film.frames)) / FRAMES_PER_SECOND
    for index in places_at_rate(seconds_F, detector.frame_rate or FRAMES_PER_SECOND).tolist():
        detections = _detections(film.frames[index], detector.class_names)
        writer.add(index, index / FRAMES_PER_SECOND, detections)
    writer.end_video()


def _detections(
    annotations: Sequence[dict[str, Any]], class_names: tuple[str, ...]
) -> FrameDetections:
    seen = [annotation for annotation in annotations if not annotation["iscrowd"]]
    xywh_N4 = np.array([each["bbox"] for each in seen], np.float32).reshape(-1, 4)
    names = [COCO_CLASSES[each["category_id"] - 1] for each in seen]
    labels_N = np.array([class_names.index(name) for name in names], np.uint16)
    scores_NC = np.zeros((len(seen), len(class_names)), np.float16)
    scores_NC[np.arange(len(seen)), labels_N] = 1
    return FrameDetections(
        height=HEIGHT,
        width=WIDTH,
        boxes=np.concatenate([xywh_N4[:, :2], xywh_N4[:, :2] + xywh_N4[:, 2:]], axis=1),
        scores=np.ones(len(seen), np.float32),
        labels=labels_N,
        class_scores=scores_NC,
        masks=tuple(each["segmentation"]["counts"].encode("ascii") for each in seen),
        tracks=np.array([each["track_id"] for each in seen], np.int32),
    )
