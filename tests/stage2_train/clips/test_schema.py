"""Settings of a clip store."""

import pytest

from shared.errors import ClipStoreError
from stage2_train.clips.schema import StoreSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"height": 0, "width": 5}, "at least 1x1, found 0x5"),
        ({"height": 5, "width": 5, "jpeg_quality": 96}, "quality of 1 to 95, found 96"),
    ],
)
def test_out_of_range(values, message) -> None:
    with pytest.raises(ClipStoreError, match=message):
        StoreSettings(**values)
