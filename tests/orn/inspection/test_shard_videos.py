"""Pictures under the masks, from videos."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from orn.inspection.shard_videos import Pictures, VideoPictures, pictures_of_shard
from orn.shared.errors import JoinError, UnknownDatasetError
from orn.shared.jobs.plan import ManifestFile, Plan
from orn.shared.shards.shard_format import UNKNOWN_SOURCE, VideoEntry
from orn.shared.video.read import content_digest
from tests.worlds.shards import video_entry
from tests.worlds.tables import write_table
from tests.worlds.videos import number_of, write_numbered


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """200 frames at 10 a second, of the video `a`."""
    return write_numbered(tmp_path / "data/mine/videos/a.mp4", 200)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_table(tmp_path, "mine", ["video,label", "a,x"], classes=["x"])


@pytest.fixture
def pictures(film: Path, manifest: Path, tmp_path: Path) -> VideoPictures:
    return VideoPictures(str(manifest), tmp_path / "data")


def entry(path: Path | None = None, rate: float = 10.0) -> VideoEntry:
    known = {"source_digest": UNKNOWN_SOURCE if path is None else content_digest(path)}
    if path is not None:
        known["source_bytes"] = path.stat().st_size
    return video_entry("a", height=100, width=100, rate=rate, frames=200, **known)


def numbers(pictures: Pictures, video: VideoEntry, *seconds: float) -> list[int | None]:
    shown = pictures.frames(video, np.array(seconds))
    return [None if picture is None else number_of(picture) for picture in shown]


SECONDS = (0.0, 0.1, 0.31, 0.34, 0.34, 12.0, 12.1, 19.9, 25.0)
NUMBERS = [0, 1, 3, 3, 3, 120, 121, 199, None]


def test_the_nearest_frame_in_time(pictures, film, monkeypatch) -> None:
    assert numbers(pictures, entry(film), *SECONDS) == NUMBERS
    assert numbers(pictures, entry(rate=30.0), *(n / 30 for n in range(6))) == [0, 0, 1, 1, 1, 2]
    for module in ("read", "decode_file"):
        monkeypatch.setattr(f"orn.shared.video.{module}.frame_times", lambda _: None)
    assert numbers(pictures, entry(), *SECONDS) == NUMBERS  # known after decoding


def test_files_that_are_not_the_video_are_refused(pictures, film, manifest, tmp_path) -> None:
    """Changed ones, and missing ones."""
    video = entry(film)
    film.write_bytes(film.read_bytes()[:-1] + b"x")
    with pytest.raises(JoinError, match=r"a\.mp4 differs from the file"):
        pictures.frames(video, np.zeros(1))
    shutil.copytree(tmp_path / "data/mine", tmp_path / "root/mine")
    (tmp_path / "root/mine/videos/a.mp4").unlink()
    with pytest.raises(JoinError, match="no file for this video"):
        VideoPictures(str(manifest), tmp_path / "root").frames(entry(), np.zeros(1))


def test_the_plan_names_the_data_set(film: Path, manifest: Path, tmp_path: Path) -> None:
    shard = tmp_path / "shards" / "shard-000000.zarr.zip"
    text = manifest.read_text()

    def source_of(dataset: str | None = None) -> Pictures:
        return pictures_of_shard(shard, dataset, tmp_path / "data")

    with pytest.raises(JoinError, match=r"plan.*--dataset"):
        source_of().frames(entry(), np.zeros(1))
    plan = Plan(dataset="mine", frames="all", manifest=ManifestFile.of(manifest), units=())
    plan.save(shard.parent)
    assert numbers(source_of(), entry(film), 0.1) == [1]
    manifest.write_text(f"# changed\n{text}")
    assert isinstance(source_of(), VideoPictures)
    manifest.write_text(text.replace('"mine"', '"yours"', 1))
    with pytest.raises(JoinError, match=r"'yours'.*'mine'|'mine'.*'yours'"):
        source_of().frames(entry(), np.zeros(1))
    with pytest.raises(UnknownDatasetError):
        source_of("other")
