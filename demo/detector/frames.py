"""Single frames with ground truth for training the demo detector, from films of their own."""

from __future__ import annotations

import io
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from demo.world.dials import HEIGHT, WIDTH, Dials, coco_categories
from demo.world.films import frame_annotations
from demo.world.make import film_rng
from demo.world.render import render
from demo.world.scene import PlannedActivity, plan_scene, random_activity
from demo.world.touch import plan_touch_scene
from shared.jobs.atomic_file import write_bytes, write_text
from shared.jobs.progress import progress

_FRAMES_A_FILM = 2


def write_detector_frames(
    root: Path, *, films: dict[str, int], dials: Dials, seed: int, workers: int
) -> None:
    """Write `root/demo-detector/frames/*.jpg` and a COCO instances file for each part.

    Args:
        films: Number of films by part ("train", "validation"); two frames of each are kept.
    """
    folder = root / "demo-detector"
    for part, number in films.items():
        jobs = [(folder, part, index, dials, seed) for index in range(number)]
        with (
            ProcessPoolExecutor(workers) as pool,
            progress(part, total=number, unit="films") as bar,
        ):
            results = []
            for result in pool.map(_draw_film, jobs, chunksize=16):
                results.append(result)
                bar.advance()
        write_text(folder / f"{part}.json", json.dumps(_document(results)))


def _draw_film(job: tuple[Path, str, int, Dials, int]) -> list[tuple[str, list[dict[str, Any]]]]:
    folder, part, index, dials, seed = job
    cv2.setNumThreads(1)
    rng = film_rng(seed, "demo-detector", part, index)
    whole = {"start_frame": 0, "stop_frame": dials.frames}
    if rng.random() < 0.2:
        scene = plan_touch_scene(dials, num_frames=dials.frames, rng=rng)
    else:
        pair = [PlannedActivity(activity=random_activity(rng), **whole) for _ in range(2)]
        scene = plan_scene(
            pair[0], pair[1:], dials=dials, num_frames=dials.frames, rng=rng,
            others_in_role=rng.random() < 0.2,
        )  # fmt: skip
    kept = set(rng.choice(dials.frames, size=_FRAMES_A_FILM, replace=False).tolist())
    quality = int(rng.integers(70, 96))
    frames = []
    for number, rendered in enumerate(render(scene, dials)):
        if number in kept:
            name = f"{part}-{index:06d}-{number:02d}.jpg"
            buffer = io.BytesIO()
            Image.fromarray(rendered.image).save(buffer, "JPEG", quality=quality)
            write_bytes(folder / "frames" / name, buffer.getvalue())
            frames.append((name, frame_annotations(rendered, scene)))
    return frames


def _document(films: list[list[tuple[str, list[dict[str, Any]]]]]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, frame in (frame for film in films for frame in film):
        images.append({"id": len(images) + 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for annotation in frame:
            annotations.append(
                annotation | {"id": len(annotations) + 1, "image_id": images[-1]["id"]}
            )
    return {"images": images, "annotations": annotations, "categories": coco_categories()}
