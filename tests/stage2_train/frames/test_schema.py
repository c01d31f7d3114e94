"""Settings of a clip store."""

import numpy as np
import pytest
from pydantic import ValidationError

from orn.shared.errors import VideoDecodeError
from orn.stage2_train.frames.schema import StoreSettings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        *(({"size": size}, "size") for size in ((65_500, 8), (1, 8193), (5,), 0, None)),
        *(({"size": 5, "rate": rate}, "rate") for rate in (0.0, -1.0, np.inf, np.nan)),
    ],
)
def test_settings_that_cannot_be(settings, named) -> None:
    with pytest.raises(ValidationError, match=named):
        StoreSettings(**settings)


def test_a_video_whose_shape_gives_too_large_a_frame() -> None:
    assert StoreSettings(size=4320).stored_size(4320, 7680) == (4320, 7680)
    with pytest.raises(VideoDecodeError, match="256x256000"):
        StoreSettings(size=256).stored_size(2, 2000)
