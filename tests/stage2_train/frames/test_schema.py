"""Settings of a clip store."""

import numpy as np
import pytest

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.stage2_train.frames.schema import StoreSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 65_500, "width": 65_500}, "65500x65500"),
        ({"height": 1, "width": 70_000}, "1x70000"),
        *(
            (size, "a height and a width or a short side")
            for size in ({"height": 5}, {}, {"height": 5, "width": 5, "short_side": 5})
        ),
        *(({"short_side": 5, "rate": rate}, "rate") for rate in (0.0, -1.0, np.inf, np.nan)),
    ],
)
def test_settings_that_cannot_be(settings, message) -> None:
    with pytest.raises(ClipStoreError, match=message):
        StoreSettings(**settings)


def test_a_video_whose_shape_gives_too_large_a_frame() -> None:
    assert StoreSettings(short_side=4320).stored_size(4320, 7680) == (4320, 7680)
    with pytest.raises(VideoDecodeError, match="256x256000"):
        StoreSettings(short_side=256).stored_size(2, 2000)


@pytest.mark.parametrize(
    ("source", "stored"),
    [((480, 640), (120, 160)), ((640, 480), (160, 120)), ((60, 60), (120, 120))],
)
def test_short_side_keeps_the_shape(source, stored) -> None:
    assert StoreSettings(height=4, width=6).stored_size(*source) == (4, 6)
    assert StoreSettings(short_side=120).stored_size(*source) == stored
