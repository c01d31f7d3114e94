"""A shard that was written once keeps reading, by this project and by plain zarr."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import ZipStore

from orn.inspection.verify import verify_shard
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_record import read_record
from tests.fixtures import shard_v2 as golden

GOLDEN = Path(__file__).parents[2] / "fixtures" / "shard_v2.zarr.zip"
DIGEST = "3843800ae779aeffb3bd2df5687c9d5eac8d9d6afe5a479877a0fec86601ce6c"


def test_version_2_reads() -> None:
    shard = Shard(GOLDEN)
    assert verify_shard(GOLDEN) == []
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
        detections, expected = shard.frame(row), golden.frame(number)
        for name in ("boxes", "scores", "labels", "class_scores"):
            np.testing.assert_array_equal(getattr(detections, name), getattr(expected, name))
        assert detections.masks == expected.masks


def test_version_2_reads_with_plain_zarr() -> None:
    with ZipStore(GOLDEN, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert group.attrs["format"] == "object-detections"
        assert group.attrs["format_version"] == 2
        for name in (arrays := Shard(GOLDEN).arrays):
            array = group[name]
            assert isinstance(array, zarr.Array)
            column = arrays.rows(name, 0, arrays.num_rows(name))
            np.testing.assert_array_equal(array[...], column, err_msg=name)
            assert (array.dtype, array.shape) == (column.dtype, column.shape), name
        assert set(arrays) == set(group.array_keys())


def test_the_digest_of_a_shard_stays() -> None:
    """It ties shards to what was made from them; a new attribute must not change it."""
    assert read_record(GOLDEN).digest == DIGEST


def test_the_digest_covers_names_and_values_of_attributes() -> None:
    attributes = read_record(GOLDEN).attributes
    detector, first = attributes.detector, attributes.videos[0]
    thresholds = {"score": 0.05, "nms": 0.5}
    changed = [
        attributes,
        replace(attributes, has_tracks=True),
        replace(attributes, videos=attributes.videos[::-1]),
        replace(attributes, videos=(replace(first, id="\udcff"), *attributes.videos[1:])),
        replace(attributes, detector=replace(detector, precision="bfloat16")),
        replace(attributes, detector=replace(detector, thresholds=thresholds)),
    ]
    assert len({own.digest for own in changed}) == len(changed)
    backwards = dict(reversed(thresholds.items()))
    other = replace(attributes, detector=replace(detector, thresholds=backwards))
    assert other.digest == changed[-1].digest
