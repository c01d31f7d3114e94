"""What a run records of its clips."""

from pathlib import Path

import pytest

from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.writer import ShardWriter
from orn.stage2_train.runs.open_data import OpenedData
from tests.worlds.films import DETECTOR, RATE, TinyWorld, make_dataset
from tests.worlds.shards import blocks, video_entry


@pytest.mark.parametrize("every", [1, 4])
def test_windows_are_as_long_as_the_videos_however_many_frames_have_objects(
    tiny_world: TinyWorld, tmp_path: Path, every: int
) -> None:
    film = next(iter(tiny_world.films.values()))
    with ShardWriter(tmp_path / "shard-000000.zarr.zip", DETECTOR) as writer:
        writer.begin_video(video_entry(film.id, height=8, width=8, rate=RATE))
        for frame in range(0, 16, every):
            writer.add(frame, frame / RATE, blocks(height=8, width=8))
        writer.end_video()
    dataset = make_dataset([film], [(0,)], ["train"])
    opened = OpenedData(
        dataset=dataset, clips=tiny_world.clips(), detections=DetectionFolder(tmp_path)
    )
    record = opened.clip_record(dataset.segments)
    assert record.window_seconds == record.longest_seconds == pytest.approx(16 / RATE)
