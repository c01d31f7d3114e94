"""Files of a clip store that are damaged, or not what they should be: what was stored, or an
error."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ClipStoreError
from orn.stage2_train.clip_store.clip_store import read_record
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import FailedClip, StoreSettings
from tests.bounded import bounded
from tests.worlds.clip_stores import store_content
from tests.worlds.films import make_film, write_store

SETTINGS = StoreSettings(size=(8, 12), motion=motion_settings((1, 2)))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A store of two videos and one that failed."""
    path, rng = tmp_path_factory.mktemp("store") / "clips", np.random.default_rng(0)
    films = [make_film(f"film/{count}", label=0, num_frames=count, rng=rng) for count in (3, 4)]
    write_store(path, films, SETTINGS, failed=(FailedClip(id="torn", reason="too dark"),))
    return path


@pytest.fixture
def store(made, tmp_path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(made, tmp_path / "clips"))


def test_damage_behind_an_index_that_fits_is_noticed(store) -> None:
    """As of a disk: neither size nor time of change tell."""
    expected, path = store_content(store), store / "clips-000000.h5"
    status, content = path.stat(), path.read_bytes()
    record = read_record(path)
    places = {
        record.jpeg_offset + 300: "video film/3: .* corrupt",
        record.frames_offset + 8: "video film/3: .* corrupt",
        record.motion_offset + 200: r"motion of frame \d+ are corrupt",
    }
    for place, message in places.items():
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(ClipStoreError, match=rf"clips-000000\.h5: .*{message}"):
            bounded(store_content, store)
    path.write_bytes(content)
    assert store_content(store) == expected
