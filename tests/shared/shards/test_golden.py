"""A shard of each released format version keeps reading, whatever wrote it."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import verify_shard
from tests.fixtures import write_shard_v1 as golden

FIXTURES = Path(__file__).parents[2] / "fixtures"
VERSION_1 = pytest.mark.parametrize(
    "path",
    [FIXTURES / "shard_v1.zarr.zip", FIXTURES / "shard_v1_sealed.zarr.zip"],
    ids=lambda path: path.name,
)
"""Without and with the checksum of the ZIP directory."""


@VERSION_1
def test_version_1_reads(path: Path) -> None:
    shard = Shard(path)
    assert verify_shard(path) == []
    assert shard.detector == golden.DETECTOR
    first, second = shard.videos
    assert (first.id, first.frames, first.header_frames) == ("P01/P01_01", 7, 8)
    assert (second.id, second.frames, second.header_frames) == ("long — 2", 4, None)
    assert (second.height, second.width, second.rate) == (9, 11, 12.5)
    assert (second.source_bytes, second.source_digest) == (1005, "sha256:c2")
    assert [(video.id, video.reason) for video in shard.failed] == [
        ("broken", "no frame can be decoded")
    ]
    numbers = [*range(7), *range(5, 9)]
    assert shard.frame_index().tolist() == numbers
    np.testing.assert_allclose(shard.frame_seconds(), np.array(numbers) / 12.5, rtol=1e-15)
    for row, number in enumerate(numbers):
        found, wanted = shard.frame(row), golden.frame(number)
        for name in ("boxes", "scores", "labels", "class_scores"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert found.masks == wanted.masks


@VERSION_1
def test_version_1_reads_with_plain_zarr(path: Path) -> None:
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert group.attrs["format"] == "object-detections"
        assert group.attrs["format_version"] == 1
        for name, shape in [
            *(("frame_video", (11,)), ("frame_index", (11,)), ("frame_seconds", (11,))),
            *(("frame_offsets", (12,)), ("boxes", (11, 4)), ("scores", (11,)), ("labels", (11,))),
            *(("class_scores", (11, 80)), ("rle_offsets", (12,))),
        ]:
            array = group[name]
            assert isinstance(array, zarr.Array)
            assert array.shape == shape, name
        assert "rle" in group
