"""Arbitrary damage to shards, plans and indices gives a value or an error of ours, nothing else."""

import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orn.shared.errors import PipelineError
from orn.shared.inspect.frame import find_frame, frame_text, frame_to_dict
from orn.shared.inspect.summary import summarise, summary_text, summary_to_dict
from orn.shared.masks.rules import first_fault
from orn.shared.shards import index
from orn.shared.shards.column import write_group
from orn.shared.shards.index import INDEX_NAME, _sealed, open_folder
from orn.shared.shards.plan import PLAN_NAME, Plan, plan_units
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.verified import unverified
from orn.shared.shards.verify import verify_shard
from orn.shared.shards.verify_folder import verify_folder
from orn.shared.shards.zarr_zip import read_layout
from tests.shared.shards.conftest import ShardMaker, arrays_in, columns_of

NAME = "shard-000000.zarr.zip"
VIDEOS = {"a": (range(5), np.arange(5) / 10), "b": ((3, 7), (0.5, 0.9)), "c": ((), ())}

# The folder is the same for all examples of a test, and each writes it anew.
in_one_folder = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4)
"""Places in a file, and what is flipped there."""
cuts = st.none() | st.floats(0, 1)
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, -1, 2**31, 2**40, 2**62])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def damaged(content: bytes, places: list[tuple[float, int]], cut: float | None) -> bytes:
    data = bytearray(content)
    for place, change in places:
        data[int(place * len(data))] ^= change
    return bytes(data if cut is None else data[: int(cut * len(data))])


def put_somewhere(document: Any, data: st.DataObject, value: Any) -> Any:
    """The document with a value in place of one of its parts, however deep, or without it."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(document)))
        if not data.draw(st.integers(0, 9)):
            return {name: part for name, part in document.items() if name != key}
        return document | {key: put_somewhere(document[key], data, value)}
    if isinstance(document, list) and document and data.draw(st.integers(0, 9)):
        place = data.draw(st.integers(0, len(document) - 1))
        return [
            put_somewhere(part, data, value) if number == place else part
            for number, part in enumerate(document)
        ]
    return value


def use(folder: Path) -> None:
    """Does with a shard what the project does with shards."""
    path = folder / NAME
    verify_shard(path)
    with suppress(PipelineError):
        unverified([path])
    with suppress(PipelineError):
        verify_folder(folder)
    with suppress(PipelineError):
        summary = summarise(Shard(path))
        json.dumps(summary_to_dict(summary), allow_nan=False)
        summary_text(summary)
    for video_id in ("a", "b"):
        with suppress(PipelineError):
            frame = find_frame(Shard(path), video_id=video_id, index=3)
            json.dumps(frame_to_dict(frame), allow_nan=False)
            frame_text(frame)
        with suppress(PipelineError):
            video = DetectionFolder(folder).video(video_id)
            video.nearest_rows(video.seconds)
            first_fault([video.frame(row) for row in range(video.num_frames)])


@pytest.fixture
def folder(tmp_path: Path, write_shard: ShardMaker) -> Path:
    """A folder with a shard."""
    write_shard(tmp_path / NAME, VIDEOS, failed={"x": "broken"})
    return tmp_path


@pytest.fixture
def whole(folder: Path) -> bytes:
    """The shard as it was written."""
    return (folder / NAME).read_bytes()


@in_one_folder
@given(places=flips, cut=cuts, sealed=st.booleans())
def test_flipped_and_cut_bytes(
    folder: Path, whole: bytes, places: list[tuple[float, int]], cut: float | None, sealed: bool
) -> None:
    path = folder / NAME
    path.write_bytes(whole)
    if not sealed:
        _repack(path, lambda name, content: content)
    path.write_bytes(damaged(path.read_bytes(), places, cut))
    use(folder)


def _repack(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Packs a shard anew, without a seal and with checksums of ZIP that match."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, change(name, content))


@in_one_folder
@given(data=st.data(), value=odd_values)
def test_documents_with_odd_values(
    folder: Path, whole: bytes, data: st.DataObject, value: Any
) -> None:
    path = folder / NAME
    path.write_bytes(whole)
    names = ["zarr.json", "zarr.json", "boxes/zarr.json", "rle/zarr.json", "frame_video/zarr.json"]
    chosen = data.draw(st.sampled_from(names))

    def change(name: str, content: bytes) -> bytes:
        if name != chosen:
            return content
        return json.dumps(put_somewhere(json.loads(content), data, value)).encode()

    _repack(path, change)
    use(folder)


@in_one_folder
@given(places=flips, chosen=st.sampled_from(["zarr.json", "boxes/zarr.json", "rle/c/0"]))
def test_damaged_members_with_the_right_checksum(
    folder: Path, whole: bytes, places: list[tuple[float, int]], chosen: str
) -> None:
    path = folder / NAME
    path.write_bytes(whole)
    _repack(path, lambda name, each: damaged(each, places, None) if name == chosen else each)
    use(folder)


@in_one_folder
@given(
    name=st.sampled_from(
        [
            *("frame_video", "frame_index", "frame_seconds", "frame_offsets", "boxes", "scores"),
            *("labels", "class_scores", "rle_offsets", "rle"),
        ]
    ),
    place=st.floats(0, 1, exclude_max=True),
    value=st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1, 0, 1, 2, 79, 80, 255, 2**31, 2**62]),
    more=st.integers(1, 3),
)
def test_arrays_with_odd_values(
    folder: Path, whole: bytes, name: str, place: float, value: float, more: int
) -> None:
    path = folder / NAME
    path.write_bytes(whole)
    arrays = arrays_in(path)
    flat = arrays[name].reshape(-1)
    first = int(place * len(flat))
    with np.errstate(all="ignore"):
        flat[first : first + more] = np.array(value).astype(flat.dtype)
    write_group(path, columns=columns_of(arrays), attributes=read_layout(path)[0])
    use(folder)


@in_one_folder
@given(data=st.data(), value=odd_values, places=flips, cut=cuts)
def test_plans(
    tmp_path: Path,
    detector: DetectorEntry,
    data: st.DataObject,
    value: Any,
    places: list[tuple[float, int]],
    cut: float | None,
) -> None:
    units = plan_units([("a", 2100), ("b", None)])
    Plan(dataset="demo", frames="all", detector=detector, units=units).save(tmp_path)
    path = tmp_path / PLAN_NAME
    if data.draw(st.booleans()):
        path.write_text(json.dumps(put_somewhere(json.loads(path.read_text()), data, value)))
    else:
        path.write_bytes(damaged(path.read_bytes(), places, cut))
    with suppress(PipelineError):
        assert isinstance(Plan.load(tmp_path), Plan)


@in_one_folder
@given(data=st.data(), value=odd_values, places=flips, cut=cuts)
def test_indices(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
    value: Any,
    places: list[tuple[float, int]],
    cut: float | None,
) -> None:
    monkeypatch.setattr(index, "_LEAST_SHARDS", 1)
    path = folder / INDEX_NAME
    path.unlink(missing_ok=True)
    wanted = open_folder(folder).attributes
    lines = path.read_bytes().splitlines(keepends=True)
    if data.draw(st.booleans()):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = json.loads(lines[number].rpartition(b" ")[0])
        lines[number] = _sealed(json.dumps(put_somewhere(line, data, value)).encode())
        path.write_bytes(b"".join(lines))
    else:
        path.write_bytes(damaged(path.read_bytes(), places, cut))
    assert open_folder(folder).attributes.keys() == wanted.keys()
    use(folder)
