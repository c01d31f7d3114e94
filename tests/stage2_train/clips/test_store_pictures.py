"""`orn inspect --clips`: masks over the frames of a clip store."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from orn.shared.cli import orn
from orn.shared.errors import ClipStoreError, JoinError
from orn.shared.shards.schema import VideoEntry
from orn.stage2_train.clips.store_pictures import StorePictures


def entry(world, **other) -> VideoEntry:
    values = {
        "id": "film/1",
        "height": 60,
        "width": 160,
        "frames": 8,
        "header_frames": None,
        "rate": 10.0,
        "source_bytes": 0,
        "source_digest": "sha256:same",
    }
    return VideoEntry(**{**values, **other})


def test_frames_have_the_shape_of_the_grid_again(tiny_world) -> None:
    store = StorePictures(tiny_world.store_path)
    seconds = store._store.frames("film/1").seconds
    (picture, none) = store.frames(entry(tiny_world), np.array([seconds[0], seconds[-1] + 9]))
    assert picture is not None
    assert picture.shape == (48, 128, 3)
    assert none is None


def test_what_the_store_does_not_have(tiny_world, tmp_path: Path) -> None:
    store = StorePictures(tiny_world.store_path)
    with pytest.raises(ClipStoreError, match="wanted video other"):
        next(store.frames(entry(tiny_world, id="other"), np.zeros(1)))
    with pytest.raises(JoinError, match="frames of another file"):
        next(store.frames(entry(tiny_world, source_digest="sha256:9"), np.zeros(1)))


def test_a_frame_over_the_stored_one(tiny_world, tmp_path: Path) -> None:
    shard = min(tiny_world.shards_path.glob("shard-*"))
    out = tmp_path / "a.png"
    arguments = ["inspect", str(shard), "--video", "film/1", "--overlay", str(out)]
    result = CliRunner().invoke(orn, [*arguments, "--clips", str(tiny_world.store_path)])
    assert result.exit_code == 0, result.stderr
    assert "grey" not in result.stderr
    assert np.asarray(Image.open(out)).std() > 10
