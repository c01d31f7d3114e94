"""`orn inspect --overlay`: masks over the frames of a film."""

from pathlib import Path

import numpy as np

from orn.shared.pages.palette import class_color
from orn.shared.shards.shard_format import UNKNOWN_SOURCE
from orn.shared.video.read import read_frames
from tests.orn.inspection.conftest import detected, write
from tests.running import Ran
from tests.worlds.shards import CUP
from tests.worlds.tables import write_table
from tests.worlds.videos import write_numbered


def mask_color(picture_HW3: np.ndarray, background: float) -> bool:
    """Whether the middle of the mask, columns 1..3 and rows 2..4 of 8 x 6, has a cup's color."""
    height, width, _ = picture_HW3.shape
    expected = 0.55 * background + 0.45 * np.array(class_color(CUP))
    pixel = picture_HW3[height * 3 // 6, width * 5 // 16].astype(float)
    return bool(np.abs(pixel - expected).max() < 8)


def test_a_film_over_its_video(orn, tmp_path: Path) -> None:
    manifest = write_table(tmp_path, "mine", ["video,label", "b,x"], classes=["x"])
    write_numbered(tmp_path / "data/mine/videos/b.mp4", 8, height=120)
    path = write(
        tmp_path / "x" / "shard-000001.zarr.zip",
        {"b": [detected((CUP, 0.9))]},
        source_digest=UNKNOWN_SOURCE,
    )
    out = tmp_path / "b.mp4"
    orn("inspect", path, "--overlay", out, "--dataset", manifest, "--data", tmp_path / "data")
    picture = next(read_frames(out)).image
    assert picture.shape == (480, 640, 3)
    assert picture[400, 40].mean() > 200  # bit 0 of the number 5
    assert picture[400, 224].mean() < 30  # bit 3 of it
    assert mask_color(picture, 0)
    on_white = 0.55 * 255 + 0.45 * np.array(class_color(CUP))  # bit 2 of it
    np.testing.assert_allclose(picture[300, 160], on_white, atol=12)


def test_a_film_over_gray(orn, shard: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"

    def drawn(*words: object) -> Ran:
        """What is drawn without the video."""
        result = orn("inspect", shard, *words, "--overlay", out, "--json", exit_code=3)
        assert result.json["gray"] == result.json["frames"]
        return result

    result = drawn("--video", "kitchen/a")
    assert (result.json["overlay"], result.json["frames"]) == (str(out), 3)
    assert "draw: 3/3 frames" in result.stderr
    frames = list(read_frames(out))
    assert [round(frame.seconds, 3) for frame in frames] == [0.0, 0.1, 0.2]
    assert mask_color(frames[2].image, 118)
    assert not mask_color(frames[1].image, 118)
    drawn("--video", "b", "--score-threshold", 0.2)
    assert mask_color(next(read_frames(out)).image, 118)
