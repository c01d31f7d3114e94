"""Bytes of a store that were changed anywhere give what was stored, or an error."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orn.shared.errors import PipelineError
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import COLUMNS, StoreSettings
from orn.stage2_train.frames.verify import verify_store
from tests.stage2_train.frames.conftest import changed
from tests.worlds.films import make_film, write_store

SETTINGS = StoreSettings(height=8, width=12)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store of two videos."""
    path, rng = tmp_path_factory.mktemp("store") / "clips.h5", np.random.default_rng(0)
    films = [make_film(f"film/{count}", label=0, num_frames=count, rng=rng) for count in (3, 4)]
    write_store(path, films, SETTINGS)
    return path


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
