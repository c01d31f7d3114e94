"""Pictures under the masks, from videos."""

import logging
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import JoinError, UnknownDatasetError, VideoDecodeError
from orn.shared.inspect.pictures import (
    NoPictures,
    Pictures,
    VideoPictures,
    nearest_places,
    pictures_of_shard,
)
from orn.shared.shards.plan import ManifestFile, Plan
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.shared.video import file as video_file
from orn.shared.video.read import content_digest
from tests.shared.conftest import VideoWriter
from tests.worlds.shards import DETECTOR
from tests.worlds.videos import number_of

MANIFEST = """
name = "mine"
title = "Mine"
form = "clips"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "mine"
[videos]
pattern = "{id}.mp4"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
"""


@pytest.fixture
def pictures(tmp_path: Path, write_video: VideoWriter) -> VideoPictures:
    """The video `a`, 200 frames at 10 a second."""
    (tmp_path / "mine").mkdir()
    write_video(tmp_path / "mine" / "a.mp4", 200)
    (tmp_path / "mine.toml").write_text(MANIFEST)
    return VideoPictures(str(tmp_path / "mine.toml"), tmp_path)


def entry(path: Path | None = None, rate: float = 10.0) -> VideoEntry:
    return VideoEntry(
        id="a",
        height=100,
        width=100,
        frames=200,
        header_frames=None,
        rate=rate,
        source_bytes=path.stat().st_size if path else 0,
        source_digest=content_digest(path) if path else UNKNOWN_SOURCE,
    )


def numbers(pictures: Pictures, video: VideoEntry, *seconds: float) -> list[int | None]:
    shown = pictures.frames(video, np.array(seconds))
    return [None if picture is None else number_of(picture) for picture in shown]


SECONDS = (0.0, 0.1, 0.31, 0.34, 0.34, 12.0, 12.1, 19.9, 25.0)
NUMBERS = [0, 1, 3, 3, 3, 120, 121, 199, None]


def test_the_nearest_frame_in_time(pictures: VideoPictures, tmp_path: Path) -> None:
    assert numbers(pictures, entry(tmp_path / "mine" / "a.mp4"), *SECONDS) == NUMBERS


def test_also_where_only_decoding_tells_times(
    pictures: VideoPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orn.shared.inspect.pictures.frame_seconds", lambda *_, **__: None)
    monkeypatch.setattr(video_file, "frame_times", lambda _: None)
    assert numbers(pictures, entry(), *SECONDS) == NUMBERS


def test_masks_of_another_rate(pictures: VideoPictures) -> None:
    assert numbers(pictures, entry(rate=30.0), *(n / 30 for n in range(6))) == [0, 0, 1, 1, 1, 2]


def test_another_file_is_refused(pictures: VideoPictures, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "a.mp4"
    video = entry(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(JoinError, match=r"a\.mp4 is not the file that was looked at"):
        pictures.frames(video, np.zeros(1))


def test_a_link_out_of_the_data_set_is_not_followed(
    pictures: VideoPictures, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "a.mp4").symlink_to(tmp_path / "mine" / "a.mp4")
    linked = VideoPictures(str(tmp_path / "mine.toml"), root)
    with pytest.raises(VideoDecodeError, match=r"a\.mp4: is a link that leads out"):
        linked.frames(entry(), np.zeros(1))


def test_a_video_that_is_not_there(pictures: VideoPictures, tmp_path: Path) -> None:
    (tmp_path / "mine" / "a.mp4").unlink()
    gone = VideoPictures.__new__(VideoPictures)
    gone.__dict__ |= pictures.__dict__ | {"_videos": {}}
    with pytest.raises(JoinError, match="there is no file of this video under"):
        gone.frames(entry(), np.zeros(1))


def test_the_plan_names_the_data_set(
    pictures: VideoPictures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shard = tmp_path / "shards" / "shard-000000.zarr.zip"

    def reason() -> str:
        source = pictures_of_shard(shard, None, tmp_path)
        assert isinstance(source, NoPictures)
        with pytest.raises(JoinError) as raised:
            source.frames(entry(), np.zeros(1))
        return str(raised.value)

    assert "no plan beside the shard" in reason()

    def save(dataset: str, manifest: Path | None = None) -> None:
        Plan(
            dataset=dataset,
            frames="all",
            detector=DETECTOR,
            manifest=ManifestFile.of(manifest),
            units=(),
        ).save(shard.parent)

    file = tmp_path / "mine.toml"
    save("mine", file)
    source = pictures_of_shard(shard, None, tmp_path)
    assert numbers(source, entry(tmp_path / "mine" / "a.mp4"), 0.1) == [1]
    file.write_text(f"# changed\n{MANIFEST}")
    assert isinstance(pictures_of_shard(shard, None, tmp_path), VideoPictures)
    assert "mine.toml has changed" in caplog.text
    file.write_text(MANIFEST.replace('"mine"', '"yours"', 1))
    assert "expected the manifest of 'mine', got that of 'yours'; name the" in reason()
    file.unlink()
    assert f"{file}: expected the manifest of 'mine', got: no such file; name the" in reason()
    save("other")
    assert "no data set is called 'other'" in reason()
    assert "--dataset FILE.toml" in reason()
    with pytest.raises(UnknownDatasetError):
        pictures_of_shard(shard, "other", tmp_path)


def test_places_of_no_frames_and_of_one() -> None:
    assert nearest_places(np.zeros(0), np.array([1.0]), farthest=1) == [None]
    assert nearest_places(np.array([2.0]), np.array([1.5, 4]), farthest=1) == [0, None]
