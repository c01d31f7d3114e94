"""Frames of a textured scene under a known motion."""

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.Image import fromarray

from orn.data_manifests.records import Video
from orn.shared.video.frame import Frame
from orn.stage2_train.clip_store.motion import MotionMaps
from orn.stage2_train.clip_store.motion_windows import (
    MotionSequence,
    MotionWindows,
    motion_settings,
)
from orn.stage2_train.clip_store.surroundings import WatchedFrames
from tests.worlds.tables import write_table
from tests.worlds.videos import write_pictures

Image = NDArray[np.uint8]


def frame_motion(frames: Iterable[Frame]) -> Iterator[tuple[float, MotionMaps]]:
    """The time of each frame with its motion."""
    sequence = MotionSequence()
    for frame in frames:
        yield from sequence.add(frame)
    yield from sequence.end()


def texture(height: int, width: int, seed: int = 0) -> Image:
    """Return a smooth random (height, width, 3) picture; sizes of spots scale with the picture."""
    noise = np.random.default_rng(seed).random((16, 16), np.float32)
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    gray = np.clip(255 * picture, 0, 255).astype(np.uint8)
    return np.stack([gray, gray, 255 - gray], axis=-1)


def warped(picture: Image, matrix: NDArray[np.float64]) -> Image:
    """Return a picture whose points (x, y, 1) are moved by a (2, 3) matrix."""
    size = picture.shape[1::-1]
    moved = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def translated(picture: Image, x: float, y: float) -> Image:
    """Return a picture moved by fractions of its width and height."""
    height, width = picture.shape[:2]
    return warped(picture, np.array([[1, 0, x * width], [0, 1, y * height]], np.float64))


def turned(picture: Image, angle: float = 0.0, scale: float = 1.0) -> Image:
    """Return a picture turned clockwise by an angle in radians and enlarged about its center."""
    center = (picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2
    return warped(picture, cv2.getRotationMatrix2D(center, -np.degrees(angle), scale))


def with_patch(scene: Image, x: float, y: float, side: float = 0.3) -> Image:
    """Return a scene with a square patch whose center is at fractions of its width and height."""
    height, width = scene.shape[:2]
    patch = texture(round(side * height), round(side * width), seed=1)
    shift = np.array([[1, 0, (x - side / 2) * width], [0, 1, (y - side / 2) * height]], np.float64)
    placed = [
        cv2.warpAffine(part, shift, (width, height))
        for part in (patch, np.full(patch.shape[:2], 255, np.uint8))
    ]
    inside = placed[1][..., None] > 127
    return np.where(inside, placed[0], scene)


def film(
    picture_at: Callable[[float], Image], *, rate: float = 30.0, seconds: float = 0.5
) -> Iterator[Frame]:
    """Yield frames of `picture_at(seconds)` at a rate."""
    for index in range(round(seconds * rate) + 1):
        yield Frame(index=index, seconds=index / rate, image=picture_at(index / rate))


def windowed_motion(frames: Iterable[Frame], seconds_n: Iterable[float]) -> list[MotionMaps]:
    """Return the mean motion around increasing times, each as soon as it is known."""
    remaining, windows, maps = iter(frames), MotionWindows(motion_settings()), []
    for seconds in seconds_n:
        while not windows.is_known(seconds):
            frame = next(remaining, None)
            windows.end() if frame is None else windows.add(frame)
        windows.forget(seconds)
        maps.append(windows.at(seconds))
    return maps


def write_film(folder: Path, kind: str, pictures: Iterable[Image], *, rate: int) -> Video:
    """Write pictures as "mp4", as "avi", which tells no times, or as a "folder" of JPEGs."""
    path = folder / f"film.{kind}"
    if kind == "folder":
        path.mkdir()
        for index, picture in enumerate(pictures):
            fromarray(picture).save(path / f"{index:03d}.jpg")
        return Video(id="film", path=path, rate=float(rate))
    codec = {"mp4": "libx264", "avi": "mpeg4"}[kind]
    write_pictures(path, pictures, rate=rate, codec=codec, options={"g": "8"})
    return Video(id="film", path=path)


def write_table_of_films(
    folder: Path, pictures: dict[str, Iterable[Image]], *, rate: int, options: dict[str, str]
) -> None:
    """Write films of one class, and their manifest `mine.toml`."""
    rows = ("video,label", *(f"{name},push" for name in pictures))
    write_table(folder, "mine", rows, classes=("push",))
    for name, own in pictures.items():
        path = folder / "data/mine/videos" / f"{name}.mp4"
        write_pictures(path, own, rate=rate, options=options)


def number_in_one_mib(frames: Iterator[Frame], beside: dict[str, Any]) -> int:
    """Return the number of frames, one in a hundred, that are read in a MiB with `beside` them."""
    watched = WatchedFrames(frames, beside)
    selected = (frame for frame in watched.frames if frame.index % 100 == 50)
    tracemalloc.start()
    try:
        number = sum(1 for _ in watched.beside(selected))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    return number
