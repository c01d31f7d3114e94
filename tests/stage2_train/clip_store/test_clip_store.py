"""What is said of videos and stores that are not there."""

import pytest

from orn.shared.errors import ClipStoreError
from orn.stage2_train.clip_store.clip_store import ClipStore


def test_what_is_not_there(tiny_world, tmp_path) -> None:
    store = tiny_world.clips()
    assert "film/3" in store
    assert "film/99" not in store
    with pytest.raises(ClipStoreError, match=r"film/99.* 12 "):
        store.frames("film/99")
    with pytest.raises(ClipStoreError, match=r"no: .*`orn clips`"):
        ClipStore(tmp_path / "no")
