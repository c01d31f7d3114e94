"""Bytes of a store that were changed anywhere give what was stored, or an error."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orn.shared.errors import PipelineError
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.parts import write_frames
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import COLUMNS, StoreSettings
from orn.stage2_train.frames.verify import verify_store
from tests.stage2_train.frames.conftest import changed

SETTINGS = StoreSettings(height=8, width=12)
FRAMES = (3, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store of two videos, one of which has times that lie in ranges."""
    folder = tmp_path_factory.mktemp("store")
    videos = []
    for number, count in enumerate(FRAMES):
        path = folder / f"{number}.h5"
        rng = np.random.default_rng(number)
        frames = [
            SimpleNamespace(
                index=n, seconds=n / 10, image=rng.integers(0, 255, (8, 12, 3), np.uint8)
            )
            for n in range(count)
        ]
        write_frames(
            path, frames, video_id=f"film/{number}", source_digest="sha256:0", settings=SETTINGS
        )
        videos += read_contents(path).videos
    merge(folder / "clips.h5", settings=SETTINGS, videos=videos)
    return folder / "clips.h5"


def everything(path: Path) -> Iterator[object]:
    """All that a training reads of a store."""
    store = ClipStore(path)
    yield store.settings
    yield store.failed
    for name in store.ids:
        frames = store.frames(name)
        yield name, frames.source_digest, frames.stored_size, frames.times, len(frames)
        yield frames.seconds.tolist()
        yield frames.read(np.arange(len(frames))).tobytes()


@pytest.fixture(scope="module")
def wanted(store) -> list[object]:
    """All that the store holds."""
    return [*everything(store)]


def is_noticed(path: Path, wanted: list[object]) -> bool:
    """Whether reading ends with an error; asserts that else what is read is right."""
    try:
        assert [*everything(path)] == wanted
    except PipelineError as err:
        assert str(err).startswith(f"{path}: ")
        return True
    return False


@pytest.mark.parametrize("step", [401, pytest.param(7, marks=pytest.mark.slow)])
def test_every_byte_in_turn_is_noticed(store, wanted, tmp_path, step) -> None:
    content = store.read_bytes()
    path = tmp_path / "damaged.h5"
    missed = []
    for place in range(0, len(content), step):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        if not is_noticed(path, wanted) and not verify_store(path, (), ranges={}):
            missed.append(place)
    assert not missed


NUMBERS = sorted(name for name, column in COLUMNS.items() if column.dtype is not None)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NUMBERS), place=st.integers(0, 10**9), data=st.binary(min_size=8))
def test_any_number_of_any_column(store, wanted, tmp_path, name, place, data) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(store.read_bytes())
    with changed(path) as file:
        row = place % len(file[name])
        value = np.frombuffer(data, file[name].dtype, count=1)[0]
        is_changed = file[name][row].tobytes() != value.tobytes()
        file[name][row] = value
    found = is_noticed(path, wanted)
    assert found or not is_changed or name in {"frame_index", "jpeg_crc32"}
    assert bool(verify_store(path, (), ranges={})) == is_changed
