"""Draw single frames with ground truth to train the demo's detector."""

import io
import json
from functools import partial
from pathlib import Path

import cv2
from PIL import Image

from orn.demo.world.films import Annotation, coco_document, frame_annotations
from orn.demo.world.make import LOST, film_rng
from orn.demo.world.parameters import DETECTOR_FRAMES, HEIGHT, WIDTH, WorldParameters
from orn.demo.world.render import render
from orn.demo.world.scene import plan_scene, random_activity
from orn.demo.world.touch import plan_touch_scene
from orn.shared.jobs.atomic_file import write_bytes, write_text
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_workers

_FRAMES_PER_FILM = 2


def write_detector_frames(
    root: Path, *, films: dict[str, int], parameters: WorldParameters, seed: int, workers: int
) -> None:
    """Write `root/demo-detector/frames/*.jpg` and a COCO file for each split.

    Args:
        root: folder of all data sets.
        films: number of films by split ("train", "validation"); two frames are written per film.
        parameters: parameters of the world.
        seed: seed of the world.
        workers: number of processes.
    """
    folder = root / DETECTOR_FRAMES
    for part, number in films.items():
        draw = partial(_draw_film, folder=folder, part=part, parameters=parameters, seed=seed)
        drawn: dict[int, list[tuple[str, list[Annotation]]]] = {}
        with progress(part, total=number, unit="films") as bar:
            for index, frames in in_workers(draw, range(number), workers=workers, lost=LOST):
                drawn[index] = frames
                bar.advance()
        shown = [frame for index in range(number) for frame in drawn[index]]
        size = {"height": HEIGHT, "width": WIDTH}
        document = coco_document(
            ({"id": number, "file_name": name, **size}, annotations)
            for number, (name, annotations) in enumerate(shown, start=1)
        )
        write_text(folder / f"{part}.json", json.dumps(document))


def _draw_film(
    index: int, *, folder: Path, part: str, parameters: WorldParameters, seed: int
) -> list[tuple[str, list[Annotation]]]:
    cv2.setNumThreads(1)
    rng = film_rng(seed, DETECTOR_FRAMES, part, index)
    if rng.random() < 0.2:
        scene = plan_touch_scene(parameters, num_frames=parameters.frames, rng=rng)
    else:
        pair = [random_activity(rng, 0, parameters.frames) for _ in range(2)]
        scene = plan_scene(
            pair[0], pair[1:], parameters=parameters, num_frames=parameters.frames, rng=rng,
            others_in_role=rng.random() < 0.2,
        )  # fmt: skip
    kept = set(rng.choice(parameters.frames, size=_FRAMES_PER_FILM, replace=False).tolist())
    quality = int(rng.integers(70, 96))
    frames = []
    for number, rendered in enumerate(render(scene, parameters)):
        if number in kept:
            name = f"{part}-{index:06d}-{number:02d}.jpg"
            buffer = io.BytesIO()
            Image.fromarray(rendered.image).save(buffer, "JPEG", quality=quality)
            write_bytes(folder / "frames" / name, buffer.getvalue())
            frames.append((name, frame_annotations(rendered, scene)))
    return frames
