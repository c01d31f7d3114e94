"""A byte that flipped in a shard never reaches the network."""

import pytest

from orn.shared.errors import PipelineError
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.join import join_split
from orn.stage2_train.clips.views import ClipRequest
from tests.stage2_train.clips.test_dataset import SETTINGS
from tests.worlds.films import build_world


def read_clips(world) -> None:
    """What a training reads: the join, and a clip of each segment."""
    joined = join_split(world.dataset, "train", world.clips(), world.detections())
    clips = ClipDataset(joined.segments, world.clips(), world.detections(), SETTINGS)
    for index in range(len(joined.segments)):
        clips[ClipRequest(index, epoch=0)]


def test_training_refuses_a_shard_with_a_flipped_byte(tmp_path) -> None:
    world = build_world(tmp_path, num_films=4)
    read_clips(world)
    shard = world.shards_path / "shard-000000.zarr.zip"
    content = shard.read_bytes()
    for place in range(5, len(content), len(content) // 60):
        changed = bytearray(content)
        changed[place] ^= 0x10
        shard.write_bytes(changed)
        with pytest.raises(PipelineError, match=r"shard-000000\.zarr\.zip"):
            read_clips(world)
    shard.write_bytes(content)
    read_clips(world)
