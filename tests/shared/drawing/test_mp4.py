"""Films that are played elsewhere."""

from pathlib import Path

import av
import numpy as np
import pytest

from orn.shared.drawing.mp4 import write_film
from orn.shared.video.read import read_frames


def pictures(*seconds: float, height: int = 33, width: int = 47):
    for place, time in enumerate(seconds):
        yield time, np.full((height, width, 3), 40 * place + 20, np.uint8)


def test_form_that_browsers_and_quicktime_play(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert write_film(path, pictures(5.0, 5.1, 5.2)) == 3
    with av.open(str(path)) as container:
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.height, context.width) == (34, 48)
        assert context.codec_tag == "avc1"
        assert context.colorspace == context.color_primaries == context.color_trc == 1  # BT.709
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays before all of it is there
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_times_and_pictures(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", pictures(5.0, 5.1, 7.5, 7.5))
    frames = list(read_frames(tmp_path / "a.mp4"))
    assert [frame.seconds for frame in frames][:3] == pytest.approx([0, 0.1, 2.5])
    assert [round(float(frame.image.mean())) for frame in frames] == pytest.approx(
        [20, 60, 100, 140], abs=3
    )
