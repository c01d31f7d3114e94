"""What is truly in a film, in the COCO format with videos, tracks and relations added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo.world.dials import ACTIVITIES, HEIGHT, WIDTH, coco_categories
from demo.world.scene import Scene
from shared.errors import DataRootError

_IMAGES_A_VIDEO = 100_000
"""Image number = video number x this + frame index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTruth:
    """The ground truth of one film, as plain JSON values."""

    video_id: str
    frames: list[list[dict[str, Any]]]
    """Annotations of each frame, without image numbers; track numbers count through the film."""
    relations: list[dict[str, Any]]
    """`scene.Relation` fields; frames count from the film's beginning."""
    touched: list[str]
    """Classes of the objects that a hand touches, sorted."""
    label: str | None = None
    """Of a film whose label is none of these."""


def film_truth(
    video_id: str, scenes: Sequence[Scene], frames: list[list[dict[str, Any]]]
) -> FilmTruth:
    """Join the scenes of a film: tracks and frames of later scenes are counted on."""
    relations, touched, annotated = [], set(), []
    first_frame = first_track = 0
    for scene in scenes:
        num_frames = len(scene.actors[0].depth_F)
        for relation in scene.relations:
            relations.append(
                asdict(relation)
                | {
                    "x_track": relation.x_track + first_track,
                    "y_track": relation.y_track + first_track,
                    "start_frame": relation.start_frame + first_frame,
                    "stop_frame": relation.stop_frame + first_frame,
                }
            )
        touched |= {scene.actors[track].class_name for track in scene.touched}
        for frame in frames[first_frame : first_frame + num_frames]:
            annotated.append([a | {"track_id": a["track_id"] + first_track} for a in frame])
        first_frame += num_frames
        first_track += len(scene.actors)
    return FilmTruth(
        video_id=video_id,
        frames=annotated,
        relations=relations,
        touched=sorted(touched),
        label=scenes[0].label,
    )


def coco_document(films: Sequence[FilmTruth], *, frames_per_second: float) -> dict[str, Any]:
    """One COCO JSON document: images, annotations, categories; and videos with their relations."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    videos = []
    for number, film in enumerate(films):
        relations = [
            relation | {"name": ACTIVITIES[relation["activity"]]} for relation in film.relations
        ]
        label = {} if film.label is None else {"label": film.label}
        videos.append(
            {"id": number, "name": film.video_id, "relations": relations, "touched": film.touched}
            | label
        )
        for index, frame in enumerate(film.frames):
            image_id = number * _IMAGES_A_VIDEO + index
            images.append(
                {
                    "id": image_id,
                    "video_id": number,
                    "file_name": f"videos/{film.video_id}.mp4",
                    "frame_index": index,
                    "seconds": index / frames_per_second,
                    "height": HEIGHT,
                    "width": WIDTH,
                }
            )
            for annotation in frame:
                annotations.append(annotation | {"id": len(annotations) + 1, "image_id": image_id})
    return {
        "images": images,
        "annotations": annotations,
        "categories": coco_categories(),
        "videos": videos,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueFilm:
    """What is true of one film."""

    video: dict[str, Any]
    """Its entry in `videos`."""
    frames: list[list[dict[str, Any]]]
    """Annotations of each frame."""

    @property
    def id(self) -> str:
        """Its id in the manifest."""
        return str(self.video["name"])


def true_films(folder: Path, part: str) -> dict[str, TrueFilm]:
    """The films of one part of a drawn data set by their id.

    Raises:
        DataRootError: the part has no ground truth.
    """
    path = folder / "ground_truth" / f"{part}.json"
    if not path.is_file():
        raise DataRootError(
            f"{path}: wanted the ground truth of the {part} films, found none; `orn demo world` "
            "draws it, with --films TRAIN,VALIDATION,TEST as many as are wanted"
        )
    document = json.loads(path.read_text(encoding="utf-8"))
    by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    frames: dict[int, list[list[dict[str, Any]]]] = {}
    for image in document["images"]:  # in the order of films and frames
        frames.setdefault(image["video_id"], []).append(by_image[image["id"]])
    return {
        video["name"]: TrueFilm(video=video, frames=frames[video["id"]])
        for video in document["videos"]
    }
