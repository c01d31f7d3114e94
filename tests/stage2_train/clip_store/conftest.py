"""Short real video files for the clip store."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.data_manifests.records import Video
from tests.worlds.videos import write_pictures

RATE = 10


def write_mp4(
    path: Path, *, num_frames: int, level: int = 0, size: tuple[int, int] = (48, 64)
) -> None:
    """A film whose frame f is gray of brightness level + 20 f; size is (height, width)."""
    pictures = [np.full((*size, 3), level + 20 * frame, np.uint8) for frame in range(num_frames)]
    write_pictures(path, pictures, rate=RATE, options={"crf": "1"})


@pytest.fixture(scope="session")
def film() -> Callable[..., None]:
    """`write_mp4`."""
    return write_mp4


@pytest.fixture(scope="session")
def made_videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Video, ...]:
    """Three films of 3, 4 and 5 frames; read-only."""
    folder, rows = tmp_path_factory.mktemp("made") / "videos", []
    for number in range(3):
        path = folder / f"{number}.mp4"
        write_mp4(path, num_frames=3 + number, level=10 * number)
        rows.append(Video(id=f"group/{number}", path=path))
    return tuple(rows)


@pytest.fixture
def videos(made_videos: tuple[Video, ...], tmp_path: Path) -> tuple[Video, ...]:
    """A copy of them, to do anything with."""
    folder = shutil.copytree(made_videos[0].path.parent, tmp_path / "videos")
    return tuple(replace(video, path=folder / video.path.name) for video in made_videos)
